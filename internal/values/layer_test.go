// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	yamlnode "go.yaml.in/yaml/v3"
)

func TestParseLayer_KeepsTheMeaningThatHelmSees(t *testing.T) {
	tests := map[string]struct {
		text  string
		want  any    // of the key v
		trap  string // the meaning in the trap, if there is one
		write string // as final values have it
	}{
		"on":                   {"v: on", true, "the boolean true", "true"},
		"No":                   {"v: No", false, "the boolean false", "false"},
		"true":                 {"v: True", true, "", "true"},
		"quoted on":            {`v: "on"`, "on", "", `"on"`},
		"octal":                {"v: 0123", int64(83), "the number 83", "83"},
		"no octal":             {"v: 0189", int64(189), "the number 189", "189"},
		"quoted octal":         {"v: '0123'", "0123", "", `"0123"`},
		"hexadecimal":          {"v: 0x1F", int64(31), "the number 31", "31"},
		"exponent":             {"v: 1e3", int64(1000), "the number 1000", "1000"},
		"quoted exponent":      {`v: "1e3"`, "1e3", "", `"1e3"`},
		"a version":            {"v: 1.10", 1.1, "the number 1.1", "1.1"},
		"underscores":          {"v: 1_000", int64(1000), "the number 1000", "1000"},
		"million":              {"v: 1000000", int64(1000000), "", "1000000"},
		"a date":               {"v: 2001-01-01", "2001-01-01", "", `"2001-01-01"`},
		"a time":               {"v: 12:30:45", "12:30:45", "", `"12:30:45"`},
		"largest exact number": {"v: 9007199254740992", int64(9007199254740992), "", "9007199254740992"},
		"an account":           {"v: 111111111111", int64(111111111111), "", "111111111111"},
		"quoted account":       {`v: "012345678901"`, "012345678901", "", `"012345678901"`},
		"quantity":             {"v: 500m", "500m", "", "500m"},
		"anchor":               {"a: &x {b: 1}\nv: *x", map[string]any{"b": int64(1)}, "", "\n  b: 1"},
		"CRLF":                 {"v: a\r\nw: b\r\n", "a", "", "a"},
		"byte order mark":      {"\ufeffv: a", "a", "", "a"},
		"folded":               {"v: >\n  a\n  b\n", "a b\n", "", `"a b\n"`},
		"lines":                {"v: |\n  a\n  b\n", "a\nb\n", "", "|\n  a\n  b"},
		"an empty text":        {`v: ""`, "", "", `""`},
		"tagged":               {"v: !!str 123", "123", "", `"123"`},
		"not a number":         {"v: 1.2.3", "1.2.3", "", `"1.2.3"`},
		"beyond float":         {"v: 1e999", "1e999", "", `"1e999"`},
		"umlaut":               {"v: Zürich", "Zürich", "", `"Zürich"`},
		"control":              {`v: "a\x07b"`, "a\ab", "", `"a\x07b"`},
		"a colon":              {`v: "a: b"`, "a: b", "", `"a: b"`},
		"an image":             {"v: host:5000/a/b:v1", "host:5000/a/b:v1", "", "host:5000/a/b:v1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			layer, err := ParseLayer("a", "a.yaml", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := layer.Root().At("v").Plain(); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
			var means string
			for _, trap := range layer.Traps {
				means = trap.Means
				if trap.Line != 1 || trap.Path != "v" {
					t.Errorf("the trap is %+v", trap)
				}
			}
			if means != test.trap {
				t.Errorf("noted %q, want %q", means, test.trap)
			}
			written := string(layer.Root().AppendYAML(nil))
			if !strings.Contains(written, "v: "+test.write+"\n") && !strings.Contains(written, "v:"+test.write+"\n") {
				t.Errorf("written as\n%s", written)
			}
		})
	}
}

