// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/kubernetes/scheme"
)

// isWaitable reports that an object has a state to wait for. Of the kinds that Kubernetes itself has, most are done when they
// are written; kinds of others are judged by the usual conditions.
func isWaitable(info *resource.Info) bool {
	gvk := info.Mapping.GroupVersionKind
	switch gvk.Group + "/" + gvk.Kind {
	case "apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "apps/ReplicaSet", "/ReplicationController",
		"/Pod", "batch/Job", "/PersistentVolumeClaim", "apiextensions.k8s.io/CustomResourceDefinition":
		return true
	case "/Service":
		o, ok := info.Object.(*unstructured.Unstructured)
		if !ok {
			return false
		}
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "type")
		return kind == string(corev1.ServiceTypeLoadBalancer)
	}
	return !scheme.Scheme.Recognizes(gvk)
}

// readiness judges a live object by itself, without its pods.
func (g graces) readiness(live *unstructured.Unstructured) (status, error) {
	switch live.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps":
		return judgeAs(live, g.deployment)
	case "StatefulSet.apps":
		return judgeAs(live, statefulSet)
	case "DaemonSet.apps":
		return judgeAs(live, daemonSet)
	case "ReplicaSet.apps":
		return judgeAs(live, g.replicaSet)
	case "ReplicationController":
		return judgeAs(live, replicationController)
	case "Pod":
		return judgeAs(live, pod)
	case "Job.batch":
		return judgeAs(live, job)
	case "PersistentVolumeClaim":
		return judgeAs(live, claim)
	case "Service":
		return judgeAs(live, service)
	case "CustomResourceDefinition.apiextensions.k8s.io":
		if c := findCondition(live, "Established"); c == nil || c.Status != metav1.ConditionTrue {
			return status{text: "not established yet"}, nil
		}
		return status{ready: true}, nil
	}
	return custom(live), nil
}

func judgeAs[T any](live *unstructured.Unstructured, judge func(*T) status) (status, error) {
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &typed); err != nil {
		return status{}, fmt.Errorf("reading %s/%s: %w", live.GetKind(), live.GetName(), err)
	}
	return judge(&typed), nil
}

var unseen = status{unseen: true, text: "its controller has not seen the change yet"}

func (g graces) deployment(d *appsv1.Deployment) status {
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	s := d.Status
	if s.ObservedGeneration < d.Generation {
		return unseen
	}
	if d.Spec.Paused {
		return status{ready: true}
	}
	out := status{text: fmt.Sprintf("%d of %d pods updated, %d available", s.UpdatedReplicas, want, s.AvailableReplicas)}
	if old := s.Replicas - s.UpdatedReplicas; old > 0 {
		out.text += fmt.Sprintf(", %d old still there", old)
	}
	for _, c := range d.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded":
			// It may be left from the revision before, where the pod template is the same.
			out.trouble = &trouble{kind: "deadline", text: "no progress for " + fmt.Sprint(deadlineOf(d)) + " s (progressDeadlineSeconds): " + out.text, grace: g.refused}
			return out
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			out.trouble = &trouble{kind: "refused", text: "its pods are refused: " + c.Message, grace: g.refused}
		}
	}
	switch {
	case s.UpdatedReplicas != want, s.Replicas > s.UpdatedReplicas, s.AvailableReplicas < s.UpdatedReplicas:
		return out
	}
	return status{ready: true}
}

func deadlineOf(d *appsv1.Deployment) int32 {
	if d.Spec.ProgressDeadlineSeconds == nil {
		return 600
	}
	return *d.Spec.ProgressDeadlineSeconds
}

func statefulSet(s *appsv1.StatefulSet) status {
	want := int32(1)
	if s.Spec.Replicas != nil {
		want = *s.Spec.Replicas
	}
	if s.Status.ObservedGeneration < s.Generation {
		return unseen
	}
	text := status{text: fmt.Sprintf("%d of %d pods updated, %d available", s.Status.UpdatedReplicas, want, s.Status.AvailableReplicas)}
	if s.Status.Replicas != want || s.Status.AvailableReplicas < want {
		return text
	}
	if s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return status{ready: true}
	}
	moving := want
	if r := s.Spec.UpdateStrategy.RollingUpdate; r != nil && r.Partition != nil {
		moving = max(want-*r.Partition, 0)
	}
	// With one revision only, the controller leaves updatedReplicas out.
	if s.Status.CurrentRevision != s.Status.UpdateRevision && s.Status.UpdatedReplicas < moving {
		return text
	}
	return status{ready: true}
}

