// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package helmkube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	jsonpatch "github.com/evanphx/json-patch"
	"helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
)

// RefusedError is one object that the API server did not take.
type RefusedError struct {
	Object object.Key
	Verb   string
	// Hook says that it is a hook.
	Hook  bool
	Cause error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("cannot %s %s: %s", e.Verb, e.Object.Short(), explain.Library(e.Cause))
}

func (e *RefusedError) Unwrap() error { return e.Cause }

func isHookList(resources kube.ResourceList) bool {
	for _, info := range resources {
		accessor, err := meta.Accessor(info.Object)
		if err == nil && accessor.GetAnnotations()[helmrelease.HookAnnotation] != "" {
			return true
		}
	}
	return false
}

// shortNames lists objects as people speak of them.
func shortNames(resources kube.ResourceList) string {
	names := make([]string, 0, len(resources))
	for _, info := range resources {
		names = append(names, info.Mapping.GroupVersionKind.Kind+"/"+info.Name)
	}
	return strings.Join(names, ", ")
}

// sameObject compares by group, kind, namespace and name: an API version may have moved on.
func sameObject(a, b *resource.Info) bool {
	return a.Name == b.Name && a.Namespace == b.Namespace &&
		a.Mapping.GroupVersionKind.GroupKind() == b.Mapping.GroupVersionKind.GroupKind()
}

func containsObject(list kube.ResourceList, info *resource.Info) bool {
	for _, other := range list {
		if sameObject(other, info) {
			return true
		}
	}
	return false
}

// mergeOriginals lays versions of one object over each other, the last on top. As base of a three-way patch the result says:
// any field that one of them had, and the new one has not, is to go.
func mergeOriginals(versions kube.ResourceList) (*resource.Info, error) {
	base := *versions[0]
	merged, err := json.Marshal(base.Object)
	if err != nil {
		return nil, fmt.Errorf("reading a stored object: %w", err)
	}
	for _, version := range versions[1:] {
		next, err := json.Marshal(version.Object)
		if err != nil {
			return nil, fmt.Errorf("reading a stored object: %w", err)
		}
		typed := kube.AsVersioned(version)
		if _, untyped := typed.(runtime.Unstructured); untyped {
			merged, err = jsonpatch.MergePatch(merged, next)
		} else {
			merged, err = strategicpatch.StrategicMergePatch(merged, next, typed)
		}
		if err != nil {
			return nil, fmt.Errorf("merging stored versions of %s/%s: %w", base.Mapping.GroupVersionKind.Kind, base.Name, err)
		}
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(merged); err != nil {
		return nil, fmt.Errorf("reading a merged object: %w", err)
	}
	base.Object = out
	return &base, nil
}

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

// startScaled gives workloads that are to be made, and leave their number of pods to an autoscaler of the same release, the least that it
// will give them. The API server would make one pod, and the others would start when the apply has ended.
func startScaled(target kube.ResourceList) error {
	least := map[autoscale.Target]int64{}
	for _, info := range target {
		fields, err := fieldsOf(info)
		if err != nil {
			return err
		}
		autoscale.AddLeast(least, info.Namespace, fields)
	}
	for _, info := range target {
		n := least[autoscale.Target{Namespace: info.Namespace, Kind: info.Mapping.GroupVersionKind.Kind, Name: info.Name}]
		fields, err := fieldsOf(info)
		if err != nil {
			return err
		}
		given, _, _ := unstructured.NestedFieldNoCopy(fields, "spec", "replicas")
		if n == 0 || given != nil {
			continue
		}
		fields = object.DeepCopy(fields)
		if err := unstructured.SetNestedField(fields, n, "spec", "replicas"); err != nil {
			return fmt.Errorf("setting the replicas of %s/%s: %w", info.Mapping.GroupVersionKind.Kind, info.Name, err)
		}
		info.Object = &unstructured.Unstructured{Object: fields}
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
