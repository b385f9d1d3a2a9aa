// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// helmInstall and helmUpgrade do what the helm program does.
func (b *bench) helmInstall(spec Spec) *helmrelease.Release {
	b.t.Helper()
	install := action.NewInstall(b.foreignConfiguration())
	install.ReleaseName, install.Namespace = b.target.Name, b.namespace()
	chart, err := spec.Chart.Load()
	if err != nil {
		b.t.Fatal(err)
	}
	stored, err := install.Run(chart, object.DeepCopy(values.Merge(spec.Values, spec.Sensitive, spec.WriteOnly)))
	if err != nil {
		b.t.Fatal(err)
	}
	return stored
}

func (b *bench) helmUpgrade(spec Spec) *helmrelease.Release {
	b.t.Helper()
	upgrade := action.NewUpgrade(b.foreignConfiguration())
	upgrade.Namespace = b.namespace()
	chart, err := spec.Chart.Load()
	if err != nil {
		b.t.Fatal(err)
	}
	stored, err := upgrade.Run(b.target.Name, chart, object.DeepCopy(values.Merge(spec.Values, spec.Sensitive, spec.WriteOnly)))
	if err != nil {
		b.t.Fatal(err)
	}
	return stored
}

// options are those of the next operation on the bench's release.
func (b *bench) options(install bool, revision int) render.Options {
	b.t.Helper()
	capabilities, err := b.target.Cluster.Capabilities(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return render.Options{ReleaseName: b.target.Name, Namespace: b.namespace(), Install: install, Revision: revision,
		Capabilities: &capabilities}
}

func TestRender_EqualsWhatHelmStores(t *testing.T) {
	charts := map[string]Spec{
		"subchart, hooks, lists and notes": specOfDir(t, filepath.Join("render", "testdata", "charts", "orders")),
		"global values and capabilities": specOfFiles(t, map[string]string{
			"values.yaml": "global: {region: eu}\n",
			"templates/one.yaml": configMapYAML(`{{ .Capabilities.KubeVersion.Version }}-{{ .Values.global.region }}-{{ ` +
				`.Capabilities.APIVersions.Has "discovery.k8s.io/v1/EndpointSlice" }}`),
			"templates/two.yaml": "# only a comment\n---\n\n---\n" + strings.Replace(configMapYAML("'{{ .Release.IsInstall }} {{ "+
				".Release.Revision }} {{ .Release.Service }}'"), "one", "two", 1),
			"charts/sub/Chart.yaml":     "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
			"charts/sub/templates/a.js": strings.Replace(configMapYAML("{{ .Values.global.region }}"), "one", "three", 1),
			"templates/NOTES.txt":       "Region {{ .Values.global.region }}",
		}),
		"nothing at all": specOfFiles(t, map[string]string{"templates/one.yaml": "{{ if .Values.never }}" + configMapYAML("b") + "{{ end }}"}),
	}
	for name, spec := range charts {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			spec.Sensitive = map[string]any{"apiToken": "canary-token"}
			compare := func(stored *helmrelease.Release, ours *render.Result) {
				t.Helper()
				if ours.Raw.Manifest != stored.Manifest {
					t.Errorf("the manifest differs.\nHelm:\n%s\nours:\n%s", stored.Manifest, ours.Raw.Manifest)
				}
				if !sameHooks(ours.Raw.Hooks, stored.Hooks) {
					t.Error("the hooks differ")
				}
				if ours.Raw.Notes != stored.Info.Notes {
					t.Errorf("the notes differ: %q, ours %q", stored.Info.Notes, ours.Raw.Notes)
				}
			}
			compare(b.helmInstall(spec), rendered(t, spec, b.options(true, 1)))
			spec.Values = map[string]any{"logLevel": "debug", "replicas": int64(1)}
			compare(b.helmUpgrade(spec), rendered(t, spec, b.options(false, 2)))
		})
	}
}

func TestRender_OfflineDiffersFromHelmOnlyWhereItSaysSo(t *testing.T) {
	b := newBench(t)
	spec := specOfFiles(t, map[string]string{
		"templates/pure.yaml":   strings.Replace(configMapYAML("b"), "one", "pure", 1),
		"templates/random.yaml": strings.Replace(configMapYAML("{{ randAlphaNum 12 | quote }}"), "one", "random", 1),
		"templates/kept.yaml": strings.Replace(configMapYAML(`{{ with lookup "v1" "ConfigMap" .Release.Namespace "kept" }}{{ .data.a }}{{ `+
			`else }}{{ randAlphaNum 12 }}{{ end }}`), "one", "kept", 1),
		"templates/space.yaml": strings.Replace(configMapYAML(`{{ (lookup "v1" "Namespace" "" .Release.Namespace).metadata.uid | quote }}`),
			"one", "space", 1),
	})
	// The last one fails offline, as it does in helm template; a chart that wants to be rendered guards its lookups.
	if _, err := render.Chart(t.Context(), spec, b.options(true, 1)); err == nil || !strings.Contains(err.Error(), "space.yaml") {
		t.Errorf("error is %v", err)
	}
	spec = specOfFiles(t, map[string]string{
		"templates/pure.yaml":   strings.Replace(configMapYAML("b"), "one", "pure", 1),
		"templates/random.yaml": strings.Replace(configMapYAML("{{ randAlphaNum 12 | quote }}"), "one", "random", 1),
		"templates/kept.yaml": strings.Replace(configMapYAML(`{{ with lookup "v1" "ConfigMap" .Release.Namespace "kept" }}{{ .data.a }}{{ `+
			`else }}{{ randAlphaNum 12 }}{{ end }}`), "one", "kept", 1),
	})
	for i, stored := range []*helmrelease.Release{b.helmInstall(spec), b.helmUpgrade(spec)} {
		ours := rendered(t, spec, b.options(i == 0, i+1))
		objects, err := object.ParseManifest(stored.Manifest, b.namespace())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			text, err := object.Canonical(o.Object)
			if err != nil {
				t.Fatal(err)
			}
			_, volatile := ours.Volatile[o.Key]
			if same := ours.Objects[o.Key] == text; same == volatile {
				t.Errorf("revision %d: %s is the same: %v, volatile: %v", i+1, o.Key, same, volatile)
			}
		}
		if ours.VolatileSet != "" {
			t.Errorf("the set of objects is said to change: %s", ours.VolatileSet)
		}
	}
}
