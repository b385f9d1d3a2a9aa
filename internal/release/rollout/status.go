// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/kubernetes/scheme"
)

// status is what one look at an object says.
type status struct {
	ready bool
	// unseen says that the object's controller has not looked at it since it was written: what its pods say is old.
	unseen bool
	text   string
	// trouble is something that usually does not heal.
	trouble *trouble
}

var unseen = status{unseen: true, text: "its controller has not seen the change yet"}

func statusOf[T any](live *unstructured.Unstructured, assess func(*T) status) (status, error) {
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &typed); err != nil {
		return status{}, fmt.Errorf("reading %s/%s: %w", live.GetKind(), live.GetName(), err)
	}
	return assess(&typed), nil
}

// isWaitable reports that an object has a state to wait for. Of the kinds that Kubernetes itself has, most are done when they
// are written; kinds of others are evaluated by the usual conditions.
func isWaitable(info *resource.Info) bool {
	gvk := info.Mapping.GroupVersionKind
	switch gvk.Group + "/" + gvk.Kind {
	case "apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "apps/ReplicaSet", "/ReplicationController",
		"/Pod", "batch/Job", "/PersistentVolumeClaim", "apiextensions.k8s.io/CustomResourceDefinition":
		return true
	case "/Service":
		service, ok := info.Object.(*unstructured.Unstructured)
		if !ok {
			return false
		}
		kind, _, _ := unstructured.NestedString(service.Object, "spec", "type")
		return kind == string(corev1.ServiceTypeLoadBalancer)
	}
	return !scheme.Scheme.Recognizes(gvk)
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
	out := status{text: fmt.Sprintf("%d of %d pods updated, %d available", s.UpdatedNumberScheduled, s.DesiredNumberScheduled,
		s.NumberAvailable)}
	if d.Spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType && s.UpdatedNumberScheduled < s.DesiredNumberScheduled {
		return out
	}
	if s.NumberAvailable < s.DesiredNumberScheduled {
		return out
	}
	return status{ready: true}
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

// hookStatus: a hook is done when it has ended well, not when it runs.
func hookStatus(live *unstructured.Unstructured, s status) status {
	if !s.ready {
		return s
	}
	switch live.GetKind() {
	case "Pod":
		if phase, _, _ := unstructured.NestedString(live.Object, "status", "phase"); phase != string(corev1.PodSucceeded) {
			return status{text: "still runs"}
		}
	case "Job":
		if c := findCondition(live, "Complete"); c == nil || c.Status != metav1.ConditionTrue {
			return status{text: "is suspended"}
		}
	}
	return s
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

// custom assesses objects of kinds that Kubernetes itself does not have by the conditions that most controllers write. One
// without any is ready: nobody says otherwise.
func custom(live *unstructured.Unstructured) status {
	observed, found, err := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
	if err == nil && found && observed < live.GetGeneration() {
		return unseen
	}
	if c := findCondition(live, "Stalled"); c != nil && c.Status == metav1.ConditionTrue {
		return status{text: "its controller has given up",
			trouble: &trouble{kind: "stalled", text: "its controller has given up" + afterColon(c.Reason, c.Message)}}
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
