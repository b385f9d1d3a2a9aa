// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

const twoOwners = `
  - name: admin
    match: [{uri: {prefix: /admin}}]
    route: [{destination: {host: admin}}]
    somethingNew: {of: [next, year]}
  - name: primary
    match:
    - {uri: {prefix: /v1}, headers: {tenant: {exact: a}}}
    - {uri: {exact: /health}, method: {exact: GET}}
    rewrite: {uri: /}
    timeout: 3s
    retries: {attempts: 2, perTryTimeout: 1s}
    unknownField: {kept: true}
    route:
    - destination: {host: data-collection, port: {number: 8080}}
      headers: {response: {set: {x-served-by: app}}}
  - route: [{destination: {host: fallback.other.svc.cluster.local}}]
`

func TestIstio_DividesOneRouteOfASharedVirtualService(t *testing.T) {
	t.Parallel()
	r := planner(t, istioConfig("primary"))
	before := shared(t, twoOwners)
	live := set(t, r, before, Split{Weight: 10, Headers: []HeaderMatch{onTrue}})
	wantRoutes(t, r, live, `
- name: admin
  match: [{uri: {prefix: /admin}}]
  route: [{destination: {host: admin}}]
  somethingNew: {of: [next, year]}
- name: app-canary-header
  match:
  - {uri: {prefix: /v1}, headers: {tenant: {exact: a}, canary: {exact: "true"}}}
  - {uri: {exact: /health}, method: {exact: GET}, headers: {canary: {exact: "true"}}}
  rewrite: {uri: /}
  timeout: 3s
  retries: {attempts: 2, perTryTimeout: 1s}
  unknownField: {kept: true}
  route:
  - destination: {host: data-collection, port: {number: 8080}, subset: v2}
    headers: {response: {set: {x-served-by: app}}}
- name: primary
  match:
  - {uri: {prefix: /v1}, headers: {tenant: {exact: a}}}
  - {uri: {exact: /health}, method: {exact: GET}}
  rewrite: {uri: /}
  timeout: 3s
  retries: {attempts: 2, perTryTimeout: 1s}
  unknownField: {kept: true}
  route:
  - destination: {host: data-collection, port: {number: 8080}, subset: v1}
    headers: {response: {set: {x-served-by: app}}}
    weight: 90
  - destination: {host: data-collection, port: {number: 8080}, subset: v2}
    headers: {response: {set: {x-served-by: app}}}
    weight: 10
- route: [{destination: {host: fallback.other.svc.cluster.local}}]
`)
	seen, err := r.look(live)
	if err != nil {
		t.Fatal(err)
	}
	now, changed := seen.split()
	if !now.Equal(Split{Weight: 10, Headers: []HeaderMatch{onTrue}}) || len(changed) > 0 {
		t.Errorf("read %+v, changed %v", now, changed)
	}
	if p, _, err := r.plan(t.Context(), live, now); err != nil || !p.empty() {
		t.Errorf("the same again: %v, %v", p, err)
	}

	live = restore(t, r, live)
	traffictest.WantSame(t, before.Object["spec"], live.Object["spec"])
	if live.GetAnnotations()[AnnotationSplits] != "" {
		t.Errorf("the annotation is left: %v", live.GetAnnotations())
	}
}

func TestIstio_SetsEachWeight(t *testing.T) {
	t.Parallel()
	r := planner(t, istioConfig("primary"))
	before := shared(t, "  - {name: primary, route: [{destination: {host: data-collection}}]}")
	live := before
	for _, step := range []struct {
		weight int
		want   string
	}{
		{0, "[{destination: {host: data-collection, subset: v1}, weight: 100}]"},
		{100, "[{destination: {host: data-collection, subset: v2}, weight: 100}]"},
		{25, "[{destination: {host: data-collection, subset: v1}, weight: 75}, {destination: {host: data-collection, subset: v2}, weight: 25}]"},
		{0, "[{destination: {host: data-collection, subset: v1}, weight: 100}]"},
	} {
		live = set(t, r, live, Split{Weight: step.weight})
		wantRoutes(t, r, live, "- {name: primary, route: "+step.want+"}")
		found, err := r.look(live)
		if err != nil {
			t.Fatal(err)
		}
		if now, changed := found.split(); now.Weight != step.weight || len(changed) > 0 {
			t.Errorf("weight %d is read as %d, changed %v", step.weight, now.Weight, changed)
		}
	}
	traffictest.WantSame(t, before.Object["spec"], restore(t, r, live).Object["spec"])
}

