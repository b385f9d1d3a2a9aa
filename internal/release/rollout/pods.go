// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func pod(p *corev1.Pod) status {
	switch p.Status.Phase {
	case corev1.PodSucceeded:
		return status{ready: true}
	case corev1.PodFailed:
		kind := "failed"
		if disrupted(p) {
			kind = troubleDisrupted
		}
		return status{text: "failed", trouble: &trouble{kind: kind, text: "it failed" + afterColon(p.Status.Reason, p.Status.Message)}}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return status{ready: true}
		}
	}
	return status{text: "not ready, phase " + string(p.Status.Phase)}
}

func job(j *batchv1.Job) status {
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			return status{ready: true}
		case batchv1.JobFailed:
			return status{text: "failed", trouble: &trouble{kind: "failed", text: "it failed" + afterColon(c.Reason, c.Message)}}
		}
	}
	if j.Spec.Suspend != nil && *j.Spec.Suspend {
		return status{ready: true}
	}
	return status{text: fmt.Sprintf("not done: %s, %d failed", podsRun(j.Status.Active), j.Status.Failed)}
}

func podsRun(n int32) string {
	if n == 1 {
		return "1 pod runs"
	}
	return fmt.Sprintf("%d pods run", n)
}

// JobActive reports that a Job has neither succeeded nor failed, and is not suspended.
func JobActive(j *batchv1.Job) bool {
	s := job(j)
	return !s.ready && s.trouble == nil
}

// PodActive reports that a pod has neither succeeded nor failed.
func PodActive(p *corev1.Pod) bool {
	return p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

func makesPods(live *unstructured.Unstructured) bool {
	switch live.GetKind() {
	case "StatefulSet", "DaemonSet", "Job":
		return true
	}
	return false
}

// containerStates are the states of all containers of a pod, in the order in which they start.
func containerStates(p *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
}

// lastEnd says how a container ended last.
func lastEnd(c corev1.ContainerStatus) string {
	t := c.LastTerminationState.Terminated
	if t == nil {
		t = c.State.Terminated
	}
	if t == nil {
		return ""
	}
	out := fmt.Sprintf(", exit code %d", t.ExitCode)
	if c.RestartCount > 0 {
		out = fmt.Sprintf(", restarted %d times, last exit code %d", c.RestartCount, t.ExitCode)
	}
	if t.Reason != "" && t.Reason != "Error" {
		out += " (" + t.Reason + ")"
	}
	if m := strings.TrimSpace(t.Message); m != "" {
		out += ": " + m
	}
	return out
}

// podRan reports that a container of a pod runs, or ended by itself: not one that could not be started, that ran out of the memory
// it was given, or whose pod was taken off its node.
func podRan(p *corev1.Pod) bool {
	if disrupted(p) {
		return false
	}
	for _, c := range containerStates(p) {
		if c.State.Running != nil {
			return true
		}
		for _, t := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
			if t == nil {
				continue
			}
			switch t.Reason {
			case "StartError", "ContainerCannotRun", "OOMKilled", "ContainerStatusUnknown":
			default:
				return true
			}
		}
	}
	return false
}

// disrupted reports that a pod ended because of its node: evicted, preempted, its node gone or shut down.
func disrupted(p *corev1.Pod) bool {
	switch p.Status.Reason {
	case "Evicted", "Preempting", "NodeShutdown", "NodeLost", "Terminated", "NodeAffinity", "Shutdown", "UnexpectedAdmissionError":
		return true
	}
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue
	})
}

// unreadyFor is how long a container must have run for its not being ready to be its own fault.
const unreadyFor = 2 * time.Second

func runsUnready(p *corev1.Pod, now time.Time) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.State.Running != nil && !c.Ready && now.Sub(c.State.Running.StartedAt.Time) >= unreadyFor
	})
}

func eventTime(e *corev1.Event) time.Time {
	switch {
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}
