// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	maxLogLines = 20
	maxLogBytes = 16 << 10
	maxEvents   = 5
)

// warnings are the events about a Job and its pods, without those about earlier Jobs of its name.
func (j *jobs) warnings(ctx context.Context, name string, pods []corev1.Pod, mask *masker) []string {
	list, err := j.op.Reads.CoreV1().Events(j.target.Handle.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		return []string{"(they could not be read: " + err.Error() + ")"}
	}
	var out []string
	for i := range list.Items {
		if e := &list.Items[i]; j.isAbout(e, name, pods) && len(out) < maxEvents {
			out = append(out, mask.text(e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name+": "+e.Reason+": "+strings.TrimSpace(e.Message)))
		}
	}
	return out
}

// isAbout reports that an event is about a Job or one of its pods.
func (j *jobs) isAbout(e *corev1.Event, name string, pods []corev1.Pod) bool {
	about := e.InvolvedObject
	this, known := j.waited[name]
	switch {
	case !strings.HasPrefix(about.Name, name):
		return false
	case !known || about.UID == this.UID:
		return true
	case slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return pod.UID == about.UID }):
		return true
	}
	// Pods that are gone can only be distinguished by the time.
	return len(pods) == 0 && about.Kind == "Pod" && !e.CreationTimestamp.Before(&this.CreationTimestamp)
}

// logTail is the end of a pod's log, without secrets.
func logTail(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, mask *masker) []string {
	if mask.problem != nil {
		return []string{"(it is not shown, since the values that must not be shown could not be read: " + mask.problem.Error() + ")"}
	}
	stream, err := client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
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
		if line != "" && !strings.Contains(line, `"msg":"report"`) { // it is shown already
			lines = append(lines, line)
		}
	}
	return lines
}
