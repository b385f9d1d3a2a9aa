// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"encoding/json"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	helmvalues "helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// chartSees are the values that templates get from values files, without null keys: templates cannot distinguish them from missing keys
// except by asking for the key's name.
func chartSees(t *testing.T, defaults map[string]any, files ...string) map[string]any {
	t.Helper()
	merged, err := (&helmvalues.Options{ValueFiles: files}).MergeValues(getter.Providers{})
	if err != nil {
		t.Fatal(err)
	}
	chart := &helmchart.Chart{Metadata: &helmchart.Metadata{Name: "test"}, Values: defaults}
	coalesced, err := chartutil.CoalesceValues(chart, merged)
	if err != nil {
		t.Fatal(err)
	}
	return normal(t, withoutNull(map[string]any(coalesced)))
}

func withoutNull(v any) any {
	table, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for key, value := range table {
		if value != nil {
			out[key] = withoutNull(value)
		}
	}
	return out
}

// normal makes all numbers floats.
func normal(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// compareWithHelm finishes layers over a chart's defaults and requires that the chart sees the same with the one finished file as
// with all layers as files, and that what is finished is what it sees. It reports false where the layers cannot be compared, since
// one of them is refused, or removes a default of the chart.
func compareWithHelm(t *testing.T, dir, defaults string, layers []string) bool {
	t.Helper()
	chartLayer, err := values.ParseDefaults("chart", "chart", []byte(defaults))
	if err != nil {
		return false
	}
	var merged *values.Node
	var files []string
	for i, text := range layers {
		layer, err := values.ParseLayer(strconv.Itoa(i), strconv.Itoa(i), []byte(text))
		if err != nil {
			return false
		}
		merged = (*values.Rules)(nil).Lay(merged, layer.Root())
		files = append(files, write(t, dir, "layer"+strconv.Itoa(i)+".yaml", []byte(text)))
	}
	chartValues := func() map[string]any { return normal(t, chartLayer.Root().Map()) }
	want := chartSees(t, chartValues(), files...)
	for _, include := range []bool{true, false} {
		finished, conflicts := (*values.Rules)(nil).Finish(chartLayer.Root(), merged, include)
		for _, conflict := range conflicts {
			if conflict.Fatal {
				return false
			}
		}
		text := finished.AppendYAML(nil)
		got := chartSees(t, chartValues(), write(t, dir, "finished.yaml", text))
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("include=%t\nHelm with %d layers %v\nwith one file         %v\nchart\n%s\nlayers\n%s\nfile\n%s", include, len(layers), want,
				got, defaults, layers, text)
		}
		if include && !reflect.DeepEqual(want, normal(t, finished.Map())) && !holdsNullInList(chartLayer.Root()) {
			t.Fatalf("the chart sees %v\nfinished is    %v", want, finished.Map())
		}
	}
	return true
}

// holdsNullInList reports charts whose lists have nulls: final values leave such a list to the chart.
func holdsNullInList(n *values.Node) bool {
	for _, item := range n.Items() {
		if n.IsList() && (item.IsNull() || hasNull(item)) || holdsNullInList(item) {
			return true
		}
	}
	return false
}

func hasNull(n *values.Node) bool {
	for _, item := range n.Items() {
		if item.IsNull() || hasNull(item) {
			return true
		}
	}
	return false
}

func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// quiet keeps Helm's warnings about types out of the output.
func quiet(t testing.TB) {
	log.SetOutput(io.Discard)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
}

// randomTree makes values from few keys, so that layers meet often, with each type that values have.
func randomTree(random *rand.Rand, depth int) map[string]any {
	tree := map[string]any{}
	for range random.IntN(5) {
		tree[string(rune('a'+random.IntN(4)))] = randomValue(random, depth, true)
	}
	return tree
}

func randomValue(random *rand.Rand, depth int, null bool) any {
	switch n := random.IntN(9); {
	case n == 0 && null:
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
			list[i] = randomValue(random, 0, false)
		}
		return list
	case depth > 0:
		return randomTree(random, depth-1)
	}
	return "text"
}

func TestFinishedValues_GiveTheChartWhatHelmMakesOfTheLayers(t *testing.T) {
	quiet(t)
	dir := t.TempDir()
	compared := 0
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 7))
		texts := make([]string, 2+random.IntN(4))
		for i := range texts {
			text, err := json.Marshal(randomTree(random, 3))
			if err != nil {
				t.Fatal(err)
			}
			texts[i] = string(text)
		}
		if compareWithHelm(t, dir, texts[0], texts[1:]) {
			compared++
		}
	}
	t.Logf("%d of 3000 cases could be compared; the others remove a default of the chart", compared)
	if compared < 1500 {
		t.Errorf("only %d cases were compared", compared)
	}
}

// FuzzFinishedValues does the same with texts that the fuzzer finds.
func FuzzFinishedValues(f *testing.F) {
	f.Add("a: {b: 1, c: [1]}\n", "a: {b: 2, c: [2, {d: 0x10}]}\n", "a: {e: null}\n")
	f.Add("a: &x {b: 1}\nc: *x\n", "a: 1\nc: {b: {d: 2001-01-01}}\n", "c: null\n")
	f.Add("1: 2\ntrue: yes\n1.5: 010\n", "'1': ~\n", "on: {x: 1e3}\n")
	f.Add("a: ~\nb: {c: ~}\n", "a: {d: ~}\nb: {c: 1}\n", "a: {d: {e: |\n  x\n  y\n}}\n")
	f.Fuzz(func(t *testing.T, defaults, first, second string) {
		quiet(t)
		compareWithHelm(t, t.TempDir(), defaults, []string{first, second})
	})
}
