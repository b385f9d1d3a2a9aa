// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chart/loader"
)

// renderText renders a chart of one template.
func renderText(ctx context.Context, t *testing.T, template string, values map[string]any, more ...*loader.BufferedFile) (*Raw, error) {
	t.Helper()
	ch, err := loader.LoadFiles(append([]*loader.BufferedFile{
		{Name: "Chart.yaml", Data: []byte("apiVersion: v2\nname: web\nversion: 1.0.0\n")},
		{Name: "templates/a.yaml", Data: []byte(template)},
	}, more...))
	if err != nil {
		t.Fatal(err)
	}
	return Once(ctx, ch, Input{
		Values: values, ReleaseName: "app", Namespace: "web", Install: true, Revision: 1, Capabilities: HelmCapabilities(nil),
	})
}

const inConfigMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: "

// Each of these ended the provider, or took all memory of the machine.
func TestOnce_RefusesTemplatesWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		template string
		values   map[string]any
		files    []*loader.BufferedFile
		want     string
	}{
		"a value that calls tpl with itself": {
			template: `{{ tpl .Values.x . }}`, values: map[string]any{"x": `{{ tpl .Values.x . }}`}, want: "without end",
		},
		"two values that call each other": {
			template: `{{ tpl .Values.x . }}`, want: "without end",
			values: map[string]any{"x": `a{{ tpl .Values.deep.y $ }}`, "deep": map[string]any{"y": `b{{- tpl .Values.x $ -}}`}},
		},
		"a file": {
			template: `{{ tpl (.Files.Get "x.txt") . }}`, want: "without end",
			files: []*loader.BufferedFile{{Name: "x.txt", Data: []byte(`{{ tpl (.Files.Get "x.txt") . }}`)}},
		},
		"a template of its own": {
			template: "{{ define \"x\" }}{{ tpl `{{ template \"x\" . }}` . }}{{ end }}{{ template \"x\" . }}", want: "without end",
		},
		"a long list":               {template: `{{ until 1000000000 | len }}`, want: "1 GiB"},
		"a list as long as a value": {template: `{{ until (int .Values.n) | len }}`, values: map[string]any{"n": 1e9}, want: "1 GiB"},
		"a long text":               {template: `{{ repeat 100000000000 "x" }}`, want: "1 GiB"},
		"much text":                 {template: `{{ repeat 70000000 "x" }}`, want: "64 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := renderText(t.Context(), t, inConfigMap+test.template+"\n", test.values, test.files...)
			failed, ok := errors.AsType[*TemplateError](err)
			// A slow machine comes to the end of the time before it comes to that of the stack or the memory.
			if !ok || !strings.Contains(failed.Cause, test.want) && !strings.Contains(failed.Cause, "do not end within") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestOnce_RendersWhatOnlyLooksUnbounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		template, want string
		values         map[string]any
	}{
		"tpl in a text of tpl": {
			`{{ tpl .Values.x . }}`, "inner", map[string]any{"x": `{{ tpl .Values.y . }}`, "y": `{{ .Values.z }}`, "z": "inner"},
		},
		"a short list beside a large number": {`{{ until 3 | len }}{{ .Values.bytes }}`, "31073741824", map[string]any{"bytes": int64(1 << 30)}},
		"includes as deep as Helm allows": {
			`{{ define "down" }}{{ if gt (int .) 0 }}{{ range list . }}{{ include "down" (sub (int .) 1) }}{{ end }}{{ end }}{{ end }}` +
				`{{ include "down" 950 }}{{ tpl .Values.x . }}`, "deep", map[string]any{"x": `{{ tpl "deep" . }}`},
		},
		"a list of many": {`{{ until 1000000 | len }}`, "1000000", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := renderText(t.Context(), t, inConfigMap+test.template+"\n", test.values)
			if err != nil || !strings.Contains(raw.Manifest, test.want) {
				t.Errorf("got %+v, %v", raw, err)
			}
		})
	}
}

func TestOnce_EndsALoopWithTheContext(t *testing.T) {
	t.Parallel()
	ended := errors.New("Terraform was interrupted")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, ended)
	defer cancel()
	// Some ten seconds, if nothing ends it.
	_, err := renderText(ctx, t, inConfigMap+`{{ range until 400 }}{{ range until 400 }}{{ range until 400 }}{{ end }}{{ end }}{{ end }}`+"\n", nil)
	if !errors.Is(err, ended) {
		t.Errorf("got %v", err)
	}
}
