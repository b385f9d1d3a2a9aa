// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// specOf is a spec of a chart in testdata/charts.
func specOf(t testing.TB, name string) Spec {
	t.Helper()
	return specFrom(t, filepath.Join("testdata", "charts", name))
}

// specWith is a spec of a chart that consists of the given files; Chart.yaml is added.
func specWith(t testing.TB, files map[string]string) Spec {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sample")
	if _, ok := files["Chart.yaml"]; !ok {
		writeFile(t, filepath.Join(dir, "Chart.yaml"), "apiVersion: v2\nname: sample\nversion: 1.0.0\n")
	}
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), text)
	}
	return specFrom(t, dir)
}

func writeFile(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func specFrom(t testing.TB, dir string) Spec {
	t.Helper()
	absolute, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	source := chart.Source{Path: absolute}
	c, err := chart.NewLoader(t.TempDir(), nil).Get(t.Context(), source, "")
	if err != nil {
		t.Fatalf("loading %s: %v", dir, err)
	}
	return Spec{Chart: c, Source: source}
}

func installOf(name string) Options {
	return Options{ReleaseName: name, Namespace: "shop", Install: true, Revision: 1}
}

func mustRender(t testing.TB, spec Spec, options Options) *Result {
	t.Helper()
	r, err := Chart(t.Context(), spec, options)
	if err != nil {
		t.Fatalf("rendering: %v", err)
	}
	return r
}

func TestRender_NamesEveryObjectOfChartSubchartListAndHooks(t *testing.T) {
	r := mustRender(t, specOf(t, "orders"), installOf("live"))
	want := []object.Key{
		"apps/v1/Deployment/live-orders", "v1/Service/live-orders", "v1/ConfigMap/live-orders", "v1/Secret/live-orders",
		"v1/ServiceAccount/live-orders", "autoscaling/v2/HorizontalPodAutoscaler/live-orders",
		"policy/v1/PodDisruptionBudget/live-orders", "v1/ConfigMap/live-orders-first", "v1/ConfigMap/live-orders-second",
		"v1/ConfigMap/live-orders-before", "v1/Pod/live-orders-probe", "v1/ConfigMap/live-sessions",
	}
	for _, key := range want {
		if _, ok := r.Objects[key]; !ok {
			t.Errorf("%s is missing", key)
		}
	}
	if len(r.Objects) != len(want) {
		t.Errorf("%d objects, want %d: %v", len(r.Objects), len(want), r.Objects)
	}
	if r.VolatileSet != "" {
		t.Errorf("set of objects is volatile: %s", r.VolatileSet)
	}
	if strings.Contains(r.Notes, "Not shown") || !strings.Contains(r.Notes, "is installed as live") {
		t.Errorf("notes are %q", r.Notes)
	}
}

func TestRender_SwitchesSubchartOffByItsCondition(t *testing.T) {
	spec := specOf(t, "orders")
	spec.Values = map[string]any{"sessions": map[string]any{"enabled": false}}
	r := mustRender(t, spec, installOf("live"))
	if _, ok := r.Objects["v1/ConfigMap/live-sessions"]; ok {
		t.Error("the subchart was rendered")
	}
}

func TestRender_LeavesItsInputAlone(t *testing.T) {
	spec := specWith(t, map[string]string{
		"values.yaml": "a: {b: 1}\n",
		"templates/one.yaml": "{{ $_ := set .Values.a \"b\" 2 }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n" +
			"data: {b: \"{{ .Values.a.b }}\"}\n",
	})
	spec.Values = map[string]any{"a": map[string]any{"b": int64(7)}}
	first := mustRender(t, spec, installOf("live"))
	second := mustRender(t, spec, installOf("live"))
	if first.Digest != second.Digest {
		t.Error("the second rendering differs")
	}
	values, _ := spec.Values["a"].(map[string]any)
	if got := values["b"]; got != int64(7) {
		t.Errorf("the values were changed to %v", got)
	}
}

func TestRender_MasksTheRevisionWhereverItShows(t *testing.T) {
	spec := specWith(t, map[string]string{
		"templates/one.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  r: \"{{ .Release.Revision }}\"\n" +
			"  first: \"{{ eq .Release.Revision 1 }}\"\n  same: x\n",
		"templates/job.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate-{{ .Release.Revision }}}\n" +
			"spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}\n",
	})
	options := installOf("live")
	options.Install = false
	var digests []string
	for _, revision := range []int{2, 9, 10, 119} {
		options.Revision = revision
		r := mustRender(t, spec, options)
		digests = append(digests, r.Digest)
		if _, ok := r.Objects["batch/v1/Job/migrate-"+object.MaskRevision]; !ok {
			t.Errorf("revision %d: the Job's key shows the revision: %v", revision, r.Objects)
		}
		if r.Digest != digests[0] {
			t.Errorf("revision %d changes the digest: %v", revision, r.Objects)
		}
	}
}

func TestRender_ErrorNamesFileLineAndCause(t *testing.T) {
	cases := []struct {
		name, template, helper string
		file                   string
		line                   int
		cause                  string
	}{
		{name: "syntax", template: "a: b\n{{ if }}\n", file: "sample/templates/x.yaml", line: 2, cause: "missing value for if"},
		{name: "unknown function", template: "{{ nothing }}", file: "sample/templates/x.yaml", line: 1,
			cause: "function \"nothing\" not defined"},
		{name: "nil", template: "a: b\n\nc: {{ .Values.a.b.c }}\n", file: "sample/templates/x.yaml", line: 3, cause: "nil pointer"},
		{name: "required", template: "\n{{ required \"image.tag must be set\" .Values.tag }}", file: "sample/templates/x.yaml", line: 2,
			cause: "image.tag must be set"},
		// Of fail and required Helm keeps only where the chain of includes begins.
		{name: "fail in helper", template: "{{ include \"broken\" . }}", helper: "{{ define \"broken\" }}\n{{ fail \"not so\" }}{{ end }}",
			file: "sample/templates/x.yaml", line: 1, cause: "not so"},
		{name: "type error in helper", template: "{{ include \"broken\" . }}",
			helper: "{{ define \"broken\" }}\n{{ int64 .Values.x | add1 | upper }}{{ end }}",
			file:   "sample/templates/_x.tpl", line: 2, cause: "wrong type for value"},
		{name: "not YAML", template: "kind: ConfigMap\nmetadata: {\n", file: "sample/templates/x.yaml", cause: "not YAML"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec := specWith(t, map[string]string{"templates/x.yaml": c.template, "templates/_x.tpl": c.helper})
			_, err := Chart(t.Context(), spec, installOf("live"))
			var failed *TemplateError
			if !errors.As(err, &failed) {
				t.Fatalf("error is %T: %v", err, err)
			}
			if failed.File != c.file || failed.Line != c.line || !strings.Contains(failed.Cause, c.cause) {
				t.Errorf("got %s:%d %q (whole: %v)", failed.File, failed.Line, failed.Cause, err)
			}
		})
	}
}

