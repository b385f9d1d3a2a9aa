// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package render

import (
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/purity"
)

// helmRender is one rendering by Helm's own functions, with loading, as helm template does it.
func helmRender(tb testing.TB, spec Spec) {
	tb.Helper()
	ch, err := spec.Chart.Load()
	if err != nil {
		tb.Fatal(err)
	}
	values := object.DeepCopy(spec.Values)
	if err := chartutil.ProcessDependenciesWithMerge(ch, values); err != nil {
		tb.Fatal(err)
	}
	scope, err := chartutil.ToRenderValues(ch, values, chartutil.ReleaseOptions{Name: "live", Namespace: "shop", IsInstall: true,
		Revision: 1}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	files, err := engine.Render(ch, scope)
	if err != nil {
		tb.Fatal(err)
	}
	for name := range files {
		if len(name) > len(purity.NotesFile) && name[len(name)-len(purity.NotesFile):] == purity.NotesFile {
			delete(files, name)
		}
	}
	if _, _, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkRender reports, next to the time of a whole Chart, how many renderings by Helm alone it costs ("helm-renders").
func BenchmarkRender(b *testing.B) {
	plain := specOf(b, "orders")
	secret := plain
	secret.Sensitive = map[string]any{"apiToken": "some-token-of-the-client"}
	secret.WriteOnly = map[string]any{"databaseURL": "postgres://u:p@h:5432/d"}
	cases := []struct {
		name    string
		spec    Spec
		options Options
	}{
		{"upgrade", plain, known(Options{ReleaseName: "live", Namespace: "shop", Revision: 7})},
		{"upgrade-with-secrets", secret, known(Options{ReleaseName: "live", Namespace: "shop", Revision: 7})},
		{"create-with-secrets", secret, Options{ReleaseName: "live", Namespace: "shop", Install: true, Revision: 1, OperationMayChange: true,
			CapabilitiesMayChange: true}},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			const rounds = 20
			helmRender(b, plain)
			start := time.Now()
			for range rounds {
				helmRender(b, plain)
			}
			alone := time.Since(start) / rounds
			b.ReportAllocs()
			for b.Loop() {
				mustRender(b, c.spec, c.options)
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(alone), "helm-renders")
		})
	}
}
