// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/resource"
)

// troubleThatHinders are the kinds of trouble because of which a pod does not begin.
var troubleThatHinders = []string{"image", "image name", "config", "refused", "unschedulable", "vanished", "disrupted"}

// explainPods turns the end of a wait for the pods of a check into what it says about the version. Only a program that ran can refuse
// it; one that could not be started, or was taken off its node, says nothing.
func (r *checkRun) explainPods(what string, err error, infos []*resource.Info) error {
	if r.caller.Err() != nil {
		return err // It was interrupted, which runCheck says.
	}
	var (
		notReady *notReadyError
		denied   *refusedError
	)
	failure := r.kube.failure
	if failure == nil {
		failure = err
	}
	switch {
	case errors.As(failure, &notReady):
		out := r.notMade(notReady.cause)
		out.Refused = !slices.Contains(troubleThatHinders, notReady.kind) && r.ran(infos)
		out.Log = reportLines(notReady.reports)
		return out
	case errors.As(failure, &denied):
		return r.notMade("the API server refused it: " + denied.Error())
	case errors.Is(failure, errDeadline):
		out := r.notMade(fmt.Sprintf("%s was not done after %s", what, r.timeout))
		out.Log = reportLines(r.pending)
		if out.Refused = r.ran(infos); !out.Refused {
			out.Problem = r.secrets.Text(fmt.Sprintf("%s was not begun within %s%s", what, r.timeout, firstObserved(r.pending)))
		}
		return out
	}
	return err
}

func firstObserved(reports []ObjectReport) string {
	for _, report := range reports {
		if report.Observed != "" {
			return ": " + report.Observed
		}
	}
	return ""
}

// reportLines are the details of reports: containers, events, last lines of logs.
func reportLines(reports []ObjectReport) []string {
	var lines []string
	for _, report := range reports {
		for _, detail := range report.Details {
			lines = append(lines, strings.Split(detail, "\n")...)
		}
	}
	return lines
}

// ran reports that the program of one of the checks' pods has run, or does.
func (r *checkRun) ran(infos []*resource.Info) bool {
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.caller), diagnoseTimeout)
	defer stop()
	all := make([]*watched, 0, len(infos))
	for _, info := range infos {
		all = append(all, newWatched(info))
	}
	looking := &operation{target: r.target, ctx: ctx, caller: ctx, reads: r.reads, objects: r.objects, secrets: r.secrets}
	if err := looking.fetchEach(all); err != nil {
		return false
	}
	for _, w := range all {
		if w.live == nil {
			continue
		}
		pods, _, err := looking.allPods(ctx, w.live)
		if err != nil {
			return false
		}
		if slices.ContainsFunc(pods, func(p corev1.Pod) bool { return podRan(&p) }) {
			return true
		}
	}
	return false
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
