// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

// listed is a PodLister that returns one list after the other.
type listed struct {
	lists [][]corev1.Pod
	err   error
}

func (l *listed) Pods(ctx context.Context) ([]corev1.Pod, error) {
	if l.err != nil {
		return nil, l.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	list := l.lists[0]
	if len(l.lists) > 1 {
		l.lists = l.lists[1:]
	}
	return list, nil
}

type podOption func(*corev1.Pod)

func pod(name string, ready bool, age time.Duration, options ...podOption) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID(name), Labels: map[string]string{"app": "web"},
		CreationTimestamp: metav1.NewTime(start.Add(-age))}}
	p.Status.Phase = corev1.PodRunning
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Ready: ready}}
	for _, change := range options {
		change(&p)
	}
	return p
}

func restarted(n int32) podOption {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].RestartCount = n
		p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}
	}
}

func waiting(reason string) podOption {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: reason}
	}
}

func deleted(p *corev1.Pod) { now := metav1.NewTime(start); p.DeletionTimestamp = &now }
func phase(phase corev1.PodPhase) podOption {
	return func(p *corev1.Pod) { p.Status.Phase = phase }
}

func TestPodReadiness(t *testing.T) {
	old := time.Hour
	tests := map[string]struct {
		pods  []corev1.Pod
		least int
		kind  Kind
		text  string
	}{
		"all ready":              {[]corev1.Pod{pod("a", true, old), pod("b", true, old)}, 2, Pass, "2 pods are ready"},
		"one ready is the least": {[]corev1.Pod{pod("a", true, old)}, 0, Pass, "1 pod is ready"},
		"none at all":            {nil, 0, Fail, "0 pods are ready, 1 are needed"},
		"too few":                {[]corev1.Pod{pod("a", true, old)}, 2, Fail, "1 pod is ready, 2 are needed"},
		"one is not ready":       {[]corev1.Pod{pod("a", true, old), pod("b", false, old)}, 1, Fail, "pod b is not ready"},
		"why it is not ready": {
			[]corev1.Pod{pod("a", true, old), pod("b", false, old, waiting("CrashLoopBackOff"))}, 1, Fail,
			"container app waits (CrashLoopBackOff)",
		},
		"a young one still starts":   {[]corev1.Pod{pod("a", true, old), pod("b", false, 59*time.Second)}, 1, Pass, "1 still starting"},
		"young for long enough":      {[]corev1.Pod{pod("a", true, old), pod("b", false, time.Minute)}, 1, Fail, "pod b"},
		"only young ones":            {[]corev1.Pod{pod("b", false, time.Second)}, 1, Fail, "0 pods are ready, 1 still starting, 1 are needed"},
		"being deleted":              {[]corev1.Pod{pod("a", true, old), pod("b", false, old, deleted)}, 1, Pass, "1 pod is ready"},
		"being deleted, still ready": {[]corev1.Pod{pod("b", true, old, deleted)}, 1, Fail, "0 pods are ready"},
		"evicted":                    {[]corev1.Pod{pod("a", true, old), pod("b", false, old, phase(corev1.PodFailed))}, 1, Pass, "1 pod"},
		"completed":                  {[]corev1.Pod{pod("a", true, old), pod("b", false, old, phase(corev1.PodSucceeded))}, 1, Pass, "1 pod"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			check := &PodReadiness{
				Name:     "pods",
				Pods:     &listed{lists: [][]corev1.Pod{test.pods}},
				MinReady: test.least,
				Now:      func() time.Time { return start },
			}
			requireSample(t, check.Sample(t.Context()), test.kind, test.text)
		})
	}
}

func TestPodReadiness_SeesRestartsBetweenTwoLooks(t *testing.T) {
	old := time.Hour
	lists := &listed{lists: [][]corev1.Pod{
		{pod("a", true, old, restarted(3))}, // What was before the analysis does not count.
		{pod("a", true, old, restarted(3)), pod("b", true, old, restarted(1))},
		{pod("a", true, old, restarted(4)), pod("b", true, old, restarted(1))},
		{pod("a", true, old, restarted(4)), pod("b", true, old, restarted(1))},
	}}
	check := &PodReadiness{Name: "pods", Pods: lists, Now: func() time.Time { return start }}
	for i, want := range []Kind{Pass, Pass, Fail, Pass} {
		got := check.Sample(t.Context())
		if got.Kind != want {
			t.Errorf("look %d: %s (%s), want %s", i, got.Kind, got.Evidence, want)
		}
		if want == Fail {
			requireSample(t, got, Fail, "container app of pod a was restarted (OOMKilled, exit code 137)")
		}
	}
}

func TestPodReadiness_ThatCannotBeReadIsAnError(t *testing.T) {
	check := &PodReadiness{Name: "pods", Pods: &listed{err: errors.New("pods is forbidden")}}
	requireSample(t, check.Sample(t.Context()), Error, "forbidden")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	check.Pods = &listed{}
	requireSample(t, check.Sample(ended), Error, "interrupted")
}

func TestSelectedPods_ListsOnlyTheSelected(t *testing.T) {
	mine, foreign, elsewhere := pod("a", true, time.Hour), pod("b", false, time.Hour), pod("c", false, time.Hour)
	foreign.Labels, elsewhere.Namespace = map[string]string{"app": "other"}, "elsewhere"
	client := fake.NewClientset(&mine, &foreign, &elsewhere)
	pods, err := (&SelectedPods{Client: client, Namespace: "shop", Selector: "app=web"}).Pods(t.Context())
	if err != nil || len(pods) != 1 || pods[0].Name != "a" {
		t.Errorf("%d pods, %v", len(pods), err)
	}
	for _, bad := range []*SelectedPods{
		{Namespace: "shop", Selector: "app=web"}, {Client: client, Selector: "app=web"}, {Client: client, Namespace: "shop", Selector: " "},
		{Client: client, Namespace: "shop", Selector: "app=web=1"},
	} {
		var config *ConfigError
		if _, err := bad.Pods(t.Context()); !errors.As(err, &config) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
