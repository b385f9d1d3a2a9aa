// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// readObjects renders a manifest file as a plan holds it.
func readObjects(t *testing.T, file string) map[Key]string {
	t.Helper()
	manifest, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := ParseManifest(string(manifest), "apps")
	if err != nil {
		t.Fatal(err)
	}
	objects := map[Key]string{}
	for _, r := range rendered {
		objects[r.Key], err = Canonical(MaskSecretData(r.Object))
		if err != nil {
			t.Fatal(err)
		}
	}
	return objects
}

func TestSummary_DescribesChangesForReviewers(t *testing.T) {
	files, err := filepath.Glob("testdata/summary/*-before.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, "-before.yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			lines := Summary(readObjects(t, file), readObjects(t, name+"-after.yaml"))
			got := strings.Join(lines, "\n") + "\n"
			golden := name + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the summary changed; -update rewrites the golden file\ngot:\n%swant:\n%s", got, want)
			}
		})
	}
}

func TestSummary_OfEqualSetsIsEmpty(t *testing.T) {
	objects := readObjects(t, "testdata/summary/upgrade-before.yaml")
	if lines := Summary(objects, objects); len(lines) != 0 {
		t.Errorf("got %q", lines)
	}
}

func TestSummary_ListsAllObjectsOfAFirstInstall(t *testing.T) {
	lines := Summary(nil, map[Key]string{"v1/Service/b": `{}`, "apps/v1/Deployment/a": `{}`, "v1/ConfigMap/other/c": `{}`})
	want := []string{"Deployment/a: added", "ConfigMap/other/c: added", "Service/b: added"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func TestSummary_BoundsTheLinesOfOneObject(t *testing.T) {
	data := func(value string) string {
		entries := make([]string, 40)
		for i := range entries {
			entries[i] = fmt.Sprintf(`"K%02d":%q`, i, value)
		}
		return `{"apiVersion":"v1","data":{` + strings.Join(entries, ",") + `},"kind":"ConfigMap","metadata":{"name":"many"}}`
	}
	lines := Summary(map[Key]string{"v1/ConfigMap/many": data("a")}, map[Key]string{"v1/ConfigMap/many": data("b")})
	if len(lines) != maxLinesPerObject {
		t.Fatalf("got %d lines", len(lines))
	}
	if last, want := lines[len(lines)-1], "ConfigMap/many: … and 29 more changes"; last != want {
		t.Errorf("got %q, want %q", last, want)
	}
}

func TestSummary_ShowsNoMaskedValue(t *testing.T) {
	const canary = "hunter2-canary"
	before := map[Key]string{
		"v1/ConfigMap/c": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"url":"` + MaskSecret + `"}}`,
	}
	after := map[Key]string{"v1/ConfigMap/c": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"url":"` + canary + `"}}`}
	for _, lines := range [][]string{Summary(before, after), Summary(after, before)} {
		if want := []string{"ConfigMap/c: data.url changed (sensitive value)"}; !slices.Equal(lines, want) {
			t.Errorf("got %q, want %q", lines, want)
		}
	}
}

func TestSummary_IncludesUnreadableObjects(t *testing.T) {
	lines := Summary(map[Key]string{"v1/Service/x": "not JSON"}, map[Key]string{"v1/Service/x": `{"a":1}`})
	if want := []string{"Service/x: changed"}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}
