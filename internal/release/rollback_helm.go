// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// rollbackTries is how often a rollback is begun that trouble with the cluster ends: the bad version is live meanwhile.
const rollbackTries = 3

// rollBack lets Helm restore a known-good revision, and returns the number of the new one when all its pods are ready. The error
// is a *RollbackError.
func (a *applyRun) rollBack(failed int, good record.KnownGood) (int, error) {
	a.op.Say("rolling back revision %d to revision %d (%s)", failed, good.Revision, good.Version)
	var failure error
	for try := range rollbackTries {
		if try > 0 {
			rollout.Pause(a.op.Context(), rollout.PollEvery)
			err := a.op.Ended()
			if err == nil {
				err = a.session.connect(a.capabilities)
			}
			if err != nil {
				return 0, a.rollbackFailed(good, err)
			}
		}
		number, again, err := a.rollBackOnce(failed, good)
		if err == nil {
			return number, nil
		}
		failure = err
		if !again || a.op.Ended() != nil {
			break
		}
	}
	return 0, a.rollbackFailed(good, failure)
}

// rollBackOnce reports whether trying again may help.
func (a *applyRun) rollBackOnce(failed int, good record.KnownGood) (number int, again bool, err error) {
	revisions, err := listRevisions(a.op.Context(), a.target)
	if err != nil {
		return 0, true, err
	}
	a.revisions = revisions
	s, err := classify(revisions, a.session.helm.Releases, a.target.Name)
	if err != nil {
		return 0, true, a.target.Cluster.Classify(err)
	}
	// Helm would count a failed revision that is called deployed as one that had worked. Where this cannot be written now, it is tried
	// again at the end.
	marked := a.session.markUnfit(failed, a.found.Content.Failure)
	a.session.kube.Attempted = nil
	if _, err := a.session.keepAttempted(s); err != nil {
		return 0, true, err
	}
	target, err := a.session.stored(good.Revision)
	if err != nil {
		return 0, true, err
	}
	a.session.kube.Expect(target.Manifest)
	number = s.next()
	a.op.Doing(fmt.Sprintf("rolling back to revision %d as revision %d", good.Revision, number))
	rollback := action.NewRollback(a.session.helm)
	rollback.Version = good.Revision
	rollback.Timeout = a.op.Timeout()
	rollback.Wait = true
	rollback.WaitForJobs = true
	rollback.DisableHooks = !a.options.Verification.Rollback.RunHooks
	ran := rollback.Run(a.target.Name)

	// Helm returns success after a failed last write and leaves other failures pending, so what it wrote is read again.
	ctx, stop := a.op.Afterward(0)
	defer stop()
	if ran != nil && a.session.kube.Ready() && a.session.kube.Failure() == nil && a.op.Ended() == nil {
		ran = nil // Only the last write of the storage failed, which settle repeats.
	}
	if ran != nil {
		ran = a.session.explain(ran, number)
	}
	is, err := a.session.settle(ctx, number, nil, ran)
	if err != nil {
		return 0, true, errors.Join(ran, err)
	}
	if is.number == number || marked != nil {
		// A rollback that fails calls the revision before it superseded, as if it had worked.
		if err := a.session.markUnfit(failed, a.found.Content.Failure); err != nil {
			return 0, true, errors.Join(ran, err)
		}
	}
	if ran != nil {
		a.outcome.Revision, a.outcome.Status = is.number, is.status.String()
		return 0, is.number != number || a.session.kube.Transient(), ran
	}
	return number, false, nil
}

// markUnfit writes the result of a verification into Helm's storage: the revision has failed, though its pods are ready.
func (s *session) markUnfit(number int, reason string) error {
	stored, err := s.stored(number)
	if err != nil {
		return err
	}
	if stored.Info.Status == helmrelease.StatusFailed {
		return nil
	}
	stored.SetStatus(helmrelease.StatusFailed, "Slipway: "+explain.Shorten(s.redact(explain.FirstLine(reason)), record.MaxReason))
	if err := s.helm.Releases.Update(stored); err != nil {
		return s.target.Cluster.Classify(fmt.Errorf("marking revision %d of release %s as failed: %w", number, s.target.Name, err))
	}
	return nil
}

func (a *applyRun) rollbackFailed(good record.KnownGood, cause error) error {
	return &RollbackError{
		Release: a.target.Name, Target: good.Revision, Cause: cause,
		Reason: explain.Sentence(a.session.redact(explain.WithoutAdvice(cause))),
		Advice: "Apply again: it finishes the rollback, or goes on to what is applied then.",
	}
}
