// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

// bench is an environment's namespace on the test cluster, and what the routers have there.
type bench struct {
	*traffictest.Bench
	*objects
	owner Owner
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := traffictest.New(t)
	access, err := newObjects(b.Cluster, nil, b.Handle)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Bench: b, objects: access, owner: Owner{Handle: b.Handle, Name: "app", InstanceID: "one"}}
}

func (b *bench) istio(config IstioConfig) Router {
	b.Helper()
	config.Owner.Handle = b.owner.Handle
	made, err := NewIstio(b.cluster, nil, config)
	if err != nil {
		b.Fatal(err)
	}
	return made
}

func (b *bench) gateway(config GatewayConfig) Router {
	b.Helper()
	config.Owner.Handle = b.owner.Handle
	made, err := NewGateway(b.cluster, nil, config)
	if err != nil {
		b.Fatal(err)
	}
	return made
}

// planned is the router of a plan, which takes over whatever it finds.
func (b *bench) planned(config Config, owner Owner) Router {
	b.Helper()
	owner.TakeOver = true
	made, err := config.Router(b.cluster, nil, owner)
	if err != nil {
		b.Fatal(err)
	}
	return made
}

func (b *bench) set(r Router, split Split) {
	b.Helper()
	if err := r.Set(b.Context(), split); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) read(r Router) Observed {
	b.Helper()
	seen, err := r.Read(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return seen
}

func (b *bench) wantRead(r Router, want Split) Observed {
	b.Helper()
	seen := b.read(r)
	if !seen.Split.Equal(want) || !seen.Exists || !seen.Managed || len(seen.Drift) > 0 || seen.InstanceID != "one" {
		b.Errorf("read %+v, want %+v", seen, want)
	}
	return seen
}

func TestRouters_OwnTheirObjects(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind   kind
		router func(*bench) Router
	}{
		"istio":   {virtualServices, func(b *bench) Router { return b.istio(istioConfig("")) }},
		"gateway": {httpRoutes, func(b *bench) Router { return b.gateway(gatewayConfig("", nil)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			r := test.router(b)
			if seen := b.read(r); seen.Exists || seen.Managed {
				t.Errorf("before it is made: %+v", seen)
			}
			versions := map[string]bool{}
			for _, split := range []Split{
				{Weight: 0}, {Weight: 10, Headers: []HeaderMatch{onTrue}}, {Weight: 50, Headers: []HeaderMatch{onTrue, beta}}, {Weight: 100},
				{Weight: 0},
				{Weight: 10, Headers: []HeaderMatch{beta}},
			} {
				b.set(r, split)
				versions[b.wantRead(test.router(b), split).Version] = true
				before := traffictest.OurWrites(b.Live(test.kind.groupKind(), "app"))
				b.set(r, split)
				if after := traffictest.OurWrites(b.Live(test.kind.groupKind(), "app")); !reflect.DeepEqual(after, before) {
					t.Errorf("the same split was written again: %v, %v", before, after)
				}
			}
			if len(versions) != 5 {
				t.Errorf("%d versions of 5 contents", len(versions))
			}
			labels := b.Live(test.kind.groupKind(), "app").GetLabels()
			for key, want := range b.owner.Labels() {
				if labels[key] != want {
					t.Errorf("label %s is %q, want %q", key, labels[key], want)
				}
			}
			if err := r.Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			if b.Live(test.kind.groupKind(), "app") != nil {
				t.Error("the route is still there")
			}
			if test.kind.routed == "Istio" && b.Live(destinationRules.groupKind(), "app") != nil {
				t.Error("the subsets are still there")
			}
			if err := test.router(b).Restore(t.Context()); err != nil {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

func TestRouters_RefuseObjectsOfOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	service := shared(t, "  - {name: app, route: [{destination: {host: data-collection}}]}")
	service.SetName("app")
	b.Put(virtualServices.groupKind(), service)
	r := b.istio(istioConfig(""))
	_, err := r.Read(t.Context())
	traffictest.WantError[*ForeignError](t, err, "VirtualService app belongs to another owner")
	traffictest.WantError[*ForeignError](t, r.Set(t.Context(), Split{Weight: 1}))
	if b.Live(destinationRules.groupKind(), "app") != nil {
		t.Error("the DestinationRule was made for a split that was refused")
	}
	if err := r.Restore(t.Context()); err != nil {
		t.Error(err)
	}
	if b.Live(virtualServices.groupKind(), "app") == nil {
		t.Error("a VirtualService of another owner was removed")
	}

	// Another client's namespace is refused before anything is written.
	config := istioConfig("")
	config.Owner.Name = "second"
	config.Owner.Handle = b.owner.Handle
	config.Owner.Handle.Client = "another"
	foreign, err := NewIstio(b.cluster, nil, config)
	if err != nil {
		t.Fatal(err)
	}
	traffictest.WantError[*environment.NamespaceForeignError](t, foreign.Set(t.Context(), Split{Weight: 1}))
	if b.Live(virtualServices.groupKind(), "second") != nil || b.Live(destinationRules.groupKind(), "second") != nil {
		t.Error("something was made in another client's namespace")
	}
}

func TestRouters_ShareAnObject(t *testing.T) {
	t.Parallel()
	http := strings.ReplaceAll(strings.ReplaceAll(twoOwners, "    somethingNew: {of: [next, year]}\n", ""), "    unknownField: {kept: true}\n",
		"")
	rules := `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shared}
spec:
  parentRefs: [{group: "", kind: Service, name: app, port: 80}]
  rules:
  - {name: first, matches: [{path: {type: PathPrefix, value: /admin}}], backendRefs: [{name: admin, port: 80}]}
  - name: primary
    matches: [{path: {type: PathPrefix, value: /v1}, headers: [{name: tenant, value: a}]},
      {path: {type: Exact, value: /health}, method: GET}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-by, value: app}]}}]
    timeouts: {request: 3s}
    backendRefs: [{name: app, port: 80}]
  - {backendRefs: [{name: fallback, port: 80}]}
`
	second := 1
	for name, test := range map[string]struct {
		kind   kind
		object func(*testing.T) *unstructured.Unstructured
		router func(*bench) Router
		base   int
	}{
		"istio": {
			virtualServices, func(t *testing.T) *unstructured.Unstructured { return shared(t, http) },
			func(b *bench) Router { return b.istio(istioConfig("primary")) }, 1,
		},
		"gateway by name": {
			httpRoutes, func(t *testing.T) *unstructured.Unstructured { return parse(t, rules) },
			func(b *bench) Router { return b.gateway(gatewayConfig("primary", nil)) }, 1,
		},
		"gateway by place": {httpRoutes, func(t *testing.T) *unstructured.Unstructured {
			return parse(t, strings.ReplaceAll(rules, "name: primary\n    ", ""))
		}, func(b *bench) Router { return b.gateway(gatewayConfig("", &second)) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			field := "http"
			if test.kind.name == httpRoutes.name {
				field = "rules"
			}
			original := b.Put(test.kind.groupKind(), test.object(t))
			r := test.router(b)
			if seen := b.read(r); !seen.Exists || seen.Managed || seen.Split.Weight != 0 || len(seen.Drift) > 0 {
				t.Errorf("before the first Set: %+v", seen)
			}
			for _, split := range []Split{
				{Weight: 10, Headers: []HeaderMatch{onTrue}}, {Weight: 60, Headers: []HeaderMatch{onTrue, beta}}, {Weight: 100},
				{Weight: 5, Headers: []HeaderMatch{beta}},
			} {
				b.set(r, split)
				b.wantRead(test.router(b), split)
			}

			// Another user puts a route before all others, between our reading and our writing.
			routes := b.routes(test.kind, field)
			added := entry(original.DeepCopy().Object["spec"])[field].([]any)[0] //nolint:forcetypeassert // the list that was put there
			entry(added)["name"] = "added"
			b.replace(test.kind, field, slices.Insert(routes, 0, added))
			b.set(r, Split{Weight: 20})
			b.wantRead(test.router(b), Split{Weight: 20})

			// Or changes another route in its place.
			b.read(r)
			routes = b.routes(test.kind, field)
			last, _ := routes[len(routes)-1].(map[string]any)
			last["name"] = "last"
			b.replace(test.kind, field, routes)
			b.set(r, Split{Weight: 25})

			// Our own route is another matter: it is read again before it is written.
			routes = b.routes(test.kind, field)
			changed, _ := routes[len(routes)-2].(map[string]any)
			timeout, edited := "timeout", any("7s")
			if field == "rules" {
				timeout, edited = "timeouts", map[string]any{"request": "7s"}
			}
			before := changed[timeout]
			changed[timeout] = edited
			b.replace(test.kind, field, routes)
			traffictest.WantError[*ConflictError](t, r.Set(t.Context(), Split{Weight: 30, Headers: []HeaderMatch{onTrue}}),
				"Another user or program changed")
			traffictest.WantSame(t, routes, b.routes(test.kind, field))
			if name == "gateway by place" {
				// Moved, changed, and without a name: nothing distinguishes it from the others any more.
				_, err := r.Read(t.Context())
				traffictest.WantError[*AmbiguousError](t, err)
				changed[timeout], edited = before, before
				b.replace(test.kind, field, routes)
			}
			b.wantRead(r, Split{Weight: 25})
			b.set(r, Split{Weight: 30, Headers: []HeaderMatch{onTrue}})
			b.wantRead(test.router(b), Split{Weight: 30, Headers: []HeaderMatch{onTrue}})

			// A status that is written in between is no conflict.
			b.read(r)
			if test.kind.name == virtualServices.name {
				b.Edit(test.kind.groupKind(), "shared", `{"status":{"observedGeneration":"3"}}`, "status")
			}
			b.set(r, Split{Weight: 35, Headers: []HeaderMatch{onTrue}})

			if err := test.router(b).Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := append([]any{added}, entry(original.Object["spec"])[field].([]any)...) //nolint:forcetypeassert // as above
			entry(want[len(want)-1])["name"], entry(want[len(want)-2])[timeout] = "last", edited
			traffictest.WantSame(t, want, b.routes(test.kind, field))
			if annotations := b.Live(test.kind.groupKind(), "shared").GetAnnotations()[AnnotationSplits]; annotations != "" {
				t.Errorf("the annotation is left: %s", annotations)
			}
			if err := test.router(b).Restore(t.Context()); err != nil {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

func (b *bench) routes(k kind, field string) []any {
	b.Helper()
	routes, _ := entry(b.Live(k.groupKind(), "shared").Object["spec"])[field].([]any)
	return routes
}

func (b *bench) replace(k kind, field string, routes []any) {
	b.Helper()
	text, err := json.Marshal(map[string]any{"spec": map[string]any{field: routes}})
	if err != nil {
		b.Fatal(err)
	}
	b.Edit(k.groupKind(), "shared", string(text))
}

func TestIstio_PutsSubsetsIntoADestinationRuleOfOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: theirs}
spec:
  host: data-collection
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
  subsets:
  - {name: eu, labels: {zone: eu}}
  - {name: v1, labels: {version: v1}}
`
	before := b.Put(destinationRules.groupKind(), parse(t, rule))
	config := istioConfig("")
	config.DestinationRule = "theirs"
	r := b.istio(config)
	b.set(r, Split{Weight: 10})
	b.wantRead(b.istio(config), Split{Weight: 10})
	want := before.DeepCopy()
	spec := entry(want.Object["spec"])
	subsets, _ := spec["subsets"].([]any)
	spec["subsets"] = append(subsets, map[string]any{"name": "v2", "labels": map[string]any{"version": "v2"}})
	traffictest.WantSame(t, spec, b.Live(destinationRules.groupKind(), "theirs").Object["spec"])

	// What others did to our subset is seen, and the next Set repairs it.
	b.Edit(destinationRules.groupKind(), "theirs",
		`{"spec":{"subsets":[{"name":"eu","labels":{"zone":"eu"}},{"name":"v1","labels":{"version":"v1"}},{"name":"v2",`+
			`"labels":{"version":"v9"}}]}}`)
	again := b.istio(config)
	if seen := b.read(again); len(seen.Drift) != 1 || !strings.Contains(seen.Drift[0], "DestinationRule theirs") {
		t.Errorf("read %+v", seen)
	}
	b.set(again, Split{Weight: 10})
	b.wantRead(b.istio(config), Split{Weight: 10})
	traffictest.WantSame(t, spec, b.Live(destinationRules.groupKind(), "theirs").Object["spec"])

	if err := again.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := b.Live(destinationRules.groupKind(), "theirs")
	traffictest.WantSame(t, before.Object["spec"], after.Object["spec"])
	if after.GetAnnotations()[AnnotationSplits] != "" {
		t.Errorf("the annotation is left: %v", after.GetAnnotations())
	}
}

func TestIstio_RefusesASubsetThatMeansOtherPods(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Put(destinationRules.groupKind(), parse(t,
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: theirs}\n"+
			"spec: {host: data-collection, subsets: [{name: v2, labels: {version: old}}]}"))
	err := b.istio(istioConfig("")).Set(t.Context(), Split{Weight: 10})
	traffictest.WantError[*SubsetError](t, err, "Subset v2 of host data-collection", "DestinationRule theirs", "version=old", "version=v2")
	if b.Live(virtualServices.groupKind(), "app") != nil {
		t.Error("the VirtualService was made all the same")
	}
}

func TestIstio_KeepsASubsetThatOthersReferTo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.istio(istioConfig(""))
	b.set(r, Split{Weight: 10})
	b.Put(virtualServices.groupKind(), shared(t, "  - {route: [{destination: {host: data-collection, subset: v1}}]}"))
	if err := r.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	rule := b.Live(destinationRules.groupKind(), "app")
	if rule == nil || len(subsetsOf(rule)) != 1 || findSubset(rule, "v1") != 0 {
		t.Fatalf("left: %v", rule)
	}
}

func TestRouters_KeepRoutesThatOthersPutIntoAnOwnObject(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.istio(istioConfig(""))
	b.set(r, Split{Weight: 10, Headers: []HeaderMatch{onTrue}})
	live := b.Live(virtualServices.groupKind(), "app")
	theirs := map[string]any{
		"name":  "theirs",
		"match": []any{map[string]any{"uri": map[string]any{"prefix": "/x"}}},
		"route": []any{map[string]any{"destination": map[string]any{"host": "x"}}},
	}
	text, err := json.Marshal(map[string]any{"spec": map[string]any{
		"hosts": []any{"data-collection", "more"}, "http": slices.Insert(routesOf(istio{}, live), 0, any(theirs)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.Edit(virtualServices.groupKind(), "app", string(text))
	if seen := b.read(r); len(seen.Drift) != 1 || !strings.Contains(seen.Drift[0], "hosts of VirtualService app") {
		t.Errorf("read %+v", seen)
	}
	b.set(r, Split{Weight: 20})
	b.wantRead(b.istio(istioConfig("")), Split{Weight: 20})
	if err := r.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := b.Live(virtualServices.groupKind(), "app")
	traffictest.WantSame(t, []any{
		theirs,
		map[string]any{"name": "app", "route": []any{map[string]any{"destination": map[string]any{"host": "data-collection"}}}},
	}, routesOf(istio{}, left))
	if b.owner.owns(left) || left.GetAnnotations()[AnnotationSplits] != "" {
		t.Errorf("labels and annotations are left: %v, %v", left.GetLabels(), left.GetAnnotations())
	}
}

func TestRouters_SayThatAKindIsMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.get(b.Context(),
		kind{group: "networking.istio.invalid", name: "VirtualService", versions: []string{"v1", "v1beta1"}, routed: "Istio"}, "app")
	traffictest.WantError[*KindMissingError](t, err, "The cluster has no VirtualService.",
		"networking.istio.invalid/v1, networking.istio.invalid/v1beta1", "Install Istio")

	older := virtualServices
	older.versions = []string{"v7", "v1beta1"}
	if _, found, err := b.resource(older); err != nil || found.GroupVersionKind.Version != "v1beta1" {
		t.Errorf("the older version: %v, %v", found, err)
	}
}

func TestRouters_HaveNothingToRestoreInANamespaceThatIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.gateway(gatewayConfig("", nil))
	b.set(r, Split{Weight: 10})
	kubernetes, err := b.cluster.Kubernetes()
	if err != nil {
		t.Fatal(err)
	}
	if err := kubernetes.CoreV1().Namespaces().Delete(t.Context(), b.owner.Handle.Namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(t.Context()); err != nil {
		t.Error(err)
	}
}
