// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// validate watches the restored revision, and writes down how the run ended. A restored revision that does badly too is left: there
// is nothing better to restore. When the validation is cut off, the rollback counts as not ended, and the next apply validates.
func (a *application) validate(failed int, good KnownGood, failure *GuardError) error {
	restored := failure.Restored
	if err := a.renew(0); err != nil {
		return errors.Join(failure, err)
	}
	stored, err := a.helm.Releases.Get(a.target.Name, restored.Revision)
	if err != nil {
		return errors.Join(failure, a.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", restored.Revision, a.target.Name, err)))
	}
	good.Revision, good.At = restored.Revision, finished()
	if good.Seal, err = seal(stored); err != nil {
		return errors.Join(failure, err)
	}
	good = completed(good, stored, a.found.record)
	guard := a.options.Guard
	guard.Analysis = guard.Analysis.validation(guard.Rollback.Validation)
	j := judgment{outcome: OutcomePassed}
	if guard.judges() {
		a.doing(fmt.Sprintf("validating revision %d, which was restored from revision %d", restored.Revision, restored.From))
		if j, err = a.watchRestored(verification{guard: guard, env: a.checks(stored, good.Version)}); err != nil {
			restored.Validation = "Its validation was interrupted; the next apply makes it."
			next := *a.found.record
			next.Failure = explain.Shorten(a.secrets.Text(failure.Error()), maxFailureText)
			if a.ctx.Err() != nil {
				err = &CanceledError{Release: a.target.Name, Revision: restored.Revision, During: a.now(), Cause: err}
			}
			return errors.Join(failure, err, a.save(&next))
		}
	}
	next := *a.found.record
	next.Phase, next.Verifying, next.Finished = phaseRolledBack, nil, finished()
	next.Revision, next.Version, next.Digest, next.Chart, next.SecretPaths = restored.Revision, good.Version, good.Digest, good.Chart, good.SecretPaths
	next.Key = ""
	outcome := OutcomeRolledBack
	switch {
	case j.outcome == OutcomeFailed:
		next.Phase, outcome = phaseFailed, OutcomeFailed
		// What fails both versions is not the content's fault.
		next.Quarantine, next.Retry, failure.Quarantine = nil, "", nil
		restored.Validation = "It does not do well either."
		failure.RollbackFailed = &RollbackInvalidError{
			Release: a.target.Name, Revision: restored.Revision, From: restored.From, Stage: j.stage, Reason: a.secrets.Text(j.reason), Evidence: j.evidence,
		}
	case j.outcome == OutcomeInconclusive:
		next.PolicyHash = ""
		restored.Validation = "Whether it does well could not be told: " + a.secrets.Text(j.reason)
	case !guard.judges():
		next.PolicyHash = ""
		restored.Validation = "No checks are configured to validate it by."
	default:
		restored.Validated, restored.Validation = true, "Its validation passed."
	}
	if outcome == OutcomeRolledBack {
		next.addKnownGood(good, a.exists)
	}
	next.Failure = explain.Shorten(a.secrets.Text(failure.Error()), maxFailureText)
	next.endRun(failed, func(r *Run) {
		r.Outcome, r.Finished, r.Restored, r.RestoredVersion = outcome, next.Finished, restored.Revision, restored.Version
	})
	if err := a.save(&next); err != nil {
		return errors.Join(failure, err)
	}
	a.pruneOld()
	return failure
}

// onePass is how often health checks are made that have to pass once: traffic may need a moment to find the restored pods.
const onePass = 3

func (a *application) watchRestored(v verification) (judgment, error) {
	j, err := v.verify(a.ctx)
	for try := 1; try < onePass && v.guard.Rollback.Validation == 0; try++ {
		if err != nil || j.outcome != OutcomeFailed || j.stage != StageAnalysis {
			break
		}
		pause(a.ctx, 2*pollEvery)
		v.from.Stage = StageAnalysis
		j, err = v.verify(a.ctx)
	}
	return j, err
}

// completed adds what records of the first schema did not keep of a known-good revision.
func completed(good KnownGood, stored *helmrelease.Release, record *Record) KnownGood {
	if good.Chart.Name == "" && stored.Chart != nil && stored.Chart.Metadata != nil {
		good.Chart = ChartRecord{Name: stored.Chart.Metadata.Name, Version: stored.Chart.Metadata.Version}
		// Which values were secret then is not known; those that are now most likely were.
		good.SecretPaths = record.SecretPaths
	}
	return good
}
