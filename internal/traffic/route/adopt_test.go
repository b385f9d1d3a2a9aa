// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

// imported is a planner that takes over the object which parse makes.
func imported(t testing.TB, config any) *router {
	t.Helper()
	switch typed := config.(type) {
	case IstioConfig:
		typed.Owner.Adopt = "uid"
		return planner(t, typed)
	case GatewayConfig:
		typed.Owner.Adopt = "uid"
		return planner(t, typed)
	}
	t.Fatalf("unexpected %T", config)
	return nil
}

// own is a VirtualService of the split's name that a user made by hand.
func own(t testing.TB, http string) *unstructured.Unstructured {
	t.Helper()
	live := shared(t, http)
	live.SetName("app")
	live.SetLabels(map[string]string{"team": "edge"})
	return live
}

const byHand = `
  - match: [{headers: {canary: {exact: "true"}}}]
    timeout: 5s
    route: [{destination: {host: data-collection, subset: v2}, weight: 100}]
  - timeout: 5s
    route: [{destination: {host: data-collection, subset: v1}, weight: 3}, {destination: {host: data-collection, subset: v2}, weight: 1}]`

const taken = `
- name: app-canary-header
  match: [{headers: {canary: {exact: "true"}}}]
  timeout: 5s
  route: [{destination: {host: data-collection, subset: v2}}]
- name: app
  timeout: 5s
  route: [{destination: {host: data-collection, subset: v1}, weight: 75}, {destination: {host: data-collection, subset: v2}, weight: 25}]`

func TestImport_TakesOverAVirtualServiceMadeByHand(t *testing.T) {
	t.Parallel()
	r := imported(t, istioConfig(""))
	live := own(t, byHand)
	found, err := r.look(live)
	if err != nil {
		t.Fatal(err)
	}
	split, changed := found.split()
	want := Split{Weight: 25, Headers: []HeaderMatch{onTrue}}
	if !split.Equal(want) || found.annotated || len(changed) != 1 { // the weight of the header route is the one thing that ours has not
		t.Fatalf("read %+v, changed %v, annotated %v", split, changed, found.annotated)
	}
	live = set(t, r, live, want)
	wantRoutes(t, r, live, taken)
	if labels := live.GetLabels(); labels["team"] != "edge" || !r.owner.owns(live) {
		t.Errorf("the labels are %v", labels)
	}

	// From now on it is as if we had made it, without the import.
	ours := planner(t, istioConfig(""))
	if found, err = ours.look(live); err != nil || !found.annotated || found.annotation.Instance != "one" {
		t.Fatalf("%+v, %v", found, err)
	}
	if split, changed = found.split(); !split.Equal(want) || len(changed) > 0 {
		t.Errorf("read %+v, changed %v", split, changed)
	}
	if p, _, err := ours.plan(t.Context(), live, want); err != nil || !p.empty() {
		t.Errorf("the second time it writes %v, %v", p, err)
	}
}

func TestImport_TakesOverOneRouteAndLeavesTheOthers(t *testing.T) {
	t.Parallel()
	r := imported(t, istioConfig("primary"))
	other := "\n  - {name: other, match: [{uri: {prefix: /a}}], rewrite: {uri: /}, route: [{destination: {host: data-collection, " +
		"subset: v2}}]}"
	live := set(t, r, shared(t, other+strings.Replace(byHand, "- timeout", "- name: primary\n    timeout", 1)),
		Split{Weight: 25, Headers: []HeaderMatch{onTrue}})
	wantRoutes(t, r, live, strings.Replace(other, "\n  ", "\n", 1)+strings.Replace(taken, "name: app\n", "name: primary\n", 1))
	if r.owner.owns(live) {
		t.Error("the whole object became ours")
	}
	live = restore(t, planner(t, istioConfig("primary")), live)
	wantRoutes(t, r, live,
		strings.Replace(other, "\n  ", "\n", 1)+"\n- {name: primary, timeout: 5s, route: [{destination: {host: data-collection, subset: v1}}]}")
}

