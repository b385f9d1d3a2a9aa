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

// validation verifies the revision that a rollback restored.
type validation struct{ run *applyRun }

// validate watches the restored revision, and records how the run ended. A restored revision that is also unhealthy is left: there
// is nothing better to restore. When the validation is cut off, the rollback counts as not ended, and the next apply validates.
func (v validation) validate(failed int, good record.KnownGood, failure *VerificationError) error {
	restored := failure.Restored
	if err := v.run.renew(0); err != nil {
		return errors.Join(failure, err)
	}
	stored, err := v.run.session.stored(restored.Revision)
	if err != nil {
		return errors.Join(failure, err)
	}
	good.Revision, good.At = restored.Revision, now()
	if good.Seal, err = seal(stored); err != nil {
		return errors.Join(failure, err)
	}
	good = completed(good, stored, v.run.found.Content)
	policy := v.run.options.Verification
	policy.Analysis = policy.Analysis.Validation(policy.Rollback.Validation)
	j := verify.Result{Outcome: record.OutcomePassed}
	if policy.Verifies() {
		v.run.op.Doing(fmt.Sprintf("validating revision %d, which was restored from revision %d", restored.Revision, restored.From))
		if j, err = v.verify(verify.Run{Policy: policy, Env: v.run.session.checks(stored, good.Version)}); err != nil {
			restored.Validation = "Its validation was interrupted; the next apply makes it."
			next := *v.run.found.Content
			next.Failure = explain.Shorten(v.run.session.redact(failure.Error()), record.MaxFailure)
			if v.run.op.Context().Err() != nil {
				err = &CanceledError{Release: v.run.target.Name, Revision: restored.Revision, During: v.run.op.Now(), Cause: err}
			}
			return errors.Join(failure, err, v.run.journal().save(&next))
		}
	}
	next := *v.run.found.Content
	next.Phase, next.Verification, next.Finished = record.RolledBack, nil, now()
	next.Revision, next.Version, next.Digest, next.Chart, next.SecretPaths = restored.Revision, good.Version, good.Digest, good.Chart,
		good.SecretPaths
	next.Key = ""
	outcome := record.OutcomeRolledBack
	switch {
	case j.Outcome == record.OutcomeFailed:
		next.Phase, outcome = record.Failed, record.OutcomeFailed
		// What fails both versions is not the content's fault.
		next.Quarantine, next.RetryToken, failure.Quarantine = nil, "", nil
		restored.Validation = "It is also unhealthy."
		failure.RollbackFailed = &RollbackInvalidError{
			Release: v.run.target.Name, Revision: restored.Revision, From: restored.From, Stage: j.Stage, Reason: v.run.session.redact(j.Reason),
			Evidence: j.Evidence,
		}
	case j.Outcome == record.OutcomeInconclusive:
		next.PolicyHash = ""
		restored.Validation = "Its validation was inconclusive: " + v.run.session.redact(j.Reason)
	case !policy.Verifies():
		next.PolicyHash = ""
		restored.Validation = "No checks are configured to validate it by."
	default:
		restored.Validated, restored.Validation = true, "Its validation passed."
	}
	if outcome == record.OutcomeRolledBack {
		next.Remember(good, v.run.journal().exists)
	}
	next.Failure = explain.Shorten(v.run.session.redact(failure.Error()), record.MaxFailure)
	next.End(failed, func(r *record.Run) {
		r.Outcome, r.Finished, r.Restored, r.RestoredVersion = outcome, next.Finished, restored.Revision, restored.Version
	})
	if err := v.run.journal().save(&next); err != nil {
		return errors.Join(failure, err)
	}
	v.run.journal().prune()
	return failure
}

// onePass is how often health checks are made that have to pass once: traffic may need a moment to find the restored pods.
const onePass = 3

func (v validation) verify(run verify.Run) (verify.Result, error) {
	j, err := run.Verify(v.run.op.Context())
	for try := 1; try < onePass && run.Policy.Rollback.Validation == 0; try++ {
		if err != nil || j.Outcome != record.OutcomeFailed || j.Stage != verify.StageAnalysis {
			break
		}
		rollout.Pause(v.run.op.Context(), 2*rollout.PollEvery)
		run.From.Stage = verify.StageAnalysis
		j, err = run.Verify(v.run.op.Context())
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
