// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
)

// foreignPendingAge is from which age on a pending revision of another tool counts as left behind. Helm's own default timeout is
// 5 minutes, and hooks have it for themselves again. Its Lease would tell, but other tools have none.
const foreignPendingAge = 15 * time.Minute

// began reports that Slipway began a revision. Its pending revisions are free: we hold the Lease, so the apply that made them does not run
// any more.
func (a *applyRun) began(number int) bool {
	last := a.found.Content
	return last != nil && (last.Revision == number || a.rollingBack() && number > last.Revision)
}

// recoverFailed waits for hooks that outlived their apply, and says what is taken over. A status "unknown", which Helm leaves when it
// could not write, becomes "failed", since Helm goes on from nothing else.
func (a *applyRun) recoverFailed(seen situation) error {
	number := seen.last.number
	if seen.last.status == helmrelease.StatusUnknown {
		if err := a.session.markFailed(number, "its state was unknown"); err != nil {
			return err
		}
	}
	// A hook goes on in the cluster when the apply that waited for it gives up.
	idle, err := a.awaitHooks(seen)
	if err != nil {
		return err
	}
	a.outcome.Recovered = append(a.outcome.Recovered, idle...)
	if seen.condition == failedInstall {
		a.recovered("revision %d had failed to install; what it had made was taken over", number)
	}
	return nil
}

// recoverPending waits for hooks that still run, and marks the revision failed. Marking first would let the next operation
// delete a running migration and start a second one.
func (a *applyRun) recoverPending(seen situation) error {
	number, whose := seen.last.number, "another tool, which left no record"
	if a.began(number) {
		whose = a.found.Content.Holder
	}
	idle, err := a.awaitHooks(seen)
	if err != nil {
		return err
	}
	reason := fmt.Sprintf("the apply of %s, begun %s, ended without finishing it (it was %s)",
		whose, seen.last.created.UTC().Format(time.RFC3339), seen.last.status)
	if err := a.session.markFailed(number, reason); err != nil {
		return err
	}
	a.recovered("revision %d: %s; it was marked failed, and this apply went on from there", number, reason)
	a.outcome.Recovered = append(a.outcome.Recovered, idle...)
	return nil
}

// awaitHooks waits for the hooks of the newest revision, and names those that were not waited for.
func (a *applyRun) awaitHooks(seen situation) (idle []string, err error) {
	stored, err := a.session.stored(seen.last.number)
	if err != nil {
		return nil, err
	}
	if idle, err = a.waitForOldHooks(seen, stored); err == nil {
		a.hooksEnded = seen.last.number
	}
	return idle, err
}

// refusePending says why the pending revision of another tool is left alone.
func (a *applyRun) refusePending(seen situation) error {
	refusal := &PendingError{Release: a.target.Name, Revision: seen.last.number, Status: seen.last.status.String(), Since: seen.last.created}
	if a.options.FailOnPending {
		refusal.Reason = "It was not begun by Slipway, and on_pending is \"fail\". Nothing was changed."
		refusal.Advice = "Find out whether the tool that began it still runs. When it does not, set on_pending = \"recover\" and apply again."
		return refusal
	}
	refusal.Reason = fmt.Sprintf("It was not begun by Slipway, and it is %s old, too young to say that the tool that began it has died. "+
		"Nothing was changed.", time.Since(seen.last.created).Round(time.Second))
	refusal.Advice = fmt.Sprintf("Wait until that tool has ended, and apply again. From %s on it counts as left behind and is recovered.", foreignPendingAge)
	return refusal
}

// finishRemoval goes on with a removal that ended half way.
func (a *applyRun) finishRemoval(seen situation) error {
	notes, err := a.session.keepAttempted(seen)
	if err != nil {
		return err
	}
	if err := a.session.uninstall(); err != nil {
		return fmt.Errorf("finishing the removal of release %s that was begun before: %w", a.target.Name, err)
	}
	a.recovered("a removal of revision %d had ended half way; it was finished, and the release installed anew", seen.last.number)
	a.outcome.Recovered = append(a.outcome.Recovered, notes...)
	return nil
}