func TestImport_LeavesWhatIsNoHeaderRouteOfASplit(t *testing.T) {
	t.Parallel()
	base := "\n  - route: [{destination: {host: data-collection, subset: v1}, weight: 90}, {destination: {host: data-collection, " +
		"subset: v2}, weight: 10}]"
	for name, header := range map[string]string{
		"a prefix": "- {match: [{headers: {canary: {prefix: t}}}], route: [{destination: {host: data-collection, subset: v2}}]}",
		"another path": "- {match: [{headers: {canary: {exact: \"true\"}}, uri: {prefix: /a}}], route: [{destination: {host: " +
			"data-collection, subset: v2}}]}",
		"a rewrite": "- {match: [{headers: {canary: {exact: \"true\"}}}], rewrite: {uri: /}, route: [{destination: {host: " +
			"data-collection, subset: v2}}]}",
		"two headers at once": "- {match: [{headers: {canary: {exact: \"true\"}, x-beta: {exact: \"yes\"}}}], route: [{destination: " +
			"{host: data-collection, subset: v2}}]}",
		"two values": "- {match: [{headers: {canary: {exact: a}}}, {headers: {canary: {exact: b}}}], route: [{destination: " +
			"{host: data-collection, subset: v2}}]}",
		"another pod": "- {match: [{headers: {canary: {exact: \"true\"}}}], route: [{destination: {host: other, subset: v2}}]}",
		"also another matcher": "- {match: [{headers: {canary: {exact: \"true\"}}}, {uri: {prefix: /a}}], route: [{destination: " +
			"{host: data-collection, subset: v2}}]}",
	} {
		r := imported(t, istioConfig("primary"))
		live := shared(t, "  "+header+strings.Replace(base, "- route", "- name: primary\n    route", 1))
		found, err := r.look(live)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if now, _ := found.split(); !now.Equal(Split{Weight: 10}) || found.place.header != -1 {
			t.Errorf("%s: read %+v with header route %d", name, now, found.place.header)
		}
		live = set(t, r, live, Split{Weight: 10})
		wantRoutes(t, r, live, header+strings.Replace(strings.ReplaceAll(base, "\n  ", "\n"), "- route", "- name: primary\n  route", 1))
	}
}

func TestImport_RefusesWhatIsAmbiguous(t *testing.T) {
	t.Parallel()
	const v1, v2 = "{destination: {host: data-collection, subset: v1}, weight: 90}", "{destination: {host: data-collection, " +
		"subset: v2}, weight: 10}"
	for name, test := range map[string]struct{ http, want string }{
		"two divided": {
			"  - {match: [{uri: {prefix: /a}}], route: [" + v1 + ", " + v2 + "]}\n  - {route: [" + v1 + ", " + v2 + "]}",
			"places 0 and 1",
		},
		"the name is used": {
			"  - {name: app, match: [{uri: {prefix: /a}}], route: [{destination: {host: other}}]}\n  - {route: [" + v1 + ", " + v2 + "]}",
			"not the one that is divided",
		},
		"header name is used": {"  - {name: app-canary-header, match: [{uri: {prefix: /a}}], route: [{destination: {host: other}}]}\n" +
			"  - {route: [" + v1 + ", " + v2 + "]}",
			"does not do what"},
	} {
		_, err := imported(t, istioConfig("")).look(own(t, test.http))
		if traffictest.WantError[*AmbiguousError](t, err, test.want); t.Failed() {
			t.Fatal(name)
		}
	}
	// A route for one path is distinguished from the divided one next to it.
	found, err := imported(t, istioConfig("")).look(own(t,
		"  - {match: [{uri: {prefix: /a}}], route: [{destination: {host: data-collection, subset: v1}}]}\n  - {route: ["+v1+", "+v2+"]}"))
	if err != nil || found.place.base != 1 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestImport_TakesOverNothingOfAnotherOwner(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*unstructured.Unstructured){
		"made anew since":  func(live *unstructured.Unstructured) { live.SetUID("another") },
		"another client's": func(live *unstructured.Unstructured) { live.SetLabels(otherClient().Labels()) },
		"Helm's": func(live *unstructured.Unstructured) {
			live.SetAnnotations(map[string]string{"meta.helm.sh/release-name": "edge"})
		},
	} {
		live := own(t, byHand)
		change(live)
		_, err := imported(t, istioConfig("")).look(live)
		if traffictest.WantError[*ForeignError](t, err); t.Failed() {
			t.Fatal(name)
		}
	}
	// A route that has the annotation of another environment stays as it is.
	config := istioConfig("primary")
	config.Owner = otherClient()
	annotated := set(t, planner(t, config), shared(t, "  - {name: primary, route: [{destination: {host: data-collection}}]}"),
		Split{Weight: 10})
	_, err := imported(t, istioConfig("primary")).look(annotated)
	traffictest.WantError[*ForeignError](t, err, "client client-b, stage prod")
}

