// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// colorPoll is the time between two looks at what is waited for.
const colorPoll = 300 * time.Millisecond

// labelsOf are what pods of a color have; nil is any color.
func (b *blueGreen) labelsOf(color *string) map[string]string {
	out := maps.Clone(b.service.common)
	if color != nil {
		out[b.target.Label] = b.target.value(*color)
	}
	return out
}

// reader reads the pods of both colors.
func (b *blueGreen) reader() pods.Reader {
	return pods.Reader{Cluster: b.target.Cluster, Client: b.reads, Namespace: b.target.Handle.Namespace}
}

// lister lists the pods of a color for an analysis.
func (b *blueGreen) lister(color string) analysis.PodLister {
	return &analysis.SelectedPods{Client: b.reads, Namespace: b.target.Handle.Namespace, Selector: labels.Set(b.labelsOf(&color)).String()}
}

// podsOf are the pods of a color that are not terminating; nil is any color.
func (b *blueGreen) podsOf(ctx context.Context, color *string) ([]corev1.Pod, error) {
	return b.reader().List(ctx, b.labelsOf(color))
}

func (b *blueGreen) readyPods(ctx context.Context, color *string) (int, error) {
	all, err := b.podsOf(ctx, color)
	ready := 0
	for i := range all {
		if pods.Ready(&all[i]) {
			ready++
		}
	}
	return ready, err
}

// deployments are those whose pods have a color.
func (b *blueGreen) deployments(ctx context.Context, color string) ([]appsv1.Deployment, error) {
	return b.reader().Deployments(ctx, b.labelsOf(&color))
}

// content names the version that runs under a color, empty where there is none.
func (b *blueGreen) content(ctx context.Context, color string) (string, error) {
	return b.reader().Content(ctx, b.labelsOf(&color))
}

// endpoints are the names of the pods that a Service sends requests to.
func (b *blueGreen) endpoints(ctx context.Context, service string) ([]string, error) {
	return b.reader().Endpoints(ctx, service)
}

// servedByOthers reports that pods of another color have the traffic.
func (b *blueGreen) servedByOthers(color string) (bool, error) {
	if b.route != nil && b.service.has {
		return b.service.color != color, nil
	}
	behind, err := b.endpoints(b.ctx, b.target.Service)
	if err != nil {
		return false, err
	}
	own, err := b.podsOf(b.ctx, &color)
	if err != nil {
		return false, err
	}
	return len(without(behind, own)) > 0, nil
}

// without returns the names that are not those of own pods.
func without(names []string, own []corev1.Pod) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(own, func(p corev1.Pod) bool { return p.Name == name })
	})
}

// onlyPodsOf waits until a Service has at least so many ready pods of a color, and no other pods.
func (b *blueGreen) onlyPodsOf(ctx context.Context, service, color string, least int) error {
	return b.wait(ctx, fmt.Sprintf("Service %s has %d ready pods of %s and no others", service, least, color), func() (string, error) {
		behind, err := b.endpoints(ctx, service)
		if err != nil {
			return "", err
		}
		own, err := b.podsOf(ctx, &color)
		if err != nil {
			return "", err
		}
		others := without(behind, own)
		if len(others) == 0 && len(behind) >= least {
			return "", nil
		}
		text := fmt.Sprintf("It has %d of them", len(behind)-len(others))
		if len(others) > 0 {
			text += ", and others: " + strings.Join(others, ", ")
		}
		return text + "." + pods.NotReady(own), nil
	})
}

// wait looks until missing is empty. Errors: *NotReadyError when ctx ends first, but for an interruption.
func (b *blueGreen) wait(ctx context.Context, what string, look func() (missing string, err error)) error {
	last := ""
	for {
		missing, err := look()
		if err == nil && missing == "" {
			return nil
		}
		if err != nil && ctx.Err() == nil && !cluster.IsTransient(err) {
			return err
		}
		switch {
		case err != nil && ctx.Err() != nil:
			missing = "" // the end of the time, and not what was seen
		case err != nil:
			missing = err.Error() + "."
		}
		if missing != "" && missing != last {
			b.say("waiting until %s. %s", what, missing)
			last = missing
		}
		select {
		case <-time.After(colorPoll):
		case <-ctx.Done():
			if b.caller != nil && b.caller.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
				return fmt.Errorf("waiting until %s: %w", what, context.Cause(ctx))
			}
			return &NotReadyError{What: what, Observed: last, Live: b.service.describe(), Service: b.target.Service}
		}
	}
}

// getReady brings a color to where it can take over: scaled as far as the live one needs, rolled out, and alone behind the preview Service.
func (b *blueGreen) getReady(color string) error {
	behind, err := b.endpoints(b.ctx, b.target.Service)
	if err != nil {
		return err
	}
	serving := len(behind)
	if b.route != nil { // both colors are behind the Service
		other := Opposite(color)
		if serving, err = b.readyPods(b.ctx, &other); err != nil {
			return err
		}
	}
	found, err := b.deployments(b.ctx, color)
	if err != nil {
		return err
	}
	least, err := b.scaleUp(color, found, max(1, serving))
	if err != nil {
		return err
	}
	if err := b.rolledOut(color); err != nil {
		return err
	}
	return b.onlyPodsOf(b.ctx, b.target.Preview, color, least)
}

