// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMeshed_SaysWhyNoProxyDividesRequests(t *testing.T) {
	t.Parallel()
	pod := func(change ...func(*corev1.Pod)) corev1.Pod {
		p := corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{}, Annotations: map[string]string{}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}, Status: corev1.PodStatus{Phase: corev1.PodRunning},
		}
		for _, c := range change {
			c(&p)
		}
		return p
	}
	labeled := func(key, value string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Labels[key] = value } }
	container := func(name string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: name}) }
	}
	native := func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "istio-init"}, {Name: "istio-proxy"}}
	}
	ended := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	waypoint := corev1.Service{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{labelWaypoint: "waypoint"}}}
	type labels map[string]string
	for name, tc := range map[string]struct {
		labels   labels
		pods     []corev1.Pod
		services []corev1.Service
		found    []string
		cure     string
	}{
		"nothing":                      {nil, []corev1.Pod{pod(), pod()}, nil, []string{"Namespace shop has none of the labels istio-injection=enabled", "it has none of a mesh", "2 running pods"}, "Label the namespace with istio-injection=enabled"},
		"nothing, and no pods":         {nil, nil, nil, []string{"0 running pods"}, "Label the namespace"},
		"injection switched off":       {labels{labelInjection: "disabled", labelRevision: "canary"}, []corev1.Pod{pod()}, nil, []string{"it has istio-injection=disabled, istio.io/rev=canary"}, "Label the namespace"},
		"a sidecar":                    {nil, []corev1.Pod{pod(), pod(container("istio-proxy"))}, nil, nil, ""},
		"a native sidecar":             {nil, []corev1.Pod{pod(native)}, nil, nil, ""},
		"a sidecar of another mesh":    {nil, []corev1.Pod{pod(container("linkerd-proxy"))}, nil, nil, ""},
		"a gateway":                    {nil, []corev1.Pod{pod(), pod(container("istio-proxy"), labeled("istio", "ingressgateway"))}, nil, []string{"1 running pod has"}, "Label"},
		"a sidecar in an ended pod":    {nil, []corev1.Pod{pod(container("istio-proxy"), ended)}, nil, []string{"0 running pods"}, "Label"},
		"the label, before the pods":   {labels{labelInjection: "enabled"}, []corev1.Pod{pod(ended)}, nil, nil, ""},
		"the revision":                 {labels{labelRevision: "stable"}, nil, nil, nil, ""},
		"the label, after the pods":    {labels{labelInjection: "enabled"}, []corev1.Pod{pod()}, nil, []string{"asks for sidecars", "1 running pod has"}, "Restart the pods"},
		"the label on a pod":           {nil, []corev1.Pod{pod(labeled(labelInject, "true"))}, nil, []string{"asks for sidecars"}, "Restart the pods"},
		"ambient without a waypoint":   {labels{labelDataPlane: "ambient"}, []corev1.Pod{pod()}, nil, []string{"ambient mode", "ztunnel divides no requests"}, "Make a waypoint"},
		"ambient with a waypoint":      {labels{labelDataPlane: "ambient", labelWaypoint: "waypoint"}, []corev1.Pod{pod()}, nil, nil, ""},
		"a waypoint of a Service":      {labels{labelDataPlane: "ambient"}, []corev1.Pod{pod()}, []corev1.Service{waypoint}, nil, ""},
		"a waypoint that is not used":  {labels{labelDataPlane: "ambient", labelWaypoint: "none"}, []corev1.Pod{pod()}, nil, []string{"ambient mode"}, "Make a waypoint"},
		"pods of the ambient mode":     {nil, []corev1.Pod{pod(labeled(labelDataPlane, "ambient"))}, []corev1.Service{waypoint}, nil, ""},
		"a waypoint without the label": {labels{labelWaypoint: "waypoint"}, []corev1.Pod{pod()}, nil, []string{"it has istio.io/use-waypoint=waypoint"}, "Label"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := meshed{
				namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: tc.labels}},
				pods:      tc.pods,
				services:  tc.services,
			}
			found, cure := m.problem()
			if (found == "") != (tc.found == nil) || !strings.HasPrefix(cure, tc.cure) || (cure == "") != (tc.cure == "") {
				t.Errorf("found %q, cure %q", found, cure)
			}
			for _, part := range tc.found {
				if !strings.Contains(found, part) {
					t.Errorf("%q is missing in %q", part, found)
				}
			}
		})
	}
}

func TestBinding_DistinguishesMeshAndGateways(t *testing.T) {
	t.Parallel()
	parents := func(kinds ...any) map[string]any {
		var list []any
		for _, kind := range kinds {
			entry := map[string]any{"name": "a"}
			if kind != nil {
				entry["kind"] = kind
			}
			list = append(list, entry)
		}
		return map[string]any{"parentRefs": list}
	}
	for name, tc := range map[string]struct {
		kind           string
		spec           map[string]any
		mesh, gateways bool
	}{
		"no gateways":              {"VirtualService", map[string]any{}, true, false},
		"the mesh":                 {"VirtualService", map[string]any{"gateways": []any{"mesh"}}, true, false},
		"a gateway":                {"VirtualService", map[string]any{"gateways": []any{"infra/public"}}, false, true},
		"both":                     {"VirtualService", map[string]any{"gateways": []any{"infra/public", "mesh"}}, true, true},
		"a Service":                {"HTTPRoute", parents("Service"), true, false},
		"a Gateway":                {"HTTPRoute", parents("Gateway"), false, true},
		"a Gateway by default":     {"HTTPRoute", parents(nil), false, true},
		"a Service and a Gateway":  {"HTTPRoute", parents("Gateway", "Service"), true, true},
		"a route without a parent": {"HTTPRoute", map[string]any{}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if mesh, gateways := binding(tc.kind, tc.spec); mesh != tc.mesh || gateways != tc.gateways {
				t.Errorf("mesh %v, gateways %v", mesh, gateways)
			}
		})
	}
}
