// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"bytes"
	"context"
	"errors"
	"io"
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

// warnings are the events about a Job and its pods.
func warnings(ctx context.Context, client kubernetes.Interface, namespace, job string, mask *masker) []string {
	list, err := client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		return []string{"(they could not be read: " + err.Error() + ")"}
	}
	var out []string
	for i := range list.Items {
		if e := &list.Items[i]; strings.HasPrefix(e.InvolvedObject.Name, job) && len(out) < maxEvents {
			out = append(out, mask.text(e.InvolvedObject.Kind+"/"+e.InvolvedObject.Name+": "+e.Reason+": "+strings.TrimSpace(e.Message)))
		}
	}
	return out
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
