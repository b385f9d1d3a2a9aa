// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

const (
	deploymentRevision = "deployment.kubernetes.io/revision"
	daemonSetTemplate  = "deprecated.daemonset.template.generation"
	// noPodsAfter is how long a workload may be without pods before its events are asked why.
	noPodsAfter = 4 * time.Second
)

// judge sets the status of one object: by itself, then by the pods that it made for its present template.
func (o *operation) judge(w *watched, hook bool) error {
	if w.live == nil {
		w.status = status{text: "does not exist", trouble: &trouble{
			kind: "vanished", text: "it is not there any more: somebody deleted it, or its namespace", grace: o.graces.vanished,
		}}
		return nil
	}
	s, err := o.graces.readiness(w.live)
	if err != nil {
		return err
	}
	if hook {
		s = hookStatus(w.live, s)
	}
	w.status = s
	if s.ready || s.unseen || s.trouble != nil && s.trouble.grace == 0 {
		return nil
	}
	if w.live.GetKind() == "PersistentVolumeClaim" {
		return o.judgeClaim(w)
	}
	if time.Since(w.podsAt) >= podsEvery {
		if w.podTrouble, err = o.judgePods(w); err != nil {
			return err
		}
		w.podsAt = time.Now()
	}
	// What hinders a container says more than what the workload makes of it.
	if w.podTrouble != nil {
		w.status.trouble = w.podTrouble
	}
	return nil
}

// judgePods finds what keeps the pods of a workload from running. Those of an earlier template may be broken without being in the
// way.
func (o *operation) judgePods(w *watched) (*trouble, error) {
	pods, selector, err := o.allPods(o.ctx, w.live)
	if err != nil {
		return nil, err
	}
	w.remember(pods)
	if len(pods) == 0 && makesPods(w.live) && time.Since(w.live.GetCreationTimestamp().Time) > noPodsAfter {
		return o.refusedPods(w.live)
	}
	found := func(p *corev1.Pod) *trouble {
		t := o.graces.podTrouble(p, w.restarts)
		if t != nil && t.kind == "crash" && w.live.GetKind() == "Job" {
			return nil
		}
		return t
	}
	broken := slices.DeleteFunc(pods, func(p corev1.Pod) bool { return found(&p) == nil })
	if len(broken) == 0 {
		return nil, nil
	}
	if broken, err = o.presentPods(o.ctx, w.live, selector, broken); err != nil || len(broken) == 0 {
		return nil, err
	}
	return found(&broken[0]), nil
}

// remember keeps the restarts that the first look finds.
func (w *watched) remember(pods []corev1.Pod) {
	if w.restarts != nil {
		return
	}
	w.restarts = map[string]int32{}
	for i := range pods {
		for _, c := range containerStates(&pods[i]) {
			w.restarts[pods[i].Name+"/"+c.Name] = c.RestartCount
		}
	}
}

// containerStates are the states of all containers of a pod, in the order in which they start.
func containerStates(p *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses)
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

func makesPods(live *unstructured.Unstructured) bool {
	switch live.GetKind() {
	case "StatefulSet", "DaemonSet", "Job":
		return true
	}
	return false
}

// judgeClaim passes claims that wait for their first pod: the pod is waited for anyway.
func (o *operation) judgeClaim(w *watched) error {
	name, _, _ := unstructured.NestedString(w.live.Object, "spec", "storageClassName")
	if name == "" {
		return nil
	}
	class, err := o.reads.StorageV1().StorageClasses().Get(o.ctx, name, metav1.GetOptions{})
	if err != nil {
		// Storage classes are cluster-wide, and reading them is no right that a deployer must have.
		w.status.text += fmt.Sprintf(" (its storage class cannot be read: %s)", explain.Library(err))
		return nil //nolint:nilerr // Said in the status.
	}
	if class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer {
		w.status = status{ready: true}
	}
	return nil
}

// podsOf lists the pods that a workload made for its present template.
func (o *operation) podsOf(ctx context.Context, live *unstructured.Unstructured) ([]corev1.Pod, error) {
	pods, selector, err := o.allPods(ctx, live)
	if err != nil {
		return nil, err
	}
	return o.presentPods(ctx, live, selector, pods)
}

// allPods lists the pods of a workload, and returns its selector. A bare Pod is its own, and has none.
func (o *operation) allPods(ctx context.Context, live *unstructured.Unstructured) ([]corev1.Pod, string, error) {
	if live.GetKind() == "Pod" {
		var p corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &p); err != nil {
			return nil, "", fmt.Errorf("reading Pod/%s: %w", live.GetName(), err)
		}
		return []corev1.Pod{p}, "", nil
	}
	selector, err := selectorOf(live)
	if err != nil || selector == "" {
		return nil, "", err
	}
	list, err := o.reads.CoreV1().Pods(live.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, "", fmt.Errorf("listing the pods of %s/%s: %w", live.GetKind(), live.GetName(), err)
	}
	return list.Items, selector, nil
}

