// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch"
	"helm.sh/helm/v3/pkg/kube"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/kubernetes"
)

// threeWayPatch is the patch with which Helm brings a live object from base to target: what base and target have in common
// stays as it is unless it was changed by hand, what only base has goes, and what others added stays. Kinds that client-go
// knows get a strategic merge patch, all others a JSON merge patch from base to target, which does not look at live.
// A nil patch says that nothing is to be sent.
func threeWayPatch(mapping *meta.RESTMapping, base, target, live map[string]any) ([]byte, types.PatchType, error) {
	before, err := json.Marshal(base)
	if err != nil {
		return nil, "", fmt.Errorf("writing the stored object: %w", err)
	}
	after, err := json.Marshal(target)
	if err != nil {
		return nil, "", fmt.Errorf("writing the rendered object: %w", err)
	}
	now, err := json.Marshal(live)
	if err != nil {
		return nil, "", fmt.Errorf("writing the live object: %w", err)
	}
	versioned := kube.AsVersioned(&resource.Info{Mapping: mapping, Object: &unstructured.Unstructured{Object: target}})
	var patch []byte
	kind := types.StrategicMergePatchType
	if _, untyped := versioned.(runtime.Unstructured); untyped {
		kind = types.MergePatchType
		patch, err = jsonpatch.CreateMergePatch(before, after)
	} else {
		var schema strategicpatch.PatchMetaFromStruct
		if schema, err = strategicpatch.NewPatchMetaFromStruct(versioned); err == nil {
			patch, err = strategicpatch.CreateThreeWayMergePatch(before, after, now, schema, true)
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("computing the patch: %w", err)
	}
	if len(patch) == 0 || string(patch) == "{}" {
		return nil, kind, nil
	}
	return patch, kind, nil
}

// scaled names a workload whose replicas a HorizontalPodAutoscaler sets.
type scaled struct{ namespace, kind, name string }

// autoscalerSource lists the live HorizontalPodAutoscalers of a namespace. Nil: only those of manifests are known.
type autoscalerSource func(ctx context.Context, namespace string) ([]autoscalingv2.HorizontalPodAutoscaler, error)

// liveAutoscalers asks the cluster, once for each namespace and source. It is not safe for concurrent use.
func liveAutoscalers(client kubernetes.Interface) autoscalerSource {
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

// dropHPAReplicas takes spec.replicas out of every workload that is in both lists and has an autoscaler, in target or in the
// cluster, so that a patch leaves alone what the autoscaler has set. A workload that is to be made keeps its replicas.
func dropHPAReplicas(ctx context.Context, source autoscalerSource, original, target kube.ResourceList) error {
	targets := map[scaled]bool{}
	for _, info := range target {
		fields, err := fieldsOf(info)
		if err != nil {
			return err
		}
		addScaleTarget(targets, info.Namespace, fields)
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
		if !hasReplicas(fields) && !hasReplicas(stored) {
			continue
		}
		if err := addLiveTargets(ctx, source, info.Namespace, targets); err != nil {
			return err
		}
		if !targets[scaled{info.Namespace, info.Mapping.GroupVersionKind.Kind, info.Name}] {
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

// addScaleTarget adds what a HorizontalPodAutoscaler scales; other objects add nothing.
func addScaleTarget(targets map[scaled]bool, namespace string, o map[string]any) {
	if o["kind"] != "HorizontalPodAutoscaler" {
		return
	}
	kind, _, _ := unstructured.NestedString(o, "spec", "scaleTargetRef", "kind")
	name, _, _ := unstructured.NestedString(o, "spec", "scaleTargetRef", "name")
	if name != "" {
		targets[scaled{namespace, kind, name}] = true
	}
}

func addLiveTargets(ctx context.Context, source autoscalerSource, namespace string, targets map[scaled]bool) error {
	if source == nil {
		return nil
	}
	live, err := source(ctx, namespace)
	if err != nil {
		return err
	}
	for _, hpa := range live {
		targets[scaled{namespace, hpa.Spec.ScaleTargetRef.Kind, hpa.Spec.ScaleTargetRef.Name}] = true
	}
	return nil
}

func hasReplicas(o map[string]any) bool {
	_, found, err := unstructured.NestedFieldNoCopy(o, "spec", "replicas")
	return found && err == nil
}

// withoutReplicas returns a copy without spec.replicas.
func withoutReplicas(o map[string]any) map[string]any {
	out := deepCopyMap(o)
	unstructured.RemoveNestedField(out, "spec", "replicas")
	return out
}

func dropReplicas(info *resource.Info) error {
	fields, err := fieldsOf(info)
	if err != nil {
		return err
	}
	info.Object = &unstructured.Unstructured{Object: withoutReplicas(fields)}
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
