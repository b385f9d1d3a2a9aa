// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// helmLabel is on every object of every release but hooks, so that one LIST can replace many GETs.
const (
	helmLabel      = cluster.LabelManagedBy
	helmLabelValue = "Helm"
)

const (
	deploymentRevision = "deployment.kubernetes.io/revision"
	daemonSetTemplate  = "deprecated.daemonset.template.generation"
)

// reader reads what is live of the objects that are waited for, and their pods.
type reader struct {
	kubernetes kubernetes.Interface
	dynamic    dynamic.Interface
	// namespace is that of the release: objects in it are named without it.
	namespace string
}

// key names an object.
func (r reader) key(info *resource.Info) object.Key {
	apiVersion, kind := info.Mapping.GroupVersionKind.ToAPIVersionAndKind()
	return object.NewKey(apiVersion, kind, info.Namespace, info.Name, r.namespace)
}

// place is a kind in a namespace.
type place struct {
	gvr       schema.GroupVersionResource
	namespace string
}

// fetch reads what is live: one request per kind and namespace.
func (r reader) fetch(ctx context.Context, all []*watched) error {
	groups := map[place][]*watched{}
	for _, o := range all {
		p := place{o.info.Mapping.Resource, o.info.Namespace}
		accessor, err := meta.Accessor(o.info.Object)
		if err == nil && accessor.GetLabels()[helmLabel] == helmLabelValue {
			groups[p] = append(groups[p], o)
			continue
		}
		// Hooks and CRDs do not carry the label.
		if err := r.fetchGroup(ctx, p, []*watched{o}); err != nil {
			return err
		}
	}
	for p, group := range groups {
		if err := r.fetchGroup(ctx, p, group); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) fetchGroup(ctx context.Context, p place, group []*watched) error {
	var client dynamic.ResourceInterface = r.dynamic.Resource(p.gvr)
	if p.namespace != "" {
		client = r.dynamic.Resource(p.gvr).Namespace(p.namespace)
	}
	if len(group) == 1 {
		live, err := client.Get(ctx, group[0].info.Name, metav1.GetOptions{})
		if cluster.IsNotFound(err) {
			live, err = nil, nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", r.key(group[0].info).Short(), err)
		}
		group[0].live = live
		return nil
	}
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: helmLabel + "=" + helmLabelValue})
	if err != nil {
		return fmt.Errorf("listing %s: %w", p.gvr.Resource, err)
	}
	byName := make(map[string]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		byName[list.Items[i].GetName()] = &list.Items[i]
	}
	for _, o := range group {
		o.live = byName[o.info.Name]
	}
	return nil
}

// fetchEach reads object by object: hooks, and what is being deleted, carry no label to list by.
func (r reader) fetchEach(ctx context.Context, all []*watched) error {
	for _, o := range all {
		if err := r.fetchGroup(ctx, place{o.info.Mapping.Resource, o.info.Namespace}, []*watched{o}); err != nil {
			return err
		}
	}
	return nil
}

// podsOf lists the pods that a workload made for its present template.
func (r reader) podsOf(ctx context.Context, live *unstructured.Unstructured) ([]corev1.Pod, error) {
	pods, selector, err := r.allPods(ctx, live)
	if err != nil {
		return nil, err
	}
	return r.presentPods(ctx, live, selector, pods)
}

// allPods lists the pods of a workload, and returns its selector. A bare Pod is its own, and has none.
func (r reader) allPods(ctx context.Context, live *unstructured.Unstructured) ([]corev1.Pod, string, error) {
	if live.GetKind() == "Pod" {
		var p corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &p); err != nil {
			return nil, "", fmt.Errorf("reading Pod/%s: %w", live.GetName(), err)
		}
		return []corev1.Pod{p}, "", nil
	}
	selector, err := SelectorOf(live)
	if err != nil || selector == "" {
		return nil, "", err
	}
	list, err := r.kubernetes.CoreV1().Pods(live.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, "", fmt.Errorf("listing the pods of %s/%s: %w", live.GetKind(), live.GetName(), err)
	}
	return list.Items, selector, nil
}

// presentPods leaves out the pods of earlier templates.
func (r reader) presentPods(ctx context.Context, live *unstructured.Unstructured, selector string, pods []corev1.Pod) ([]corev1.Pod,
	error) {
	if len(pods) == 0 {
		return nil, nil
	}
	key, value, err := r.templateLabel(ctx, live, selector)
	if err != nil || key == "" {
		return pods, err
	}
	return slices.DeleteFunc(pods, func(p corev1.Pod) bool { return p.Labels[key] != value }), nil
}

// templateLabel is the label by which the pods of the present template are distinguished from those of earlier ones, which may be broken
// without being in the way.
func (r reader) templateLabel(ctx context.Context, live *unstructured.Unstructured, selector string) (key, value string, err error) {
	switch live.GetKind() {
	case "Deployment":
		set, err := r.newestReplicaSet(ctx, live, selector)
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

func (r reader) newestReplicaSet(ctx context.Context, live *unstructured.Unstructured, selector string) (*appsv1.ReplicaSet, error) {
	list, err := r.kubernetes.AppsV1().ReplicaSets(live.GetNamespace()).List(ctx, metav1.ListOptions{LabelSelector: selector})
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

// refusedPods asks the events of a workload that has no pods. Unlike Deployments, these kinds have no condition for it.
func (r reader) refusedPods(ctx context.Context, live *unstructured.Unstructured) (message string, err error) {
	list, err := r.kubernetes.CoreV1().Events(live.GetNamespace()).List(ctx, metav1.ListOptions{
		FieldSelector: "type=Warning,reason=FailedCreate,involvedObject.uid=" + string(live.GetUID()),
	})
	if err != nil {
		return "", fmt.Errorf("listing the events of %s/%s: %w", live.GetKind(), live.GetName(), err)
	}
	var newest *corev1.Event
	for i := range list.Items {
		if e := &list.Items[i]; newest == nil || eventTime(newest).Before(eventTime(e)) {
			newest = e
		}
	}
	if newest == nil {
		return "", nil
	}
	return newest.Message, nil
}

// SelectorOf returns the selector of the pods of a workload, empty for objects that are none.
func SelectorOf(live *unstructured.Unstructured) (string, error) {
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
