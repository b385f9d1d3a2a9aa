// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	v, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestMerge_FollowsHelm(t *testing.T) {
	tests := map[string]struct {
		layers []string
		want   string
	}{
		"no layers":                  {nil, `{}`},
		"maps key by key":            {[]string{`{a: {b: 1, c: 2}}`, `{a: {c: 3, d: 4}}`}, `{a: {b: 1, c: 3, d: 4}}`},
		"lists as a whole":           {[]string{`{a: [1, 2, 3]}`, `{a: [4]}`}, `{a: [4]}`},
		"a scalar over a map":        {[]string{`{a: {b: 1}}`, `{a: x}`}, `{a: x}`},
		"a map over a scalar":        {[]string{`{a: x}`, `{a: {b: 1}}`}, `{a: {b: 1}}`},
		"null stays, for the chart":  {[]string{`{a: {b: 1, c: 2}}`, `{a: {b: null}}`}, `{a: {b: null, c: 2}}`},
		"null over a map":            {[]string{`{a: {b: 1}}`, `{a: null}`}, `{a: null}`},
		"a map over null":            {[]string{`{a: {b: 1}}`, `{a: null}`, `{a: {c: 2}}`}, `{a: {c: 2}}`},
		"an empty map keeps":         {[]string{`{a: {b: 1}}`, `{a: {}}`}, `{a: {b: 1}}`},
		"an empty list replaces":     {[]string{`{a: [1]}`, `{a: []}`}, `{a: []}`},
		"three layers, the last one": {[]string{`{a: 1}`, `{a: 2}`, `{a: 3, b: {c: 1}}`}, `{a: 3, b: {c: 1}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var layers []map[string]any
			for _, layer := range test.layers {
				layers = append(layers, parse(t, layer))
			}
			if got, want := Merge(layers...), parse(t, test.want); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			for i, layer := range test.layers {
				if !reflect.DeepEqual(layers[i], parse(t, layer)) {
					t.Errorf("layer %d was changed to %v", i, layers[i])
				}
			}
		})
	}
}

func TestMerge_SharesNothingWithItsInputs(t *testing.T) {
	layer := parse(t, `{a: {b: [{c: 1}]}}`)
	out := Merge(layer)
	a, _ := out["a"].(map[string]any)
	list, _ := a["b"].([]any)
	first, _ := list[0].(map[string]any)
	first["c"] = "changed"
	a["new"] = true
	if want := parse(t, `{a: {b: [{c: 1}]}}`); !reflect.DeepEqual(layer, want) {
		t.Errorf("the input is now %v", layer)
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(`{"a":{"b":[1,{"c":null}]}}`, `{"a":{"b":null,"d":{}}}`)
	f.Add(`{"a":1}`, `{"a":{"b":2}}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		var left, right, leftAgain, rightAgain map[string]any
		for text, targets := range map[string][]*map[string]any{a: {&left, &leftAgain}, b: {&right, &rightAgain}} {
			for _, target := range targets {
				if json.Unmarshal([]byte(text), target) != nil {
					return
				}
			}
		}
		out := Merge(left, right)
		if !reflect.DeepEqual(left, leftAgain) || !reflect.DeepEqual(right, rightAgain) {
			t.Fatal("an input was changed")
		}
		if again := Merge(out, right); !reflect.DeepEqual(again, out) {
			t.Fatalf("laying the same layer over it again changes %v to %v", out, again)
		}
		for key, value := range right {
			if _, isMap := value.(map[string]any); !isMap && !reflect.DeepEqual(out[key], value) {
				t.Fatalf("%q of the last layer is lost", key)
			}
		}
		for key := range left {
			if _, ok := out[key]; !ok {
				t.Fatalf("%q of the first layer is lost", key)
			}
		}
	})
}

func TestReadFile_UsesHelmsYAML(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values.yaml")
	content := "octal: 0123\ndate: 2001-01-01\ngrouped: 1_000\nreplicas: 1000000\nratio: 0.5\nwhole: 2.0\nbig: " +
		"12345678901234567890\non: yes\nempty:\nanchor: &a {x: 1}\ncopy: *a\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"octal": int64(83), "date": "2001-01-01", "grouped": int64(1000), "replicas": int64(1000000), "ratio": 0.5, "whole": int64(2),
		"big": json.Number("12345678901234567890"), "true": true, "empty": nil,
		"anchor": map[string]any{"x": int64(1)}, "copy": map[string]any{"x": int64(1)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v\nwant %#v", got, want)
	}
}

func TestReadFile_OfNothingIsAnEmptyMap(t *testing.T) {
	for _, content := range []string{"", "\n", "# only a comment\n", "---\n", "null\n", "{}\n", "{}\n---\n# nothing\n"} {
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(file); err != nil || got == nil || len(got) != 0 {
			t.Errorf("%q: got %v, %v", content, got, err)
		}
	}
}