func TestParseLayer_RefusesWithFileAndLine(t *testing.T) {
	deep := func(levels int) string {
		return "v: " + strings.Repeat("{a: ", levels) + "1" + strings.Repeat("}", levels)
	}
	tests := map[string]struct {
		text   string
		line   int
		reason string
	}{
		"duplicate key":        {"a: 1\nb: 2\na: 3\n", 3, `the key "a" is defined twice`},
		"one key in two forms": {"1: a\nx: 2\n\"1\": b\n", 3, `the key "1" is defined twice in one map, in different spellings`},
		"not UTF-8":            {"a: 1\nb: \xff\n", 2, "no UTF-8"},
		"UTF-16":               {"a: 1\n\xfe\xffb: 1\n", 2, "no UTF-8"},
		"second document":      {"a: 1\n---\nb: 1\n", 2, "second document"},
		"a list at the top":    {"# x\n- a\n", 2, "the top level is a list"},
		"a tab":                {"a:\n\tb: 1\n", 2, "cannot start any token"},
		"large number":         {"a: 1\nb: 9007199254740993\n", 2, "more digits than Helm keeps"},
		"very large number":    {"a: 1\nb: 123456789012345678901234567890\n", 2, "more digits than Helm keeps"},
		"a custom tag":         {"a: 1\nb: !vault secret/x\n", 2, "the tag !vault"},
		"binary":               {"a: !!binary aGVsbG8=\n", 1, "the tag !!binary"},
		"null in a list":       {"a:\n- 1\n- null\n", 3, "null"},
		"an empty item":        {"a:\n- 1\n-\n", 3, "null"},
		"null in a list item":  {"a:\n- {x: 1}\n- {x: 1, w: {z: null}}\n", 3, "w.z in an item of the list a is null"},
		"nesting":              {"x: 1\n" + deep(MaxDepth+5), 2, "nested deeper than 200"},
		"absurd nesting":       {"x: 1\n" + deep(200_000), 2, "depth"},
		"aliases without end": {
			"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d " +
				"[*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g " +
				"[*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
			3, "excessive aliasing",
		},
		"infinity":                {"x: 1\na: .inf\n", 2, "a number that values cannot hold"},
		"no number":               {"x: 1\na: .nan\n", 2, "a number that values cannot hold"},
		"null as key":             {"x: 1\ny:\n  a: 1\n  ~: 2\n", 4, "a key is null"},
		"a map as key":            {"x: 1\n{a: 1}: 2\n", 2, "a key is a list or a map"},
		"unknown anchor":          {"y: 1\na: *x\n", 2, "unknown anchor"},
		"an unclosed text":        {"a: 1\nb: \"x\n", 3, "found unexpected end of stream"},
		"key on and key true":     {"on: 1\ntrue: 2\n", 2, "twice"},
		"a value that is a block": {"a: b: c\n", 1, "mapping values are not allowed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := ParseLayer("client", "clients/a/values.yaml", []byte(test.text))
			var refused *FileError
			if !errors.As(err, &refused) {
				t.Fatalf("got %v", err)
			}
			if refused.Path != "clients/a/values.yaml" || test.line > 0 && refused.Line != test.line ||
				!strings.Contains(refused.Reason, test.reason) {
				t.Errorf("got %v, want line %d: … %s …", refused, test.line, test.reason)
			}
		})
	}
}

func TestParseLayer_TakesNestingUpToTheLimit(t *testing.T) {
	layer, err := ParseLayer("a", "a.yaml", []byte("v: "+strings.Repeat("{a: ", MaxDepth-2)+"1"+strings.Repeat("}", MaxDepth-2)))
	if err != nil {
		t.Fatal(err)
	}
	again := parse(t, string(layer.Root().AppendYAML(nil)))
	if !reflect.DeepEqual(again, layer.Root().Map()) {
		t.Error("written and read again it is another value")
	}
}

