// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// rolloutResult says whether a failed rollout is taken back. An interrupt records and stops; what the cluster or somebody else is
// the cause of is not put right by another revision. A first install has nothing to go back to.
func (a *applyRun) rolloutResult(failure error, begun bool) (verify.Result, bool) {
	if failure == nil || !begun || a.options.Verification.Rollback == nil || a.op.Interrupted() {
		return verify.Result{}, false
	}
	if _, known := a.found.Content.Before(a.found.Content.Revision); !known {
		return verify.Result{}, false
	}
	j := verify.Result{Outcome: record.OutcomeFailed, Stage: verify.StageRollout, Rollback: true, At: now()}
	var (
		failed   *RolloutError
		hook     *HookError
		deadline *DeadlineError
	)
	switch {
	case errors.As(failure, &failed):
		j.Reason, j.Quarantine = failed.Cause, failed.kind == rollout.TroubleCrash
	case errors.As(failure, &hook):
		j.Reason = "a hook failed: " + hook.Cause
	case errors.As(failure, &deadline):
		j.Reason = fmt.Sprintf("it was not done after %s; the time ran out while %s", deadline.Timeout, deadline.During)
		j.Quarantine = deadline.blamed
	default:
		return verify.Result{}, false
	}
	j.Reason = a.session.redact(j.Reason)
	return j, true
}

// rollBackOrLeave ends a run whose revision did badly or could not be judged: it is rolled back where that is due and possible, and left
// where not. The error is a *VerificationError. What is to be done is written down first: whoever comes after a crash does it.
func (a *applyRun) rollBackOrLeave(number int, j verify.Result, cause error) error {
	failure := &VerificationError{
		Release: a.target.Name, Revision: number, Version: a.spec.Version, Stage: j.Stage, Reason: a.session.redact(j.Reason),
		Inconclusive: j.Outcome == record.OutcomeInconclusive, Evidence: j.Evidence, Cause: cause,
	}
	policy := a.options.Verification.Rollback
	if !j.Rollback || policy == nil {
		return a.leave(number, j, failure)
	}
	if err := a.renew(policy.Limit()); err != nil {
		return errors.Join(failure, err)
	}
	a.op.Doing("looking for a revision to restore")
	good, err := a.findTarget(a.found.Content, number)
	if err != nil {
		var refused *RollbackError
		if !errors.As(err, &refused) {
			refused = &RollbackError{Release: a.target.Name, Target: good.Revision, Refused: true, Cause: err,
				Reason: explain.Sentence("It could not be seen whether that can be done: " + a.session.redact(err.Error())),
				Advice: "Apply again, or restore an earlier version by applying it."}
		}
		failure.RollbackFailed = refused
		return a.leave(number, j, failure)
	}
	if j.Quarantine {
		failure.Quarantine = a.quarantine(number, j)
	}
	next := *a.found.Content
	next.RollBack(number, record.Run{Outcome: j.Outcome, Stage: j.Stage, Reason: failure.Reason}, failure.Quarantine, a.options.Verification.RetryToken)
	if err := a.save(&next, record.AnnotationAbort); err != nil {
		return errors.Join(failure, err)
	}
	return a.restore(number, good, j.At, failure)
}

// restore rolls back, validates, and writes down how it ended.
func (a *applyRun) restore(failed int, good record.KnownGood, detected time.Time, failure *VerificationError) error {
	restored, err := a.rollBack(failed, good)
	if err != nil {
		failure.RollbackFailed = err
		next := *a.found.Content
		next.Finished, next.Failure = now(), explain.Shorten(a.session.redact(failure.Error()), record.MaxFailure)
		return errors.Join(failure, a.save(&next))
	}
	failure.Restored = &Restoration{
		Revision: restored, From: good.Revision, Version: good.Version, Digest: good.Digest, Chart: good.Chart,
		Detected: detected, Ready: now(),
	}
	a.outcome.Restored, a.outcome.Changed = failure.Restored, true
	a.outcome.Revision, a.outcome.Status = restored, helmrelease.StatusDeployed.String()
	failure.LeftBehind = a.leftBehind(failed, restored)
	return a.validate(failed, good, failure)
}

