// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"cmp"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (b *bench) service(name string, selector map[string]string) {
	b.Helper()
	client, err := b.cluster.Kubernetes()
	if err != nil {
		b.Fatal(err)
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if _, err := client.CoreV1().Services(b.owner.Handle.Namespace).Create(b.Context(), service, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) wantUses(version string, want ...Use) {
	b.Helper()
	pods := []map[string]string{{"job": "other"}, {"app": "dc", "version": version, "pod-template-hash": "x"}}
	got, err := To(b.Context(), b.cluster, b.owner.Handle, pods)
	if err != nil {
		b.Fatal(err)
	}
	slices.SortFunc(got, func(x, y Use) int { return cmp.Or(cmp.Compare(x.Object, y.Object), cmp.Compare(y.Weight, x.Weight)) })
	if !slices.Equal(got, want) {
		b.Errorf("to %s: %v, want %v", version, got, want)
	}
}

func TestRoutesTo_FindsWhatSendsToAReleasesPods(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.service("data-collection", map[string]string{"app": "dc"})
	b.service("app-stable", map[string]string{"app": "dc", "version": "v1"})
	b.service("app-canary", map[string]string{"app": "dc", "version": "v2"})
	// A route of another owner, to all of them, is none of ours.
	b.Put(virtualServices.groupKind(), shared(t,
		"  - {name: primary, route: [{destination: {host: data-collection}}]}\n"+
			"  - {name: other, route: [{destination: {host: data-collection}}]}"))
	b.wantUses("v1")

	mesh := b.istio(istioConfig("primary"))
	const inService = "VirtualService shared"
	for _, step := range []struct {
		split  Split
		v1, v2 []Use
	}{
		{Split{Weight: 0}, []Use{{"app", inService, 100, false, false}}, nil},
		{Split{Weight: 1}, []Use{{"app", inService, 99, false, false}}, []Use{{"app", inService, 1, false, false}}},
		{Split{Weight: 100}, nil, []Use{{"app", inService, 100, false, false}}},
		{
			Split{Weight: 30, Headers: []HeaderMatch{onTrue}}, []Use{{"app", inService, 70, false, false}},
			[]Use{{"app", inService, 100, true, false}, {"app", inService, 30, false, false}},
		},
	} {
		b.set(mesh, step.split)
		b.wantUses("v1", step.v1...)
		b.wantUses("v2", step.v2...)
		b.wantUses("v3")
	}
	if err := mesh.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantUses("v1")
	b.wantUses("v2")

	route := b.gateway(gatewayConfig("", nil))
	b.set(route, Split{Weight: 25})
	b.wantUses("v1", Use{"app", "HTTPRoute app", 75, false, false})
	b.wantUses("v2", Use{"app", "HTTPRoute app", 25, false, false})
	if err := route.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantUses("v2")
}