func TestParseLayer_NotesKeysThatAreNotWhatTheyLookLike(t *testing.T) {
	layer, err := ParseLayer("a", "a.yaml", []byte("a:\n  on: 1\n  010: 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(layer.Root().Map(), map[string]any{"a": map[string]any{"true": int64(1), "8": int64(2)}}) {
		t.Errorf("got %v", layer.Root().Map())
	}
	if len(layer.Traps) != 2 || layer.Traps[0].Means != `the key "true"` || layer.Traps[0].Line != 2 || layer.Traps[1].Line != 3 {
		t.Errorf("got %+v", layer.Traps)
	}
}

func TestParseLayer_ReadsTenMegabytes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	var text strings.Builder
	for i := 0; text.Len() < 10<<20; i++ {
		fmt.Fprintf(&text, "key%d:\n  name: value-%d\n  list: [1, 2, 3]\n  text: \"0%d\"\n", i, i, i)
	}
	started := time.Now()
	layer, err := ParseLayer("a", "large.yaml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	written := layer.Root().AppendYAML(nil)
	t.Logf("%d bytes read and written in %s", text.Len(), time.Since(started).Round(time.Millisecond))
	if got := layer.Root().At("key100.text").Plain(); got != "0100" {
		t.Errorf("got %v", got)
	}
	if origin := layer.Root().At("key100.text").Origin(); origin.Line != 404 {
		t.Errorf("got %v", origin)
	}
	if len(written) < 9<<20 {
		t.Errorf("only %d bytes were written", len(written))
	}
}

// FuzzAppendYAML writes what was read and reads it again, as Helm does and as readers of YAML 1.2 do.
func FuzzAppendYAML(f *testing.F) {
	for _, seed := range []string{
		"a: [1, {b: c}, [x, [y]], {}]\nd: {e: [], f: {}}\n", "a: |\n  x\n   y\n\n  z\n", "a: \"on\"\nb: ' x'\nc: \"x \"\nd: \"a\\nb \\nc\"\n",
		"\"\": 1\n\"a b\": 2\n\"y\": 3\n\"#\": 4\n\"- a\": 5\n", "a: \"\\u2028\\u0085\\ufeff\\U0001f600\"\n",
		"a: 1.5e300\nb: 1e-9\nc: -0.0\nd: 1e21\n",
		"- - a\n  - b\n", "a:\n- b: |-\n    x\n    y\n  c: 1\n", "a: \"\\t\\nx\"\nb: \"x\\n\\n\"\nc: \"x\\r\\ny\"\n",
		"a: =\nb: <<\nc: '!x'\nd: '&x'\n", "v: .5\nw: +1\nx: 0b1\ny: 0o7\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		layer, err := ParseLayer("a", "a.yaml", []byte(text))
		if err != nil {
			return
		}
		finished, _ := (*Rules)(nil).Finish(nil, layer.Root(), true)
		written := finished.AppendYAML(nil)
		again, err := ParseLayer("a", "a.yaml", written)
		if err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
		if !reflect.DeepEqual(again.Root().Map(), finished.Map()) || len(again.Traps) > 0 {
			t.Fatalf("read %v\nagain %v\ntraps %v in\n%s", finished.Map(), again.Root().Map(), again.Traps, written)
		}
		if second := again.Root().AppendYAML(nil); string(second) != string(written) {
			t.Fatalf("first\n%s\nthen\n%s", written, second)
		}
		var other map[string]any
		if err := yamlnode.Unmarshal(written, &other); err != nil {
			t.Fatalf("another reader refuses it: %v\n%s", err, written)
		}
		requireAlike(t, finished.Plain(), any(other), string(written))
	})
}

// requireAlike compares what two readers made of one text; they have different types for numbers.
func requireAlike(t *testing.T, want, got any, text string) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		table, ok := got.(map[string]any)
		if !ok || len(table) != len(want) {
			t.Fatalf("%v and %v in\n%s", want, got, text)
		}
		for key := range want {
			requireAlike(t, want[key], table[key], text)
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			t.Fatalf("%v and %v in\n%s", want, got, text)
		}
		for i := range want {
			requireAlike(t, want[i], list[i], text)
		}
	case string, bool:
		if want != got {
			t.Fatalf("%#v and %#v in\n%s", want, got, text)
		}
	default:
		right := got
		switch n := got.(type) {
		case int:
			right = int64(n)
		case float64:
			if f, ok := want.(int64); ok && float64(f) == n {
				right = f
			}
		}
		if want != right {
			t.Fatalf("%#v and %#v in\n%s", want, got, text)
		}
	}
}
