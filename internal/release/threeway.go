// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"

	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
)

// dropHPAReplicas takes spec.replicas out of every workload that is in both lists and has an autoscaler, in target or in the
// cluster, so that a patch leaves alone what the autoscaler has set. A workload that is to be made keeps its replicas.
func dropHPAReplicas(ctx context.Context, source autoscale.Source, original, target kube.ResourceList) error {
	targets := map[autoscale.Target]bool{}
	for _, info := range target {
		fields, err := fieldsOf(info)
		if err != nil {
			return err
		}
		autoscale.AddRendered(targets, info.Namespace, fields)
	}
	for _, info := range target {
		before := original.Get(info)
		fields, err := fieldsOf(info)
		if err != nil {
			return err
		}
		if before == nil {
			continue
		}
		stored, err := fieldsOf(before)
		if err != nil {
			return err
		}
		// Replicas that only the stored object has would be taken away from the autoscaler just as well.
		if !object.HasReplicas(fields) && !object.HasReplicas(stored) {
			continue
		}
		if err := autoscale.AddLive(ctx, source, info.Namespace, targets); err != nil {
			return err
		}
		if !targets[autoscale.Target{Namespace: info.Namespace, Kind: info.Mapping.GroupVersionKind.Kind, Name: info.Name}] {
			continue
		}
		for _, which := range []*resource.Info{before, info} {
			if err := dropReplicas(which); err != nil {
				return err
			}
		}
	}
	return nil
}

func dropReplicas(info *resource.Info) error {
	fields, err := fieldsOf(info)
	if err != nil {
		return err
	}
	info.Object = &unstructured.Unstructured{Object: object.WithoutReplicas(fields)}
	return nil
}

// fieldsOf are the fields of an object as Helm built it.
func fieldsOf(info *resource.Info) (map[string]any, error) {
	if u, ok := info.Object.(*unstructured.Unstructured); ok {
		return u.Object, nil
	}
	if info.Object == nil {
		return nil, errors.New("an object of the manifest is empty")
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(info.Object)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", info.Name, err)
	}
	return fields, nil
}