// rolledOut waits until no Deployment of a color has pods of an earlier template.
func (b *blueGreen) rolledOut(color string) error {
	return b.wait(b.ctx, "the rollout of "+color+" is complete", func() (string, error) {
		found, err := b.deployments(b.ctx, color)
		if err != nil {
			return "", err
		}
		for _, d := range found {
			wanted := int32(1)
			if d.Spec.Replicas != nil {
				wanted = *d.Spec.Replicas
			}
			if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < wanted || d.Status.Replicas > d.Status.UpdatedReplicas {
				own, err := b.podsOf(b.ctx, &color)
				return fmt.Sprintf("Deployment %s has %d of %d pods updated, and %d all in all.%s", d.Name, d.Status.UpdatedReplicas, wanted, d.Status.Replicas, pods.NotReady(own)), err
			}
		}
		return "", nil
	})
}

// autoscalers are those of the namespace by the Deployment that they scale.
func (b *blueGreen) autoscalers() (map[string]autoscalingv2.HorizontalPodAutoscaler, error) {
	list, err := b.reads.AutoscalingV2().HorizontalPodAutoscalers(b.target.Handle.Namespace).List(b.ctx, metav1.ListOptions{})
	if err != nil {
		return nil, b.target.Cluster.Classify(fmt.Errorf("listing the autoscalers of namespace %s: %w", b.target.Handle.Namespace, err))
	}
	out := map[string]autoscalingv2.HorizontalPodAutoscaler{}
	for _, hpa := range list.Items {
		if hpa.Spec.ScaleTargetRef.Kind == "Deployment" {
			out[hpa.Spec.ScaleTargetRef.Name] = hpa
		}
	}
	return out, nil
}

// scaleUp gives Deployments at zero their replicas back, and one that an autoscaler owns as many as the live color has: an idle color has
// shrunk. It returns how many ready pods are needed, never more than the Deployments can have.
func (b *blueGreen) scaleUp(color string, found []appsv1.Deployment, needed int) (int, error) {
	autoscalers, err := b.autoscalers()
	if err != nil {
		return 0, err
	}
	total := 0
	for _, d := range found {
		now := int32(1)
		if d.Spec.Replicas != nil {
			now = *d.Spec.Replicas
		}
		var before int32
		if scaled, ok := b.stored.record.Scaled[color]; ok {
			before = scaled[d.Name]
		}
		hpa, owned := autoscalers[d.Name]
		wanted := replicasToServe(now, before, hpa, owned, needed, len(found) == 1)
		if wanted != now {
			b.say("scaling Deployment %s from %d to %d", d.Name, now, wanted)
			if err := b.scale(d.Name, wanted); err != nil {
				return 0, err
			}
		}
		total += int(wanted)
	}
	if len(found) == 0 {
		return 1, nil // pods of another kind of workload
	}
	return max(1, min(needed, total)), nil
}

// replicasToServe is how many replicas a Deployment needs that is about to serve.
func replicasToServe(now, before int32, hpa autoscalingv2.HorizontalPodAutoscaler, owned bool, needed int, alone bool) int32 {
	wanted := now
	if now == 0 {
		wanted = max(before, 1)
		if owned && hpa.Spec.MinReplicas != nil {
			wanted = max(wanted, *hpa.Spec.MinReplicas)
		}
	}
	if owned {
		if alone {
			wanted = max(wanted, int32(min(needed, 1<<20))) //nolint:gosec // bounded just before
		}
		wanted = max(now, min(wanted, hpa.Spec.MaxReplicas))
	}
	return wanted
}

func (b *blueGreen) scale(deployment string, replicas int32) error {
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := b.gated.AppsV1().Deployments(b.target.Handle.Namespace).Patch(b.ctx, deployment, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: environment.FieldManager}, "scale")
	if err != nil {
		return b.target.Cluster.Classify(fmt.Errorf("scaling Deployment %s: %w", deployment, err))
	}
	return nil
}

// idle are the Deployments of the color that is not live, as long as they are what lost the traffic: a version that was brought up beside
// the live one since then is not scaled down.
func (b *blueGreen) idle(ctx context.Context) ([]appsv1.Deployment, error) {
	color := Opposite(b.service.color)
	found, err := b.deployments(ctx, color)
	if err != nil {
		return nil, err
	}
	content, err := b.content(ctx, color)
	if err != nil || content == "" || content != b.stored.record.PreviousContent {
		return nil, err
	}
	return slices.DeleteFunc(found, func(d appsv1.Deployment) bool { return d.Spec.Replicas != nil && *d.Spec.Replicas == 0 }), nil
}

// scaleDownPrevious scales the previous color to zero once it was kept for long enough. An autoscaler leaves a Deployment at zero alone.
func (b *blueGreen) scaleDownPrevious() error {
	record := &b.stored.record
	if !record.due(b.spec.Keep, time.Now()) {
		return nil
	}
	found, err := b.idle(b.ctx)
	if err != nil || len(found) == 0 {
		return err
	}
	color := Opposite(b.service.color)
	before := map[string]int32{}
	for _, d := range found {
		before[d.Name] = 1
		if d.Spec.Replicas != nil {
			before[d.Name] = *d.Spec.Replicas
		}
	}
	if record.Scaled == nil {
		record.Scaled = map[string]map[string]int32{}
	}
	record.Scaled[color] = before
	if err := b.save(b.ctx, b.gated); err != nil {
		return err
	}
	for _, d := range found {
		b.say("scaling Deployment %s of %s to 0, which is kept for %s", d.Name, color, *b.spec.Keep)
		if err := b.scale(d.Name, 0); err != nil {
			return err
		}
	}
	return nil
}
