// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// world is a shared object in which a split and others write in turn.
type world struct {
	t       testing.TB
	random  *rand.Rand
	router  *router
	live    *unstructured.Unstructured
	ours    func(route map[string]any) bool
	foreign func(i int) map[string]any
	made    int
	log     []string
}

// others are the routes that are not ours, in their order, as bytes.
func (w *world) others() []string {
	var out []string
	for _, route := range objectsIn(routesOf(w.router.dialect, w.live)) {
		if !w.ours(route) {
			text, err := json.Marshal(route)
			if err != nil {
				w.t.Fatal(err)
			}
			out = append(out, string(text))
		}
	}
	return out
}

func (w *world) set() error {
	split := Split{Weight: w.random.IntN(101)}
	for _, header := range []HeaderMatch{onTrue, beta} {
		if w.random.IntN(2) == 0 {
			split.Headers = append(split.Headers, header)
		}
	}
	w.log = append(w.log, fmt.Sprintf("set %+v", split))
	p, tests, err := w.router.plan(w.t.Context(), w.live, split)
	if err != nil {
		return err
	}
	w.live = apply(w.t, w.live, p, tests)
	found, err := w.router.look(w.live)
	if err != nil {
		return err
	}
	if now, changed := found.split(); !now.Equal(split) || len(changed) > 0 {
		w.t.Fatalf("%v\nread %+v, changed %q", w.log, now, changed)
	}
	if at := found.place; len(split.Headers) > 0 && at.header != at.base-1 {
		w.t.Fatalf("%v\nthe header route is at %d, the base route at %d", w.log, at.header, at.base)
	}
	return nil
}

func (w *world) restore() error {
	w.log = append(w.log, "restore")
	p, tests, err := w.router.takeOut(w.live)
	if err != nil {
		return err
	}
	w.live = apply(w.t, w.live, p, tests)
	for _, route := range objectsIn(routesOf(w.router.dialect, w.live)) {
		for _, destination := range objectsIn(route[w.router.dialect.destinations()]) {
			if w.ours(route) && w.router.dialect.role(destination) == toCanary {
				w.t.Fatalf("%v\nrestored, and still leads to the canary: %v", w.log, route)
			}
		}
	}
	return nil
}

// edit is what another user does.
func (w *world) edit() {
	w.live = w.live.DeepCopy()
	spec := entry(w.live.Object["spec"])
	field := w.router.dialect.list()
	routes, _ := spec[field].([]any)
	at := w.random.IntN(len(routes))
	switch what := w.random.IntN(9); {
	case what == 0:
		w.log = append(w.log, "annotation lost")
		w.live.SetAnnotations(map[string]string{"somebody": "else"})
	case what == 1 && len(routes) > 1, what == 8 && len(routes) > 1:
		w.log = append(w.log, fmt.Sprintf("remove %d", at))
		spec[field] = slices.Delete(slices.Clone(routes), at, at+1)
	case what == 2:
		w.log = append(w.log, "shuffle")
		shuffled := slices.Clone(routes)
		w.random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		spec[field] = shuffled
	case what == 3:
		w.log = append(w.log, fmt.Sprintf("timeout on %d", at))
		entry(routes[at])["timeout"] = fmt.Sprintf("%ds", w.made)
	case what == 4:
		w.log = append(w.log, fmt.Sprintf("weights on %d", at))
		for _, destination := range objectsIn(entry(routes[at])[w.router.dialect.destinations()]) {
			destination["weight"] = int64(1 + w.random.IntN(5))
		}
	default:
		w.log = append(w.log, fmt.Sprintf("add at %d", at))
		w.made++
		spec[field] = slices.Insert(slices.Clone(routes), at, any(w.foreign(w.made)))
	}
	w.live.SetGeneration(w.live.GetGeneration() + 1)
}

// run checks the property: whatever happens in whatever order, other routes stay what and where they are, and some route is always left.
func (w *world) run(steps int) {
	for range steps {
		if w.random.IntN(2) == 0 {
			w.edit()
			continue
		}
		before := w.others()
		var err error
		if w.random.IntN(4) == 0 {
			err = w.restore()
		} else {
			err = w.set()
		}
		var missing *MissingError
		var ambiguous *AmbiguousError
		if err != nil && !errors.As(err, &missing) && !errors.As(err, &ambiguous) {
			w.t.Fatalf("%v\n%v", w.log, err)
		}
		if after := w.others(); !slices.Equal(before, after) {
			w.t.Fatalf("%v\nothers were\n%v\nand are\n%v", w.log, before, after)
		}
		if len(routesOf(w.router.dialect, w.live)) == 0 {
			w.t.Fatalf("%v\nno route is left", w.log)
		}
	}
}

func istioWorld(t testing.TB, seed uint64) *world {
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a repeatable sequence is wanted
	names := []string{"primary", "app-canary-header"}
	routes := twoOwners
	if random.IntN(2) == 0 {
		routes = "  - {name: primary, route: [{destination: {host: data-collection}}]}"
	}
	return &world{
		t: t, random: random, router: planner(t, istioConfig("primary")), live: shared(t, routes),
		ours: func(route map[string]any) bool { return slices.Contains(names, nameOf(route)) },
		foreign: func(i int) map[string]any {
			return runtime.DeepCopyJSON(map[string]any{
				"name": []string{"", "foreign"}[i%2], "match": []any{map[string]any{"uri": map[string]any{"prefix": fmt.Sprintf("/f%d", i)}}},
				"route":     []any{map[string]any{"destination": map[string]any{"host": "data-collection", "subset": "v2"}, "weight": int64(3)}},
				"fieldOf27": map[string]any{"number": 1.5, "list": []any{int64(i), "x", nil}},
			})
		},
	}
}

func gatewayWorld(t testing.TB, seed uint64) *world {
	random := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a repeatable sequence is wanted
	names := []string{"primary", "app-canary-header"}
	return &world{
		t: t, random: random, router: planner(t, gatewayConfig("primary", nil)),
		live: parse(t, "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: shared, namespace: dc}\nspec:\n  rules:\n"+
			"  - {name: primary, matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{group: '', kind: Service, name: app, "+
			"port: 80, weight: 1}]}\n"),
		ours: func(route map[string]any) bool { return slices.Contains(names, nameOf(route)) },
		foreign: func(i int) map[string]any {
			return runtime.DeepCopyJSON(map[string]any{
				"matches":     []any{map[string]any{"path": map[string]any{"type": "Exact", "value": fmt.Sprintf("/f%d", i)}}},
				"backendRefs": []any{map[string]any{"name": "app-canary", "port": int64(80)}},
				"fieldOf27":   map[string]any{"list": []any{int64(i)}},
			})
		},
	}
}

func TestRouters_LeaveForeignRoutesAsTheyAreWhateverHappens(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		istioWorld(t, seed).run(40)
		gatewayWorld(t, seed).run(40)
	}
}

func FuzzRouters_LeaveForeignRoutesAsTheyAre(f *testing.F) {
	f.Add(uint64(1), false)
	f.Add(uint64(2), true)
	f.Fuzz(func(t *testing.T, seed uint64, mesh bool) {
		if mesh {
			istioWorld(t, seed).run(60)
			return
		}
		gatewayWorld(t, seed).run(60)
	})
}