func TestIstio_RefusesAmbiguousRoutes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		http string
		is   func(*testing.T, error)
	}{
		"no such name": {
			"  - {name: other, route: [{destination: {host: data-collection}}]}\n  - {route: [{destination: {host: data-collection}}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*MissingError](t, err, "no route primary", "named routes are other.", "1 have no name")
			},
		},
		"unnamed only": {
			"  - {route: [{destination: {host: data-collection}}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*MissingError](t, err, "has no named routes", "1 have no name")
			},
		},
		"twice": {
			"  - {name: primary, match: [{uri: {prefix: /a}}], route: [{destination: {host: data-collection}}]}\n" +
				"  - {name: primary, route: [{destination: {host: data-collection}}]}",
			func(t *testing.T, err error) { traffictest.WantError[*AmbiguousError](t, err, "places 0 and 1") },
		},
		"the header route twice": {
			"  - {name: app-canary-header, route: [{destination: {host: data-collection}}]}\n" +
				"  - {name: app-canary-header, route: [{destination: {host: data-collection}}]}\n" +
				"  - {name: primary, route: [{destination: {host: data-collection}}]}",
			func(t *testing.T, err error) { traffictest.WantError[*AmbiguousError](t, err, "app-canary-header") },
		},
		"the header route belongs to another owner": {
			"  - {name: app-canary-header, route: [{destination: {host: data-collection}}]}\n" +
				"  - {name: primary, route: [{destination: {host: data-collection}}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*AmbiguousError](t, err, "app-canary-header", "does not lead to the canary")
			},
		},
		"redirect": {
			"  - {name: primary, redirect: {uri: /new}}",
			func(t *testing.T, err error) { traffictest.WantError[*ShapeError](t, err, "redirect") },
		},
		"delegate": {
			"  - {name: primary, delegate: {name: deeper}}",
			func(t *testing.T, err error) { traffictest.WantError[*ShapeError](t, err, "delegate") },
		},
		"another host": {
			"  - {name: primary, route: [{destination: {host: billing}}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*ShapeError](t, err, "not the host of this split")
			},
		},
		"the same name elsewhere": {
			"  - {name: primary, route: [{destination: {host: data-collection.other.svc.cluster.local}}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*ShapeError](t, err, "not the host of this split")
			},
		},
		"divided otherwise": {
			"  - {name: primary, route: [{destination: {host: data-collection, subset: v1}, weight: 50}, {destination: {host: " +
				"data-collection, subset: eu}, weight: 50}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*ShapeError](t, err, "divides its requests already")
			},
		},
		"no destination": {
			"  - {name: primary, timeout: 1s}",
			func(t *testing.T, err error) { traffictest.WantError[*ShapeError](t, err, "no destination") },
		},
		"header by regular expression": {
			"  - {name: primary, match: [{headers: {canary: {regex: t.*}}}], route: [{destination: {host: data-collection}}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*HeaderClashError](t, err, "Header canary", "one rule for a header")
			},
		},
		"header with another value": {
			"  - {name: primary, match: [{headers: {canary: {exact: never}}}], route: [{destination: {host: data-collection}}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*HeaderClashError](t, err, "No request with canary: true")
			},
		},
		"header that must be absent": {
			"  - {name: primary, match: [{withoutHeaders: {canary: {}}}], route: [{destination: {host: data-collection}}]}",
			func(t *testing.T, err error) {
				traffictest.WantError[*HeaderClashError](t, err, "No request with canary: true")
			},
		},
		"another split of this route": {
			"",
			func(t *testing.T, err error) {
				traffictest.WantError[*ForeignError](t, err, "Route primary", "the split b")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := planner(t, istioConfig("primary"))
			http := test.http
			if http == "" {
				http = "  - {name: primary, route: [{destination: {host: data-collection}}]}"
			}
			live := shared(t, http)
			if test.http == "" {
				second := istioConfig("primary")
				second.Owner.Name = "b"
				live = set(t, planner(t, second), live, Split{Weight: 5})
			}
			_, _, err := r.plan(t.Context(), live, Split{Weight: 10, Headers: []HeaderMatch{onTrue}})
			test.is(t, err)
		})
	}
}

