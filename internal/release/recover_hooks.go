// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// waitForOldHooks waits for the Jobs and Pods that a half-done revision had started. Those that cannot start (an image that cannot be
// pulled) are not waited for, and named.
func (a *application) waitForOldHooks(s situation, stored *helmrelease.Release) (idle []string, err error) {
	var running []string
	for {
		now, stuck, err := a.oldHooks(stored)
		if err != nil && a.ctx.Err() == nil {
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
		if ended := a.ended(); ended != nil {
			if a.interrupted() || !errors.Is(ended, errDeadline) {
				return nil, ended
			}
			return nil, &PendingError{
				Release: a.target.Name, Revision: s.last.number, Status: s.last.status.String(), Since: s.last.created, Running: running,
				Reason: "The apply that began it has ended, but hooks of it still run, and going on would stop them and start them a second time.",
				Advice: "Let them end, or delete them when you know that they may be stopped, and apply again.",
			}
		}
		a.doing(fmt.Sprintf("waiting for hooks of revision %d that still run: %s", s.last.number, strings.Join(running, ", ")))
		pause(a.ctx, pollEvery)
	}
}

// oldHooks looks which Jobs and Pods of a revision's hooks still run, and which have not begun and cannot.
func (a *application) oldHooks(stored *helmrelease.Release) (running, stuck []string, err error) {
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
			active, started, err := a.hookState(kind, namespace, name)
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

// hookState reports whether a hook has not ended, and whether one of its pods has begun or may begin.
func (a *application) hookState(kind, namespace, name string) (active, started bool, err error) {
	if kind == "Pod" {
		pod, err := a.reads.CoreV1().Pods(namespace).Get(a.ctx, name, metav1.GetOptions{})
		if cluster.IsNotFound(err) {
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
		return podRuns(pod), a.mayStart(pod), nil
	}
	found, err := a.reads.BatchV1().Jobs(namespace).Get(a.ctx, name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	if s := job(found); s.ready || s.trouble != nil {
		return false, false, nil
	}
	pods, err := a.reads.CoreV1().Pods(namespace).List(a.ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(found.Spec.Selector)})
	if err != nil {
		return false, false, err
	}
	if len(pods.Items) == 0 {
		return true, true, nil
	}
	for i := range pods.Items {
		started = started || a.mayStart(&pods.Items[i])
	}
	return true, started, nil
}

func podRuns(p *corev1.Pod) bool {
	return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// mayStart is false for a pod none of whose containers has begun, because something is wrong that does not heal by itself.
func (a *application) mayStart(p *corev1.Pod) bool {
	t := a.graces.podTrouble(p, nil)
	if t == nil || t.kind == "unschedulable" || t.kind == "crash" {
		return true
	}
	for _, c := range containerStates(p) {
		if c.State.Running != nil || c.State.Terminated != nil || c.LastTerminationState.Terminated != nil {
			return true
		}
	}
	return false
}
