// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

const (
	maxReports    = 5
	maxPods       = 2
	maxEvents     = 5
	maxLogLines   = 20
	maxLogBytes   = 2 << 10
	maxEventBytes = 400
	// diagnoseTimeout bounds the look at what went wrong, which happens after the wait is over.
	diagnoseTimeout = 10 * time.Second
)

// ObjectReport is what was observed of one object that did not become ready.
type ObjectReport struct {
	Object object.Key
	// Observed is the state in words ("1 of 2 pods updated, 0 available").
	Observed string
	// Details are conditions, container states, events and log lines, ready to print, without secrets.
	Details []string
}

// Text prints reports one below the other.
func Text(reports []ObjectReport) string {
	var blocks []string
	for _, r := range reports {
		var b strings.Builder
		fmt.Fprintf(&b, "%s: %s", r.Object.Short(), r.Observed)
		for _, d := range r.Details {
			b.WriteString("\n  " + strings.ReplaceAll(d, "\n", "\n  "))
		}
		blocks = append(blocks, b.String())
	}
	return strings.Join(blocks, "\n")
}

// diagnosis is a look at a cluster after a failure, under a context of its own.
type diagnosis struct {
	ctx    context.Context
	reader reader
	redact func(string) string
	// warnings are the namespace's Warning events, read once.
	warnings map[string][]corev1.Event
}

// reports describe objects that are not ready: conditions, containers, events, last log lines. What cannot be read is named. The
// trouble of the one that is reported as the cause is not repeated.
func (d *diagnosis) reports(open []*watched, cause *watched) []ObjectReport {
	// Those that are known to be in trouble come first.
	slices.SortStableFunc(open, func(a, b *watched) int { return cmp.Compare(rank(a), rank(b)) })
	var reports []ObjectReport
	for i, o := range open {
		report := ObjectReport{Object: d.reader.key(o.info), Observed: d.redact(o.status.text)}
		if t := o.status.trouble; t != nil && o != cause && t.text != o.status.text {
			report.Observed = d.redact(strings.TrimPrefix(report.Observed+"; "+t.text, "; "))
		}
		if i < maxReports && o.live != nil {
			for _, line := range d.details(o.live) {
				report.Details = append(report.Details, d.redact(line))
			}
		}
		reports = append(reports, report)
	}
	return reports
}

func (d *diagnosis) details(live *unstructured.Unstructured) []string {
	lines := conditionLines(live)
	involved := []types.UID{live.GetUID()}
	pods, err := d.reader.podsOf(d.ctx, live)
	if err != nil {
		lines = append(lines, "(its pods could not be read: "+explain.Library(err)+")")
	}
	if live.GetKind() == "Deployment" {
		if selector, err := SelectorOf(live); err == nil {
			set, err := d.reader.newestReplicaSet(d.ctx, live, selector)
			if err == nil && set != nil {
				involved = append(involved, set.UID)
			}
		}
	}
	slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(podRank(&a), podRank(&b)) })
	var shown []corev1.Pod
	// A Job or hook that is not done has a pod that is healthy and runs: what it is at shows in its log.
	unfinished := live.GetKind() == "Job" || live.GetAnnotations()[helmrelease.HookAnnotation] != ""
	for i := range pods {
		involved = append(involved, pods[i].UID)
		if (podRank(&pods[i]) == 0 || unfinished) && len(shown) < maxPods {
			shown = append(shown, pods[i])
		}
	}
	for i := range shown {
		lines = append(lines, podLines(&shown[i])...)
	}
	lines = append(lines, d.eventLines(live.GetNamespace(), involved)...)
	for i := range shown {
		lines = append(lines, d.logLines(&shown[i], unfinished)...)
	}
	return lines
}

