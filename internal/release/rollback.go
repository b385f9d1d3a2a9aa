// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// rolloutJudgment says whether a failed rollout is taken back. An interrupt records and stops; what the cluster or somebody else is
// the cause of is not put right by another revision. A first install has nothing to go back to.
func (a *application) rolloutJudgment(failure error, begun bool) (judgment, bool) {
	if failure == nil || !begun || a.options.Guard.Rollback == nil || a.interrupted() {
		return judgment{}, false
	}
	if _, known := a.found.record.goodBefore(a.found.record.Revision); !known {
		return judgment{}, false
	}
	j := judgment{outcome: OutcomeFailed, stage: StageRollout, rollback: true, at: finished()}
	var (
		rollout  *RolloutError
		hook     *HookError
		deadline *DeadlineError
	)
	switch {
	case errors.As(failure, &rollout):
		j.reason, j.quarantine = rollout.Cause, rollout.kind == troubleCrash
	case errors.As(failure, &hook):
		j.reason = "a hook failed: " + hook.Cause
	case errors.As(failure, &deadline):
		j.reason = fmt.Sprintf("it was not done after %s; the time ran out while %s", deadline.Timeout, deadline.During)
		j.quarantine = deadline.blamed
	default:
		return judgment{}, false
	}
	j.reason = a.secrets.Text(j.reason)
	return j, true
}

// takeBack ends a run whose revision did badly or could not be judged: it is rolled back where that is due and possible, and left
// where not. The error is a *GuardError. What is to be done is written down first: whoever comes after a crash does it.
func (a *application) takeBack(number int, j judgment, cause error) error {
	failure := &GuardError{
		Release: a.target.Name, Revision: number, Version: a.spec.Version, Stage: j.stage, Reason: a.secrets.Text(j.reason),
		Inconclusive: j.outcome == OutcomeInconclusive, Evidence: j.evidence, Cause: cause,
	}
	policy := a.options.Guard.Rollback
	if !j.rollback || policy == nil {
		return a.leave(number, j, failure)
	}
	if err := a.renew(policy.timeout()); err != nil {
		return errors.Join(failure, err)
	}
	a.doing("looking for a revision to restore")
	good, err := a.findTarget(a.found.record, number)
	if err != nil {
		var refused *RollbackError
		if !errors.As(err, &refused) {
			refused = &RollbackError{Release: a.target.Name, Target: good.Revision, Refused: true, Cause: err,
				Reason: explain.Sentence("It could not be seen whether that can be done: " + a.secrets.Text(err.Error())),
				Advice: "Apply again, or restore an earlier version by applying it."}
		}
		failure.RollbackFailed = refused
		return a.leave(number, j, failure)
	}
	if j.quarantine {
		failure.Quarantine = a.quarantine(number, j)
	}
	next := *a.found.record
	next.Phase, next.Verifying, next.Failure = phaseRollingBack, nil, explain.Shorten(failure.Stage+": "+failure.Reason, maxFailureText)
	if failure.Quarantine != nil {
		next.Quarantine, next.Retry = failure.Quarantine, a.options.Guard.Retry
	}
	next.endRun(number, func(r *Run) { r.Outcome, r.Stage, r.Reason = j.outcome, j.stage, failure.Reason })
	if err := a.save(&next, AnnotationAbort); err != nil {
		return errors.Join(failure, err)
	}
	return a.restore(number, good, j.at, failure)
}

// restore rolls back, validates, and writes down how it ended.
func (a *application) restore(failed int, good KnownGood, detected time.Time, failure *GuardError) error {
	restored, err := a.rollBack(failed, good)
	if err != nil {
		failure.RollbackFailed = err
		next := *a.found.record
		next.Finished, next.Failure = finished(), explain.Shorten(a.secrets.Text(failure.Error()), maxFailureText)
		return errors.Join(failure, a.save(&next))
	}
	failure.Restored = &Restoration{
		Revision: restored, From: good.Revision, Version: good.Version, Digest: good.Digest, Chart: good.Chart,
		Detected: detected, Ready: finished(),
	}
	a.outcome.Restored, a.outcome.Changed = failure.Restored, true
	a.outcome.Revision, a.outcome.Status = restored, helmrelease.StatusDeployed.String()
	failure.LeftBehind = a.leftBehind(failed, restored)
	return a.validate(failed, good, failure)
}

