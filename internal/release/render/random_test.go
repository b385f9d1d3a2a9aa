// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"crypto/sha1" //nolint:gosec // as the templates have it
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// randomCharts is how many charts the test renders; SLIPWAY_TEST_CHARTS sets another number, for example 20000.
const randomCharts = 300

func TestRender_ShowsNoPartOfASecretOfARandomChart(t *testing.T) {
	count := randomCharts
	if text := os.Getenv("SLIPWAY_TEST_CHARTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("SLIPWAY_TEST_CHARTS: %v", err)
		}
		count = n
	}
	began := time.Now()
	total := &randomOutcome{}
	for seed := range count {
		if total.add(checkRandomChart(t, seed)); total.leaks > 9 {
			break
		}
	}
	t.Logf("FIGURE %d random charts in %s: %d rendered, %d failed with an error, %d with templates that validate a secret, "+
		"%d of %d leaves masked",
		count, time.Since(began).Round(time.Millisecond), total.rendered, total.failed, total.unproven, total.masked, total.leaves)
	if !t.Failed() && (total.rendered < count/3 || total.unproven < count/50 || total.failed < count/50 || total.masked == total.leaves) {
		t.Error("the charts show too little of what can happen")
	}
}

func FuzzRender_ShowsNoPartOfASecret(f *testing.F) {
	for seed := range 20 {
		f.Add(uint32(seed)) //nolint:gosec // small
	}
	f.Fuzz(func(t *testing.T, seed uint32) { checkRandomChart(t, int(seed)) })
}

type randomOutcome struct{ leaks, rendered, failed, unproven, masked, leaves int }

func (o *randomOutcome) add(other randomOutcome) {
	o.leaks += other.leaks
	o.rendered += other.rendered
	o.failed += other.failed
	o.unproven += other.unproven
	o.masked += other.masked
	o.leaves += other.leaves
}

func checkRandomChart(t *testing.T, seed int) (outcome randomOutcome) {
	t.Helper()
	files, c := newRandomChart(seed)
	for name, text := range files {
		files[name] = c.fillDigests(text)
	}
	files["values.yaml"] = "plain: jasper\n"
	spec := quickSpec(t, files)
	spec.Values, spec.Sensitive = c.public, c.secrets
	if seed%2 == 1 {
		spec.Sensitive, spec.WriteOnly = nil, c.secrets
	}
	r, err := Chart(t.Context(), spec, known(installOf("live")))
	shown := ""
	if err != nil {
		outcome.failed++
		shown = err.Error()
	} else {
		outcome.rendered++
		if len(r.Unproven) > 0 {
			outcome.unproven++
		}
		shown = strings.Join(slices.Concat([]string{textsOf(r)}, object.Summary(nil, r.Objects), object.Summary(r.Objects, nil),
			[]string{driftOf(t, r)}), "\n")
		for _, text := range r.Objects {
			one, _ := object.Decode(text)
			masked, leaves := countLeaves(one)
			outcome.masked += masked
			outcome.leaves += leaves
		}
	}
	allowed := strings.ToLower(strings.Join(slices.Collect(maps.Values(files)), "\n") +
		" sample/templates/.yaml live shop jasper count 3 " + prose)
	for _, secret := range c.texts {
		if part := partIn(shown, secret, allowed); part != "" {
			var b strings.Builder
			for _, name := range slices.Sorted(maps.Keys(files)) {
				fmt.Fprintf(&b, "== %s\n%s\n", name, files[name])
			}
			outcome.leaks++
			t.Errorf("seed %d: the part %q of %q is shown in\n%s\nof\n%s", seed, part, secret, shown, b.String())
			return outcome
		}
	}
	return outcome
}

// textsOf is all that is shown, without the syntax of JSON.
func textsOf(r *Result) string {
	var b strings.Builder
	for key, text := range r.Objects {
		fmt.Fprintln(&b, key)
		if o, err := object.Decode(text); err == nil {
			allTexts(o, func(text string) { fmt.Fprintln(&b, text) })
		}
	}
	fmt.Fprintln(&b, r.Notes, r.Volatile, r.VolatileSet, Review(r))
	return b.String()
}

