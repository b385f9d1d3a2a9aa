// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// scaler scales the Deployments of a color.
type scaler struct {
	cluster   *cluster.Cluster
	client    kubernetes.Interface
	namespace string
	say       func(format string, values ...any)
}

// autoscalers are those of the namespace by the Deployment that they scale.
func (s scaler) autoscalers(ctx context.Context) (map[string]autoscalingv2.HorizontalPodAutoscaler, error) {
	list, err := s.client.AutoscalingV2().HorizontalPodAutoscalers(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, s.cluster.Classify(fmt.Errorf("listing the autoscalers of namespace %s: %w", s.namespace, err))
	}
	out := map[string]autoscalingv2.HorizontalPodAutoscaler{}
	for _, hpa := range list.Items {
		if hpa.Spec.ScaleTargetRef.Kind == "Deployment" {
			out[hpa.Spec.ScaleTargetRef.Name] = hpa
		}
	}
	return out, nil
}

// up gives Deployments at zero their replicas from before back, and one that an autoscaler owns as many as the live color has: an
// idle color has shrunk. It returns how many ready pods are needed, never more than the Deployments can have.
func (s scaler) up(ctx context.Context, found []appsv1.Deployment, before map[string]int32, needed int) (int, error) {
	autoscalers, err := s.autoscalers(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, d := range found {
		now := replicasOf(d)
		hpa, owned := autoscalers[d.Name]
		wanted := replicasToServe(now, before[d.Name], hpa, owned, needed, len(found) == 1)
		if wanted != now {
			s.say("scaling Deployment %s from %d to %d", d.Name, now, wanted)
			if err := s.scale(ctx, d.Name, wanted); err != nil {
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

func (s scaler) scale(ctx context.Context, deployment string, replicas int32) error {
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := s.client.AppsV1().Deployments(s.namespace).Patch(ctx, deployment, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: cluster.FieldManager}, "scale")
	if err != nil {
		return s.cluster.Classify(fmt.Errorf("scaling Deployment %s: %w", deployment, err))
	}
	return nil
}

// replicasOf are those that a Deployment wants.
func replicasOf(d appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
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