func otherClient() Owner {
	owner := testOwner()
	owner.Handle.Client = "client-b"
	return owner
}

func TestImport_TakesOverAnHTTPRouteMadeByHand(t *testing.T) {
	t.Parallel()
	rules := `
  - matches: [{path: {type: PathPrefix, value: /}, headers: [{name: canary, type: Exact, value: "true"}]}]
    backendRefs: [{group: "", kind: Service, name: app-canary, port: 80, weight: 7}]
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{group: "", kind: Service, name: app-stable, port: 80, weight: 9},
      {group: "", kind: Service, name: app-canary, port: 80, weight: 1}]`
	want := Split{Weight: 10, Headers: []HeaderMatch{onTrue}}
	for name, config := range map[string]GatewayConfig{"own": gatewayConfig("", nil), "by place": gatewayConfig("", ptr.To(0))} {
		r := imported(t, config)
		live := httpRoute(t, rules)
		found, err := r.look(live)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if split, _ := found.split(); !split.Equal(want) {
			t.Fatalf("%s: read %+v", name, split)
		}
		live = set(t, r, live, want)
		if found, err = planner(t, config).look(live); err != nil || !found.annotated {
			t.Fatalf("%s: %+v, %v", name, found, err)
		}
		if split, changed := found.split(); !split.Equal(want) || len(changed) > 0 {
			t.Errorf("%s: read %+v, changed %v", name, split, changed)
		}
		if got := len(found.routes()); got != 2 {
			t.Errorf("%s: there are %d rules", name, got)
		}
	}
}

func TestImport_WantsWholePercentages(t *testing.T) {
	t.Parallel()
	d := istio{host: "data-collection", namespace: "dc", stable: "v1", canary: "v2"}
	route := func(stable, canary int64) map[string]any {
		to := func(subset string, weight int64) any {
			return map[string]any{"destination": map[string]any{"host": "data-collection", "subset": subset}, "weight": weight}
		}
		return map[string]any{"route": []any{to("v1", stable), to("v2", canary)}}
	}
	for _, test := range []struct {
		stable, canary int64
		want           bool
	}{{90, 10, true}, {3, 1, true}, {2, 1, false}, {0, 0, true}, {0, 5, true}} {
		if got := exactWeight(d, route(test.stable, test.canary)); got != test.want {
			t.Errorf("%d and %d: %v", test.stable, test.canary, got)
		}
	}
}

func TestCanaryRoute_IsTheSameHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	labels := Track{Labels: map[string]string{"version": "v1"}}
	short := Config{Istio: &IstioConfig{Host: "a", Stable: labels, Hosts: []string{"x", "y"}}}
	long := Config{Istio: &IstioConfig{
		Host: "a.dc.svc.cluster.local", VirtualService: "app", DestinationRule: "app", Gateways: []string{"mesh"}, Hosts: []string{"y", "x"},
		Stable: Track{Labels: labels.Labels, Subset: "stable"}, Canary: Track{Labels: map[string]string{}, Subset: "canary"},
	}}
	if !short.Same(long, "app", "dc") || !long.Same(short, "app", "dc") {
		t.Error("the same route counts as another one")
	}
	for name, change := range map[string]func(*IstioConfig){
		"host": func(c *IstioConfig) { c.Host = "b" }, "namespace": func(c *IstioConfig) { c.Host = "a.other" },
		"route":  func(c *IstioConfig) { c.Route = "r" },
		"subset": func(c *IstioConfig) { c.Canary.Subset = "v2" }, "labels": func(c *IstioConfig) { c.Stable.Labels = nil },
		"hosts": func(c *IstioConfig) { c.Hosts = []string{"x"} }, "gateways": func(c *IstioConfig) { c.Gateways = []string{"g", "mesh"} },
	} {
		other := *short.Istio
		change(&other)
		if short.Same(Config{Istio: &other}, "app", "dc") {
			t.Errorf("%s: another route counts as the same", name)
		}
	}
}
