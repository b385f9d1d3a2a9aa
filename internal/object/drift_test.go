// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

func linesOf(drifts []Drift) []string {
	lines := []string{}
	for _, d := range drifts {
		lines = append(lines, fmt.Sprintf("%s: %v → %v", d.Path, d.Live, d.Restored))
	}
	return lines
}

func TestDrifts_AreLeavesThatReallyDiffer(t *testing.T) {
	cases := []struct{ name, live, restored, shown, want string }{
		{"nothing", `{"spec":{"a":1}}`, `{"spec":{"a":1.0}}`, `{}`, ``},
		{"a leaf", `{"spec":{"a":1}}`, `{"spec":{"a":2}}`, `{}`, `spec.a: 1 → 2`},
		{"quantities", `{"spec":{"cpu":"1","m":"1Gi"}}`, `{"spec":{"cpu":"1000m","m":"1024Mi"}}`, `{}`, ``},
		{"numbers as quantities", `{"spec":{"cpu":"2"}}`, `{"spec":{"cpu":2}}`, `{}`, ``},
		{"order of names", `{"env":[{"name":"A","value":"1"},{"name":"B"}]}`, `{"env":[{"name":"B"},{"name":"A","value":"1"}]}`, `{}`, ``},
		{"order that counts", `{"args":["a","b"]}`, `{"args":["b","a"]}`, `{}`, "args[0]: a → b\nargs[1]: b → a"},
		{"empty is nothing", `{"spec":{"a":{}}}`, `{"spec":{"b":[]}}`, `{}`, ``},
		{
			"a subtree", `{"spec":{}}`, `{"spec":{"a":{"b":1,"c":[{"name":"x","v":2}]}}}`, `{}`,
			"spec.a.b: <nil> → 1\nspec.a.c[x].name: <nil> → x\nspec.a.c[x].v: <nil> → 2",
		},
		{
			"the cluster's own", `{"metadata":{"generation":4,"resourceVersion":"1","managedFields":[1]},"status":{"a":1}}`,
			`{"metadata":{"generation":5,"resourceVersion":"2"},"status":{"a":2}}`, `{}`, ``,
		},
		{"labels", `{"metadata":{"labels":{"a":"x"}}}`, `{"metadata":{"labels":{"a":"y"}}}`, `{}`, `metadata.labels.a: x → y`},
		{"data of a Secret", `{"kind":"Secret","apiVersion":"v1","data":{"a":"x"}}`,
			`{"kind":"Secret","apiVersion":"v1","data":{"a":"y","b":"z"}}`, `{}`,
			"data.a: (sensitive value) → (sensitive value)\ndata.b: <nil> → (sensitive value)"},
		{
			"a masked leaf", `{"env":[{"name":"U","value":"x"}]}`, `{"env":[{"name":"U","value":"y"}]}`,
			`{"env":[{"name":"T"},{"name":"U","value":"(sensitive value)"}]}`,
			"env[U].value: (sensitive value) → (sensitive value)",
		},
		{
			"below a mask", `{"spec":{"a":{"b":"x"}}}`, `{"spec":{"a":{"b":"y"}}}`, `{"spec":"(sensitive value)"}`,
			"spec: (sensitive value) → (sensitive value)",
		},
		{
			"an element of a masked list", `{"args":["x"]}`, `{"args":["y"]}`, `{"args":["(sensitive value)"]}`,
			"args[0]: (sensitive value) → (sensitive value)",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := linesOf(Drifts(parse(t, c.live), parse(t, c.restored), parse(t, c.shown), nil))
			if text := strings.Join(got, "\n"); text != c.want {
				t.Errorf("got\n%s\nwant\n%s", text, c.want)
			}
		})
	}
}

func TestFillMasks_TakesLiveValuesOfTheSamePlace(t *testing.T) {
	cases := []struct {
		name, shown, live, want string
		whole                   bool
	}{
		{"none", `{"a":1}`, `{"a":2}`, `{"a":1}`, true},
		{"a leaf", `{"a":"(sensitive value)","b":"x"}`, `{"a":"s","b":"y"}`, `{"a":"s","b":"x"}`, true},
		{"the revision", `{"a":"(release revision)"}`, `{"a":"7"}`, `{"a":"7"}`, true},
		{"missing", `{"a":"(sensitive value)"}`, `{}`, `{"a":"(sensitive value)"}`, false},
		{"more than a leaf", `{"a":"(sensitive value)"}`, `{"a":{"b":1}}`, `{"a":"(sensitive value)"}`, false},
		{
			"by name", `{"env":[{"name":"A","value":"(sensitive value)"}]}`,
			`{"env":[{"name":"X","value":"1"},{"name":"A","value":"s"}]}`, `{"env":[{"name":"A","value":"s"}]}`, true,
		},
		{"by index", `{"args":["-x","(sensitive value)"]}`, `{"args":["-y","s"]}`, `{"args":["-x","s"]}`, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, whole := FillMasks(parse(t, c.shown), parse(t, c.live))
			text, err := Canonical(got)
			if err != nil || text != c.want || whole != c.whole {
				t.Errorf("got %s, %v (%v)", text, whole, err)
			}
		})
	}
}