// presentPods leaves out the pods of earlier templates.
func (o *operation) presentPods(ctx context.Context, live *unstructured.Unstructured, selector string, pods []corev1.Pod) ([]corev1.Pod, error) {
	if len(pods) == 0 {
		return nil, nil
	}
	key, value, err := o.templateLabel(ctx, live, selector)
	if err != nil || key == "" {
		return pods, err
	}
	return slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.Labels[key] != value }), nil
}

func selectorOf(live *unstructured.Unstructured) (string, error) {
	fields, found, err := unstructured.NestedMap(live.Object, "spec", "selector")
	if err != nil || !found {
		return "", nil //nolint:nilerr // Not a workload.
	}
	if live.GetKind() == "ReplicationController" {
		set := labels.Set{}
		for k, v := range fields {
			set[k], _ = v.(string)
		}
		return set.String(), nil
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &selector); err != nil {
		return "", fmt.Errorf("reading the selector of %s/%s: %w", live.GetKind(), live.GetName(), err)
	}
	return metav1.FormatLabelSelector(&selector), nil
}

// templateLabel is the label by which the pods of the present template are told from those of earlier ones, which may be broken
// without being in the way.
func (o *operation) templateLabel(ctx context.Context, live *unstructured.Unstructured, selector string) (key, value string, err error) {
	switch live.GetKind() {
	case "Deployment":
		set, err := o.newestReplicaSet(ctx, live, selector)
		if err != nil || set == nil {
			// Before its first replica set a deployment has no pods of the present template.
			return appsv1.DefaultDeploymentUniqueLabelKey, "none yet", err
		}
		return appsv1.DefaultDeploymentUniqueLabelKey, set.Labels[appsv1.DefaultDeploymentUniqueLabelKey], nil
	case "StatefulSet":
		revision, _, err := unstructured.NestedString(live.Object, "status", "updateRevision")
		return appsv1.ControllerRevisionHashLabelKey, revision, err
	case "DaemonSet":
		return appsv1.DeprecatedTemplateGeneration, live.GetAnnotations()[daemonSetTemplate], nil
	}
	return "", "", nil
}

func (o *operation) newestReplicaSet(ctx context.Context, live *unstructured.Unstructured, selector string) (*appsv1.ReplicaSet, error) {
	list, err := o.reads.AppsV1().ReplicaSets(live.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("listing the replica sets of Deployment/%s: %w", live.GetName(), err)
	}
	for i := range list.Items {
		set := &list.Items[i]
		if metav1.IsControlledBy(set, live) && set.Annotations[deploymentRevision] == live.GetAnnotations()[deploymentRevision] {
			return set, nil
		}
	}
	return nil, nil
}

// podTrouble finds what keeps a pod from running. Of its restarts those in before do not count; the crashes of a Job's pods
// ("crash") are counted by the Job.
func (g graces) podTrouble(p *corev1.Pod, before map[string]int32) *trouble {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return &trouble{kind: "unschedulable", text: "pod " + p.Name + " finds no node: " + c.Message, grace: g.unschedulable}
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
			return &trouble{kind: "image", text: where + afterColon(waiting.Message), grace: g.image}
		case "InvalidImageName":
			return &trouble{kind: "image name", text: where + afterColon(waiting.Message)}
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return &trouble{kind: "config", text: where + afterColon(waiting.Message), grace: g.config}
		case "CrashLoopBackOff":
			if c.RestartCount-before[p.Name+"/"+c.Name] >= g.crashes {
				return &trouble{kind: "crash", text: where + lastEnd(c)}
			}
		}
	}
	return nil
}

// lastEnd says how a container ended last.
func lastEnd(c corev1.ContainerStatus) string {
	t := c.LastTerminationState.Terminated
	if t == nil {
		t = c.State.Terminated
	}
	if t == nil {
		return ""
	}
	out := fmt.Sprintf(", exit code %d", t.ExitCode)
	if c.RestartCount > 0 {
		out = fmt.Sprintf(", restarted %d times, last exit code %d", c.RestartCount, t.ExitCode)
	}
	if t.Reason != "" && t.Reason != "Error" {
		out += " (" + t.Reason + ")"
	}
	if m := strings.TrimSpace(t.Message); m != "" {
		out += ": " + m
	}
	return out
}

// refusedPods asks the events of a workload that has no pods. Unlike Deployments, these kinds have no condition for it.
func (o *operation) refusedPods(live *unstructured.Unstructured) (*trouble, error) {
	list, err := o.reads.CoreV1().Events(live.GetNamespace()).List(o.ctx, metav1.ListOptions{
		FieldSelector: "type=Warning,reason=FailedCreate,involvedObject.uid=" + string(live.GetUID()),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the events of %s/%s: %w", live.GetKind(), live.GetName(), err)
	}
	var newest *corev1.Event
	for i := range list.Items {
		if e := &list.Items[i]; newest == nil || eventTime(newest).Before(eventTime(e)) {
			newest = e
		}
	}
	if newest == nil {
		return nil, nil
	}
	return &trouble{kind: "refused", text: "its pods are refused: " + newest.Message, grace: o.graces.refused}, nil
}

func eventTime(e *corev1.Event) time.Time {
	switch {
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}
