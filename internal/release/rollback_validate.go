// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// validate watches the restored revision, and writes down how the run ended. A restored revision that does badly too is left: there
// is nothing better to restore. When the validation is cut off, the rollback counts as not ended, and the next apply validates.
func (a *applyRun) validate(failed int, good record.KnownGood, failure *VerificationError) error {
	restored := failure.Restored
	if err := a.renew(0); err != nil {
		return errors.Join(failure, err)
	}
	stored, err := a.session.stored(restored.Revision)
	if err != nil {
		return errors.Join(failure, err)
	}
	good.Revision, good.At = restored.Revision, now()
	if good.Seal, err = seal(stored); err != nil {
		return errors.Join(failure, err)
	}
	good = completed(good, stored, a.found.Content)
	policy := a.options.Verification
	policy.Analysis = policy.Analysis.Validation(policy.Rollback.Validation)
	j := verify.Result{Outcome: record.OutcomePassed}
	if policy.Verifies() {
		a.op.Doing(fmt.Sprintf("validating revision %d, which was restored from revision %d", restored.Revision, restored.From))
		if j, err = a.watchRestored(verify.Run{Policy: policy, Env: a.session.checks(stored, good.Version)}); err != nil {
			restored.Validation = "Its validation was interrupted; the next apply makes it."
			next := *a.found.Content
			next.Failure = explain.Shorten(a.session.redact(failure.Error()), record.MaxFailure)
			if a.op.Context().Err() != nil {
				err = &CanceledError{Release: a.target.Name, Revision: restored.Revision, During: a.op.Now(), Cause: err}
			}
			return errors.Join(failure, err, a.save(&next))
		}
	}
	next := *a.found.Content
	next.Phase, next.Verification, next.Finished = record.RolledBack, nil, now()
	next.Revision, next.Version, next.Digest, next.Chart, next.SecretPaths = restored.Revision, good.Version, good.Digest, good.Chart, good.SecretPaths
	next.Key = ""
	outcome := record.OutcomeRolledBack
	switch {
	case j.Outcome == record.OutcomeFailed:
		next.Phase, outcome = record.Failed, record.OutcomeFailed
		// What fails both versions is not the content's fault.
		next.Quarantine, next.RetryToken, failure.Quarantine = nil, "", nil
		restored.Validation = "It does not do well either."
		failure.RollbackFailed = &RollbackInvalidError{
			Release: a.target.Name, Revision: restored.Revision, From: restored.From, Stage: j.Stage, Reason: a.session.redact(j.Reason), Evidence: j.Evidence,
		}
	case j.Outcome == record.OutcomeInconclusive:
		next.PolicyHash = ""
		restored.Validation = "Whether it does well could not be told: " + a.session.redact(j.Reason)
	case !policy.Verifies():
		next.PolicyHash = ""
		restored.Validation = "No checks are configured to validate it by."
	default:
		restored.Validated, restored.Validation = true, "Its validation passed."
	}
	if outcome == record.OutcomeRolledBack {
		next.Remember(good, a.exists)
	}
	next.Failure = explain.Shorten(a.session.redact(failure.Error()), record.MaxFailure)
	next.End(failed, func(r *record.Run) {
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

func (a *applyRun) watchRestored(v verify.Run) (verify.Result, error) {
	j, err := v.Verify(a.op.Context())
	for try := 1; try < onePass && v.Policy.Rollback.Validation == 0; try++ {
		if err != nil || j.Outcome != record.OutcomeFailed || j.Stage != verify.StageAnalysis {
			break
		}
		rollout.Pause(a.op.Context(), 2*rollout.PollEvery)
		v.From.Stage = verify.StageAnalysis
		j, err = v.Verify(a.op.Context())
	}
	return j, err
}

// completed adds what records of the first schema did not keep of a known-good revision.
func completed(good record.KnownGood, stored *helmrelease.Release, last *record.Release) record.KnownGood {
	if good.Chart.Name == "" && stored.Chart != nil && stored.Chart.Metadata != nil {
		good.Chart = record.Chart{Name: stored.Chart.Metadata.Name, Version: stored.Chart.Metadata.Version}
		// Which values were secret then is not known; those that are now most likely were.
		good.SecretPaths = last.SecretPaths
	}
	return good
}