func TestIgnoreRule_CoversWhatItNames(t *testing.T) {
	live := parse(t, `{"spec":{"replicas":1,"containers":[{"name":"app","image":"a","env":[{"name":"A","value":"1"}]},`+
		`{"name":"side","image":"a"}]},"metadata":{"annotations":{"a.b/c":"1"}}}`)
	restored := parse(t, `{"spec":{"replicas":2,"containers":[{"name":"app","image":"b","env":[{"name":"A","value":"2"}]},`+
		`{"name":"side","image":"b"}]},"metadata":{"annotations":{"a.b/c":"2"}}}`)
	const (
		app, side, env = "spec.containers[app].image", "spec.containers[side].image", "spec.containers[app].env[A].value"
		replicas, note = "spec.replicas", `metadata.annotations["a.b/c"]`
	)
	cases := []struct {
		name string
		rule IgnoreRule
		left []string
	}{
		{"another kind", IgnoreRule{Kind: "Service"}, []string{note, env, app, side, replicas}},
		{"the kind", IgnoreRule{Kind: "Deployment"}, nil},
		{"another name", IgnoreRule{Name: "b*"}, []string{note, env, app, side, replicas}},
		{"a leaf", IgnoreRule{Kind: "Deployment", Name: "a*", Paths: []string{"spec.replicas"}}, []string{note, env, app, side}},
		{"a pointer", IgnoreRule{Paths: []string{"/spec/replicas", "/metadata/annotations/a.b~1c"}}, []string{env, app, side}},
		{"an element", IgnoreRule{Paths: []string{"spec.containers[app]"}}, []string{note, side, replicas}},
		{"a pointer to an element", IgnoreRule{Paths: []string{"/spec/containers/app/image"}}, []string{note, env, side, replicas}},
		{"any element", IgnoreRule{Paths: []string{"spec.containers[*].image"}}, []string{note, env, replicas}},
		{"a quoted key", IgnoreRule{Paths: []string{note}}, []string{env, app, side, replicas}},
		{"anywhere", IgnoreRule{Paths: []string{"**.image"}}, []string{note, env, replicas}},
		{"no part of a name", IgnoreRule{Paths: []string{"spec.replica"}}, []string{note, env, app, side, replicas}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := c.rule.Check(); err != nil {
				t.Error(err)
			}
			var left []string
			for _, d := range Drifts(live, restored, nil, func(d Drift) bool { return c.rule.Covers("apps/v1/Deployment/app", d) }) {
				left = append(left, d.Path)
			}
			if !slices.Equal(left, c.left) {
				t.Errorf("left: %q", left)
			}
		})
	}
	for _, bad := range []IgnoreRule{
		{}, {Name: "["}, {Paths: []string{""}}, {Paths: []string{"a..b"}}, {Paths: []string{".a"}}, {Paths: []string{"a[]"}},
	} {
		if err := bad.Check(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestDrift_KeepChangesOnlyItsPlace(t *testing.T) {
	live := parse(t, `{"spec":{"a":1,"list":[{"name":"x","v":1},{"name":"y","v":1}],"args":["l"]}}`)
	target := parse(t, `{"spec":{"a":2,"b":3,"list":[{"name":"y","v":2}],"args":["t"]}}`)
	restored := parse(t, `{"spec":{"a":2,"b":3,"list":[{"name":"x","v":1},{"name":"y","v":2}],"args":["t"]}}`)
	for _, d := range Drifts(live, restored, nil, nil) {
		d.Keep(target, live)
	}
	text, err := Canonical(target)
	if want := `{"spec":{"a":1,"args":["l"],"list":[{"name":"y","v":1}]}}`; err != nil || text != want {
		t.Errorf("target is %s, want %s (%v)", text, want, err)
	}
}

func FuzzIgnoreRule(f *testing.F) {
	for _, seed := range []string{"spec.replicas", "/a/b~1c", `a["b.c"].d[e]`, "**.x", "[", `["`} {
		f.Add(seed)
	}
	d := Drift{Path: "spec.replicas", at: treePath{{name: "spec"}, {name: "replicas"}}}
	f.Fuzz(func(t *testing.T, text string) {
		rule := IgnoreRule{Paths: []string{text}}
		if err := rule.Check(); err != nil && rule.Covers("v1/Service/a", d) {
			t.Errorf("%q is refused and covers something", text)
		}
	})
}

func TestDrifts_ShowsNothingBelowAMask(t *testing.T) {
	shown := decode(t, `{"data":"(sensitive value)","spec":{"env":[{"name":"(sensitive value)","value":"(sensitive value)"},{"name":"b",`+
		`"value":"x"}]}}`)
	live := decode(t, `{"data":{"kiwi1":"a"},"spec":{"env":[{"name":"kiwi2","value":"kiwi3"},{"name":"b","value":"y"}]}}`)
	restored := decode(t, `{"data":{"kiwi1":"kiwi4","kiwi5":"b"},"spec":{"env":[{"name":"kiwi2","value":"kiwi6"},{"name":"b","value":"x"}]}}`)
	var texts []string
	for _, d := range Drifts(live, restored, shown, nil) {
		texts = append(texts, d.Path+" "+LeafText(d.Live)+" "+LeafText(d.Restored))
	}
	got := strings.Join(texts, "\n")
	if strings.Contains(got, "kiwi") || !strings.Contains(got, `spec.env[b].value "y" "x"`) || !strings.Contains(got, "data ") {
		t.Errorf("got\n%s", got)
	}
}