// eventLines prints the newest Warning events, each text once.
func (d *diagnosis) eventLines(namespace string, involved []types.UID) []string {
	if d.warnings == nil {
		d.warnings = map[string][]corev1.Event{}
	}
	all, read := d.warnings[namespace]
	if !read {
		list, err := d.reader.kubernetes.CoreV1().Events(namespace).List(d.ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
		if err != nil {
			return []string{"(its events could not be read: " + explain.Library(err) + ")"}
		}
		all = list.Items
		slices.SortStableFunc(all, func(a, b corev1.Event) int { return eventTime(&b).Compare(eventTime(&a)) })
		d.warnings[namespace] = all
	}
	var lines []string
	seen := map[string]bool{}
	for i := range all {
		e := &all[i]
		text := e.Reason + eventText(e)
		if !slices.Contains(involved, e.InvolvedObject.UID) || seen[text] {
			continue
		}
		seen[text] = true
		line := fmt.Sprintf("event %s %s: %s", eventTime(e).UTC().Format("15:04:05"), e.Reason,
			explain.Shorten(strings.TrimSpace(e.Message), maxEventBytes))
		if e.Count > 1 {
			line += fmt.Sprintf(" (%d times)", e.Count)
		}
		if lines = append(lines, line); len(lines) == maxEvents {
			break
		}
	}
	return lines
}

// logLines prints the end of what the containers have written that are not well, or that should have ended.
func (d *diagnosis) logLines(p *corev1.Pod, unfinished bool) []string {
	var lines []string
	for _, c := range containerStates(p) {
		ended := c.State.Terminated != nil
		crashed := c.LastTerminationState.Terminated != nil && c.State.Running == nil
		if c.Ready && !ended && !unfinished || ended && c.State.Terminated.ExitCode == 0 || c.ContainerID == "" && !crashed {
			continue
		}
		text, err := d.lastLog(p, c.Name, crashed && !ended)
		switch {
		case err != nil:
			lines = append(lines, "(the log of container "+c.Name+" could not be read: "+explain.Library(err)+")")
		case text != "":
			lines = append(lines, "last lines of container "+c.Name+" in pod "+p.Name+":\n  "+strings.ReplaceAll(text, "\n", "\n  "))
		default:
			lines = append(lines, "container "+c.Name+" in pod "+p.Name+" has written no log")
		}
	}
	return lines
}

func (d *diagnosis) lastLog(p *corev1.Pod, container string, previous bool) (string, error) {
	tail := int64(maxLogLines)
	stream, err := d.reader.kubernetes.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &tail,
	}).Stream(d.ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	// A line can be of any length; what is kept is the end.
	var last []byte
	buffer := make([]byte, maxLogBytes)
	for {
		n, err := stream.Read(buffer)
		last = append(last, buffer[:n]...)
		if over := len(last) - 64*maxLogBytes; over > 0 {
			last = last[over:]
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	// Secrets are taken out before the text is cut, since half a secret is not recognized.
	text := d.redact(strings.TrimSpace(strings.ToValidUTF8(string(last), "�")))
	if over := len(text) - maxLogBytes; over > 0 {
		text = "…" + strings.ToValidUTF8(text[over:], "")
	}
	return text, nil
}

// conditionLines prints the conditions that are not as they should be.
func conditionLines(live *unstructured.Unstructured) []string {
	var lines []string
	for _, name := range []string{"Available", "Progressing", "Ready", "Established", "Stalled", "ReplicaFailure", "Failed"} {
		c := findCondition(live, name)
		bad := metav1.ConditionFalse
		if name == "Stalled" || name == "ReplicaFailure" || name == "Failed" {
			bad = metav1.ConditionTrue
		}
		if c != nil && c.Status == bad {
			lines = append(lines, fmt.Sprintf("condition %s is %s%s", name, c.Status, afterColon(c.Reason, c.Message)))
		}
	}
	return lines
}

// podRank puts pods that are not ready first.
func podRank(p *corev1.Pod) int {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return 1
		}
	}
	return 0
}

func podLines(p *corev1.Pod) []string {
	lines := []string{"pod " + p.Name + " is " + string(p.Status.Phase) + afterColon(p.Status.Reason, p.Status.Message)}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			lines = append(lines, "  not scheduled"+afterColon(c.Reason, c.Message))
		}
	}
	for _, c := range containerStates(p) {
		line := "  container " + c.Name + " (" + c.Image + ") "
		switch {
		case c.State.Waiting != nil:
			line += "waits: " + c.State.Waiting.Reason + afterColon(explain.Shorten(strings.TrimSpace(c.State.Waiting.Message), maxEventBytes))
			line += lastEnd(c)
		case c.State.Terminated != nil:
			line += "has ended" + lastEnd(c)
		case !c.Ready:
			line += "runs, but is not ready" + lastEnd(c)
		default:
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

var podSuffix = regexp.MustCompile(`(-[a-z0-9]{8,10})?-[a-z0-9]{5}\b`)

// eventText is what two events that say the same have in common: Kubernetes words one for each pod.
func eventText(e *corev1.Event) string {
	text := strings.TrimPrefix(e.Message, "(combined from similar events): ")
	return podSuffix.ReplaceAllLiteralString(strings.ReplaceAll(text, e.InvolvedObject.Name, ""), "")
}
