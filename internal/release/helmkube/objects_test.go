// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package helmkube

import (
	"context"
	"errors"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/kube"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/threeway"
)

func infoOf(apiVersion, kind, name string, spec map[string]any) *resource.Info {
	gvk := schema.FromAPIVersionAndKind(apiVersion, kind)
	return &resource.Info{
		Namespace: "shop", Name: name,
		Mapping: &meta.RESTMapping{GroupVersionKind: gvk, Scope: meta.RESTScopeNamespace},
		Object: &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind,
			"metadata": map[string]any{"name": name}, "spec": spec}},
	}
}

func TestDropHPAReplicas_OnlyWhereAnAutoscalerSetsThem(t *testing.T) {
	deployment := func(name string) *resource.Info {
		return infoOf("apps/v1", "Deployment", name, map[string]any{"replicas": int64(2)})
	}
	rendered := infoOf("autoscaling/v2", "HorizontalPodAutoscaler", "h",
		map[string]any{"scaleTargetRef": map[string]any{"kind": "Deployment", "name": "rendered"}})
	original := kube.ResourceList{deployment("rendered"), deployment("live"), deployment("fixed")}
	target := kube.ResourceList{deployment("rendered"), deployment("live"), deployment("fixed"), deployment("new"), rendered}
	asked := 0
	source := func(_ context.Context, namespace string) ([]autoscalingv2.HorizontalPodAutoscaler, error) {
		asked++
		if namespace != "shop" {
			t.Errorf("asked for namespace %q", namespace)
		}
		return []autoscalingv2.HorizontalPodAutoscaler{
			{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment",
				Name: "live"}}},
			{Spec: autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment",
				Name: "new"}}},
		}, nil
	}
	if err := dropHPAReplicas(t.Context(), source, original, target); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"rendered": false, "live": false, "fixed": true, "new": true}
	for _, list := range []kube.ResourceList{original, target} {
		for _, info := range list {
			fields, err := fieldsOf(info)
			if err != nil {
				t.Fatal(err)
			}
			if keeps, relevant := want[info.Name]; relevant && object.HasReplicas(fields) != keeps {
				t.Errorf("%s has replicas: %v", info.Name, !keeps)
			}
		}
	}
	if asked == 0 {
		t.Error("the cluster was not asked")
	}
}

func TestDropHPAReplicas_PassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	source := func(context.Context, string) ([]autoscalingv2.HorizontalPodAutoscaler, error) { return nil, broken }
	list := kube.ResourceList{infoOf("apps/v1", "Deployment", "a", map[string]any{"replicas": int64(2)})}
	if err := dropHPAReplicas(t.Context(), source, list, list); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}

func TestThreeWayPatch_IsOfTheTypeThatHelmSends(t *testing.T) {
	container := func(image string) map[string]any {
		return map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "a", "image": image}}}}
	}
	side := func(o map[string]any) map[string]any {
		spec, _ := o["spec"].(map[string]any)
		containers, _ := spec["containers"].([]any)
		spec["containers"] = append(containers, map[string]any{"name": "injected", "image": "x"})
		return o
	}
	object := func(apiVersion, kind string, o map[string]any) map[string]any {
		o["apiVersion"], o["kind"], o["metadata"] = apiVersion, kind, map[string]any{"name": "a"}
		return o
	}
	cases := []struct {
		apiVersion, kind string
		patchType        types.PatchType
	}{
		{"v1", "Pod", types.StrategicMergePatchType},
		{"example.com/v1", "Pod", types.MergePatchType},
	}
	for _, c := range cases {
		t.Run(c.apiVersion, func(t *testing.T) {
			mapping := &meta.RESTMapping{GroupVersionKind: schema.FromAPIVersionAndKind(c.apiVersion, c.kind)}
			base, target := object(c.apiVersion, c.kind, container("v1")), object(c.apiVersion, c.kind, container("v2"))
			live := object(c.apiVersion, c.kind, side(container("v1")))
			patch, kind, err := threeway.Patch(mapping, base, target, live)
			if err != nil || kind != c.patchType || !strings.Contains(string(patch), `"image":"v2"`) {
				t.Fatalf("patch %s of type %s, error %v", patch, kind, err)
			}
			if same, _, err := threeway.Patch(mapping, target, target, object(c.apiVersion, c.kind, container("v2"))); err != nil || same != nil {
				t.Errorf("nothing changes, and the patch is %s (%v)", same, err)
			}
		})
	}
}

func TestStartScaled_MakesWorkloadsWithTheLeastOfTheirAutoscaler(t *testing.T) {
	scaler := func(target string, least any) *resource.Info {
		spec := map[string]any{"scaleTargetRef": map[string]any{"kind": "Deployment", "name": target}}
		if least != nil {
			spec["minReplicas"] = least
		}
		return infoOf("autoscaling/v2", "HorizontalPodAutoscaler", target, spec)
	}
	deployment := func(name string, spec map[string]any) *resource.Info {
		return infoOf("apps/v1", "Deployment", name, spec)
	}
	target := kube.ResourceList{
		deployment("open", map[string]any{}), scaler("open", int64(3)),
		deployment("set", map[string]any{"replicas": int64(1)}), scaler("set", int64(3)),
		deployment("one", map[string]any{}), scaler("one", nil),
		deployment("alone", map[string]any{}),
	}
	if err := startScaled(target); err != nil {
		t.Fatal(err)
	}
	for _, info := range target {
		want := map[string]int64{"open": 3, "set": 1}[info.Name]
		o, _ := info.Object.(*unstructured.Unstructured)
		if got, _, _ := unstructured.NestedInt64(
			o.Object,
			"spec",
			"replicas",
		); info.Mapping.GroupVersionKind.Kind == "Deployment" &&
			got != want {
			t.Errorf("%s has %d replicas, want %d", info.Name, got, want)
		}
	}
}
