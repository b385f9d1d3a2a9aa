// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// sound is an analysis with one check of each kind and nothing wrong.
func sound() *Analysis {
	limit := 0.05
	return &Analysis{
		Policy: analysis.Policy{
			Health:   &analysis.Health{Checks: []string{"pods", "ready"}, ConsecutiveFailures: 3},
			Metrics:  []analysis.Metric{{Name: "errors", Query: `sum(rate(x{version="{{ version }}"}[1m]))`, Above: &limit, For: 2 * time.Minute}},
			Duration: 5 * time.Minute, Interval: 10 * time.Second,
		},
		Pods:       &PodsCheck{},
		Probes:     []HTTPCheck{{Name: "ready", Service: &analysis.Service{Name: "app", Port: "http", Path: "/readyz"}}},
		Prometheus: &PrometheusSource{Service: &analysis.Service{Namespace: "monitoring", Name: "prometheus", Port: "9090"}},
	}
}

func TestAnalysis_ValidateNamesTheBlockAndTheField(t *testing.T) {
	t.Parallel()
	if err := sound().Validate(); err != nil {
		t.Fatalf("a sound analysis: %v", err)
	}
	if !sound().UsesVersion() {
		t.Error("the placeholder of the version is not seen")
	}
	for _, tc := range []struct {
		name   string
		change func(a *Analysis)
		where  string
		text   string
	}{
		{"two probes of a name", func(a *Analysis) {
			a.Probes = append(a.Probes, a.Probes[0])
		}, "analysis.health.http[1].name", "ready"},
		{"a probe called pods", func(a *Analysis) { a.Probes[0].Name = "pods" }, "analysis.health.http[0].name", "pods"},
		{"a check without a probe", func(a *Analysis) { a.Probes = nil }, "analysis.health[0]", "ready"},
		{"pods that nobody counts", func(a *Analysis) { a.Policy.Health = nil; a.Probes = nil }, "analysis.health.pods[0]", "does not count"},
		{"neither service nor url", func(a *Analysis) { a.Probes[0].Service = nil }, "analysis.health.http[0].url", "exactly one"},
		{"both service and url", func(a *Analysis) { a.Probes[0].URL = "http://app" }, "analysis.health.http[0].url", "exactly one"},
		{"a bad url", func(a *Analysis) { a.Probes[0].Service, a.Probes[0].URL = nil, "ftp://app" }, "analysis.health.http[0].url",
			"not an http or https URL"},
		{"a bad port", func(a *Analysis) { a.Probes[0].Service.Port = "80/x" }, "analysis.health.http[0].service.port", "80/x"},
		{"no service name", func(a *Analysis) { a.Probes[0].Service.Name = "" }, "analysis.health.http[0].service.name", "is not a name"},
		{"a bad status", func(a *Analysis) { a.Probes[0].Statuses = []int{99} }, "analysis.health.http[0].statuses", "99"},
		{"credentials for the API server", func(a *Analysis) {
			a.Probes[0].Header = http.Header{"authorization": {"Bearer x"}}
		}, "analysis.health.http[0].headers_wo", "API server"},
		{"no prometheus", func(a *Analysis) { a.Prometheus = nil }, "analysis.metric[0]", "prometheus"},
		{"prometheus at neither", func(a *Analysis) { a.Prometheus.Service = nil }, "analysis.prometheus[0].url", "exactly one"},
		{"credentials through the proxy", func(a *Analysis) { a.Prometheus.Password = "secret-4711" }, "analysis.prometheus[0]", "credentials"},
		{"a bad CA", func(a *Analysis) {
			a.Prometheus = &PrometheusSource{Address: "https://p", CA: []byte("x")}
		}, "analysis.prometheus[0].ca_pem", "PEM"},
		{"no PromQL", func(a *Analysis) { a.Policy.Metrics[0].Query = "sum(" }, "analysis.metric[0].query", "is not PromQL"},
		{"a range", func(a *Analysis) { a.Policy.Metrics[0].Query = "x[1m]" }, "analysis.metric[0].query", "a range of values"},
		{"an unknown placeholder", func(a *Analysis) { a.Policy.Metrics[0].Query = `x{a="{{ env }}"}` }, "analysis.metric[0].query", "{{ env }}"},
		{"a requests query that is none", func(a *Analysis) {
			a.Policy.Metrics[0].MinRequests, a.Policy.Metrics[0].RequestsQuery = 1, `"text"`
		}, "analysis.metric[0].requests_query", "string"},
	} {
		a := sound()
		tc.change(a)
		err := a.Validate()
		text := asError[*AnalysisConfigError](t, err).Error()
		if !strings.Contains(text, tc.where+":") || !strings.Contains(text, tc.text) {
			t.Errorf("%s: %q or %q is missing in %s", tc.name, tc.where, tc.text, text)
		}
		if strings.Contains(text, "secret-4711") {
			t.Errorf("%s: a secret is shown: %s", tc.name, text)
		}
	}

	both := sound()
	both.Policy.Duration, both.Prometheus = 0, nil
	err := both.Validate()
	wantError[*AnalysisConfigError](t, err)
	wantError[*analysis.InvalidPolicyError](t, err)
	plain := sound()
	plain.Policy.Metrics[0].Query = " "
	var invalid *analysis.InvalidPolicyError
	if err := plain.Validate(); !errors.As(err, &invalid) || len(invalid.Problems) != 1 {
		t.Errorf("a missing query is said twice: %v", err)
	}
}

