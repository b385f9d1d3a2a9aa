// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestReadiness_IsStricterThanTheUsualReaders(t *testing.T) {
	for _, tc := range []struct {
		name    string
		object  string
		ready   bool
		trouble string
	}{
		{name: "a deployment whose change was not seen",
			object: `{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2}, spec: {replicas: 1},
                status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1}}`},
		{name: "a deployment that is done", object: `{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2}, spec: {replicas: 2}, status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2}}`, ready: true},
		{name: "a deployment with an old pod", object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 2}, status: {replicas: 3, updatedReplicas: 2, availableReplicas: 3}}`},
		{name: "one replica that may be unavailable", object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1, strategy: {rollingUpdate: {maxUnavailable: 1}}}, status: {replicas: 1, updatedReplicas: 1}}`},
		{name: "no pods, though one was asked for", object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1}, status: {}}`},
		{name: "no pods, as asked for", object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 0}, status: {}}`, ready: true},
		{name: "no progress", object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1}, status: {conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`, trouble: "deadline"},
		{name: "refused pods", object: `{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1}, status: {conditions: [{type: ReplicaFailure, status: "True", message: exceeded quota}]}}`, trouble: "refused"},
		{name: "a job that runs", object: `{apiVersion: batch/v1, kind: Job, status: {active: 1}}`},
		{name: "a job that is done", object: `{apiVersion: batch/v1, kind: Job, status: {succeeded: 1, conditions: [{type: Complete, status: "True"}]}}`, ready: true},
		{name: "a job that failed", object: `{apiVersion: batch/v1, kind: Job, status: {failed: 1, conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]}}`, trouble: "failed"},
		{name: "a pod that failed", object: `{apiVersion: v1, kind: Pod, status: {phase: Failed}}`, trouble: "failed"},
		{name: "a pod that is ready", object: `{apiVersion: v1, kind: Pod, status: {phase: Running, conditions: [{type: Ready, status: "True"}]}}`, ready: true},
		{name: "a pod that is not ready", object: `{apiVersion: v1, kind: Pod, status: {phase: Running}}`},
		{name: "a stateful set in the middle", object: `{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 2}, status: {replicas: 2, availableReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b}}`},
		{name: "a stateful set that is done", object: `{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 2}, status: {replicas: 2, availableReplicas: 2, currentRevision: b, updateRevision: b}}`, ready: true},
		{name: "a stateful set up to its partition", object: `{apiVersion: apps/v1, kind: StatefulSet, spec: {replicas: 2, updateStrategy: {rollingUpdate: {partition: 1}}}, status: {replicas: 2, availableReplicas: 2, updatedReplicas: 1, currentRevision: a, updateRevision: b}}`, ready: true},
		{name: "a daemon set in the middle", object: `{apiVersion: apps/v1, kind: DaemonSet, status: {desiredNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2}}`},
		{name: "a daemon set that is done", object: `{apiVersion: apps/v1, kind: DaemonSet, status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2}}`, ready: true},
		{name: "a load balancer without an address", object: `{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}`},
		{name: "a kind without conditions", object: `{apiVersion: example.com/v1, kind: Thing}`, ready: true},
		{name: "a kind that is not ready", object: `{apiVersion: example.com/v1, kind: Thing, status: {conditions: [{type: Ready, status: "False", message: certificate pending}]}}`},
		{name: "a kind whose controller gave up", object: `{apiVersion: example.com/v1, kind: Thing, status: {conditions: [{type: Stalled, status: "True"}]}}`, trouble: "stalled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var o unstructured.Unstructured
			if err := yaml.Unmarshal([]byte(tc.object), &o.Object); err != nil {
				t.Fatal(err)
			}
			got, err := DefaultGraces.readiness(&o)
			if err != nil {
				t.Fatal(err)
			}
			trouble := ""
			if got.trouble != nil {
				trouble = got.trouble.kind
			}
			if got.ready != tc.ready || trouble != tc.trouble {
				t.Errorf("got %+v, trouble %q", got, trouble)
			}
			if !got.ready && got.text == "" {
				t.Error("it does not say why it is not ready")
			}
		})
	}
}

func TestHookStatus_WaitsForTheEnd(t *testing.T) {
	running := &unstructured.Unstructured{Object: map[string]any{"kind": "Pod", "status": map[string]any{"phase": string(corev1.PodRunning)}}}
	if s := hookStatus(running, status{ready: true}); s.ready {
		t.Error("a hook pod that runs counts as done")
	}
	running.Object["status"] = map[string]any{"phase": string(corev1.PodSucceeded)}
	if s := hookStatus(running, status{ready: true}); !s.ready {
		t.Error("a hook pod that has ended well does not count as done")
	}
}

func TestPodTrouble_CountsCrashesOfThisOperation(t *testing.T) {
	crashing := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
		Name: "app", RestartCount: 2, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}},
	}}}}
	got := DefaultGraces.podTrouble(crashing, nil)
	if got == nil {
		t.Fatal("a crash loop is no trouble")
	}
	for _, part := range []string{"container app", "restarted 2 times", "exit code 137", "OOMKilled"} {
		if !strings.Contains(got.text, part) {
			t.Errorf("%s is missing in %q", part, got.text)
		}
	}
	if got := DefaultGraces.podTrouble(crashing, map[string]int32{"/app": 1}); got != nil {
		t.Errorf("crashes from before the operation were counted: %+v", got)
	}
	crashing.Status.ContainerStatuses[0].RestartCount = 1
	if got := DefaultGraces.podTrouble(crashing, nil); got != nil {
		t.Errorf("a service that crashed once while it waited for its database was given up: %+v", got)
	}
}

func TestScaled_WaitsForTheLeastThatAnAutoscalerGives(t *testing.T) {
	watchedWith := func(replicas, least int64) *watched {
		return &watched{least: least, live: &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": replicas}}}}
	}
	for name, tc := range map[string]struct {
		replicas, least int64
		ready           bool
	}{
		"fewer":                 {1, 2, false},
		"as many":               {2, 2, true},
		"more":                  {5, 2, true},
		"scaled to zero":        {0, 2, true},
		"without an autoscaler": {1, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := watchedWith(tc.replicas, tc.least).scaled(status{ready: true}); got.ready != tc.ready || !got.ready && got.text == "" {
				t.Errorf("got %+v", got)
			}
		})
	}
	late := watchedWith(1, 2)
	late.few = time.Now().Add(-scaledWithin)
	if !late.scaled(status{ready: true}).ready {
		t.Error("an autoscaler that does not act is waited for without end")
	}
}