func daemonSet(d *appsv1.DaemonSet) status {
	s := d.Status
	if s.ObservedGeneration < d.Generation {
		return unseen
	}
	out := status{text: fmt.Sprintf("%d of %d pods updated, %d available", s.UpdatedNumberScheduled, s.DesiredNumberScheduled, s.NumberAvailable)}
	if d.Spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType && s.UpdatedNumberScheduled < s.DesiredNumberScheduled {
		return out
	}
	if s.NumberAvailable < s.DesiredNumberScheduled {
		return out
	}
	return status{ready: true}
}

func (g graces) replicaSet(r *appsv1.ReplicaSet) status {
	want := int32(1)
	if r.Spec.Replicas != nil {
		want = *r.Spec.Replicas
	}
	if r.Status.ObservedGeneration >= r.Generation && r.Status.Replicas == want && r.Status.AvailableReplicas == want {
		return status{ready: true}
	}
	out := status{text: fmt.Sprintf("%d of %d pods available", r.Status.AvailableReplicas, want)}
	for _, c := range r.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue {
			out.trouble = &trouble{kind: "refused", text: "its pods are refused: " + c.Message, grace: g.refused}
		}
	}
	return out
}

func replicationController(r *corev1.ReplicationController) status {
	want := int32(1)
	if r.Spec.Replicas != nil {
		want = *r.Spec.Replicas
	}
	if r.Status.ObservedGeneration >= r.Generation && r.Status.Replicas == want && r.Status.AvailableReplicas == want {
		return status{ready: true}
	}
	return status{text: fmt.Sprintf("%d of %d pods available", r.Status.AvailableReplicas, want)}
}

func pod(p *corev1.Pod) status {
	switch p.Status.Phase {
	case corev1.PodSucceeded:
		return status{ready: true}
	case corev1.PodFailed:
		kind := "failed"
		if disrupted(p) {
			kind = "disrupted"
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

func claim(c *corev1.PersistentVolumeClaim) status {
	switch c.Status.Phase {
	case corev1.ClaimBound:
		return status{ready: true}
	case corev1.ClaimLost:
		return status{text: "its volume is lost", trouble: &trouble{kind: "lost", text: "its volume is lost"}}
	}
	return status{text: "not bound to a volume yet"}
}

func service(s *corev1.Service) status {
	if len(s.Spec.ExternalIPs) > 0 || len(s.Status.LoadBalancer.Ingress) > 0 {
		return status{ready: true}
	}
	return status{text: "its load balancer has no address yet"}
}

// custom judges objects of kinds that Kubernetes itself does not have by the conditions that most controllers write. One
// without any is ready: nobody says otherwise.
func custom(live *unstructured.Unstructured) status {
	observed, found, err := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
	if err == nil && found && observed < live.GetGeneration() {
		return unseen
	}
	if c := findCondition(live, "Stalled"); c != nil && c.Status == metav1.ConditionTrue {
		return status{text: "its controller has given up", trouble: &trouble{kind: "stalled", text: "its controller has given up" + afterColon(c.Reason, c.Message)}}
	}
	if c := findCondition(live, "Reconciling"); c != nil && c.Status == metav1.ConditionTrue {
		return status{text: "its controller is at work" + afterColon(c.Reason, c.Message)}
	}
	if c := findCondition(live, "Ready"); c != nil && c.Status != metav1.ConditionTrue {
		return status{text: "not ready" + afterColon(c.Reason, c.Message)}
	}
	return status{ready: true}
}

// findCondition returns a condition of an object of any kind, nil where there is none.
func findCondition(live *unstructured.Unstructured, kind string) *metav1.Condition {
	list, _, err := unstructured.NestedSlice(live.Object, "status", "conditions")
	if err != nil {
		return nil
	}
	for _, item := range list {
		fields, ok := item.(map[string]any)
		if !ok || fields["type"] != kind {
			continue
		}
		text := func(key string) string {
			s, _ := fields[key].(string)
			return s
		}
		return &metav1.Condition{Type: kind, Status: metav1.ConditionStatus(text("status")), Reason: text("reason"), Message: text("message")}
	}
	return nil
}

// afterColon joins the parts that are there.
func afterColon(parts ...string) string {
	out := ""
	for _, p := range parts {
		if p != "" {
			out += ": " + p
		}
	}
	return out
}