func TestAnalysis_ValidateObjectsWantsPodsToWatch(t *testing.T) {
	t.Parallel()
	a := sound()
	none := map[object.Key]string{"v1/ConfigMap/app": "{}", "batch/v1/Job/app": "{}"}
	wantText(t, asError[*AnalysisConfigError](t, a.ValidateObjects(none)).Error(), "analysis.health.pods[0]", "no Deployment")
	none["apps/v1/StatefulSet/app"] = "{}"
	if err := a.ValidateObjects(none); err != nil {
		t.Error(err)
	}
}

func TestValidation_EvaluatesOnlyWhatTheWindowShows(t *testing.T) {
	t.Parallel()
	a := sound()
	slow := a.Policy.Metrics[0]
	slow.Name, slow.For = "slow", 4*time.Minute
	slow.MinRequests, slow.Query, slow.RequestsQuery = 1, `rate(x[2m])`, `increase(y{namespace="{{ namespace }}"}[3m])`
	a.Policy.Metrics = append(a.Policy.Metrics, slow)
	for _, tc := range []struct {
		window   time.Duration
		metrics  []string
		failures int
		// after is when the first sample is taken: a query must not look back to what came before the rollback.
		after time.Duration
	}{
		{0, nil, 0, 0},
		{20 * time.Second, nil, 2, 0},
		{2 * time.Minute, []string{"errors"}, 3, time.Minute + 10*time.Second},
		{5 * time.Minute, []string{"errors", "slow"}, 3, 3*time.Minute + 10*time.Second},
	} {
		v := a.Validation(tc.window)
		if err := v.Validate(); err != nil {
			t.Errorf("%s: %v", tc.window, err)
		}
		var names []string
		for _, m := range v.Policy.Metrics {
			names = append(names, m.Name)
		}
		if !slices.Equal(names, tc.metrics) || v.Policy.Health.ConsecutiveFailures != tc.failures || v.Policy.InitialDelay != tc.after {
			t.Errorf("%s: metrics %v, %d failures, after %s", tc.window, names, v.Policy.Health.ConsecutiveFailures, v.Policy.InitialDelay)
		}
	}
	if a.Policy.Health.ConsecutiveFailures != 3 || a.Policy.Duration != 5*time.Minute {
		t.Error("the analysis itself was changed")
	}
	a.Policy.Health = nil
	if a.Validation(time.Second) != nil || (*Analysis)(nil).Validation(time.Minute) != nil {
		t.Error("there is nothing to watch")
	}
}
