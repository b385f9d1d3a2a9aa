// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

// Of two VirtualServices for the same requests Istio takes one: an own one is not made next to another.
func TestIstio_RefusesASecondRouteForTheSameRequests(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		other    string
		refused  bool
		gateways []string
	}{
		"the same host":                  {other: "hosts: [data-collection]", refused: true},
		"the same host, written in full": {other: "hosts: [data-collection.NAMESPACE.svc.cluster.local]", refused: true},
		"another host":                   {other: "hosts: [another]"},
		"the same host, at a gateway":    {other: "hosts: [data-collection]\n  gateways: [edge/public]"},
		"the same host and gateway, whose routes Istio puts together": {
			other: "hosts: [data-collection]\n  gateways: [NAMESPACE/public]", gateways: []string{"public"},
		},
		// Of its own namespace only: it would take the calls of every other test of the mesh.
		"every host, which exact ones beat": {other: "hosts: ['*']\n  gateways: [mesh]\n  exportTo: [.]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			spec := strings.ReplaceAll(test.other, "NAMESPACE", b.owner.Handle.Namespace)
			b.Put(virtualServices.groupKind(),
				parse(t, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: theirs}\nspec:\n  "+spec+
					"\n  http:\n  - route: [{destination: {host: data-collection}}]\n"))
			config := istioConfig("")
			config.Gateways = test.gateways
			err := b.istio(config).Set(t.Context(), Split{Weight: 10})
			var rival *RivalError
			if errors.As(err, &rival) != test.refused || err != nil && !test.refused {
				t.Fatalf("refused %v, want %v", err, test.refused)
			}
			if !test.refused {
				return
			}
			if rules, err := b.all(t.Context(), destinationRules); err != nil || len(rules) > 0 {
				t.Errorf("DestinationRules were made before the refusal: %d, %v", len(rules), err)
			}
			planned := b.planned(Config{Istio: &config}, Owner{Handle: b.owner.Handle, Name: "app"})
			if err := CheckRivals(t.Context(), planned); !errors.As(err, &rival) {
				t.Errorf("the plan does not say so: %v", err)
			}
		})
	}
}

