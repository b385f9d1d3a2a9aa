// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"fmt"
	"slices"
	"testing"
)

func TestDiff_ListsLeaves(t *testing.T) {
	tests := map[string]struct {
		before, after string
		want          []string
	}{
		"equal":           {`{"a":[1,{"b":2}]}`, `{"a":[1.0,{"b":2}]}`, nil},
		"leaf":            {`{"spec":{"replicas":2}}`, `{"spec":{"replicas":3}}`, []string{"spec.replicas: 2 → 3"}},
		"added subtree":   {`{}`, `{"a":{"b":{"c":1},"d":[true]}}`, []string{"a.b.c: <nil> → 1", "a.d[0]: <nil> → true"}},
		"removed subtree": {`{"a":{"b":{}}}`, `{}`, []string{"a.b: map[] → <nil>"}},
		"by name": {`{"c":[{"name":"a","image":"1"},{"name":"b","image":"1"}]}`, `{"c":[{"name":"b","image":"2"}]}`,
			[]string{"c[a].image: 1 → <nil>", "c[a].name: a → <nil>", "c[b].image: 1 → 2"}},
		"reordered":    {`{"c":[{"name":"a"},{"name":"b"}]}`, `{"c":[{"name":"b"},{"name":"a"}]}`, []string{"c: [a b] → [b a]"}},
		"scalars":      {`{"args":["a","b","c"]}`, `{"args":["a","c"]}`, []string{"args[1]: b → <nil>"}},
		"same length":  {`{"args":["a","b"]}`, `{"args":["b","a"]}`, []string{"args[0]: a → b", "args[1]: b → a"}},
		"another type": {`{"a":{"b":1}}`, `{"a":[1]}`, []string{"a: map[b:1] → [1]"}},
		"odd keys":     {`{"m":{"a.b/c":1}}`, `{"m":{"a.b/c":2}}`, []string{`m["a.b/c"]: 1 → 2`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range Diff(decode(t, test.before), decode(t, test.after)) {
				got = append(got, fmt.Sprintf("%s: %v → %v", c.Path, c.Before, c.After))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// FuzzDiff compares Diff and Summary with the canonical JSON: they report a difference if and only if it differs.
func FuzzDiff(f *testing.F) {
	f.Add(`{"kind":"Deployment","spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"X","value":"1"}]}]}}}}`,
		`{"kind":"Deployment","spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"X"}],"image":"x:1"}]}}}}`)
	f.Add(`{"a":[1,2,2]}`, `{"a":[2,1]}`)
	f.Add(`{"a":["x"]}`, `{"a":["x",null]}`)
	f.Fuzz(func(t *testing.T, left, right string) {
		before, errBefore := decodeObject(left)
		after, errAfter := decodeObject(right)
		if errBefore != nil || errAfter != nil {
			return
		}
		canonicalBefore, _ := Canonical(before)
		canonicalAfter, _ := Canonical(after)
		differs := canonicalBefore != canonicalAfter
		if changes := Diff(before, after); (len(changes) > 0) != differs {
			t.Errorf("differs is %v, and the changes are %v", differs, changes)
		}
		lines := Summary(map[Key]string{"v1/X/x": canonicalBefore}, map[Key]string{"v1/X/x": canonicalAfter})
		if (len(lines) > 0) != differs {
			t.Errorf("differs is %v, and the summary is %q", differs, lines)
		}
	})
}
