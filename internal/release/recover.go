// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// foreignPendingAge is from which age on a pending revision of another tool counts as left behind. Helm's own default timeout is
// 5 minutes, and hooks have it for themselves again. Its Lease would tell, but other tools have none.
const foreignPendingAge = 15 * time.Minute

// recover brings what was left half done to a state from which Helm goes on. It returns what it did, in words.
func (a *applyRun) recover(s situation) ([]string, error) {
	switch s.condition {
	case pendingInstall, pendingUpgrade:
		return a.recoverPending(s)
	case uninstalling:
		return a.finishUninstall(s)
	case failedInstall, failedUpgrade:
		return a.recoverFailed(s)
	case uninstalled:
		return []string{fmt.Sprintf("revision %d was uninstalled before with its history kept; the release was installed again over it", s.last.number)}, nil
	}
	return nil, nil
}

// recoverFailed waits for hooks that outlived their apply, and says what is taken over. A status "unknown", which Helm leaves when it could not write, is made "failed", since Helm
// goes on from nothing else.
func (a *applyRun) recoverFailed(s situation) ([]string, error) {
	if s.last.status == helmrelease.StatusUnknown {
		if err := a.session.markFailed(s.last.number, "its state was unknown"); err != nil {
			return nil, err
		}
	}
	// A hook goes on in the cluster when whoever waited for it gives up.
	stored, err := a.session.stored(s.last.number)
	if err != nil {
		return nil, err
	}
	out, err := a.waitForOldHooks(s, stored)
	if err != nil {
		return nil, err
	}
	if s.condition == failedInstall {
		out = append(out, fmt.Sprintf("revision %d had failed to install; what it had made was taken over", s.last.number))
	}
	return out, nil
}

// recoverPending waits for hooks that still run, and marks the revision failed. Marking first would let the next operation
// delete a running migration and start a second one.
func (a *applyRun) recoverPending(s situation) ([]string, error) {
	stored, err := a.session.stored(s.last.number)
	if err != nil {
		return nil, err
	}
	whose := "another tool, which left no record"
	mine := a.found.Content != nil && (a.found.Content.Revision == s.last.number || a.rollingBack() && s.last.number > a.found.Content.Revision)
	if mine {
		whose = a.found.Content.Holder
	}
	if err := a.mayRecover(s, mine); err != nil {
		return nil, err
	}
	idle, err := a.waitForOldHooks(s, stored)
	if err != nil {
		return nil, err
	}
	reason := fmt.Sprintf("the apply of %s, begun %s, ended without finishing it (it was %s)",
		whose, s.last.created.UTC().Format(time.RFC3339), s.last.status)
	if err := a.session.markFailed(s.last.number, reason); err != nil {
		return nil, err
	}
	out := []string{fmt.Sprintf("revision %d: %s; it was marked failed, and this apply went on from there", s.last.number, reason)}
	return append(out, idle...), nil
}

// mayRecover refuses the pending revision of another tool where the configuration says so, and while that tool may still be at
// work. Ours are free: we hold the Lease, so whoever made them does not run any more.
func (a *applyRun) mayRecover(s situation, mine bool) error {
	if mine {
		return nil
	}
	refusal := &PendingError{Release: a.target.Name, Revision: s.last.number, Status: s.last.status.String(), Since: s.last.created}
	switch age := time.Since(s.last.created); {
	case a.options.FailOnPending:
		refusal.Reason = "It was not begun by Slipway, and on_pending is \"fail\". Nothing was changed."
		refusal.Advice = "Find out whether the tool that began it still runs. When it does not, set on_pending = \"recover\" and apply again."
		return refusal
	case age < foreignPendingAge:
		refusal.Reason = fmt.Sprintf("It was not begun by Slipway, and it is %s old, too young to say that the tool that began it has died. "+
			"Nothing was changed.", age.Round(time.Second))
		refusal.Advice = fmt.Sprintf("Wait until that tool has ended, and apply again. From %s on it counts as left behind and is recovered.", foreignPendingAge)
		return refusal
	}
	return nil
}

