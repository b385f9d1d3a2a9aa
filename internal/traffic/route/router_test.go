// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"encoding/json"
	"reflect"
	"testing"

	jsonpatch "github.com/evanphx/json-patch"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// noClient is for routers of which only the plans are asked for.
type noClient struct{ dynamic.Interface }

var (
	onTrue = HeaderMatch{Name: "canary", Value: "true"}
	beta   = HeaderMatch{Name: "x-beta", Value: "yes"}
)

func testOwner() Owner {
	return Owner{Handle: environment.Handle{Client: "client-a", Stage: "prod", Namespace: "dc"}, Name: "app", InstanceID: "one"}
}

func istioConfig(route string) IstioConfig {
	config := IstioConfig{
		Owner: testOwner(), Host: "data-collection", Route: route,
		Stable: Track{Subset: "v1", Labels: map[string]string{"version": "v1"}},
		Canary: Track{Subset: "v2", Labels: map[string]string{"version": "v2"}},
		Settle: -1,
	}
	if route != "" {
		config.VirtualService = "shared"
	}
	return config
}

func gatewayConfig(rule string, index *int) GatewayConfig {
	config := GatewayConfig{
		Owner: testOwner(), Rule: rule, RuleIndex: index,
		Stable: Track{Service: "app-stable", Port: 80}, Canary: Track{Service: "app-canary", Port: 80},
	}
	if rule != "" || index != nil {
		config.HTTPRoute = "shared"
	} else {
		config.Parents = []Parent{{Kind: "Service", Name: "app", Port: 80}}
	}
	return config
}

// planner is a router that plans only.
func planner(t testing.TB, config any) *router {
	t.Helper()
	var made Router
	var err error
	switch typed := config.(type) {
	case IstioConfig:
		made, err = NewIstio(nil, noClient{}, typed)
	case GatewayConfig:
		made, err = NewGateway(nil, noClient{}, typed)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, ok := made.(*router)
	if istio, is := made.(*istioRouter); is {
		out, ok = istio.router, true
	}
	if !ok {
		t.Fatalf("unexpected %T", made)
	}
	out.checked = true
	return out
}

func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	content := map[string]any{}
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	live := &unstructured.Unstructured{}
	if err := json.Unmarshal(asJSON, &content); err != nil {
		t.Fatal(err)
	}
	asJSON, err = json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := live.UnmarshalJSON(asJSON); err != nil {
		t.Fatal(err)
	}
	live.SetUID(types.UID("uid"))
	live.SetGeneration(1)
	live.SetResourceVersion("1")
	return live
}

func shared(t testing.TB, http string) *unstructured.Unstructured {
	t.Helper()
	return parse(t, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shared, namespace: dc}\nspec:\n"+
		"  hosts: [data-collection]\n  http:\n"+http)
}

// apply does with a patch what an API server does.
func apply(t testing.TB, live *unstructured.Unstructured, p *patch, tests []operation) *unstructured.Unstructured {
	t.Helper()
	if p.empty() {
		return live
	}
	text, err := json.Marshal(p.conditional(tests...))
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jsonpatch.DecodePatch(text)
	if err != nil {
		t.Fatal(err)
	}
	before, err := live.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	after, err := decoded.Apply(before)
	if err != nil {
		t.Fatalf("%v\n%s\non %s", err, text, before)
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(after); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(out.Object["spec"], live.Object["spec"]) {
		out.SetGeneration(live.GetGeneration() + 1)
	}
	return out
}

func set(t testing.TB, r *router, live *unstructured.Unstructured, split Split) *unstructured.Unstructured {
	t.Helper()
	p, tests, err := r.plan(t.Context(), live, split)
	if err != nil {
		t.Fatal(err)
	}
	return apply(t, live, p, tests)
}

func restore(t testing.TB, r *router, live *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	p, tests, err := r.takeOut(live)
	if err != nil {
		t.Fatal(err)
	}
	return apply(t, live, p, tests)
}

// wantRoutes compares the routes of an object with YAML.
func wantRoutes(t testing.TB, r *router, live *unstructured.Unstructured, want string) {
	t.Helper()
	got, err := yaml.Marshal(routesOf(r.dialect, live))
	if err != nil {
		t.Fatal(err)
	}
	var routes any
	if err := yaml.Unmarshal([]byte(want), &routes); err != nil {
		t.Fatal(err)
	}
	sorted, err := yaml.Marshal(routes)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(sorted) {
		t.Errorf("got\n%s\nwant\n%s", got, sorted)
	}
}
