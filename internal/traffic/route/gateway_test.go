// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

func httpRoute(t testing.TB, rules string) *unstructured.Unstructured {
	t.Helper()
	return parse(t,
		"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: shared, namespace: dc}\nspec:\n  rules:\n"+rules)
}

func TestGateway_CopiesTheRuleForTheHeaders(t *testing.T) {
	t.Parallel()
	r := planner(t, gatewayConfig("primary", nil))
	live := set(t, r, httpRoute(t, `
  - name: primary
    matches: [{path: {type: PathPrefix, value: /v1}, headers: [{name: Tenant, value: a, type: Exact}]},
      {path: {type: Exact, value: /health}, method: GET}]
    filters: [{type: URLRewrite, urlRewrite: {hostname: inner}}]
    timeouts: {request: 3s}
    fromNextYear: {kept: true}
    backendRefs: [{group: "", kind: Service, name: app, port: 8080, weight: 1, filters: [{type: ExtensionRef}]}]
`), Split{Weight: 10, Headers: []HeaderMatch{onTrue}})
	const fixed = `
  filters: [{type: URLRewrite, urlRewrite: {hostname: inner}}]
  timeouts: {request: 3s}
  fromNextYear: {kept: true}
`
	wantRoutes(t, r, live, `
- name: app-canary-header
  matches:
  - {path: {type: PathPrefix, value: /v1}, headers: [{name: Tenant, value: a, type: Exact}, {name: canary, value: "true", type: Exact}]}
  - {path: {type: Exact, value: /health}, method: GET, headers: [{name: canary, value: "true", type: Exact}]}
  backendRefs: [{group: "", kind: Service, name: app-canary, port: 80, weight: 1, filters: [{type: ExtensionRef}]}]`+fixed+`
- name: primary
  matches: [{path: {type: PathPrefix, value: /v1}, headers: [{name: Tenant, value: a, type: Exact}]},
    {path: {type: Exact, value: /health}, method: GET}]
  backendRefs:
  - {group: "", kind: Service, name: app-stable, port: 80, weight: 90, filters: [{type: ExtensionRef}]}
  - {group: "", kind: Service, name: app-canary, port: 80, weight: 10, filters: [{type: ExtensionRef}]}`+fixed)
}

func TestGateway_RefusesRulesItCannotDivide(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("{name: h@, value: x},", 16)
	for i := range 16 {
		many = strings.Replace(many, "@", string(rune('a'+i)), 1)
	}
	blocks := strings.Repeat("{path: {type: Exact, value: /x}},", 40)
	for name, test := range map[string]struct {
		rule string
		is   func(*testing.T, error)
	}{
		"redirect": {
			"{name: primary, filters: [{type: RequestRedirect}]}",
			func(t *testing.T, err error) { traffictest.WantError[*ShapeError](t, err, "redirects") },
		},
		"no backend": {"{name: primary}", func(t *testing.T, err error) { traffictest.WantError[*ShapeError](t, err, "no destination") }},
		"a backend that is no Service": {"{name: primary, backendRefs: [{group: multicluster.x-k8s.io, kind: ServiceImport, name: app}]}",
			func(t *testing.T, err error) { traffictest.WantError[*ShapeError](t, err, "not the host") }},
		"another namespace": {
			"{name: primary, backendRefs: [{name: app, namespace: client-b}]}",
			func(t *testing.T, err error) { traffictest.WantError[*ShapeError](t, err, "not the host") },
		},
		"three backends": {"{name: primary, backendRefs: [{name: app-stable}, {name: app-canary}, {name: third}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*ShapeError](t, err, "divides its requests already")
			}},
		"regular expression": {"{name: primary, matches: [{headers: [{name: Canary, type: RegularExpression, value: t.*}]}], " +
			"backendRefs: [{name: app}]}",
			func(t *testing.T, err error) { traffictest.WantError[*HeaderClashError](t, err, "regular expression") }},
		"another value": {"{name: primary, matches: [{headers: [{name: CANARY, value: no}]}], backendRefs: [{name: app}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*HeaderClashError](t, err, "No request with canary: true")
			}},
		"no room for a header": {"{name: primary, matches: [{headers: [" + many + "]}], backendRefs: [{name: app}]}",
			func(t *testing.T, err error) { traffictest.WantError[*HeaderClashError](t, err, "16 headers already") }},
		"no room for the blocks": {"{name: primary, matches: [" + blocks + "], backendRefs: [{name: app}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*HeaderClashError](t, err, "80 match blocks", "can have 64")
			}},
		"no such rule": {
			"{name: other, backendRefs: [{name: app}]}",
			func(t *testing.T, err error) { traffictest.WantError[*MissingError](t, err, "named routes are other") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := planner(t, gatewayConfig("primary", nil))
			_, _, err := r.plan(t.Context(), httpRoute(t, "  - "+test.rule), Split{Weight: 10, Headers: []HeaderMatch{onTrue, beta}})
			test.is(t, err)
		})
	}
}

func TestGateway_FindsARuleWithoutANameAgain(t *testing.T) {
	t.Parallel()
	const primary = "{matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{group: '', kind: Service, name: app, port: " +
		"80, weight: 1}]}"
	second := 1
	r := planner(t, gatewayConfig("", &second))
	live := set(t, r, httpRoute(t, "  - {backendRefs: [{name: first}]}\n  - "+primary), Split{Weight: 10, Headers: []HeaderMatch{onTrue}})
	// Names are not kept by older versions of the Gateway API.
	for _, route := range objectsIn(routesOf(r.dialect, live)) {
		delete(route, "name")
	}
	found, err := r.look(live)
	if err != nil || found.place != (place{base: 2, header: -1}) {
		t.Fatalf("%+v, %v", found, err)
	}

	live = set(t, r, httpRoute(t, "  - {backendRefs: [{name: first}]}\n  - "+primary), Split{Weight: 10})
	moved := live.DeepCopy()
	rules := routesOf(r.dialect, live)
	entry(moved.Object["spec"])["rules"] = []any{rules[1], rules[0]}
	if found, err := r.look(moved); err != nil || found.place.base != 0 {
		t.Errorf("moved: %+v, %v", found, err)
	}
	replaced := live.DeepCopy()
	entry(replaced.Object["spec"])["rules"] = []any{rules[0], map[string]any{"backendRefs": []any{map[string]any{"name": "new"}}}}
	_, err = r.look(replaced)
	traffictest.WantError[*AmbiguousError](t, err, "number 1", "another one")
	gone := live.DeepCopy()
	entry(gone.Object["spec"])["rules"] = rules[:1]
	_, err = r.look(gone)
	traffictest.WantError[*AmbiguousError](t, err)
	third := 2
	_, _, err = planner(t, gatewayConfig("", &third)).plan(t.Context(), httpRoute(t, "  - {backendRefs: [{name: first}]}"), Split{})
	traffictest.WantError[*MissingError](t, err, "number 2")
}
