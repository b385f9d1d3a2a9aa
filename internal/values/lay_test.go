// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// layered reads texts as layers "0", "1" and so on and lays them over each other.
func layered(t *testing.T, rules *Rules, texts ...string) (*Node, []*Node) {
	t.Helper()
	var merged *Node
	var layers []*Node
	for i, text := range texts {
		name := string(rune('0' + i))
		layer, err := ParseLayer(name, name+".yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := rules.Check(layer); err != nil {
			t.Fatal(err)
		}
		layers = append(layers, layer.Root())
		merged = rules.Lay(merged, layer.Root())
	}
	return merged, layers
}

func newRules(t *testing.T, rules ...ListRule) *Rules {
	t.Helper()
	out, err := NewRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLay_ListRules(t *testing.T) {
	byName := ListRule{Path: "list", How: MergeByKey, Keys: []string{"name"}}
	tests := map[string]struct {
		rule   ListRule
		layers []string
		want   string
	}{
		"replace": {ListRule{Path: "list", How: Replace}, []string{`list: [1, 2]`, `list: [3]`}, `list: [3]`},
		"append": {
			ListRule{Path: "list", How: Append}, []string{`list: [1, 2]`, `list: [2, 3]`, `list: [4]`}, `list: [1, 2, 2, 3, 4]`,
		},
		"append after a null":   {ListRule{Path: "list", How: Append}, []string{`list: [1, 2]`, `list: null`, `list: [3]`}, `list: [3]`},
		"append after a scalar": {ListRule{Path: "list", How: Append}, []string{`list: [1, 2]`, `list: x`, `list: [3]`}, `list: [3]`},
		"append, another list": {
			ListRule{Path: "list", How: Append}, []string{`{list: [1], a: {list: [1]}}`, `{list: [2], a: {list: [2]}}`},
			`{list: [1, 2], a: {list: [2]}}`,
		},
		"any key": {
			ListRule{Path: "a.*.list", How: Append},
			[]string{`a: {x: {list: [1]}, y: {list: [2]}}`, `a: {x: {list: [3]}, y: {list: [4]}}`},
			`a: {x: {list: [1, 3]}, y: {list: [2, 4]}}`,
		},
		"a dot in a key": {
			ListRule{Path: `a\.b.list`, How: Append}, []string{`a.b: {list: [1]}`, `a.b: {list: [2]}`}, `a.b: {list: [1, 2]}`,
		},
		"merge": {
			byName, []string{`list: [{name: a, v: 1, w: 1}, {name: b, v: 2}]`, `list: [{name: c, v: 3}, {name: a, v: 9}]`},
			`list: [{name: a, v: 9, w: 1}, {name: b, v: 2}, {name: c, v: 3}]`,
		},
		"merge, removing one": {
			byName, []string{`list: [{name: a}, {name: b}]`, `list: [{name: a, $patch: delete}, {name: c}]`},
			`list: [{name: b}, {name: c}]`,
		},
		"removing what is not":  {byName, []string{`list: [{name: b}]`, `list: [{name: a, $patch: delete}]`}, `list: [{name: b}]`},
		"removing in one layer": {byName, []string{`list: [{name: a, $patch: delete}, {name: b}]`}, `list: [{name: b}]`},
		"coming back":           {byName, []string{`list: [{name: a, $patch: delete}]`, `list: [{name: a, v: 1}]`}, `list: [{name: a, v: 1}]`},
		"merge by two keys": {
			ListRule{Path: "list", How: MergeByKey, Keys: []string{"key", "effect"}},
			[]string{`list: [{key: a, effect: x}, {key: a, effect: y}]`, `list: [{key: a, effect: y, v: 1}]`},
			`list: [{key: a, effect: x}, {key: a, effect: y, v: 1}]`,
		},
		"names differ by type": {
			byName, []string{`list: [{name: "1", v: a}]`, `list: [{name: 1, v: b}]`},
			`list: [{name: "1", v: a}, {name: 1, v: b}]`,
		},
		"merge, null takes field": {
			byName, []string{`list: [{name: a, v: {x: 1, y: 2}}]`, `list: [{name: a, v: {x: 3}}]`},
			`list: [{name: a, v: {x: 3, y: 2}}]`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			rules := newRules(t, test.rule)
			merged, _ := layered(t, rules, test.layers...)
			finished, _ := rules.Finish(nil, merged, true)
			if got, want := finished.Map(), parse(t, test.want); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestLay_RulesInsideMergedItems(t *testing.T) {
	rules := newRules(t,
		ListRule{Path: "containers", How: MergeByKey, Keys: []string{"name"}},
		ListRule{Path: "containers[].env", How: MergeByKey, Keys: []string{"name"}})
	merged, _ := layered(t, rules,
		`containers: [{name: a, env: [{name: X, value: "1"}, {name: Y, value: "2"}], args: [a]}]`,
		`containers: [{name: a, env: [{name: Y, value: "3"}], args: [b]}]`)
	want := `containers: [{name: a, env: [{name: X, value: "1"}, {name: Y, value: "3"}], args: [b]}]`
	if got := merged.Map(); !reflect.DeepEqual(got, parse(t, want)) {
		t.Errorf("got %v", got)
	}
}

func TestLay_ChartsListsBelongToTheRule(t *testing.T) {
	rules := newRules(t, ListRule{Path: "list", How: Append})
	for _, test := range []struct {
		layers []string
		want   string
	}{
		{[]string{`list: [2]`}, `list: [1, 2]`},
		{[]string{`list: null`, `list: [2]`}, `list: [2]`},
		{[]string{`list: x`, `list: [2]`, `list: [3]`}, `list: [2, 3]`},
		{[]string{`other: 1`}, `{list: [1], other: 1}`},
	} {
		merged, _ := layered(t, rules, test.layers...)
		defaults, err := ParseDefaults("chart", "chart/values.yaml", []byte(`list: [1]`))
		if err != nil {
			t.Fatal(err)
		}
		finished, conflicts := rules.Finish(defaults.Root(), merged, true)
		if got := finished.Map(); !reflect.DeepEqual(got, parse(t, test.want)) || len(conflicts) > 0 {
			t.Errorf("%v: got %v, %v", test.layers, got, conflicts)
		}
	}
}

func TestRules_RefusesWhatCannotBeApplied(t *testing.T) {
	for _, rule := range []ListRule{
		{Path: "a", How: "prepend"}, {Path: "a", How: MergeByKey}, {Path: "a", How: Append, Keys: []string{"x"}},
		{Path: "", How: Append}, {Path: "a..b", How: Append}, {Path: "[]", How: Append}, {Path: "a[]", How: Append},
	} {
		var refused *PathError
		if _, err := NewRules([]ListRule{rule}); !errors.As(err, &refused) {
			t.Errorf("%+v: got %v", rule, err)
		}
	}
	if _, err := NewRules([]ListRule{{Path: "a", How: Append}, {Path: "a", How: Replace}}); err == nil {
		t.Error("two rules for one path were taken")
	}
	rules := newRules(t, ListRule{Path: "list", How: MergeByKey, Keys: []string{"name"}})
	for text, line := range map[string]int{
		"list:\n- name: a\n- nam: b\n":          3,
		"list:\n- name: a\n- name: a\n":         3,
		"list:\n- a\n":                          2,
		"x: 1\nlist:\n- {name: {a: 1}}\n":       3,
		"list:\n- {name: [a]}\n- {name: null}x": 0, // no YAML
	} {
		layer, err := ParseLayer("a", "a.yaml", []byte(text))
		if err == nil {
			err = rules.Check(layer)
		}
		var refused *FileError
		if !errors.As(err, &refused) || line > 0 && refused.Line != line {
			t.Errorf("%q: got %v, want line %d", text, err, line)
		}
	}
}

func TestFinish_ReportsWhatAFileCannotExpress(t *testing.T) {
	defaults, err := ParseDefaults("chart", "chart/values.yaml", []byte("a: {b: 1, c: {d: 2}}\nlist: [x]\nnothing: null\n"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		layers []string
		want   string
		fatal  string // path
		minor  string
	}{
		"defaults are part of it":              {[]string{`{}`}, `{a: {b: 1, c: {d: 2}}, list: [x]}`, "", ""},
		"null over a default":                  {[]string{`a: {b: null}`}, `{a: {c: {d: 2}}, list: [x]}`, "a.b", ""},
		"null over a default map":              {[]string{`a: null`}, `{list: [x]}`, "a", ""},
		"null over what a layer set":           {[]string{`e: 1`, `e: null`}, `{a: {b: 1, c: {d: 2}}, list: [x]}`, "", ""},
		"null over the chart's null":           {[]string{`nothing: null`}, `{a: {b: 1, c: {d: 2}}, list: [x]}`, "", ""},
		"null, then a map: defaults come back": {[]string{`a: null`, `a: {e: 3}`}, `{a: {b: 1, c: {d: 2}, e: 3}, list: [x]}`, "", ""},
		"a null inside a new map":              {[]string{`e: {f: null}`}, `{a: {b: 1, c: {d: 2}}, list: [x], e: {}}`, "", ""},
		"a scalar for a map":                   {[]string{`a: {c: 1}`}, `{a: {b: 1, c: 1}, list: [x]}`, "", "a.c"},
		"a map for a scalar":                   {[]string{`a: {b: {x: 1}}`}, `{a: {b: {x: 1}, c: {d: 2}}, list: [x]}`, "", "a.b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			merged, _ := layered(t, nil, test.layers...)
			finished, conflicts := (*Rules)(nil).Finish(defaults.Root(), merged, true)
			if got := finished.Map(); !reflect.DeepEqual(got, parse(t, test.want)) {
				t.Errorf("got %v", got)
			}
			var fatal, minor string
			for _, conflict := range conflicts {
				if conflict.Fatal {
					fatal = conflict.Path
				} else {
					minor = conflict.Path
				}
				if conflict.Origin.Line != 1 || !strings.HasPrefix(conflict.Text, conflict.Path+" is ") {
					t.Errorf("got %+v", conflict)
				}
			}
			if fatal != test.fatal || minor != test.minor {
				t.Errorf("got %+v", conflicts)
			}
		})
	}
}

func TestExplain_ShowsWhichLayerSetsAValueAndWhatItOverrode(t *testing.T) {
	rules := newRules(t, ListRule{Path: "list", How: Append})
	type step struct{ place, effect, path string }
	tests := map[string]struct {
		path   string
		layers []string
		want   []step
	}{
		"set once": {"a.b", []string{"x: 1", "a:\n  b: 1"}, []step{{"1.yaml:2", Wins, "a.b"}}},
		"overridden": {
			"a.b", []string{"a: {b: 1}", "a:\n  b: 2", "c: 1"},
			[]step{{"1.yaml:2", Wins, "a.b"}, {"0.yaml:1", Overridden, "a.b"}},
		},
		"nobody":             {"a.c", []string{"a: {b: 1}"}, nil},
		"removed":            {"a.b", []string{"a: {b: 1}", "a: null"}, []step{{"1.yaml:1", Removes, "a"}, {"0.yaml:1", Hidden, "a.b"}}},
		"replaced by a text": {"a.b", []string{"a: {b: 1}", "a: x"}, []step{{"1.yaml:1", Removes, "a"}, {"0.yaml:1", Hidden, "a.b"}}},
		"removed and set": {
			"a.b", []string{"a: {b: 1}", "a: null", "a: {b: 3}"},
			[]step{{"2.yaml:1", Wins, "a.b"}, {"1.yaml:1", Removes, "a"}, {"0.yaml:1", Hidden, "a.b"}},
		},
		"list without a rule": {
			"other", []string{"other: [1]", "other: [2]"}, []step{{"1.yaml:1", Wins, "other"}, {"0.yaml:1", Overridden, "other"}},
		},
		"list with a rule": {"list", []string{"list: [1]", "list: [2]"}, []step{{"1.yaml:1", Wins, "list"}, {"0.yaml:1", Adds, "list"}}},
		"list, then a text": {
			"list", []string{"list: [1]", "list: x", "list: [2]"},
			[]step{{"2.yaml:1", Wins, "list"}, {"1.yaml:1", Overridden, "list"}, {"0.yaml:1", Overridden, "list"}},
		},
		"a map": {"a", []string{"a: {b: 1}", "a: {c: 1}"}, []step{{"1.yaml:1", Wins, "a"}, {"0.yaml:1", Adds, "a"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, layers := layered(t, rules, test.layers...)
			var got []step
			for _, setting := range rules.Explain(test.path, layers) {
				got = append(got, step{setting.String(), setting.Effect, setting.Path})
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestProvenance_NamesTheLineOfEveryLeaf(t *testing.T) {
	merged, _ := layered(t, nil,
		"image:\n  repository: a\n  tag: v1\nlist:\n- 1\n- 2\n",
		"# comment\nimage:\n  tag: v2\nx: &anchor\n  k: 1\nw: *anchor\nz:\n  <<: *anchor\n  own: 1\n")
	got := map[string]string{}
	merged.Walk(func(path []string, leaf *Node) bool {
		got[JoinPath(path)] = leaf.Origin().String()
		return true
	})
	want := map[string]string{
		"image.repository": "0.yaml:2", "image.tag": "1.yaml:3", "list": "0.yaml:4", "x.k": "1.yaml:5", "w.k": "1.yaml:5", "z.k": "1.yaml:5",
		"z.own": "1.yaml:9",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if origin := merged.At("list[1]").Origin(); origin.Line != 6 {
		t.Errorf("the second item: %v", origin)
	}
}