// prose is what the messages consist of.
var prose = (&perturbation{renderer: &renderer{}, public: &publicText{}}).findings([]string{""})[0].Text +
	hiddenMessage + object.MaskSecret + keysOfTheValues +
	"does not render runtime error slice bounds calling executing at template wrong type for value; expected string nil " +
	"pointer evaluating interface can't " +
	"evaluate field in type not a number unable to parse invalid syntax the rendered text is not yaml: line of the rendered " +
	"document did not " +
	"find expected key mapping values are not allowed in this context could not found duplicate rendered twice by the object has no kind " +
	"apiversion metadata added removed objects missing replaced with differs uses depends on everything (release revision) of its output " +
	"could not find expected while parsing block scanning simple index out of range slice bounds conversion exceeds reflect cannot json: " +
	"runtime error slice bounds unmarshal unexpected end input character looking beginning value string into go " +
	"map[string]interface {} converting yaml to json"

// partIn is a part of a secret in what is shown that is not public: as it is in any case, in hex, or in base64.
func partIn(shown, secret, allowed string) string {
	lower := strings.ToLower(shown)
	runes := []rune(strings.ToLower(secret))
	for i := range len(runes) - 3 {
		part := string(runes[i : i+4])
		syntax := strings.Map(func(r rune) rune {
			if strings.ContainsRune("\":,{}[]= \n", r) {
				return -1
			}
			return r
		}, part)
		if utf8.RuneCountInString(syntax) < 3 || strings.Contains(allowed, part) {
			continue
		}
		if strings.Contains(lower, part) {
			return part
		}
		four := string([]rune(secret)[i:min(i+4, utf8.RuneCountInString(secret))])
		if hexed := hex.EncodeToString([]byte(four)); len(hexed) >= 8 && strings.Contains(lower, hexed) {
			return hexed
		}
	}
	for i := range len(secret) - 6 {
		for shift := range 3 {
			// Only the middle does not depend on what is around.
			encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + secret[i:i+7]))
			middle := strings.TrimRight(encoded, "=")[[]int{0, 2, 3}[shift] : (shift+7)*8/6]
			if strings.Contains(shown, middle) && !strings.Contains(allowed, strings.ToLower(middle)) {
				return middle
			}
		}
	}
	return ""
}

// driftOf is what would be said of objects that have lost all that they hold.
func driftOf(t *testing.T, r *Result) string {
	t.Helper()
	var b strings.Builder
	for key, text := range r.Objects {
		shown, err := object.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		raw := r.ByKey[key].Object
		live := map[string]any{"apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": map[string]any{}}
		for _, d := range object.Drifts(live, raw, shown, nil) {
			fmt.Fprintln(&b, r.Secrets.Text(d.Path), r.Secrets.Text(object.LeafText(d.Live)), r.Secrets.Text(object.LeafText(d.Restored)))
		}
	}
	return b.String()
}

func countLeaves(v any) (masked, leaves int) {
	switch v := v.(type) {
	case map[string]any:
		for _, child := range v {
			m, l := countLeaves(child)
			masked, leaves = masked+m, leaves+l
		}
	case []any:
		for _, child := range v {
			m, l := countLeaves(child)
			masked, leaves = masked+m, leaves+l
		}
	default:
		leaves = 1
		if v == object.MaskSecret {
			masked = 1
		}
	}
	return masked, leaves
}

// fillDigests writes the digests with which the chart recognizes its secrets.
func (c *randomChart) fillDigests(text string) string {
	for {
		before, rest, ok := strings.Cut(text, "@@")
		if !ok {
			return text
		}
		path, after, _ := strings.Cut(rest, "@@")
		path, three := strings.CutSuffix(path, "3")
		secret := c.valueAt(path)
		digest := sha256.Sum256([]byte(secret))
		short := hex.EncodeToString(digest[:])[:2]
		if three {
			sum := sha1.Sum([]byte(secret[:min(3, len(secret))])) //nolint:gosec // as above
			short = hex.EncodeToString(sum[:])
		}
		text = before + short + after
	}
}

// valueAt reads a secret by the expression of the template.
func (c *randomChart) valueAt(path string) string {
	fields := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(`$. ()"`, r) })
	var at any = c.secrets
	for _, field := range fields {
		if m, ok := at.(map[string]any); ok {
			if child, there := m[field]; there {
				at = child
			}
		}
	}
	return textOf(at)
}

// quickSpec is specWith without a folder for each chart.
func quickSpec(t testing.TB, files map[string]string) Spec {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-chart-") //nolint:usetesting // Thousands of folders would be left until the end of the test.
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	writeFile(t, filepath.Join(dir, "sample", "Chart.yaml"), "apiVersion: v2\nname: sample\nversion: 1.0.0\n")
	for name, text := range files {
		writeFile(t, filepath.Join(dir, "sample", name), text)
	}
	source := chart.Source{Path: filepath.Join(dir, "sample")}
	loaded, err := chart.NewLoader(dir, nil).Get(t.Context(), source, "")
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Chart: loaded, Source: source}
}
