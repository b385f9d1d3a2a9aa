// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

func TestContentKey_ChangesWithWhatAVersionIsAndIsJudgedBy(t *testing.T) {
	t.Parallel()
	limit := 0.05
	keyOf := func(change func(*Spec, *render.Result, *Guard)) string {
		spec := Spec{Version: "v1.2.0", Chart: &chart.Chart{Digest: "sha256:1"}}
		rendering := &render.Result{Digest: "c1:1"}
		guard := Guard{
			SmokeTests: []Check{{Name: "ready", HTTP: &HTTPCheck{URL: "https://example.com/", Header: http.Header{"Authorization": {"one"}}}}},
			Analysis: &Analysis{
				Policy:     analysis.Policy{Duration: time.Minute, Interval: time.Second, Metrics: []analysis.Metric{{Name: "errors", Query: "up", Above: &limit}}},
				Prometheus: &PrometheusSource{Address: "https://example.com", Password: "one"},
			},
			Rollback: &RollbackPolicy{},
		}
		change(&spec, rendering, &guard)
		return ContentKey(spec, rendering, guard)
	}
	base := keyOf(func(*Spec, *render.Result, *Guard) {})
	if !strings.HasPrefix(base, keyVersion) {
		t.Errorf("it does not name its version: %s", base)
	}
	higher := 0.1
	for name, change := range map[string]func(*Spec, *render.Result, *Guard){
		"version": func(s *Spec, _ *render.Result, _ *Guard) { s.Version = "v1.2.1" },
		"chart":   func(s *Spec, _ *render.Result, _ *Guard) { s.Chart.Digest = "sha256:2" },
		"values":  func(_ *Spec, r *render.Result, _ *Guard) { r.Digest = "c1:2" },
		"limit":   func(_ *Spec, _ *render.Result, g *Guard) { g.Analysis.Policy.Metrics[0].Above = &higher },
		"smoke":   func(_ *Spec, _ *render.Result, g *Guard) { g.SmokeTests[0].HTTP.URL += "other" },
		"gate":    func(_ *Spec, _ *render.Result, g *Guard) { g.Acceptance = &Check{Name: "users"} },
	} {
		if keyOf(change) == base {
			t.Errorf("%s: the key is the same", name)
		}
	}
	for name, change := range map[string]func(*Spec, *render.Result, *Guard){
		"a password":  func(_ *Spec, _ *render.Result, g *Guard) { g.Analysis.Prometheus.Password = "two" },
		"a header":    func(_ *Spec, _ *render.Result, g *Guard) { g.SmokeTests[0].HTTP.Header.Set("Authorization", "two") },
		"a retry":     func(_ *Spec, _ *render.Result, g *Guard) { g.Retry = "again" },
		"no rollback": func(_ *Spec, _ *render.Result, g *Guard) { g.Rollback = nil },
	} {
		if keyOf(change) != base {
			t.Errorf("%s: the key is another one", name)
		}
	}
}

func TestSeal_IsOfTheContentAndNotOfTheState(t *testing.T) {
	t.Parallel()
	stored := func() *helmrelease.Release {
		return &helmrelease.Release{Name: "app", Version: 1, Labels: map[string]string{labelSeal: "key"}, Config: map[string]any{"a": 1}, Manifest: "a: b",
			Info: &helmrelease.Info{Status: helmrelease.StatusDeployed}, Hooks: []*helmrelease.Hook{{Path: "h", Manifest: "c: d"}}}
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

func TestHealthSamples_AreWhatNobodyElseRemembers(t *testing.T) {
	t.Parallel()
	var samples []analysis.Sample
	for i := range maxSamples + 10 {
		samples = append(samples, analysis.Sample{Check: "pods", Evidence: fmt.Sprint(i)}, analysis.Sample{Check: "errors"})
	}
	got := healthSamples(analysis.Policy{Metrics: []analysis.Metric{{Name: "errors"}}}, samples)
	if len(got) != maxSamples || got[0].Evidence != "10" || got[0].Check != "pods" {
		t.Errorf("%d samples, the first is %+v", len(got), got[0])
	}
}