func TestReadFile_ReportsFileAndLine(t *testing.T) {
	tests := map[string]struct{ content, want string }{
		"duplicate key":     {"a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", `, line 5: the key "c" is defined twice in one map`},
		"a mistake":         {"a:\n  b: 1\n c: 2\n", ", line 2: did not find expected key"},
		"a tab":             {"a:\n\tb: 1\n", ", line 2: found character that cannot start any token"},
		"a list":            {"# comment\n\n- a\n", ", line 3: the top level is a list; values are a map of keys"},
		"a text":            {"hello\n", ", line 1: the top level is a string; values are a map of keys"},
		"another encoding":  {"a: 1\nb: \xff\xfe\n", ", line 2: the text is no UTF-8"},
		"no number of JSON": {"a: .inf\n", ": +Inf is a number that values cannot hold; write it in quotes if a text is meant"},
		"a second document": {
			"# first\n---\na: 1\n--- # second\na: 2\n", ", line 4: a second document begins; Helm would read the first one only",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "values.yaml")
			if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := ReadFile(file)
			var fileError *FileError
			if !errors.As(err, &fileError) {
				t.Fatalf("got %v, %v", got, err)
			}
			if err.Error() != "values file "+file+test.want {
				t.Errorf("got %q, want …%q", err, test.want)
			}
		})
	}
}

func TestReadFile_ReportsAMissingFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.yaml")
	_, err := ReadFile(file)
	if want := "values file " + file + ": there is no such file"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("the cause is lost")
	}
}

func TestSet(t *testing.T) {
	tests := map[string]struct{ base, path, want string }{
		"over a leaf":    {`{image: {tag: a, repository: r}}`, "image.tag", `{image: {tag: X, repository: r}}`},
		"makes maps":     {`{}`, "a.b.c", `{a: {b: {c: X}}}`},
		"over null":      {`{a: null}`, "a.b", `{a: {b: X}}`},
		"at the top":     {`{a: 1}`, "b", `{a: 1, b: X}`},
		"a dot in a key": {`{}`, `annotations.example\.com/a`, `{annotations: {example.com/a: X}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base := parse(t, test.base)
			got, err := Set(base, test.path, "X")
			if err != nil {
				t.Fatal(err)
			}
			if want := parse(t, test.want); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if !reflect.DeepEqual(base, parse(t, test.base)) {
				t.Error("the input was changed")
			}
		})
	}
}

func TestSet_RefusesWhatIsInTheWay(t *testing.T) {
	tests := map[string]struct{ base, path, want string }{
		"a string":   {`{image: "a:b"}`, "image.tag", `cannot set "image.tag": image is a string, not a map`},
		"a list":     {`{a: {b: [1]}}`, "a.b.c", `cannot set "a.b.c": a.b is a list, not a map`},
		"empty part": {`{}`, "a..b", `cannot set "a..b": a part of the path is empty`},
		"empty":      {`{}`, "", `cannot set "": a part of the path is empty`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Set(parse(t, test.base), test.path, "X")
			var pathError *PathError
			if !errors.As(err, &pathError) || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestLeaves(t *testing.T) {
	got := Leaves(parse(t, `{b: {c: 1, a: null, e: {}}, a: [1, {x: 2}], "d.e": 1}`))
	if want := []string{"a", "b.a", "b.c", "b.e", `d\.e`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnknownKeys(t *testing.T) {
	const known = `{image: {tag: "", repository: ""}, autoscaling: {enabled: true, maxReplicas: 1}, labels: {}, replicas: 1, ` +
		`extra: null, list: [1]}`
	tests := map[string]struct {
		values string
		want   []UnknownKey
	}{
		"all known":       {`{image: {tag: x}, replicas: 3, list: [1, 2]}`, nil},
		"a typo":          {`{autoscaling: {maxReplica: 50}}`, []UnknownKey{{"autoscaling.maxReplica", "autoscaling.maxReplicas"}}},
		"letters swapped": {`{imgae: {tag: x}}`, []UnknownKey{{"imgae", "image"}}},
		"another case": {
			`{Replicas: 1, autoscaling: {MAXREPLICAS: 1}}`,
			[]UnknownKey{{"Replicas", "replicas"}, {"autoscaling.MAXREPLICAS", "autoscaling.maxReplicas"}},
		},
		"nothing near":   {`{monitoring: true}`, []UnknownKey{{"monitoring", ""}}},
		"open maps":      {`{labels: {anything: 1}, extra: {a: {b: 1}}}`, nil},
		"below a scalar": {`{replicas: {a: 1}}`, nil},
		"null":           {`{imgae: null}`, []UnknownKey{{"imgae", "image"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := UnknownKeys(parse(t, test.values), parse(t, known)); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestGet_FindsWhatSetWrote(t *testing.T) {
	v, err := Set(map[string]any{"image": map[string]any{"pullPolicy": "Always"}}, `image.example\.com/tag`, "v1.2.0")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		`image.example\.com/tag`:  "v1.2.0",
		"image.pullPolicy":        "Always",
		"image.missing":           nil,
		"image.pullPolicy.deeper": nil,
	} {
		got, ok := Get(v, path)
		if got != want || ok != (want != nil) {
			t.Errorf("Get(%s) = %v, %v; want %v", path, got, ok, want)
		}
	}
}
