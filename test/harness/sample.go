// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Image returns the image of the sample service. The test cluster has it.
func Image() string {
	return cmp.Or(os.Getenv("SLIPWAY_TEST_IMAGE"), "registry.company.com/data-collection:v1.1.1")
}

// Repository returns the root directory of the checkout.
func Repository() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// SampleChart returns the directory of the sample service's chart.
func SampleChart() string {
	return filepath.Join(Repository(), "examples", "data-collection", "chart", "data-collection-service")
}

// The sample service answers Answering and does not have the path Unanswered.
const (
	Answering  = "/readyz"
	Unanswered = "/not-ready"
)

// SamplePod returns a pod of the sample service. It becomes ready when the service answers path.
func SamplePod(path string) corev1.PodSpec {
	now, token := int64(0), false
	return corev1.PodSpec{
		TerminationGracePeriodSeconds: &now,
		AutomountServiceAccountToken:  &token,
		Containers: []corev1.Container{{
			Name: "app", Image: Image(), ImagePullPolicy: corev1.PullIfNotPresent,
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
				HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(8080)},
			}},
		}},
	}
}

// ReadyPods waits until as many pods as wanted match the selector and are ready.
func ReadyPods(t testing.TB, namespace, selector string, wanted int) {
	t.Helper()
	pods := Kubernetes(t).CoreV1().Pods(namespace)
	Eventually(t, "the pods of "+selector+" are ready", func(ctx context.Context) bool {
		list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return false
		}
		ready := 0
		for _, pod := range list.Items {
			for _, condition := range pod.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil {
					ready++
				}
			}
		}
		return ready == wanted
	})
}
