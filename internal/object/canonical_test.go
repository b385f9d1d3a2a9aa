// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestCanonical_WritesEqualValuesAsEqualText(t *testing.T) {
	tests := map[string]struct {
		values []any
		want   string
	}{
		"integers":       {[]any{1, int64(1), 1.0, json.Number("1"), json.Number("1.0"), json.Number("10e-1"), uint8(1)}, "1"},
		"millions":       {[]any{1e6, 1000000, json.Number("1e6"), json.Number("1E+6")}, "1000000"},
		"beyond int64":   {[]any{json.Number("12345678901234567890"), uint64(12345678901234567890)}, "12345678901234567890"},
		"fractions":      {[]any{0.1, json.Number("0.10"), json.Number("1e-1")}, "0.1"},
		"small":          {[]any{1e-9, json.Number("0.000000001")}, "1e-9"},
		"large":          {[]any{1.5e300, json.Number("15e299")}, "1.5e300"},
		"zero":           {[]any{0, 0.0, math.Copysign(0, -1), json.Number("-0.0"), json.Number("0e9")}, "0"},
		"negative":       {[]any{-2.50, json.Number("-25e-1")}, "-2.5"},
		"maps":           {[]any{map[string]any{"b": 1, "a": nil}, map[string]int{"b": 1}}, ""},
		"lists":          {[]any{[]any{"a", true}, []any{"a", true}}, `["a",true]`},
		"no HTML escape": {[]any{"a && b <c>"}, `"a && b <c>"`},
		"no map":         {[]any{map[string]any(nil), map[string]any{}}, "{}"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.want == "" {
				return
			}
			for _, v := range test.values {
				got, err := Canonical(v)
				if err != nil || got != test.want {
					t.Errorf("%#v: got %s, %v, want %s", v, got, err, test.want)
				}
			}
		})
	}
}

func TestCanonical_SortsKeysAtEachDepth(t *testing.T) {
	got, err := Canonical(map[string]any{"b": map[string]any{"z": 1, "a": []string{"x"}}, "a": nil})
	if want := `{"a":null,"b":{"a":["x"],"z":1}}`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestCanonical_RefusesWhatHasNoJSON(t *testing.T) {
	for _, v := range []any{
		math.NaN(), math.Inf(1), json.Number("x"), json.Number(""), func() {}, map[string]any{"a": []any{make(chan int)}},
	} {
		if got, err := Canonical(v); err == nil {
			t.Errorf("%T: got %s", v, got)
		}
	}
	_, err := Canonical(map[string]any{"a": []any{math.NaN()}})
	if err == nil || !strings.Contains(err.Error(), "a: [0]: NaN") {
		t.Errorf("the error does not name the place: %v", err)
	}
}

func TestDigest_DependsOnKeysAndContentsButNotOnTheirBorder(t *testing.T) {
	base := Digest(map[Key]string{"v1/A/a": "1", "v1/A/b": "2"})
	if !strings.HasPrefix(base, "c1:sha256:") || len(base) != len("c1:sha256:")+64 {
		t.Errorf("got %s", base)
	}
	if again := Digest(map[Key]string{"v1/A/b": "2", "v1/A/a": "1"}); again != base {
		t.Error("the order of the map shows")
	}
	for _, other := range []map[Key]string{{}, {"v1/A/a": "1"}, {"v1/A/a": "2", "v1/A/b": "1"}, {"v1/A/a1": "", "v1/A/b": "2"}} {
		if Digest(other) == base {
			t.Errorf("%v has the same digest", other)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.50,-0,1e400,1E-400,"<x>"]}`, `12345678901234567890123`, `{"":{"\u2028":null}}`, `1e99999999999`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		var v any
		if decoder.Decode(&v) != nil {
			return
		}
		once, err := Canonical(v)
		if err != nil {
			t.Fatalf("JSON without canonical form: %v", err)
		}
		read, err := decodeJSON([]byte(once))
		if err != nil {
			t.Fatalf("the canonical form is no JSON: %s", once)
		}
		twice, err := Canonical(read)
		if err != nil || once != twice {
			t.Fatalf("not stable: %s, then %s, %v", once, twice, err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	f.Add("---\n# Source: a\napiVersion: v1\nkind: List\nitems: [{kind: X, apiVersion: v1, metadata: {name: a}}]\n")
	f.Add("--- \n---x\n--- {kind: A}\n\xff")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		objects, err := ParseManifest(text, "ns")
		if err != nil {
			return
		}
		seen := map[Key]bool{}
		for _, o := range objects {
			if seen[o.Key] {
				t.Fatalf("%s twice", o.Key)
			}
			seen[o.Key] = true
			if _, err := Canonical(o.Object); err != nil {
				t.Fatal(err)
			}
		}
	})
}
