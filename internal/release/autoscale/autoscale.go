// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package autoscale finds the workloads whose number of pods a HorizontalPodAutoscaler sets.
package autoscale

import (
	"context"
	"encoding/json"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
)

// Target names a workload whose replicas a HorizontalPodAutoscaler sets.
type Target struct{ Namespace, Kind, Name string }

// Source lists the live HorizontalPodAutoscalers of a namespace. Nil: only those of manifests are known.
type Source func(ctx context.Context, namespace string) ([]autoscalingv2.HorizontalPodAutoscaler, error)

// Live asks the cluster, once for each namespace and source. It is not safe for concurrent use.
func Live(client kubernetes.Interface) Source {
	known := map[string][]autoscalingv2.HorizontalPodAutoscaler{}
	return func(ctx context.Context, namespace string) ([]autoscalingv2.HorizontalPodAutoscaler, error) {
		if found, ok := known[namespace]; ok {
			return found, nil
		}
		list, err := client.AutoscalingV2().HorizontalPodAutoscalers(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing HorizontalPodAutoscalers in namespace %s: %w", namespace, err)
		}
		known[namespace] = list.Items
		return list.Items, nil
	}
}

// AddRendered adds what a HorizontalPodAutoscaler scales; other objects add nothing.
func AddRendered(targets map[Target]bool, namespace string, o map[string]any) {
	if o["kind"] != "HorizontalPodAutoscaler" {
		return
	}
	kind, _, _ := unstructured.NestedString(o, "spec", "scaleTargetRef", "kind")
	name, _, _ := unstructured.NestedString(o, "spec", "scaleTargetRef", "name")
	if name != "" {
		targets[Target{namespace, kind, name}] = true
	}
}

// AddLeast adds the least number of pods that a HorizontalPodAutoscaler gives its workload; other objects, and those that leave it at one,
// add nothing.
func AddLeast(least map[Target]int64, namespace string, o map[string]any) {
	targets := map[Target]bool{}
	AddRendered(targets, namespace, o)
	value, found, err := unstructured.NestedFieldNoCopy(o, "spec", "minReplicas")
	n, isNumber := wholeNumber(value)
	if !found || err != nil || !isNumber || n < 2 {
		return
	}
	for target := range targets {
		least[target] = n
	}
}

func wholeNumber(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		return int64(v), true
	case json.Number:
		n, err := v.Int64()
		return n, err == nil
	}
	return 0, false
}

// AddLive adds the workloads that the live HorizontalPodAutoscalers of a namespace scale.
func AddLive(ctx context.Context, source Source, namespace string, targets map[Target]bool) error {
	if source == nil {
		return nil
	}
	live, err := source(ctx, namespace)
	if err != nil {
		return err
	}
	for _, hpa := range live {
		targets[Target{namespace, hpa.Spec.ScaleTargetRef.Kind, hpa.Spec.ScaleTargetRef.Name}] = true
	}
	return nil
}
