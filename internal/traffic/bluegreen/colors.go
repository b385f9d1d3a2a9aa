// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// colors reads the pods of both colors. Errors of all methods as from cluster.Classify.
type colors struct {
	reader pods.Reader
	target Target
	// common is what the pods of both colors have.
	common map[string]string
}

// labels are what pods of a color have; nil is any color.
func (c colors) labels(color *string) map[string]string {
	out := maps.Clone(c.common)
	if color != nil {
		out[c.target.Label] = c.target.value(*color)
	}
	return out
}

// lister lists the pods of a color for an analysis.
func (c colors) lister(color string) analysis.PodLister {
	return &analysis.SelectedPods{
		Client: c.reader.Client, Namespace: c.reader.Namespace, Selector: labels.Set(c.labels(&color)).String(),
	}
}

// pods are those of a color that are not terminating.
func (c colors) pods(ctx context.Context, color string) ([]corev1.Pod, error) {
	return c.reader.List(ctx, c.labels(&color))
}

// ready counts the ready pods of a color; nil is any color.
func (c colors) ready(ctx context.Context, color *string) (int, error) {
	all, err := c.reader.List(ctx, c.labels(color))
	ready := 0
	for i := range all {
		if pods.Ready(&all[i]) {
			ready++
		}
	}
	return ready, err
}

// deployments are those whose pods have a color.
func (c colors) deployments(ctx context.Context, color string) ([]appsv1.Deployment, error) {
	return c.reader.Deployments(ctx, c.labels(&color))
}

// content names the version that runs under a color, empty where there is none.
func (c colors) content(ctx context.Context, color string) (string, error) {
	return c.reader.Content(ctx, c.labels(&color))
}

// behind returns how many pods of a color are behind a Service, and the names of the others there.
func (c colors) behind(ctx context.Context, service, color string) (own []corev1.Pod, count int, others []string, err error) {
	names, err := c.reader.Endpoints(ctx, service)
	if err != nil {
		return nil, 0, nil, err
	}
	if own, err = c.pods(ctx, color); err != nil {
		return nil, 0, nil, err
	}
	others = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(own, func(p corev1.Pod) bool { return p.Name == name })
	})
	return own, len(names) - len(others), others, nil
}

// idle are the Deployments of a color that is not live, as long as they run what lost the traffic: a version that was brought up
// next to the live one since then is not scaled down.
func (c colors) idle(ctx context.Context, color, lost string) ([]appsv1.Deployment, error) {
	found, err := c.deployments(ctx, color)
	if err != nil {
		return nil, err
	}
	content, err := c.content(ctx, color)
	if err != nil || content == "" || content != lost {
		return nil, err
	}
	return slices.DeleteFunc(found, func(d appsv1.Deployment) bool { return d.Spec.Replicas != nil && *d.Spec.Replicas == 0 }), nil
}
