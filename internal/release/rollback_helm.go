// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// rollbackTries is how often a rollback is begun that trouble with the cluster ends: the bad version is live meanwhile.
const rollbackTries = 3

// rollBack lets Helm restore a known-good revision, and returns the number of the new one when all its pods are ready. The error
// is a *RollbackError.
func (a *application) rollBack(failed int, good KnownGood) (int, error) {
	a.progress.tell(fmt.Sprintf("rolling back revision %d to revision %d (%s)", failed, good.Revision, good.Version))
	var failure error
	for try := range rollbackTries {
		if try > 0 {
			pause(a.ctx, pollEvery)
			if err := a.freshHelm(); err != nil {
				return 0, a.rollbackFailed(good, err)
			}
		}
		number, again, err := a.rollBackOnce(failed, good)
		if err == nil {
			return number, nil
		}
		failure = err
		if !again || a.ended() != nil {
			break
		}
	}
	return 0, a.rollbackFailed(good, failure)
}

// rollBackOnce reports whether trying again may help.
func (a *application) rollBackOnce(failed int, good KnownGood) (number int, again bool, err error) {
	revisions, err := listRevisions(a.ctx, a.target)
	if err != nil {
		return 0, true, err
	}
	a.revisions = revisions
	s, err := classify(revisions, a.helm.Releases, a.target.Name)
	if err != nil {
		return 0, true, a.target.Cluster.Classify(err)
	}
	// Helm would count a failed revision that is called deployed as one that had worked. Where this cannot be written now, it is tried
	// again at the end.
	marked := a.markJudged(failed, a.found.record.Failure)
	a.kube.attempted = nil
	if err := a.keepAttempted(s); err != nil {
		return 0, true, err
	}
	target, err := a.helm.Releases.Get(a.target.Name, good.Revision)
	if err != nil {
		return 0, true, a.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", good.Revision, a.target.Name, err))
	}
	a.kube.written = target.Manifest
	number = s.next()
	a.doing(fmt.Sprintf("rolling back to revision %d as revision %d", good.Revision, number))
	rollback := action.NewRollback(a.helm)
	rollback.Version = good.Revision
	rollback.Timeout = a.timeout
	rollback.Wait = true
	rollback.WaitForJobs = true
	rollback.DisableHooks = !a.options.Guard.Rollback.RunHooks
	ran := rollback.Run(a.target.Name)

	// Helm returns success after a failed last write and leaves other failures pending, so what it wrote is read again.
	ctx, stop := a.afterwards()
	defer stop()
	if ran != nil && a.kube.ready && a.kube.failure == nil && a.ended() == nil {
		ran = nil // Only the last write of the storage failed, which settle repeats.
	}
	if ran != nil {
		ran = a.explain(ran, number)
	}
	now, err := a.settle(ctx, number, nil, ran)
	if err != nil {
		return 0, true, errors.Join(ran, err)
	}
	if now.number == number || marked != nil {
		// A rollback that fails calls the revision before it superseded, as if it had worked.
		if err := a.markJudged(failed, a.found.record.Failure); err != nil {
			return 0, true, errors.Join(ran, err)
		}
	}
	if ran != nil {
		a.outcome.Revision, a.outcome.Status = now.number, now.status.String()
		return 0, now.number != number || a.kube.transient(), ran
	}
	return number, false, nil
}

// markJudged writes a verdict into Helm's storage: the revision has failed, though its pods are ready.
func (a *application) markJudged(number int, reason string) error {
	stored, err := a.helm.Releases.Get(a.target.Name, number)
	if err != nil {
		return a.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", number, a.target.Name, err))
	}
	if stored.Info.Status == helmrelease.StatusFailed {
		return nil
	}
	stored.SetStatus(helmrelease.StatusFailed, "Slipway: "+explain.Shorten(a.secrets.Text(explain.FirstLine(reason)), maxReason))
	if err := a.helm.Releases.Update(stored); err != nil {
		return a.target.Cluster.Classify(fmt.Errorf("marking revision %d of release %s as failed: %w", number, a.target.Name, err))
	}
	return nil
}

// freshHelm makes Helm anew, which keeps the first failure that it saw.
func (a *application) freshHelm() error {
	if err := a.ended(); err != nil {
		return err
	}
	a.helm = a.helmConfiguration(a.capabilities, a.options.storage)
	return nil
}

func (a *application) rollbackFailed(good KnownGood, cause error) error {
	return &RollbackError{
		Release: a.target.Name, Target: good.Revision, Cause: cause,
		Reason: explain.Sentence(a.secrets.Text(explain.WithoutAdvice(cause))),
		Advice: "Apply again: it finishes the rollback, or goes on to what is applied then.",
	}
}