// leave ends a run whose revision stays. One that failed is so for Helm too, and the next apply takes it over; one that could not be
// judged is judged again by the next apply.
func (a *application) leave(number int, j judgment, failure *GuardError) error {
	next := *a.found.record
	var markErr error
	if j.outcome == OutcomeFailed {
		if markErr = a.markJudged(number, failure.Stage+": "+failure.Reason); markErr == nil {
			a.outcome.Status = helmrelease.StatusFailed.String()
		}
		next.Phase, next.Verifying = phaseFailed, nil
	} else {
		next.Phase = phaseUnverified
	}
	next.Revision, next.Finished, next.Failure = number, finished(), explain.Shorten(a.secrets.Text(failure.Error()), maxFailureText)
	next.endRun(number, func(r *Run) {
		r.Outcome, r.Stage, r.Reason, r.Finished = j.outcome, j.stage, failure.Reason, next.Finished
	})
	return errors.Join(failure, markErr, a.save(&next, AnnotationAbort))
}

func (a *application) quarantine(number int, j judgment) *Quarantine {
	hold := a.options.Guard.Rollback.Quarantine
	if hold == 0 {
		hold = defaultQuarantine
	}
	now := finished()
	return &Quarantine{
		Key: a.key, Version: a.spec.Version, Revision: number, At: now, Expires: now.Add(hold),
		Reason: explain.Shorten(a.secrets.Text(j.stage+": "+j.reason), maxReason),
	}
}

// rollingBack reports that a rollback was begun and has not ended.
func (a *application) rollingBack() bool {
	return a.found.record != nil && a.found.record.Phase == phaseRollingBack
}

// refuseQuarantined refuses content that is held, before anything is changed. What an apply left that died while it rolled that
// content back is finished first: nothing else would. Content that is known to work is never held.
func (a *application) refuseQuarantined(s situation) error {
	record := a.found.record
	held := record.Held(a.key, a.options.Guard.Retry, time.Now())
	if held == nil || record.provesGood(a.rendering.Digest) {
		return nil
	}
	refusal := &QuarantinedError{Release: a.target.Name, Quarantine: *held}
	if !a.rollingBack() {
		return refusal
	}
	if err := a.finishRollback(s, held); err != nil {
		return err
	}
	return refusal
}

// finishRollback does what an apply that died, or whose rollback failed, has left to do.
func (a *application) finishRollback(s situation, held *Quarantine) error {
	record := a.found.record
	failed := record.Revision
	failure := &GuardError{
		Release: a.target.Name, Revision: failed, Version: held.Version, Stage: StageRollout, Reason: held.Reason, Quarantine: held,
	}
	if len(record.Runs) > 0 {
		failure.Stage, failure.Reason = record.Runs[0].Stage, record.Runs[0].Reason
	}
	policy := a.options.Guard.Rollback
	if policy == nil {
		policy = &RollbackPolicy{}
		a.options.Guard.Rollback = policy
	}
	if err := a.renew(policy.timeout()); err != nil {
		return err
	}
	good, err := a.findTarget(record, failed)
	if err != nil {
		return err
	}
	begun := fmt.Sprintf(
		"the rollback of revision %d to revision %d, begun by %s, had not come to its end; this apply finished it", failed, good.Revision, record.Holder)
	if s.last.status == helmrelease.StatusDeployed && s.last.number > failed {
		if mine, err := a.isRestored(s.last.number, good); err != nil || !mine {
			return err // Somebody else has deployed something meanwhile, which is left alone.
		}
		a.outcome.Recovered = append(a.outcome.Recovered, begun)
		failure.Restored = &Restoration{Revision: s.last.number, From: good.Revision, Version: good.Version, Digest: good.Digest, Chart: good.Chart,
			Detected: held.At, Ready: finished()}
		a.outcome.Restored, a.outcome.Revision, a.outcome.Status = failure.Restored, s.last.number, s.last.status.String()
		return onlyTrouble(a.validate(failed, good, failure), failure)
	}
	a.outcome.Recovered = append(a.outcome.Recovered, begun)
	if s.last.status.IsPending() {
		if err := a.markFailed(s.last, "the rollback to revision "+fmt.Sprint(good.Revision)+" ended without finishing it"); err != nil {
			return err
		}
	}
	return onlyTrouble(a.restore(failed, good, held.At, failure), failure)
}

// isRestored reports that a revision has the content of a known-good one. Helm gives a rollback's revision the labels of its target,
// and with them the key of its seal.
func (a *application) isRestored(number int, good KnownGood) (bool, error) {
	stored, err := a.helm.Releases.Get(a.target.Name, number)
	if err != nil {
		return false, a.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", number, a.target.Name, err))
	}
	sealed, err := seal(stored)
	return err == nil && (good.Seal == "" || sealed == good.Seal), err
}

// onlyTrouble drops a failure whose rollback went well.
func onlyTrouble(err error, failure *GuardError) error {
	if same, ok := err.(*GuardError); ok && same == failure && failure.RollbackFailed == nil { //nolint:errorlint // It is that very one.
		return nil
	}
	return err
}
