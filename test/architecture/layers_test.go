// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package architecture

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the linter's rules from the table of layers")

const (
	internal = "github.com/slipway-dev/terraform-provider-slipway/internal/"
	linter   = "../../.golangci.yml"
)

// layerOf maps each package to the index of its layer.
func layerOf(t *testing.T) map[string]int {
	t.Helper()
	of := map[string]int{}
	for i, layer := range layers {
		for _, name := range layer {
			if _, twice := of[name]; twice {
				t.Errorf("internal/%s is in two layers", name)
			}
			of[name] = i
		}
	}
	return of
}

// imports asks go list for the packages below internal/ and what each imports from there, outside its tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,GoFiles,Imports", "./internal/...")
	list.Dir, list.Stderr = "../..", os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath       string
			GoFiles, Imports []string
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) == 0 {
			continue // tests alone
		}
		name, below := strings.CutPrefix(p.ImportPath, internal)
		if !below {
			t.Fatalf("go list ./internal/... lists %s", p.ImportPath)
		}
		found[name] = []string{}
		for _, path := range p.Imports {
			if imported, below := strings.CutPrefix(path, internal); below {
				found[name] = append(found[name], imported)
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("go list finds no package")
	}
	return found
}

func TestLayers_ImportsPointDown(t *testing.T) {
	of, found := layerOf(t), imports(t)
	for name, imported := range found {
		own, known := of[name]
		if !known {
			t.Errorf("internal/%s is in no layer: add it to layers.go", name)
			continue
		}
		for _, other := range imported {
			switch layer, known := of[other]; {
			case !known: // reported above
			case layer == own:
				t.Errorf("internal/%s imports its sibling internal/%s", name, other)
			case layer > own:
				t.Errorf("internal/%s imports internal/%s, which is in a higher layer", name, other)
			}
		}
	}
	for name := range of {
		if _, exists := found[name]; !exists {
			t.Errorf("layers.go names internal/%s, which does not exist", name)
		}
	}
}

const (
	begin = "        # Generated from test/architecture/layers.go by `go test ./test/architecture -update`: do not edit.\n"
	end   = "        # End of the generated rules.\n"
)

// rules are the linter's rules of the layers: nothing in a layer or below it imports a package of the layer. Tests are free, since a
// package's external tests import it.
func rules() string {
	var b strings.Builder
	b.WriteString(begin)
	var importers []string
	for i, layer := range layers {
		importers = append(importers, layer...)
		fmt.Fprintf(&b, "        layer-%02d:\n          list-mode: lax\n", i+1)
		fmt.Fprintf(&b, "          files: [\"!$test\", \"**/internal/{%s}/*.go\"]\n          deny:\n", strings.Join(importers, ","))
		for _, name := range layer {
			fmt.Fprintf(&b, "            - pkg: %s%s$\n              desc: it is a sibling or in a higher layer (test/architecture/layers.go)\n",
				internal, name)
		}
	}
	b.WriteString(end)
	return b.String()
}

func TestLayers_LinterHasTheSameRules(t *testing.T) {
	raw, err := os.ReadFile(linter)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no generated rules", linter)
	}
	want := before + rules() + after
	if want == string(raw) {
		return
	}
	if !*update {
		t.Fatalf("the rules of the layers in %s are not those of layers.go: run `go test ./test/architecture -update`", linter)
	}
	if err := os.WriteFile(linter, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
