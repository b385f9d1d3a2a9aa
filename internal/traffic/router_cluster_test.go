// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// bench is an environment's namespace on the cluster of SLIPWAY_TEST_KUBECONFIG, in which Istio's and the Gateway API's kinds are known.
type bench struct {
	*testing.T
	cluster *cluster.Cluster
	owner   Owner
	*objects
}

func newBench(t *testing.T) *bench {
	t.Helper()
	path := os.Getenv("SLIPWAY_TEST_KUBECONFIG")
	if path == "" {
		t.Skip("SLIPWAY_TEST_KUBECONFIG is not set: no cluster to test against")
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.NewConnections(cluster.Config{ConfigPaths: []string{path}}).Cluster(t.Context(), cluster.Coordinate{Context: config.CurrentContext})
	if err != nil {
		t.Fatal(err)
	}
	client := "traffic-" + strings.ToLower(rand.Text()[:6])
	handle := environment.Handle{Client: client, Stage: "prod", Cluster: c.Coordinate(), Namespace: client}
	kubernetes, err := c.Kubernetes()
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: client, Labels: map[string]string{
		environment.LabelClient: client, environment.LabelStage: "prod",
	}}}
	if _, err := kubernetes.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := kubernetes.CoreV1().Namespaces().Delete(context.Background(), client, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	access, err := newObjects(c, nil, handle)
	if err != nil {
		t.Fatal(err)
	}
	installKinds(t, access)
	return &bench{T: t, cluster: c, owner: Owner{Handle: handle, Name: "app", InstanceID: "one"}, objects: access}
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

// put makes an object of somebody else.
func (b *bench) put(k kind, live *unstructured.Unstructured) *unstructured.Unstructured {
	b.Helper()
	resource, _, err := b.resource(k)
	if err != nil {
		b.Fatal(err)
	}
	live.SetNamespace(b.owner.Handle.Namespace)
	live.SetUID("")
	live.SetResourceVersion("")
	made, err := resource.Create(b.Context(), live, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		b.Fatal(err)
	}
	return made
}

// edit changes an object as somebody else does, by a merge patch.
func (b *bench) edit(k kind, name, merge string, subresources ...string) {
	b.Helper()
	resource, _, err := b.resource(k)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := resource.Patch(b.Context(), name, types.MergePatchType, []byte(merge), metav1.PatchOptions{FieldManager: "somebody"}, subresources...); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) live(k kind, name string) *unstructured.Unstructured {
	b.Helper()
	live, err := b.get(b.Context(), k, name)
	if err != nil {
		b.Fatal(err)
	}
	return live
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
	if !seen.Split.Equal(want) || !seen.Exists || !seen.Managed || len(seen.Changed) > 0 || seen.InstanceID != "one" {
		b.Errorf("read %+v, want %+v", seen, want)
	}
	return seen
}

// ourWrites is what a write of ours leaves on an object. It leaves out what istiod does, which reports on the object's status at any time.
func ourWrites(live *unstructured.Unstructured) []any {
	out := []any{live.GetGeneration(), live.GetLabels(), live.GetAnnotations()}
	for _, fields := range live.GetManagedFields() {
		if fields.Manager == environment.FieldManager && fields.Subresource == "" {
			out = append(out, fields)
		}
	}
	return out
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
				{Weight: 0}, {Weight: 10, Headers: []HeaderMatch{onTrue}}, {Weight: 50, Headers: []HeaderMatch{onTrue, beta}}, {Weight: 100}, {Weight: 0},
				{Weight: 10, Headers: []HeaderMatch{beta}},
			} {
				b.set(r, split)
				versions[b.wantRead(test.router(b), split).Version] = true
				before := ourWrites(b.live(test.kind, "app"))
				b.set(r, split)
				if after := ourWrites(b.live(test.kind, "app")); !reflect.DeepEqual(after, before) {
					t.Errorf("the same split was written again: %v, %v", before, after)
				}
			}
			if len(versions) != 5 {
				t.Errorf("%d versions of 5 contents", len(versions))
			}
			labels := b.live(test.kind, "app").GetLabels()
			for key, want := range b.owner.labels() {
				if labels[key] != want {
					t.Errorf("label %s is %q, want %q", key, labels[key], want)
				}
			}
			if err := r.Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			if b.live(test.kind, "app") != nil {
				t.Error("the route is still there")
			}
			if test.kind.routed == "Istio" && b.live(destinationRules, "app") != nil {
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
	b.put(virtualServices, service)
	r := b.istio(istioConfig(""))
	_, err := r.Read(t.Context())
	wantError[*ForeignError](t, err, "VirtualService app belongs to somebody else")
	wantError[*ForeignError](t, r.Set(t.Context(), Split{Weight: 1}))
	if b.live(destinationRules, "app") != nil {
		t.Error("the DestinationRule was made for a split that was refused")
	}
	if err := r.Restore(t.Context()); err != nil {
		t.Error(err)
	}
	if b.live(virtualServices, "app") == nil {
		t.Error("somebody else's VirtualService was removed")
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
	wantError[*environment.NamespaceForeignError](t, foreign.Set(t.Context(), Split{Weight: 1}))
	if b.live(virtualServices, "second") != nil || b.live(destinationRules, "second") != nil {
		t.Error("something was made in another client's namespace")
	}
}

func TestRouters_ShareAnObject(t *testing.T) {
	t.Parallel()
	http := strings.ReplaceAll(strings.ReplaceAll(twoOwners, "    somethingNew: {of: [next, year]}\n", ""), "    unknownField: {kept: true}\n", "")
	rules := `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shared}
spec:
  parentRefs: [{group: "", kind: Service, name: app, port: 80}]
  rules:
  - {name: first, matches: [{path: {type: PathPrefix, value: /admin}}], backendRefs: [{name: admin, port: 80}]}
  - name: primary
    matches: [{path: {type: PathPrefix, value: /v1}, headers: [{name: tenant, value: a}]}, {path: {type: Exact, value: /health}, method: GET}]
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
		"istio":           {virtualServices, func(t *testing.T) *unstructured.Unstructured { return shared(t, http) }, func(b *bench) Router { return b.istio(istioConfig("primary")) }, 1},
		"gateway by name": {httpRoutes, func(t *testing.T) *unstructured.Unstructured { return parse(t, rules) }, func(b *bench) Router { return b.gateway(gatewayConfig("primary", nil)) }, 1},
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
			original := b.put(test.kind, test.object(t))
			r := test.router(b)
			if seen := b.read(r); !seen.Exists || seen.Managed || seen.Split.Weight != 0 || len(seen.Changed) > 0 {
				t.Errorf("before the first Set: %+v", seen)
			}
			for _, split := range []Split{{Weight: 10, Headers: []HeaderMatch{onTrue}}, {Weight: 60, Headers: []HeaderMatch{onTrue, beta}}, {Weight: 100}, {Weight: 5, Headers: []HeaderMatch{beta}}} {
				b.set(r, split)
				b.wantRead(test.router(b), split)
			}

			// Somebody puts a route before all others, between our reading and our writing.
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
			wantError[*ConflictError](t, r.Set(t.Context(), Split{Weight: 30, Headers: []HeaderMatch{onTrue}}), "changed by somebody else")
			wantSame(t, routes, b.routes(test.kind, field))
			if name == "gateway by place" {
				// Moved, changed, and without a name: nothing tells it from the others any more.
				_, err := r.Read(t.Context())
				wantError[*RouteAmbiguousError](t, err)
				changed[timeout], edited = before, before
				b.replace(test.kind, field, routes)
			}
			b.wantRead(r, Split{Weight: 25})
			b.set(r, Split{Weight: 30, Headers: []HeaderMatch{onTrue}})
			b.wantRead(test.router(b), Split{Weight: 30, Headers: []HeaderMatch{onTrue}})

			// A status that is written in between is no conflict.
			b.read(r)
			if test.kind.name == virtualServices.name {
				b.edit(test.kind, "shared", `{"status":{"observedGeneration":"3"}}`, "status")
			}
			b.set(r, Split{Weight: 35, Headers: []HeaderMatch{onTrue}})

			if err := test.router(b).Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := append([]any{added}, entry(original.Object["spec"])[field].([]any)...) //nolint:forcetypeassert // as above
			entry(want[len(want)-1])["name"], entry(want[len(want)-2])[timeout] = "last", edited
			wantSame(t, want, b.routes(test.kind, field))
			if marks := b.live(test.kind, "shared").GetAnnotations()[AnnotationSplits]; marks != "" {
				t.Errorf("our mark is left: %s", marks)
			}
			if err := test.router(b).Restore(t.Context()); err != nil {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

func (b *bench) routes(k kind, field string) []any {
	b.Helper()
	routes, _ := entry(b.live(k, "shared").Object["spec"])[field].([]any)
	return routes
}

func (b *bench) replace(k kind, field string, routes []any) {
	b.Helper()
	text, err := json.Marshal(map[string]any{"spec": map[string]any{field: routes}})
	if err != nil {
		b.Fatal(err)
	}
	b.edit(k, "shared", string(text))
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
	before := b.put(destinationRules, parse(t, rule))
	config := istioConfig("")
	config.DestinationRule = "theirs"
	r := b.istio(config)
	b.set(r, Split{Weight: 10})
	b.wantRead(b.istio(config), Split{Weight: 10})
	want := before.DeepCopy()
	spec := entry(want.Object["spec"])
	subsets, _ := spec["subsets"].([]any)
	spec["subsets"] = append(subsets, map[string]any{"name": "v2", "labels": map[string]any{"version": "v2"}})
	wantSame(t, spec, b.live(destinationRules, "theirs").Object["spec"])

	// What others did to our subset is seen, and put right by the next Set.
	b.edit(destinationRules, "theirs", `{"spec":{"subsets":[{"name":"eu","labels":{"zone":"eu"}},{"name":"v1","labels":{"version":"v1"}},{"name":"v2","labels":{"version":"v9"}}]}}`)
	again := b.istio(config)
	if seen := b.read(again); len(seen.Changed) != 1 || !strings.Contains(seen.Changed[0], "DestinationRule theirs") {
		t.Errorf("read %+v", seen)
	}
	b.set(again, Split{Weight: 10})
	b.wantRead(b.istio(config), Split{Weight: 10})
	wantSame(t, spec, b.live(destinationRules, "theirs").Object["spec"])

	if err := again.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := b.live(destinationRules, "theirs")
	wantSame(t, before.Object["spec"], after.Object["spec"])
	if after.GetAnnotations()[AnnotationSplits] != "" {
		t.Errorf("our mark is left: %v", after.GetAnnotations())
	}
}

func TestIstio_RefusesASubsetThatMeansOtherPods(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(destinationRules, parse(t, "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: theirs}\nspec: {host: data-collection, subsets: [{name: v2, labels: {version: old}}]}"))
	err := b.istio(istioConfig("")).Set(t.Context(), Split{Weight: 10})
	wantError[*SubsetError](t, err, "Subset v2 of host data-collection", "DestinationRule theirs", "version=old", "version=v2")
	if b.live(virtualServices, "app") != nil {
		t.Error("the VirtualService was made all the same")
	}
}

func TestIstio_KeepsASubsetThatOthersReferTo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.istio(istioConfig(""))
	b.set(r, Split{Weight: 10})
	b.put(virtualServices, shared(t, "  - {route: [{destination: {host: data-collection, subset: v1}}]}"))
	if err := r.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	rule := b.live(destinationRules, "app")
	if rule == nil || len(subsetsOf(rule)) != 1 || findSubset(rule, "v1") != 0 {
		t.Fatalf("left: %v", rule)
	}
}

func TestRouters_KeepRoutesThatOthersPutIntoAnOwnObject(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.istio(istioConfig(""))
	b.set(r, Split{Weight: 10, Headers: []HeaderMatch{onTrue}})
	live := b.live(virtualServices, "app")
	theirs := map[string]any{"name": "theirs", "match": []any{map[string]any{"uri": map[string]any{"prefix": "/x"}}}, "route": []any{map[string]any{"destination": map[string]any{"host": "x"}}}}
	text, err := json.Marshal(map[string]any{"spec": map[string]any{"hosts": []any{"data-collection", "more"}, "http": slices.Insert(routesOf(istio{}, live), 0, any(theirs))}})
	if err != nil {
		t.Fatal(err)
	}
	b.edit(virtualServices, "app", string(text))
	if seen := b.read(r); len(seen.Changed) != 1 || !strings.Contains(seen.Changed[0], "hosts of VirtualService app") {
		t.Errorf("read %+v", seen)
	}
	b.set(r, Split{Weight: 20})
	b.wantRead(b.istio(istioConfig("")), Split{Weight: 20})
	if err := r.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := b.live(virtualServices, "app")
	wantSame(t, []any{theirs, map[string]any{"name": "app", "route": []any{map[string]any{"destination": map[string]any{"host": "data-collection"}}}}}, routesOf(istio{}, left))
	if b.owner.owns(left) || left.GetAnnotations()[AnnotationSplits] != "" {
		t.Errorf("our marks are left: %v, %v", left.GetLabels(), left.GetAnnotations())
	}
}

func TestRouters_SayThatAKindIsMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.get(b.Context(), kind{group: "networking.istio.invalid", name: "VirtualService", versions: []string{"v1", "v1beta1"}, routed: "Istio"}, "app")
	wantError[*KindMissingError](t, err, "The cluster has no VirtualService.", "networking.istio.invalid/v1, networking.istio.invalid/v1beta1", "Install Istio")

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