// markFailed writes a revision's end into Helm's storage, with the name of the apply that died.
func (s *session) markFailed(number int, reason string) error {
	stored, err := s.stored(number)
	if err != nil {
		return err
	}
	stored.SetStatus(helmrelease.StatusFailed, fmt.Sprintf("Slipway: %s. Marked failed by %s.", reason, s.op.Holder()))
	if err := s.helm.Releases.Update(stored); err != nil {
		return s.target.Cluster.Classify(fmt.Errorf("marking revision %d of release %s as failed: %w", number, s.target.Name, err))
	}
	return nil
}

// finishUninstall goes on with a removal that ended half way.
func (a *applyRun) finishUninstall(s situation) ([]string, error) {
	if err := a.session.uninstall(); err != nil {
		return nil, fmt.Errorf("finishing the removal of release %s that was begun before: %w", a.target.Name, err)
	}
	return []string{fmt.Sprintf("a removal of revision %d had ended half way; it was finished, and the release installed anew", s.last.number)}, nil
}

// uninstall removes the release with its history, and waits until its objects are gone.
func (s *session) uninstall() error {
	s.op.Doing("uninstalling")
	u := action.NewUninstall(s.helm)
	u.Wait = true
	u.Timeout = s.op.Timeout()
	u.DeletionPropagation = "background"
	_, err := u.Run(s.target.Name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil
	}
	return err
}

// settled is what a revision is after Helm has returned.
type settled struct {
	number int
	status helmrelease.Status
}

// settle reads again what Helm wrote. Helm calls an install done whose last write failed, and leaves it pending: that is put
// right here, or reported.
func (s *session) settle(ctx context.Context, number int, result *helmrelease.Release, ran error) (settled, error) {
	want := helmrelease.StatusDeployed
	if ran != nil {
		want = helmrelease.StatusFailed
	}
	var last error
	for try := range 4 {
		if try > 0 {
			rollout.Pause(ctx, rollout.PollEvery)
			if ctx.Err() != nil {
				break
			}
		}
		revisions, err := listRevisions(ctx, s.target)
		if err != nil {
			last = err
			continue
		}
		now, err := s.settleOnce(revisions, number, want, result, ran)
		if err == nil {
			return now, nil
		}
		last = err
	}
	return settled{number: number, status: helmrelease.StatusUnknown}, &UnrecordedError{
		Release: s.target.Name, Revision: number, Want: want.String(), Cause: s.target.Cluster.Classify(last),
	}
}

func (s *session) settleOnce(revisions []revision, number int, want helmrelease.Status, result *helmrelease.Release, ran error) (settled, error) {
	var mine *revision
	newest := settled{}
	for i := range revisions {
		if revisions[i].number == number {
			mine = &revisions[i]
		}
		newest = settled{revisions[i].number, revisions[i].status}
	}
	if mine == nil {
		if ran != nil {
			return newest, nil //nolint:nilerr // Helm failed before it stored the revision, and ran is told by who called.
		}
		return newest, fmt.Errorf("revision %d of release %s is not in Helm's storage", number, s.target.Name)
	}
	if mine.status != want {
		if err := s.rewrite(number, want, result, ran); err != nil {
			return newest, err
		}
	}
	if want == helmrelease.StatusDeployed {
		for _, r := range revisions {
			if r.number < number && r.status == helmrelease.StatusDeployed {
				if err := s.rewrite(r.number, helmrelease.StatusSuperseded, nil, nil); err != nil {
					return newest, err
				}
			}
		}
	}
	return settled{number, want}, nil
}

// rewrite gives a revision in storage the status that it has.
func (s *session) rewrite(number int, status helmrelease.Status, result *helmrelease.Release, ran error) error {
	if result == nil || result.Version != number {
		stored, err := s.helm.Releases.Get(s.target.Name, number)
		if err != nil {
			return fmt.Errorf("reading revision %d of release %s: %w", number, s.target.Name, err)
		}
		result = stored
	}
	description := result.Info.Description
	if ran != nil {
		description = s.redact(explain.Library(ran))
	}
	result.SetStatus(status, description)
	if err := s.helm.Releases.Update(result); err != nil {
		return fmt.Errorf("writing revision %d of release %s as %s: %w", number, s.target.Name, status, err)
	}
	return nil
}