func TestRender_RefusesValuesAgainstTheSchema(t *testing.T) {
	spec := specWith(t, map[string]string{
		"values.schema.json": `{"type":"object","properties":{"replicas":{"type":"integer"}}}`,
		"templates/one.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n",
	})
	spec.Values = map[string]any{"replicas": "many"}
	_, err := Chart(t.Context(), spec, installOf("live"))
	var schema *SchemaError
	if !errors.As(err, &schema) || !strings.Contains(schema.Problems, "replicas") {
		t.Fatalf("error is %T: %v", err, err)
	}
}

func TestRender_StopsWhenTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	if _, err := Chart(ctx, specOf(t, "orders"), installOf("live")); !errors.Is(err, interrupted) {
		t.Fatalf("error is %v", err)
	}
}

func TestRender_DistinguishesHooksOfTheSameName(t *testing.T) {
	hook := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\n  annotations: {helm.sh/hook: %s}\n"
	spec := specWith(t, map[string]string{
		"templates/a.yaml": strings.ReplaceAll(hook, "%s", "pre-install"),
		"templates/b.yaml": strings.ReplaceAll(hook, "%s", "post-install"),
	})
	r := mustRender(t, spec, installOf("live"))
	if len(r.Objects) != 2 {
		t.Errorf("objects are %v", r.Objects)
	}
}

func TestDiverges_SaysWhatIsNotAsPlanned(t *testing.T) {
	spec := specOf(t, "orders")
	planned := mustRender(t, spec, installOf("live"))
	if found := planned.Diverges(planned.Objects); len(found) != 0 {
		t.Errorf("a rendering differs from itself: %v", found)
	}
	spec.Values = map[string]any{"logLevel": "debug", "sessions": map[string]any{"enabled": false}, "migrate": true}
	next := mustRender(t, spec, installOf("live"))
	found := next.Diverges(planned.Objects)
	text := ""
	for _, d := range found {
		text += d.String() + "\n"
	}
	for _, want := range []string{`v1/ConfigMap/live-orders: data.LOG_LEVEL "info" → "debug"`,
		"v1/ConfigMap/live-sessions: was planned and is not rendered"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in\n%s", want, text)
		}
	}
	back := planned.Diverges(next.Objects)
	if len(back) == 0 || !strings.Contains(back[len(back)-1].String(), "v1/ConfigMap/live-sessions: was not planned") {
		t.Errorf("an unplanned object is not named: %v", back)
	}
}

func TestRender_ChecksKubeVersionWhereTheClusterIsKnown(t *testing.T) {
	spec := specWith(t, map[string]string{
		"Chart.yaml":         "apiVersion: v2\nname: sample\nversion: 1.0.0\nkubeVersion: \">=1.40.0-0\"\n",
		"templates/one.yaml": configMap("b"),
	})
	_, err := Chart(t.Context(), spec, known(installOf("live")))
	var failed *TemplateError
	if !errors.As(err, &failed) || !strings.Contains(failed.Cause, "requires Kubernetes >=1.40.0-0, and the cluster is v1.33.1") {
		t.Errorf("error is %v", err)
	}
	mustRender(t, spec, installOf("live"))
}
