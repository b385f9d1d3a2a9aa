// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// recovery brings what an earlier apply, or another tool, left half done to a state from which Helm can continue.
type recovery struct{ run *applyRun }

// foreignPendingAge is from which age on a pending revision of another tool counts as left behind. Helm's own default timeout is
// 5 minutes, and hooks have it for themselves again. Its Lease would show it, but other tools have none.
const foreignPendingAge = 15 * time.Minute

// began reports that Slipway began a revision. Its pending revisions are free: we hold the Lease, so the apply that made them does not run
// any more.
func (r recovery) began(number int) bool {
	last := r.run.found.Content
	return last != nil && (last.Revision == number || r.run.rollingBack() && number > last.Revision)
}

// failed waits for hooks that outlived their apply, and says what is taken over. A status "unknown", which Helm leaves when it
// could not write, becomes "failed", since Helm continues from nothing else.
func (r recovery) failed(seen situation) error {
	number := seen.last.number
	if seen.last.status == helmrelease.StatusUnknown {
		if err := r.run.session.markFailed(number, "its state was unknown"); err != nil {
			return err
		}
	}
	// A hook continues in the cluster when the apply that waited for it gives up.
	idle, err := r.awaitHooks(seen)
	if err != nil {
		return err
	}
	r.run.outcome.Recovered = append(r.run.outcome.Recovered, idle...)
	if seen.condition == failedInstall {
		r.run.recovered("revision %d had failed to install; what it had made was taken over", number)
	}
	return nil
}

// pending waits for hooks that still run, and marks the revision failed. Marking first would let the next operation
// delete a running migration and start a second one.
func (r recovery) pending(seen situation) error {
	number, whose := seen.last.number, "another tool, which left no record"
	if r.began(number) {
		whose = r.run.found.Content.Holder
	}
	idle, err := r.awaitHooks(seen)
	if err != nil {
		return err
	}
	reason := fmt.Sprintf("the apply of %s, begun %s, ended without finishing it (it was %s)",
		whose, seen.last.created.UTC().Format(time.RFC3339), seen.last.status)
	if err := r.run.session.markFailed(number, reason); err != nil {
		return err
	}
	r.run.recovered("revision %d: %s; it was marked failed, and this apply resumed from there", number, reason)
	r.run.outcome.Recovered = append(r.run.outcome.Recovered, idle...)
	return nil
}

// awaitHooks waits for the hooks of the newest revision, and names those that were not waited for.
func (r recovery) awaitHooks(seen situation) (idle []string, err error) {
	stored, err := r.run.session.stored(seen.last.number)
	if err != nil {
		return nil, err
	}
	if idle, err = r.waitForOldHooks(seen, stored); err == nil {
		r.run.hooksEnded = seen.last.number
	}
	return idle, err
}

// refusePending says why the pending revision of another tool is left alone.
func (r recovery) refusePending(seen situation) error {
	refusal := &PendingError{Release: r.run.target.Name, Revision: seen.last.number, Status: seen.last.status.String(),
		Since: seen.last.created}
	if r.run.options.FailOnPending {
		refusal.Reason = "It was not begun by Slipway, and on_pending is \"fail\". Nothing was changed."
		refusal.Advice = "Find out whether the tool that began it still runs. When it does not, set on_pending = \"recover\" and apply again."
		return refusal
	}
	refusal.Reason = fmt.Sprintf("It was not begun by Slipway, and it is %s old, too young to say that the tool that began it has died. "+
		"Nothing was changed.", time.Since(seen.last.created).Round(time.Second))
	refusal.Advice = fmt.Sprintf("Wait until that tool has ended, and apply again. From %s on it counts as left behind and is recovered.",
		foreignPendingAge)
	return refusal
}

// finishRemoval resumes a removal that ended half way.
func (r recovery) finishRemoval(seen situation) error {
	notes, err := r.run.session.keepAttempted(seen)
	if err != nil {
		return err
	}
	if err := r.run.session.uninstall(); err != nil {
		return fmt.Errorf("finishing the removal of release %s that was begun before: %w", r.run.target.Name, err)
	}
	r.run.recovered("a removal of revision %d had ended half way; it was finished, and the release installed anew", seen.last.number)
	r.run.outcome.Recovered = append(r.run.outcome.Recovered, notes...)
	return nil
}

// waitForOldHooks waits for the Jobs and Pods that a half-done revision had started. Those that cannot start (an image that cannot be
// pulled) are not waited for, and named.
func (r recovery) waitForOldHooks(s situation, stored *helmrelease.Release) (idle []string, err error) {
	var running []string
	for {
		now, stuck, err := r.oldHooks(stored)
		if err != nil && r.run.op.Context().Err() == nil {
			return nil, err
		}
		if err == nil {
			running = now
		}
		if err == nil && len(running) == 0 {
			for _, name := range stuck {
				idle = append(idle, "its hook "+name+" had never started and was not waited for")
			}
			return idle, nil
		}
		if ended := r.run.op.Ended(); ended != nil {
			if r.run.op.Interrupted() || !errors.Is(ended, operation.ErrDeadline) {
				return nil, ended
			}
			return nil, &PendingError{
				Release: r.run.target.Name, Revision: s.last.number, Status: s.last.status.String(), Since: s.last.created, Running: running,
				Reason: "The apply that began it has ended, but hooks of it still run, and to continue would stop them and start them a second time.",
				Advice: "Let them end, or delete them when you know that they may be stopped, and apply again.",
			}
		}
		r.run.op.Doing(fmt.Sprintf("waiting for hooks of revision %d that still run: %s", s.last.number, strings.Join(running, ", ")))
		rollout.Pause(r.run.op.Context(), rollout.PollEvery)
	}
}

// oldHooks looks which Jobs and Pods of a revision's hooks still run, and which have not begun and cannot.
func (r recovery) oldHooks(stored *helmrelease.Release) (running, stuck []string, err error) {
	for _, hook := range stored.Hooks {
		if hook.Kind != "Job" && hook.Kind != "Pod" || !isOperationHook(hook) {
			continue
		}
		objects, err := object.ParseManifest(hook.Manifest, r.run.target.Handle.Namespace)
		if err != nil {
			return nil, nil, fmt.Errorf("reading hook %s of revision %d: %w", hook.Name, stored.Version, err)
		}
		for _, o := range objects {
			_, kind, namespace, name := o.Key.Parts()
			if namespace == "" {
				namespace = r.run.target.Handle.Namespace
			}
			active, started, err := r.run.session.waiter.Hook(r.run.op.Context(), kind, namespace, name)
			switch {
			case err != nil:
				return nil, nil, r.run.target.Cluster.Classify(fmt.Errorf("reading %s of revision %d: %w", o.Key.Short(), stored.Version, err))
			case active && started:
				running = append(running, o.Key.Short())
			case active:
				stuck = append(stuck, o.Key.Short())
			}
		}
	}
	return running, stuck, nil
}

// isOperationHook leaves out tests, which no operation waits for.
func isOperationHook(h *helmrelease.Hook) bool {
	return slices.ContainsFunc(h.Events, func(e helmrelease.HookEvent) bool { return e != helmrelease.HookTest })
}
