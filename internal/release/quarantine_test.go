// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"net/http"
	"strings"
	"testing"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

func TestContentKey_ChangesWithTheContentAndItsVerification(t *testing.T) {
	t.Parallel()
	limit := 0.05
	keyOf := func(change func(*Spec, *render.Result, *verify.Policy)) string {
		spec := Spec{Version: "v1.2.0", Chart: &chart.Chart{Digest: "sha256:1"}}
		rendering := &render.Result{Digest: "c1:1"}
		guard := verify.Policy{
			SmokeTests: []verify.Check{{Name: "ready", HTTP: &verify.HTTPCheck{URL: "https://example.com/",
				Header: http.Header{"Authorization": {"one"}}}}},
			Analysis: &verify.Analysis{
				Policy: analysis.Policy{Duration: time.Minute, Interval: time.Second,
					Metrics: []analysis.Metric{{Name: "errors", Query: "up", Above: &limit}}},
				Prometheus: &verify.PrometheusSource{Address: "https://example.com", Password: "one"},
			},
			Rollback: &verify.RollbackPolicy{},
		}
		change(&spec, rendering, &guard)
		return ContentKey(spec, rendering, guard)
	}
	base := keyOf(func(*Spec, *render.Result, *verify.Policy) {})
	if !strings.HasPrefix(base, keyVersion) {
		t.Errorf("it does not name its version: %s", base)
	}
	higher := 0.1
	for name, change := range map[string]func(*Spec, *render.Result, *verify.Policy){
		"version": func(s *Spec, _ *render.Result, _ *verify.Policy) { s.Version = "v1.2.1" },
		"chart":   func(s *Spec, _ *render.Result, _ *verify.Policy) { s.Chart.Digest = "sha256:2" },
		"values":  func(_ *Spec, r *render.Result, _ *verify.Policy) { r.Digest = "c1:2" },
		"limit":   func(_ *Spec, _ *render.Result, g *verify.Policy) { g.Analysis.Policy.Metrics[0].Above = &higher },
		"smoke":   func(_ *Spec, _ *render.Result, g *verify.Policy) { g.SmokeTests[0].HTTP.URL += "other" },
		"gate":    func(_ *Spec, _ *render.Result, g *verify.Policy) { g.Acceptance = &verify.Check{Name: "users"} },
	} {
		if keyOf(change) == base {
			t.Errorf("%s: the key is the same", name)
		}
	}
	for name, change := range map[string]func(*Spec, *render.Result, *verify.Policy){
		"a password": func(_ *Spec, _ *render.Result, g *verify.Policy) { g.Analysis.Prometheus.Password = "two" },
		"a header": func(_ *Spec, _ *render.Result, g *verify.Policy) {
			g.SmokeTests[0].HTTP.Header.Set("Authorization", "two")
		},
		"a retry":     func(_ *Spec, _ *render.Result, g *verify.Policy) { g.RetryToken = "again" },
		"no rollback": func(_ *Spec, _ *render.Result, g *verify.Policy) { g.Rollback = nil },
	} {
		if keyOf(change) != base {
			t.Errorf("%s: the key is another one", name)
		}
	}
}

func TestSeal_IsOfTheContentAndNotOfTheState(t *testing.T) {
	t.Parallel()
	stored := func() *helmrelease.Release {
		return &helmrelease.Release{Name: "app", Version: 1, Labels: map[string]string{labelSeal: "key"}, Config: map[string]any{"a": 1},
			Manifest: "a: b",
			Info:     &helmrelease.Info{Status: helmrelease.StatusDeployed}, Hooks: []*helmrelease.Hook{{Path: "h", Manifest: "c: d"}}}
	}
	base, err := seal(stored())
	if err != nil || !strings.HasPrefix(base, sealVersion) {
		t.Fatal(base, err)
	}
	for i, change := range []func(*helmrelease.Release){
		func(r *helmrelease.Release) { r.Info.Status = helmrelease.StatusSuperseded },
		func(r *helmrelease.Release) { r.Hooks[0].LastRun.Phase = helmrelease.HookPhaseFailed },
		func(r *helmrelease.Release) { r.Version = 9 },
	} {
		r := stored()
		change(r)
		if got, _ := seal(r); got != base {
			t.Errorf("state %d changes it", i)
		}
	}
	for i, change := range []func(*helmrelease.Release){
		func(r *helmrelease.Release) { r.Manifest += "c" },
		func(r *helmrelease.Release) { r.Config["a"] = 2 },
		func(r *helmrelease.Release) { r.Hooks[0].Manifest += "c" },
		func(r *helmrelease.Release) { r.Labels[labelSeal] = "another key" },
	} {
		r := stored()
		change(r)
		if got, _ := seal(r); got == base {
			t.Errorf("content %d does not change it", i)
		}
	}
	r := stored()
	r.Labels = nil
	if got, err := seal(r); got != "" || err != nil {
		t.Errorf("without a key: %q %v", got, err)
	}
}
