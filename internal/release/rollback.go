// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// rollback deals with a revision that failed: it restores the newest known-good one, or leaves the failed one.
type rollback struct{ run *applyRun }

// afterRollout says whether a failed rollout is rolled back. An interrupt records and stops; what the cluster or another user is
// the cause of is not repaired by another revision. A first install has nothing to go back to.
func (r rollback) afterRollout(failure error, begun bool) (verify.Result, bool) {
	if failure == nil || !begun || r.run.options.Verification.Rollback == nil || r.run.op.Interrupted() {
		return verify.Result{}, false
	}
	if _, known := r.run.found.Content.Before(r.run.found.Content.Revision); !known {
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
	j.Reason = r.run.session.redact(j.Reason)
	return j, true
}

// conclude ends a run whose verification failed or was inconclusive: the revision is rolled back where that is due and possible, and left
// where not. The error is a *VerificationError. What is to be done is recorded first: the run after a crash does it.
func (r rollback) conclude(number int, j verify.Result, cause error) error {
	failure := &VerificationError{
		Release: r.run.target.Name, Revision: number, Version: r.run.spec.Version, Stage: j.Stage, Reason: r.run.session.redact(j.Reason),
		Inconclusive: j.Outcome == record.OutcomeInconclusive, Evidence: j.Evidence, Cause: cause,
	}
	policy := r.run.options.Verification.Rollback
	if !j.Rollback || policy == nil {
		return r.leave(number, j, failure)
	}
	if err := r.run.renew(policy.Limit()); err != nil {
		return errors.Join(failure, err)
	}
	r.run.op.Doing("looking for a revision to restore")
	good, err := r.target(r.run.found.Content, number)
	if err != nil {
		var refused *RollbackError
		if !errors.As(err, &refused) {
			refused = &RollbackError{Release: r.run.target.Name, Target: good.Revision, Refused: true, Cause: err,
				Reason: explain.Sentence("It could not be seen whether that can be done: " + r.run.session.redact(err.Error())),
				Advice: "Apply again, or restore an earlier version by applying it."}
		}
		failure.RollbackFailed = refused
		return r.leave(number, j, failure)
	}
	if j.Quarantine {
		failure.Quarantine = r.quarantine(number, j)
	}
	next := *r.run.found.Content
	next.RollBack(number, record.Run{Outcome: j.Outcome, Stage: j.Stage, Reason: failure.Reason}, failure.Quarantine,
		r.run.options.Verification.RetryToken)
	if err := r.run.journal().save(&next, record.AnnotationAbort); err != nil {
		return errors.Join(failure, err)
	}
	return r.restore(number, good, j.At, failure)
}

// restore rolls back, validates, and writes down how it ended.
func (r rollback) restore(failed int, good record.KnownGood, detected time.Time, failure *VerificationError) error {
	restored, err := r.restoreRevision(failed, good)
	if err != nil {
		failure.RollbackFailed = err
		next := *r.run.found.Content
		next.Finished, next.Failure = now(), explain.Shorten(r.run.session.redact(failure.Error()), record.MaxFailure)
		return errors.Join(failure, r.run.journal().save(&next))
	}
	failure.Restored = &Restoration{
		Revision: restored, From: good.Revision, Version: good.Version, Digest: good.Digest, Chart: good.Chart,
		Detected: detected, Ready: now(),
	}
	r.run.outcome.Restored, r.run.outcome.Changed = failure.Restored, true
	r.run.outcome.Revision, r.run.outcome.Status = restored, helmrelease.StatusDeployed.String()
	failure.LeftBehind = leftovers(r).list(failed, restored)
	return validation(r).validate(failed, good, failure)
}

// leave ends a run whose revision stays. One that failed is so for Helm too, and the next apply takes it over; one whose
// verification was inconclusive is verified again by the next apply.
func (r rollback) leave(number int, j verify.Result, failure *VerificationError) error {
	next := *r.run.found.Content
	var markErr error
	if j.Outcome == record.OutcomeFailed {
		if markErr = r.run.session.markUnfit(number, failure.Stage+": "+failure.Reason); markErr == nil {
			r.run.outcome.Status = helmrelease.StatusFailed.String()
		}
		next.Phase, next.Verification = record.Failed, nil
	} else {
		next.Phase = record.Unverified
	}
	next.Revision, next.Finished, next.Failure = number, now(), explain.Shorten(r.run.session.redact(failure.Error()), record.MaxFailure)
	next.End(number, func(r *record.Run) {
		r.Outcome, r.Stage, r.Reason, r.Finished = j.Outcome, j.Stage, failure.Reason, next.Finished
	})
	return errors.Join(failure, markErr, r.run.journal().save(&next, record.AnnotationAbort))
}

func (r rollback) quarantine(number int, j verify.Result) *record.Quarantine {
	hold := r.run.options.Verification.Rollback.Quarantine
	if hold == 0 {
		hold = verify.DefaultQuarantine
	}
	at := now()
	return &record.Quarantine{
		Key: r.run.key, Version: r.run.spec.Version, Revision: number, At: at, Expires: at.Add(hold),
		Reason: explain.Shorten(r.run.session.redact(j.Stage+": "+j.Reason), record.MaxReason),
	}
}

// finish does what an apply that died, or whose rollback failed, has left to do.
func (r rollback) finish(s situation, held *record.Quarantine) error {
	last := r.run.found.Content
	failed := last.Revision
	failure := &VerificationError{
		Release: r.run.target.Name, Revision: failed, Version: held.Version, Stage: verify.StageRollout, Reason: held.Reason, Quarantine: held,
	}
	if len(last.Runs) > 0 {
		failure.Stage, failure.Reason = last.Runs[0].Stage, last.Runs[0].Reason
	}
	policy := r.run.options.Verification.Rollback
	if policy == nil {
		policy = &verify.RollbackPolicy{}
		r.run.options.Verification.Rollback = policy
	}
	if err := r.run.renew(policy.Limit()); err != nil {
		return err
	}
	good, err := r.target(last, failed)
	if err != nil {
		return err
	}
	begun := fmt.Sprintf(
		"the rollback of revision %d to revision %d, begun by %s, had not come to its end; this apply finished it", failed, good.Revision,
		last.Holder)
	if s.last.status == helmrelease.StatusDeployed && s.last.number > failed {
		if mine, err := r.isRestored(s.last.number, good); err != nil || !mine {
			return err // Another run has deployed something meanwhile, which is left alone.
		}
		r.run.outcome.Recovered = append(r.run.outcome.Recovered, begun)
		failure.Restored = &Restoration{Revision: s.last.number, From: good.Revision, Version: good.Version, Digest: good.Digest,
			Chart:    good.Chart,
			Detected: held.At, Ready: now()}
		r.run.outcome.Restored, r.run.outcome.Revision, r.run.outcome.Status = failure.Restored, s.last.number, s.last.status.String()
		return onlyTrouble(validation(r).validate(failed, good, failure), failure)
	}
	r.run.outcome.Recovered = append(r.run.outcome.Recovered, begun)
	if s.last.status.IsPending() {
		if err := r.run.session.markFailed(s.last.number,
			"the rollback to revision "+fmt.Sprint(good.Revision)+" ended without finishing it"); err != nil {
			return err
		}
	}
	return onlyTrouble(r.restore(failed, good, held.At, failure), failure)
}

// isRestored reports that a revision has the content of a known-good one. Helm gives a rollback's revision the labels of its target,
// and with them the key of its seal.
func (r rollback) isRestored(number int, good record.KnownGood) (bool, error) {
	stored, err := r.run.session.stored(number)
	if err != nil {
		return false, err
	}
	sealed, err := seal(stored)
	return err == nil && (good.Seal == "" || sealed == good.Seal), err
}

// onlyTrouble drops a failure whose rollback went well.
func onlyTrouble(err error, failure *VerificationError) error {
	if same, ok := err.(*VerificationError); ok && same == failure &&
		failure.RollbackFailed == nil { //nolint:errorlint // It is that very one.
		return nil
	}
	return err
}

// rollbackTries is how often a rollback is begun that trouble with the cluster ends: the bad version is live meanwhile.
const rollbackTries = 3

// restoreRevision lets Helm restore a known-good revision, and returns the number of the new one when all its pods are ready. The error
// is a *RollbackError.
func (r rollback) restoreRevision(failed int, good record.KnownGood) (int, error) {
	r.run.op.Say("rolling back revision %d to revision %d (%s)", failed, good.Revision, good.Version)
	r.run.session.waiter.Endpoints = &rollout.Endpoints{Without: r.run.found.Content.Unserved}
	var failure error
	for try := range rollbackTries {
		if try > 0 {
			rollout.Pause(r.run.op.Context(), rollout.PollEvery)
			err := r.run.op.Ended()
			if err == nil {
				err = r.run.session.connect(r.run.capabilities)
			}
			if err != nil {
				return 0, r.failed(good, err)
			}
		}
		number, again, err := r.once(failed, good)
		if err == nil {
			return number, nil
		}
		failure = err
		if !again || r.run.op.Ended() != nil {
			break
		}
	}
	return 0, r.failed(good, failure)
}

// once reports whether trying again may help.
func (r rollback) once(failed int, good record.KnownGood) (number int, again bool, err error) {
	revisions, err := listRevisions(r.run.op.Context(), r.run.target)
	if err != nil {
		return 0, true, err
	}
	r.run.revisions = revisions
	s, err := classify(revisions, r.run.session.helm.Releases, r.run.target.Name)
	if err != nil {
		return 0, true, r.run.target.Cluster.Classify(err)
	}
	// Helm would count a failed revision that is called deployed as one that had worked. Where this cannot be written now, it is written
	// again at the end.
	unwritten := r.run.session.markUnfit(failed, r.run.found.Content.Failure)
	r.run.session.kube.Attempted = nil
	if _, err := r.run.session.keepAttempted(s); err != nil {
		return 0, true, err
	}
	target, err := r.run.session.stored(good.Revision)
	if err != nil {
		return 0, true, err
	}
	r.run.session.kube.Expect(target.Manifest)
	number = s.next()
	r.run.op.Doing(fmt.Sprintf("rolling back to revision %d as revision %d", good.Revision, number))
	rollback := action.NewRollback(r.run.session.helm)
	rollback.Version = good.Revision
	rollback.Timeout = r.run.op.Timeout()
	rollback.Wait = true
	rollback.WaitForJobs = true
	rollback.DisableHooks = !r.run.options.Verification.Rollback.RunHooks
	ran := rollback.Run(r.run.target.Name)

	// Helm returns success after a failed last write and leaves other failures pending, so what it wrote is read again.
	ctx, stop := r.run.op.Afterward(0)
	defer stop()
	if ran != nil && r.run.session.kube.Ready() && r.run.session.kube.Failure() == nil && r.run.op.Ended() == nil {
		ran = nil // Only the last write of the storage failed, which settle repeats.
	}
	if ran != nil {
		ran = r.run.session.explain(ran, number)
	}
	is, err := settling{session: r.run.session}.settle(ctx, number, nil, ran)
	if err != nil {
		return 0, true, errors.Join(ran, err)
	}
	if is.number == number || unwritten != nil {
		// A rollback that fails calls the revision before it superseded, as if it had worked.
		if err := r.run.session.markUnfit(failed, r.run.found.Content.Failure); err != nil {
			return 0, true, errors.Join(ran, err)
		}
	}
	if ran != nil {
		r.run.outcome.Revision, r.run.outcome.Status = is.number, is.status.String()
		return 0, is.number != number || r.run.session.kube.Transient(), ran
	}
	return number, false, nil
}

func (r rollback) failed(good record.KnownGood, cause error) error {
	return &RollbackError{
		Release: r.run.target.Name, Target: good.Revision, Cause: cause,
		Reason: explain.Sentence(r.run.session.redact(explain.WithoutAdvice(cause))),
		Advice: "Apply again: it finishes the rollback, or deploys what is applied then.",
	}
}

// target is the newest known-good revision before the failed one, proved to be what it was when it was good, and fit to be
// restored. A *RollbackError says why there is none; other errors say that it could not be seen. An older one is never chosen
// instead: it is further away from what the environment's data and neighbors look like by now.
func (r rollback) target(last *record.Release, failed int) (record.KnownGood, error) {
	good, known := last.Before(failed)
	if !known {
		return record.KnownGood{}, &RollbackError{Release: r.run.target.Name, Refused: true,
			Advice: "The revision was left as it is. Fix the version and apply again."}
	}
	c := candidate{target: r.run.target, releases: r.run.session.helm.Releases, good: good}
	if err := c.check(r.run.op.Context(), true); err != nil {
		return good, err
	}
	return good, nil
}