func TestSharedHost_IsOneThatTheMeshHasTwice(t *testing.T) {
	for name, test := range map[string]struct {
		hosts, gateways []string
		other, want     string
	}{
		"the same":    {nil, nil, "{hosts: [data-collection]}", "host data-collection.dc.svc"},
		"in full":     {nil, nil, "{hosts: [other, data-collection.dc.svc.cluster.local]}", "host data-collection.dc.svc"},
		"one of more": {[]string{"collect.example.com"}, nil, "{hosts: [collect.example.com]}", "host collect.example.com"},
		"both for the mesh too": {
			nil, []string{"edge", "mesh"}, "{hosts: [data-collection], gateways: [mesh]}", "host data-collection.dc.svc",
		},
		"another host":                 {nil, nil, "{hosts: [data-collection-2]}", ""},
		"the same in another place":    {nil, nil, "{hosts: [data-collection.other.svc]}", ""},
		"a gateway, which joins them":  {nil, []string{"edge"}, "{hosts: [data-collection], gateways: [edge]}", ""},
		"ours is not for the mesh":     {nil, []string{"edge"}, "{hosts: [data-collection]}", ""},
		"theirs is not for the mesh":   {nil, nil, "{hosts: [data-collection], gateways: [edge]}", ""},
		"many hosts, ours is the more": {nil, nil, `{hosts: ["*.dc.svc.cluster.local"]}`, ""},
	} {
		other := parse(t, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: other, namespace: dc}\nspec: "+test.other)
		ours := map[string]any{"hosts": texts(append([]string{"data-collection"}, test.hosts...)), "gateways": texts(test.gateways)}
		theirs, _ := other.Object["spec"].(map[string]any)
		if got := sharedHost(ours, theirs, "dc"); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestSharedService_IsOneWhoseRequestsBothTake(t *testing.T) {
	const all, some = "rules: [{backendRefs: [{name: a, port: 80}]}]", "rules: [{matches: [{path: {type: PathPrefix, value: /v2}}]}]"
	const everything = "rules: [{matches: [{path: {type: PathPrefix, value: /}}]}]"
	for name, test := range map[string]struct{ parent, rules, want string }{
		"the same":               {"{group: '', kind: Service, name: app, port: 80}", all, "Service app"},
		"all of its ports":       {"{group: '', kind: Service, name: app}", everything, "Service app"},
		"with its namespace":     {"{group: '', kind: Service, name: app, namespace: dc, port: 80}", all, "Service app"},
		"another port":           {"{group: '', kind: Service, name: app, port: 90}", all, ""},
		"another namespace":      {"{group: '', kind: Service, name: app, namespace: other}", all, ""},
		"some requests":          {"{group: '', kind: Service, name: app, port: 80}", some, ""},
		"a gateway of its name":  {"{kind: Gateway, name: app}", all, ""},
		"another Service":        {"{group: '', kind: Service, name: other}", all, ""},
		"no rule, so no request": {"{group: '', kind: Service, name: app}", "rules: []", ""},
	} {
		other := parse(t, fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"+
			"metadata: {name: other, namespace: dc}\nspec: {parentRefs: [%s], %s}", test.parent, test.rules))
		wanted := parents(GatewayConfig{Parents: []Parent{{Kind: "Gateway", Name: "app"}, {Kind: "Service", Name: "app", Port: 80}}})
		theirs, _ := other.Object["spec"].(map[string]any)
		if got := sharedService(map[string]any{"parentRefs": wanted}, theirs, "dc"); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// A second HTTPRoute for all requests of a Service is not made either.
func TestGateway_RefusesASecondRouteForTheSameRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := gatewayConfig("", nil)
	config.Parents = []Parent{{Kind: "Service", Name: "data-collection"}}
	b.set(b.gateway(config), Split{Weight: 10})
	config.Owner.Handle = b.owner.Handle
	config.Owner.Name = "second"
	second, err := NewGateway(b.cluster, nil, config)
	if err != nil {
		t.Fatal(err)
	}
	traffictest.WantError[*RivalError](t, second.Set(t.Context(), Split{Weight: 10}), "HTTPRoute app has routes for the same requests",
		"Service data-collection", "http_route")
	if b.Live(httpRoutes.groupKind(), "second") != nil {
		t.Error("it was made all the same")
	}
	planned := b.planned(Config{Gateway: &config}, Owner{Handle: b.owner.Handle, Name: "second"})
	if err := CheckRivals(t.Context(), planned); err != nil {
		t.Errorf("the plan refuses what may be replaced: %v", err)
	}
	another := Owner{Handle: b.owner.Handle, Name: "second"}
	another.Handle.Client = "another"
	planned = b.planned(Config{Gateway: &config}, another)
	traffictest.WantError[*RivalError](t, CheckRivals(t.Context(), planned))
}

// What is for the same environment may be what the new route replaces: that is for the apply to say.
func TestCheckRivals_LetsTheSplitBeThatIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before := istioConfig("")
	before.Owner.Name = "before"
	b.set(b.istio(before), Split{Weight: 10})
	config := istioConfig("")
	config.Stable.Labels = map[string]string{"version": "v0"}
	planned := b.planned(Config{Istio: &config}, Owner{Handle: b.owner.Handle, Name: "app"})
	if err := CheckRivals(t.Context(), planned); err != nil {
		t.Error(err)
	}
	config.Owner.Name = "app"
	var rival *RivalError
	if err := b.istio(config).Set(t.Context(), Split{Weight: 10}); !errors.As(err, &rival) {
		t.Errorf("made next to it: %v", err)
	}
}

// Subsets of others with the names of the tracks are found before anything waits for pods.
func TestCheckRivals_FindsSubsetsOfOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Put(destinationRules.groupKind(), parse(t, `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: theirs}
spec: {host: data-collection, subsets: [{name: v2, labels: {version: another}}]}
`))
	config := istioConfig("")
	planned := b.planned(Config{Istio: &config}, Owner{Handle: b.owner.Handle, Name: "app"})
	var subset *SubsetError
	if err := CheckRivals(t.Context(), planned); !errors.As(err, &subset) {
		t.Errorf("not found: %v", err)
	}
}

// A shared route with other destinations is refused in the plan, before a split that this one replaces is taken away.
func TestCheckRivals_FindsARouteThatCannotBeDivided(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Put(virtualServices.groupKind(), shared(t,
		"  - {name: primary, route: [{destination: {host: data-collection}}]}\n"+
			"  - {name: other, route: [{destination: {host: a}, weight: 30}, {destination: {host: b}, weight: 70}]}"))
	for route, refused := range map[string]bool{"primary": false, "other": true} {
		config := istioConfig(route)
		planned := b.planned(Config{Istio: &config}, Owner{Handle: b.owner.Handle, Name: "app"})
		err := CheckRivals(t.Context(), planned)
		var shape *ShapeError
		if errors.As(err, &shape) != refused || err != nil && !refused {
			t.Errorf("route %s: %v", route, err)
		}
	}
}
