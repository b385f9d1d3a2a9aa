// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"fmt"
	"testing"
	"time"
)

func TestSharedHost_IsOneThatTheMeshHasTwice(t *testing.T) {
	for name, test := range map[string]struct {
		hosts, gateways []string
		other, want     string
	}{
		"the same":                     {nil, nil, "{hosts: [data-collection]}", "data-collection"},
		"in full":                      {nil, nil, "{hosts: [other, data-collection.dc.svc.cluster.local]}", "data-collection"},
		"one of more":                  {[]string{"collect.example.com"}, nil, "{hosts: [collect.example.com]}", "collect.example.com"},
		"both for the mesh too":        {nil, []string{"edge", "mesh"}, "{hosts: [data-collection], gateways: [mesh]}", "data-collection"},
		"another host":                 {nil, nil, "{hosts: [data-collection-2]}", ""},
		"the same in another place":    {nil, nil, "{hosts: [data-collection.other.svc]}", ""},
		"a gateway, which joins them":  {nil, []string{"edge"}, "{hosts: [data-collection], gateways: [edge]}", ""},
		"ours is not for the mesh":     {nil, []string{"edge"}, "{hosts: [data-collection]}", ""},
		"theirs is not for the mesh":   {nil, nil, "{hosts: [data-collection], gateways: [edge]}", ""},
		"many hosts, ours is the more": {nil, nil, `{hosts: ["*.dc.svc.cluster.local"]}`, ""},
	} {
		other := parse(t, "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: other, namespace: dc}\nspec: "+test.other)
		if got := sharedHost(IstioConfig{Host: "data-collection", Hosts: test.hosts, Gateways: test.gateways}, "dc", other); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestSharedService_IsOneWhoseRequestsBothTake(t *testing.T) {
	const all, some = "rules: [{backendRefs: [{name: a, port: 80}]}]", "rules: [{matches: [{path: {type: PathPrefix, value: /v2}}]}]"
	const everything = "rules: [{matches: [{path: {type: PathPrefix, value: /}}]}]"
	for name, test := range map[string]struct{ parent, rules, want string }{
		"the same":               {"{group: '', kind: Service, name: app, port: 80}", all, "app"},
		"all of its ports":       {"{group: '', kind: Service, name: app}", everything, "app"},
		"with its namespace":     {"{group: '', kind: Service, name: app, namespace: dc, port: 80}", all, "app"},
		"another port":           {"{group: '', kind: Service, name: app, port: 90}", all, ""},
		"another namespace":      {"{group: '', kind: Service, name: app, namespace: other}", all, ""},
		"some requests":          {"{group: '', kind: Service, name: app, port: 80}", some, ""},
		"a gateway of its name":  {"{kind: Gateway, name: app}", all, ""},
		"another Service":        {"{group: '', kind: Service, name: other}", all, ""},
		"no rule, so no request": {"{group: '', kind: Service, name: app}", "rules: []", ""},
	} {
		other := parse(t, fmt.Sprintf("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: other, namespace: dc}\nspec: {parentRefs: [%s], %s}", test.parent, test.rules))
		wanted := parents(GatewayConfig{Parents: []Parent{{Kind: "Gateway", Name: "app"}, {Kind: "Service", Name: "app", Port: 80}}})
		if got := sharedService(wanted, "dc", other); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// A second route for the same requests would be without effect: it is not made.
func TestCanary_RefusesARouteBesideAnother(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]kind{"istio": virtualServices, "gateway": httpRoutes} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTracked(t, k)
			if k.name == httpRoutes.name {
				c.target.Route.Gateway.Parents = []Parent{{Kind: "Service", Name: "data-collection"}}
			}
			first := c.target
			first.Name = "first"
			c.deploy("v1", answering)
			options := CanaryOptions{InstanceID: "one", TakeOver: true, Timeout: time.Minute}
			if _, err := ApplyCanary(t.Context(), first, CanarySpec{}, options); err != nil {
				t.Fatal(err)
			}
			if err := CheckAlone(t.Context(), first, false); err != nil {
				t.Errorf("a route is in its own way: %v", err)
			}
			if err := CheckAlone(t.Context(), c.target, true); err != nil {
				t.Errorf("a route is in the way of the plan that may replace it: %v", err)
			}
			options.InstanceID = "two"
			_, err := ApplyCanary(t.Context(), c.target, CanarySpec{}, options)
			wantError[*RoutedElsewhereError](t, err, "The requests to data-collection are routed by "+k.name+" first already", "split app would say that it divides them", "or remove it")
			if c.live(k, "app") != nil || k.name == virtualServices.name && c.live(destinationRules, "app") != nil {
				t.Error("something was made for a split that was refused")
			}
		})
	}
}
