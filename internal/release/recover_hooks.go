// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// waitForOldHooks waits for the Jobs and Pods that a half-done revision had started. Those that cannot start (an image that cannot be
// pulled) are not waited for, and named.
func (a *applyRun) waitForOldHooks(s situation, stored *helmrelease.Release) (idle []string, err error) {
	var running []string
	for {
		now, stuck, err := a.oldHooks(stored)
		if err != nil && a.op.Context().Err() == nil {
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
		if ended := a.op.Ended(); ended != nil {
			if a.op.Interrupted() || !errors.Is(ended, operation.ErrDeadline) {
				return nil, ended
			}
			return nil, &PendingError{
				Release: a.target.Name, Revision: s.last.number, Status: s.last.status.String(), Since: s.last.created, Running: running,
				Reason: "The apply that began it has ended, but hooks of it still run, and going on would stop them and start them a second time.",
				Advice: "Let them end, or delete them when you know that they may be stopped, and apply again.",
			}
		}
		a.op.Doing(fmt.Sprintf("waiting for hooks of revision %d that still run: %s", s.last.number, strings.Join(running, ", ")))
		rollout.Pause(a.op.Context(), rollout.PollEvery)
	}
}

// oldHooks looks which Jobs and Pods of a revision's hooks still run, and which have not begun and cannot.
func (a *applyRun) oldHooks(stored *helmrelease.Release) (running, stuck []string, err error) {
	for _, hook := range stored.Hooks {
		if hook.Kind != "Job" && hook.Kind != "Pod" || !isOperationHook(hook) {
			continue
		}
		objects, err := object.ParseManifest(hook.Manifest, a.target.Handle.Namespace)
		if err != nil {
			return nil, nil, fmt.Errorf("reading hook %s of revision %d: %w", hook.Name, stored.Version, err)
		}
		for _, o := range objects {
			_, kind, namespace, name := o.Key.Parts()
			if namespace == "" {
				namespace = a.target.Handle.Namespace
			}
			active, started, err := a.session.waiter.Hook(a.op.Context(), kind, namespace, name)
			switch {
			case err != nil:
				return nil, nil, a.target.Cluster.Classify(fmt.Errorf("reading %s of revision %d: %w", o.Key.Short(), stored.Version, err))
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