// leave ends a run whose revision stays. One that failed is so for Helm too, and the next apply takes it over; one that could not be
// judged is judged again by the next apply.
func (a *applyRun) leave(number int, j verify.Result, failure *VerificationError) error {
	next := *a.found.Content
	var markErr error
	if j.Outcome == record.OutcomeFailed {
		if markErr = a.session.markUnfit(number, failure.Stage+": "+failure.Reason); markErr == nil {
			a.outcome.Status = helmrelease.StatusFailed.String()
		}
		next.Phase, next.Verification = record.Failed, nil
	} else {
		next.Phase = record.Unverified
	}
	next.Revision, next.Finished, next.Failure = number, now(), explain.Shorten(a.session.redact(failure.Error()), record.MaxFailure)
	next.End(number, func(r *record.Run) {
		r.Outcome, r.Stage, r.Reason, r.Finished = j.Outcome, j.Stage, failure.Reason, next.Finished
	})
	return errors.Join(failure, markErr, a.save(&next, record.AnnotationAbort))
}

func (a *applyRun) quarantine(number int, j verify.Result) *record.Quarantine {
	hold := a.options.Verification.Rollback.Quarantine
	if hold == 0 {
		hold = verify.DefaultQuarantine
	}
	at := now()
	return &record.Quarantine{
		Key: a.key, Version: a.spec.Version, Revision: number, At: at, Expires: at.Add(hold),
		Reason: explain.Shorten(a.session.redact(j.Stage+": "+j.Reason), record.MaxReason),
	}
}

// rollingBack reports that a rollback was begun and has not ended.
func (a *applyRun) rollingBack() bool {
	return a.found.Content != nil && a.found.Content.Phase == record.RollingBack
}

// finishRollback does what an apply that died, or whose rollback failed, has left to do.
func (a *applyRun) finishRollback(s situation, held *record.Quarantine) error {
	last := a.found.Content
	failed := last.Revision
	failure := &VerificationError{
		Release: a.target.Name, Revision: failed, Version: held.Version, Stage: verify.StageRollout, Reason: held.Reason, Quarantine: held,
	}
	if len(last.Runs) > 0 {
		failure.Stage, failure.Reason = last.Runs[0].Stage, last.Runs[0].Reason
	}
	policy := a.options.Verification.Rollback
	if policy == nil {
		policy = &verify.RollbackPolicy{}
		a.options.Verification.Rollback = policy
	}
	if err := a.renew(policy.Limit()); err != nil {
		return err
	}
	good, err := a.findTarget(last, failed)
	if err != nil {
		return err
	}
	begun := fmt.Sprintf(
		"the rollback of revision %d to revision %d, begun by %s, had not come to its end; this apply finished it", failed, good.Revision, last.Holder)
	if s.last.status == helmrelease.StatusDeployed && s.last.number > failed {
		if mine, err := a.isRestored(s.last.number, good); err != nil || !mine {
			return err // Somebody else has deployed something meanwhile, which is left alone.
		}
		a.outcome.Recovered = append(a.outcome.Recovered, begun)
		failure.Restored = &Restoration{Revision: s.last.number, From: good.Revision, Version: good.Version, Digest: good.Digest, Chart: good.Chart,
			Detected: held.At, Ready: now()}
		a.outcome.Restored, a.outcome.Revision, a.outcome.Status = failure.Restored, s.last.number, s.last.status.String()
		return onlyTrouble(a.validate(failed, good, failure), failure)
	}
	a.outcome.Recovered = append(a.outcome.Recovered, begun)
	if s.last.status.IsPending() {
		if err := a.session.markFailed(s.last.number, "the rollback to revision "+fmt.Sprint(good.Revision)+" ended without finishing it"); err != nil {
			return err
		}
	}
	return onlyTrouble(a.restore(failed, good, held.At, failure), failure)
}

// isRestored reports that a revision has the content of a known-good one. Helm gives a rollback's revision the labels of its target,
// and with them the key of its seal.
func (a *applyRun) isRestored(number int, good record.KnownGood) (bool, error) {
	stored, err := a.session.stored(number)
	if err != nil {
		return false, err
	}
	sealed, err := seal(stored)
	return err == nil && (good.Seal == "" || sealed == good.Seal), err
}

// onlyTrouble drops a failure whose rollback went well.
func onlyTrouble(err error, failure *VerificationError) error {
	if same, ok := err.(*VerificationError); ok && same == failure && failure.RollbackFailed == nil { //nolint:errorlint // It is that very one.
		return nil
	}
	return err
}
