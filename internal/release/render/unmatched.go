// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// Unmatched is a rendered object that selects nothing that the release renders. What it selects may come from elsewhere.
type Unmatched struct {
	Object object.Key
	// Namespace is that of the objects that are selected; empty for the release's own.
	Namespace string
	// Kind is "Pod" or "Service" where Selector selects by labels, else the kind of the one object called Name.
	Kind     string
	Selector labels.Selector
	Name     string
	// Text says what is not rendered, and the cure.
	Text string
}

// FindUnmatched finds the rendered Services, PodDisruptionBudgets, NetworkPolicies, monitors and autoscalers that match nothing that is
// rendered. A release without workloads is about pods of others, and objects of an unknown kind may make pods: then nothing is found.
func FindUnmatched(r *Result) []Unmatched {
	all := reviewedOf(r, true)
	var pods []reviewed
	for _, o := range all {
		if object.PodTemplate(o.fields) != nil {
			pods = append(pods, o)
		} else if object.MayMakePods(o.apiVersion, o.kind) {
			return nil
		}
	}
	if len(pods) == 0 {
		return nil
	}
	var out []Unmatched
	for _, o := range all {
		if !r.ByKey[o.key].Hook {
			out = append(out, unmatched(o, all, pods)...)
		}
	}
	return out
}

func unmatched(o reviewed, all, pods []reviewed) []Unmatched {
	podLabels := func(w reviewed) labels.Set { return templateLabels(object.PodTemplate(w.fields)) }
	switch o.group() + "/" + o.kind {
	case "/Service":
		if selector, selects := serviceSelector(o.fields); selects {
			return o.selecting("Pod", selector, pods, podLabels,
				"It gets no endpoint. Correct the selector, or the labels of the pod template")
		}
	case "policy/PodDisruptionBudget":
		return o.selectingBy("Pod", pods, podLabels, "It protects no pod. Correct the selector", "spec", "selector")
	case "networking.k8s.io/NetworkPolicy":
		return o.selectingBy("Pod", pods, podLabels, "It applies to no pod. Correct the podSelector", "spec", "podSelector")
	case "monitoring.coreos.com/PodMonitor":
		if o.monitorsOwnNamespace() {
			return o.selectingBy("Pod", pods, podLabels, "Prometheus scrapes nothing by it. Correct the selector", "spec", "selector")
		}
	case "monitoring.coreos.com/ServiceMonitor":
		if o.monitorsOwnNamespace() {
			services := slices.DeleteFunc(slices.Clone(all), func(s reviewed) bool { return !s.isCore("Service") })
			return o.selectingBy("Service", services, reviewed.labels, "Prometheus scrapes nothing by it. Correct the selector", "spec", "selector")
		}
	case "autoscaling/HorizontalPodAutoscaler":
		return o.scaling(all)
	}
	return nil
}

// selectingBy is selecting with the label selector in a field. An empty selector selects everything.
func (o reviewed) selectingBy(kind string, among []reviewed, has func(reviewed) labels.Set, cure string, field ...string) []Unmatched {
	fields, found, err := unstructured.NestedMap(o.fields, field...)
	if err != nil || !found || len(fields) == 0 {
		return nil
	}
	var wanted metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &wanted); err != nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(&wanted)
	if err != nil || selector.Empty() || masked(selector.String()) {
		return nil // the API server says what is wrong with it
	}
	if requirements, _ := selector.Requirements(); slices.ContainsFunc(requirements, func(r labels.Requirement) bool {
		return object.IsGeneratedLabel(r.Key())
	}) {
		return nil
	}
	return o.selecting(kind, selector, among, has, cure)
}

// selecting returns what is unmatched where a selector matches none of the rendered objects.
func (o reviewed) selecting(
	kind string, selector labels.Selector, among []reviewed, has func(reviewed) labels.Set, cure string,
) []Unmatched {
	var there []string
	for _, other := range among {
		if other.namespace != o.namespace {
			continue
		}
		set := has(other)
		if selector.Matches(set) {
			return nil
		}
		there = append(there, fmt.Sprintf("%s with %s", other.key.Short(), set))
	}
	noun := map[string]string{"Pod": "pod", "Service": "Service"}[kind]
	text := fmt.Sprintf("its selector %s matches no rendered %s", selector, noun)
	if len(there) > 0 {
		const most = 3
		more := ""
		if len(there) > most {
			more = fmt.Sprintf(" and %d more", len(there)-most)
		}
		text += fmt.Sprintf(" (rendered: %s%s)", strings.Join(there[:min(len(there), most)], "; "), more)
	}
	return []Unmatched{{Object: o.key, Namespace: o.namespace, Kind: kind, Selector: selector, Text: text + ". " + cure}}
}

// scaling looks for the workload that an autoscaler names.
func (o reviewed) scaling(all []reviewed) []Unmatched {
	kind, _, _ := unstructured.NestedString(o.fields, "spec", "scaleTargetRef", "kind")
	name, _, _ := unstructured.NestedString(o.fields, "spec", "scaleTargetRef", "name")
	if !slices.Contains([]string{"Deployment", "StatefulSet", "ReplicaSet"}, kind) || name == "" || masked(name) ||
		slices.ContainsFunc(all, func(w reviewed) bool { return w.kind == kind && w.name == name && w.namespace == o.namespace }) {
		return nil
	}
	return []Unmatched{{Object: o.key, Namespace: o.namespace, Kind: kind, Name: name, Text: fmt.Sprintf(
		"it scales %s/%s, which is not rendered. It scales nothing. Correct scaleTargetRef", kind, name)}}
}

// monitorsOwnNamespace reports that a monitor is about objects of its own namespace only.
func (o reviewed) monitorsOwnNamespace() bool {
	selector, _, _ := unstructured.NestedMap(o.fields, "spec", "namespaceSelector")
	return len(selector) == 0
}
