// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	helmvalues "helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// helmMerge is what `helm -f first -f second …` makes of files.
func helmMerge(t *testing.T, files []string) map[string]any {
	t.Helper()
	merged, err := (&helmvalues.Options{ValueFiles: files}).MergeValues(getter.Providers{})
	if err != nil {
		t.Fatal(err)
	}
	return merged
}

// randomTree makes values from few keys, so that layers meet often, with each type that values have.
func randomTree(random *rand.Rand, depth int) map[string]any {
	tree := map[string]any{}
	for range random.IntN(5) {
		tree[string(rune('a'+random.IntN(4)))] = randomValue(random, depth)
	}
	return tree
}

func randomValue(random *rand.Rand, depth int) any {
	switch n := random.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return random.IntN(2) == 0
	case n == 2:
		return strconv.Itoa(random.IntN(1000))
	case n == 3:
		return random.IntN(1 << 50)
	case n == 4:
		return random.Float64()
	case n == 5 && depth > 0:
		list := make([]any, random.IntN(3))
		for i := range list {
			list[i] = randomValue(random, depth-1)
		}
		return list
	case depth > 0:
		return randomTree(random, depth-1)
	}
	return "text"
}

// TestMerge_AgreesWithHelm reads and merges the same files with Helm and with package values.
func TestMerge_AgreesWithHelm(t *testing.T) {
	dir := t.TempDir()
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		var files []string
		var layers []map[string]any
		for i := range 1 + random.IntN(4) {
			text, err := json.Marshal(randomTree(random, 3))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, strconv.Itoa(i)+".yaml")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			layer, err := values.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			files, layers = append(files, file), append(layers, layer)
		}
		requireSame(t, helmMerge(t, files), values.Merge(layers...))
	}
}

// FuzzMergeAgainstHelm does the same with texts that the fuzzer finds.
func FuzzMergeAgainstHelm(f *testing.F) {
	f.Add("a: {b: 1, c: [1]}\n", "a: {b: null, c: [2, {d: 0x10}]}\n")
	f.Add("a: &x {b: 1}\nc: *x\n", "a: 1\nc: {b: {d: 2001-01-01}}\n")
	f.Add("1: 2\ntrue: yes\n1.5: 010\n", "~: {}\n")
	f.Fuzz(func(t *testing.T, first, second string) {
		dir := t.TempDir()
		var files []string
		var layers []map[string]any
		for i, text := range []string{first, second} {
			file := filepath.Join(dir, strconv.Itoa(i)+".yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			layer, err := values.ReadFile(file)
			if err != nil {
				return // stricter than Helm, which takes duplicate keys, for instance
			}
			files, layers = append(files, file), append(layers, layer)
		}
		requireSame(t, helmMerge(t, files), values.Merge(layers...))
	})
}

// requireSame compares by content; Helm has float64 where package values keeps integers, and thereby loses digits.
func requireSame(t *testing.T, want, got map[string]any) {
	t.Helper()
	round := func(v any) any {
		text, err := object.Canonical(v)
		if err != nil {
			t.Fatal(err)
		}
		var out any
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if left, right := round(want), round(got); !reflect.DeepEqual(left, right) {
		t.Fatalf("Helm has %v\nwe have  %v", left, right)
	}
}
