// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// PodTemplate is a copy of the pod template of a workload; nil for other objects.
func PodTemplate(o map[string]any) map[string]any {
	kind, _ := o["kind"].(string)
	path := podTemplates[kind]
	if len(path) == 0 {
		return nil
	}
	template, _, err := unstructured.NestedMap(o, path...)
	if err != nil {
		return nil
	}
	return template
}

// HasReplicas reports that an object sets spec.replicas.
func HasReplicas(o map[string]any) bool {
	_, found, err := unstructured.NestedFieldNoCopy(o, "spec", "replicas")
	return found && err == nil
}

// WithoutReplicas returns a copy of an object without spec.replicas.
func WithoutReplicas(o map[string]any) map[string]any {
	out := DeepCopy(o)
	unstructured.RemoveNestedField(out, "spec", "replicas")
	return out
}
