// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

const (
	maxLogLines = 20
	maxLogBytes = 16 << 10
	maxEvents   = 5
)

// pods of a Job, oldest first.
func (a *application) pods(job string) ([]corev1.Pod, error) {
	ctx, stop := a.afterwards()
	defer stop()
	list, err := a.reads.CoreV1().Pods(a.target.Handle.Namespace).List(ctx,
		metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + job})
	if err != nil {
		return nil, a.target.Cluster.Classify(fmt.Errorf("listing pods of Job %s: %w", job, err))
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items, nil
}

// startProblem says why the newest pod of a Job cannot start, or why there is none.
func (a *application) startProblem(j *batchv1.Job) (string, error) {
	pods, err := a.pods(j.Name)
	if err != nil {
		return "", err
	}
	if len(pods) > 0 {
		return task.Waits(&pods[len(pods)-1]), nil
	}
	refused, err := a.reads.CoreV1().Events(j.Namespace).List(a.ctx,
		metav1.ListOptions{FieldSelector: "reason=FailedCreate,involvedObject.uid=" + string(j.UID)})
	if err != nil || len(refused.Items) == 0 {
		return "", err
	}
	return "its pod is refused: " + strings.TrimSpace(refused.Items[len(refused.Items)-1].Message), nil
}

// failure describes a Job that did not do its work. What cannot be read is said.
func (a *application) failure(job, reason string, report *runner.Report, retry bool) *RunError {
	out := &RunError{Job: job, Namespace: a.target.Handle.Namespace, Reason: reason, Retry: retry}
	if report != nil {
		out.Failure, out.Left, out.Phase = report.Failure, report.Left, report.Phase
	}
	out.Events, out.Log, _ = a.evidence(job)
	return out
}

// evidence is what the cluster has of a Job: warnings, the end of the log, and the exit code of its last pod, nil where its program did
// not end by itself. What cannot be read is said in its place.
func (a *application) evidence(job string) (events, log []string, exitCode *int32) {
	ctx, stop := a.afterwards()
	defer stop()
	mask := a.masker(ctx)
	pods, err := a.pods(job)
	switch {
	case err != nil:
		log = []string{"(the pods could not be read: " + err.Error() + ")"}
	case len(pods) > 0:
		pod := pods[len(pods)-1]
		log = a.logTail(ctx, pod.Name, mask)
		for _, status := range pod.Status.ContainerStatuses {
			if t := status.State.Terminated; t != nil && t.Reason != "StartError" && t.Reason != "ContainerCannotRun" {
				exitCode = new(t.ExitCode)
			}
		}
	}
	list, err := a.reads.CoreV1().Events(a.target.Handle.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		return []string{"(they could not be read: " + err.Error() + ")"}, log, exitCode
	}
	for i := range list.Items {
		if e := &list.Items[i]; strings.HasPrefix(e.InvolvedObject.Name, job) && len(events) < maxEvents {
			events = append(events, mask.text(e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name+": "+e.Reason+": "+strings.TrimSpace(e.Message)))
		}
	}
	return events, log, exitCode
}

func (a *application) logTail(ctx context.Context, pod string, mask *masker) []string {
	if mask.problem != nil {
		return []string{"(it is not shown, since the values that must not be shown could not be read: " + mask.problem.Error() + ")"}
	}
	stream, err := a.reads.CoreV1().Pods(a.target.Handle.Namespace).GetLogs(pod, &corev1.PodLogOptions{
		Container: container, TailLines: new(int64(maxLogLines)), LimitBytes: new(int64(maxLogBytes)),
	}).Stream(ctx)
	if err != nil {
		return []string{"(it could not be read: " + err.Error() + ")"}
	}
	text, err := io.ReadAll(io.LimitReader(stream, maxLogBytes))
	if err = errors.Join(err, stream.Close()); err != nil {
		return []string{"(it could not be read: " + err.Error() + ")"}
	}
	if len(text) == maxLogBytes { // what is cut off could be the end of a secret
		text = text[:max(bytes.LastIndexByte(text, '\n'), 0)]
	}
	var lines []string
	for line := range strings.SplitSeq(mask.text(strings.TrimSpace(string(text))), "\n") {
		if line != "" && !strings.Contains(line, `"msg":"report"`) { // it is told already
			lines = append(lines, line)
		}
	}
	return lines
}
