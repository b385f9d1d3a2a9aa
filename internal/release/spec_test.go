// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

const autoscalerYAML = "\n---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: app}\n" +
	"spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}}\n"

func configMapYAML(data string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  a: " + data + "\n"
}

// specOfFiles is a spec of a chart that consists of the given files; Chart.yaml is added.
func specOfFiles(t *testing.T, files map[string]string) Spec {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sample")
	write := func(name, text string) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("Chart.yaml", "apiVersion: v2\nname: sample\nversion: 1.0.0\n")
	for name, text := range files {
		write(name, text)
	}
	return specOfDir(t, dir)
}

func specOfDir(t *testing.T, dir string) Spec {
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

func optionsOfInstall(name string) render.Options {
	return render.Options{ReleaseName: name, Namespace: "shop", Install: true, Revision: 1}
}

func rendered(t *testing.T, spec Spec, options render.Options) *render.Result {
	t.Helper()
	r, err := render.Chart(t.Context(), spec, options)
	if err != nil {
		t.Fatalf("rendering: %v", err)
	}
	return r
}
