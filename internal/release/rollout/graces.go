// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Graces are how long trouble may last before it counts as failure.
type Graces struct {
	Image         time.Duration // an image that cannot be pulled
	Config        time.Duration // a container that cannot be created (a missing Secret, for example)
	Refused       time.Duration // pods that are not even created (quota, admission)
	Unschedulable time.Duration // a pod without a node; new nodes take minutes
	Vanished      time.Duration // an object that is gone
	Unserved      time.Duration // a Service that can have no endpoint
	Crashes       int32         // restarts after which a crash loop is one
}

// DefaultGraces are those of releases.
var DefaultGraces = Graces{
	Image:         20 * time.Second,
	Config:        20 * time.Second,
	Refused:       15 * time.Second,
	Unschedulable: 4 * time.Minute,
	Vanished:      5 * time.Second,
	Unserved:      20 * time.Second,
	Crashes:       2,
}

// readiness returns the status of a live object by itself, without its pods.
func (g Graces) readiness(live *unstructured.Unstructured) (status, error) {
	switch live.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps":
		return statusOf(live, g.deployment)
	case "StatefulSet.apps":
		return statusOf(live, statefulSet)
	case "DaemonSet.apps":
		return statusOf(live, daemonSet)
	case "ReplicaSet.apps":
		return statusOf(live, g.replicaSet)
	case "ReplicationController":
		return statusOf(live, replicationController)
	case "Pod":
		return statusOf(live, pod)
	case "Job.batch":
		return statusOf(live, job)
	case "PersistentVolumeClaim":
		return statusOf(live, claim)
	case "Service":
		return statusOf(live, service)
	case "CustomResourceDefinition.apiextensions.k8s.io":
		if c := findCondition(live, "Established"); c == nil || c.Status != metav1.ConditionTrue {
			return status{text: "not established yet"}, nil
		}
		return status{ready: true}, nil
	}
	return custom(live), nil
}

func (g Graces) deployment(d *appsv1.Deployment) status {
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
			out.trouble = &trouble{kind: "deadline", text: "no progress for " + fmt.Sprint(deadlineOf(d)) + " s (progressDeadlineSeconds): " +
				out.text, grace: g.Refused}
			return out
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue:
			out.trouble = &trouble{kind: troubleRefused, text: "its pods are refused: " + c.Message, grace: g.Refused}
		}
	}
	switch {
	case s.UpdatedReplicas != want, s.Replicas > s.UpdatedReplicas, s.AvailableReplicas < s.UpdatedReplicas:
		return out
	}
	return status{ready: true}
}

func (g Graces) replicaSet(r *appsv1.ReplicaSet) status {
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
			out.trouble = &trouble{kind: troubleRefused, text: "its pods are refused: " + c.Message, grace: g.Refused}
		}
	}
	return out
}

// podTrouble finds what keeps a pod from running. Of its restarts those in before do not count; the crashes of a Job's pods
// (TroubleCrash) are counted by the Job.
func (g Graces) podTrouble(p *corev1.Pod, before map[string]int32) *trouble {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return &trouble{kind: troubleUnschedulable, text: "pod " + p.Name + " finds no node: " + c.Message, grace: g.Unschedulable}
		}
	}
	for _, c := range containerStates(p) {
		waiting := c.State.Waiting
		if waiting == nil {
			continue
		}
		where := fmt.Sprintf("container %s of pod %s: %s", c.Name, p.Name, waiting.Reason)
		switch waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable", "SignatureValidationFailed":
			return &trouble{kind: troubleImage, text: where + afterColon(waiting.Message), grace: g.Image}
		case "InvalidImageName":
			return &trouble{kind: troubleImageName, text: where + afterColon(waiting.Message)}
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return &trouble{kind: troubleConfig, text: where + afterColon(waiting.Message), grace: g.Config}
		case "CrashLoopBackOff":
			if c.RestartCount-before[p.Name+"/"+c.Name] >= g.Crashes {
				return &trouble{kind: TroubleCrash, text: where + lastEnd(c)}
			}
		}
	}
	return nil
}

// MayStart is false for a pod none of whose containers has begun, because something is wrong that does not heal by itself.
func (g Graces) MayStart(p *corev1.Pod) bool {
	t := g.podTrouble(p, nil)
	if t == nil || t.kind == troubleUnschedulable || t.kind == TroubleCrash {
		return true
	}
	return slices.ContainsFunc(containerStates(p), func(c corev1.ContainerStatus) bool {
		return c.State.Running != nil || c.State.Terminated != nil || c.LastTerminationState.Terminated != nil
	})
}