func TestIstio_AndsHeadersIntoEveryMatchBlock(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ match, want string }{
		"no block":   {``, `[{headers: {canary: {exact: "true"}}}, {headers: {x-beta: {exact: "yes"}}}]`},
		"empty list": {`match: []`, `[{headers: {canary: {exact: "true"}}}, {headers: {x-beta: {exact: "yes"}}}]`},
		"two blocks": {
			`match: [{uri: {prefix: /a}}, {port: 80}]`,
			`[{uri: {prefix: /a}, headers: {canary: {exact: "true"}}}, {port: 80, headers: {canary: {exact: "true"}}}, {uri: {prefix: ` +
				`/a}, headers: {x-beta: {exact: "yes"}}}, {port: 80, headers: {x-beta: {exact: "yes"}}}]`,
		},
		"same header": {
			`match: [{headers: {canary: {exact: "true"}}}, {headers: {canary: {exact: "no"}}}]`,
			`[{headers: {canary: {exact: "true"}}}, {headers: {canary: {exact: "true"}, x-beta: {exact: "yes"}}}, {headers: {canary: ` +
				`{exact: "no"}, x-beta: {exact: "yes"}}}]`,
		},
		"prefix": {
			`match: [{headers: {canary: {prefix: t}}}]`,
			`[{headers: {canary: {exact: "true"}}}, {headers: {canary: {prefix: t}, x-beta: {exact: "yes"}}}]`,
		},
		"presence": {
			`match: [{headers: {canary: {}}}]`,
			`[{headers: {canary: {exact: "true"}}}, {headers: {canary: {}, x-beta: {exact: "yes"}}}]`,
		},
		"without others": {
			`match: [{withoutHeaders: {canary: {exact: x}}}]`,
			`[{withoutHeaders: {canary: {exact: x}}, headers: {canary: {exact: "true"}}}, {withoutHeaders: {canary: {exact: x}}, ` +
				`headers: {x-beta: {exact: "yes"}}}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := planner(t, istioConfig("primary"))
			match := test.match
			if match != "" {
				match = ", " + match
			}
			live := set(t, r, shared(t, "  - {name: primary, route: [{destination: {host: data-collection}}]"+match+"}"),
				Split{Headers: []HeaderMatch{beta, onTrue, beta}})
			wantRoutes(t, r, live,
				"- {name: app-canary-header, route: [{destination: {host: data-collection, subset: v2}}], match: "+test.want+"}\n"+
					"- {name: primary, route: [{destination: {host: data-collection, subset: v1}, weight: 100}]"+match+"}")
			found, err := r.look(live)
			if err != nil {
				t.Fatal(err)
			}
			if now, changed := found.split(); !now.Equal(Split{Headers: []HeaderMatch{onTrue, beta}}) || len(changed) > 0 {
				t.Errorf("read %+v, changed %v", now, changed)
			}
		})
	}
}

func TestIstio_SaysWhatOthersChanged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		edit        func(routes []any) []any
		weight      int
		headers     int
		changed     int
		wantsDrifts bool
	}{
		"nothing": {func(routes []any) []any { return routes }, 10, 1, 0, false},
		"weights, to another sum": {func(routes []any) []any {
			for i, destination := range objectsIn(entry(routes[1])["route"]) {
				destination["weight"] = int64([]int{1, 3}[i])
			}
			return routes
		}, 75, 1, 0, true},
		"a timeout of the base route": {func(routes []any) []any {
			entry(routes[1])["timeout"] = "9s"
			return routes
		}, 10, 1, 1, true},
		"the header route is gone": {func(routes []any) []any { return routes[1:] }, 10, 0, 0, true},
		"the header route is last": {func(routes []any) []any { return []any{routes[1], routes[0]} }, 10, 1, 1, true},
		"another header": {func(routes []any) []any {
			entry(routes[0])["match"] = []any{map[string]any{"headers": map[string]any{"z": map[string]any{"exact": "1"}}}}
			return routes
		}, 10, 1, 0, true},
		"written anew by its owner": {func(routes []any) []any {
			return routeList(map[string]any{
				"name":  "primary",
				"route": []any{map[string]any{"destination": map[string]any{"host": "data-collection", "port": map[string]any{"number": int64(9)}}}},
			})
		}, 0, 0, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := planner(t, istioConfig("primary"))
			want := Split{Weight: 10, Headers: []HeaderMatch{onTrue}}
			live := set(t, r, shared(t, "  - {name: primary, route: [{destination: {host: data-collection}}]}"), want)
			spec := entry(live.Object["spec"])
			spec["http"] = test.edit(routesOf(r.dialect, live))
			found, err := r.look(live)
			if err != nil {
				t.Fatal(err)
			}
			now, changed := found.split()
			if now.Weight != test.weight || len(now.Headers) != test.headers || len(changed) != test.changed {
				t.Errorf("read %+v, changed %q", now, changed)
			}
			p, tests, err := r.plan(t.Context(), live, want)
			if err != nil || p.empty() == test.wantsDrifts {
				t.Fatalf("patch %+v, error %v", p, err)
			}
			repaired, err := r.look(apply(t, live, p, tests))
			if err != nil {
				t.Fatal(err)
			}
			if now, changed := repaired.split(); !now.Equal(want) || len(changed) > 0 {
				t.Errorf("after another Set: %+v, changed %q", now, changed)
			}
		})
	}
}

func entry(value any) map[string]any {
	out, _ := value.(map[string]any)
	return out
}

func routeList(entries ...any) []any { return entries }

func TestIstio_RestoresWithoutItsAnnotation(t *testing.T) {
	t.Parallel()
	r := planner(t, istioConfig("primary"))
	live := set(t, r, shared(t, "  - {name: primary, route: [{destination: {host: data-collection}}]}"),
		Split{Weight: 10, Headers: []HeaderMatch{onTrue}})
	live.SetAnnotations(nil)
	live = restore(t, r, live)
	wantRoutes(t, r, live, "- {name: primary, route: [{destination: {host: data-collection, subset: v1}}]}")
}

func TestIstio_LeavesTheLastRouteThatOthersLeft(t *testing.T) {
	t.Parallel()
	r := planner(t, istioConfig("primary"))
	live := set(t, r, shared(t, "  - {name: primary, route: [{destination: {host: data-collection}}]}"),
		Split{Weight: 10, Headers: []HeaderMatch{onTrue}})
	entry(live.Object["spec"])["http"] = routesOf(r.dialect, live)[:1]
	live = restore(t, r, live)
	wantRoutes(t, r, live,
		`- {name: app-canary-header, match: [{headers: {canary: {exact: "true"}}}], route: [{destination: {host: data-collection}}]}`)
}

func TestIstio_RefusesAnotherInstanceUnlessItTakesOver(t *testing.T) {
	t.Parallel()
	live := set(t, planner(t, istioConfig("primary")), shared(t, "  - {name: primary, route: [{destination: {host: data-collection}}]}"),
		Split{Weight: 10})
	config := istioConfig("primary")
	config.Owner.InstanceID = "two"
	_, _, err := planner(t, config).plan(t.Context(), live, Split{Weight: 20})
	traffictest.WantExplained(t, err, "has the id one", "this state has two", "managed by another Terraform state")
	config.Owner.TakeOver = true
	live = set(t, planner(t, config), live, Split{Weight: 10})
	found, err := planner(t, config).look(live)
	if err != nil || found.annotation.Instance != "two" {
		t.Errorf("%+v, %v", found, err)
	}
	config.Owner.Handle.Client = "client-b"
	_, err = planner(t, config).look(live)
	traffictest.WantError[*ForeignError](t, err, "client client-a, stage prod")
}

func TestIstio_TakesOverASplitMadeByHand(t *testing.T) {
	t.Parallel()
	r := planner(t, istioConfig("primary"))
	live := shared(t, "  - name: primary\n    route: [{destination: {host: data-collection, subset: v1}, weight: 80}, "+
		"{destination: {host: data-collection, subset: v2}, weight: 20}]")
	found, err := r.look(live)
	if err != nil {
		t.Fatal(err)
	}
	if now, changed := found.split(); now.Weight != 20 || len(changed) > 0 || found.annotated {
		t.Errorf("read %+v, changed %v, annotated %v", now, changed, found.annotated)
	}
	live = restore(t, r, set(t, r, live, Split{Weight: 20}))
	// Back to what was there would be on to pods that go.
	wantRoutes(t, r, live, "- {name: primary, route: [{destination: {host: data-collection, subset: v1}}]}")
}
