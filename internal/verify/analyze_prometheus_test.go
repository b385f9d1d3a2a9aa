// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// errorRate is "more than 5% errors for 6 seconds", in the time of a test, of the version that is analyzed.
func errorRate(duration time.Duration, source *PrometheusSource) *Analysis {
	limit := 0.05
	requests := `http_requests_total{namespace="{{ namespace }}",version="{{ version }}"`
	return &Analysis{
		Policy: analysis.Policy{
			Metrics: []analysis.Metric{{
				Name: "error_rate", Query: `(sum(rate(` + requests + `,code=~"5.."}[4s])) or vector(0)) / sum(rate(` + requests + `}[4s]))`,
				Above: &limit, For: 6 * time.Second,
				RequestsQuery: `sum(increase(` + requests + `}[4s]))`, MinRequests: 5, ErrorBudget: 15 * time.Second, NoDataBudget: 15 * time.Second,
			}},
			Duration: duration, Interval: time.Second, OnInconclusive: analysis.HoldInconclusive,
		},
		Prometheus: source,
	}
}

// load sends requests to the Service from a pod until the test ends.
func (b *bench) load() {
	b.t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "load"}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(0)),
		Containers: []corev1.Container{{Name: "load", Image: harness.Image(),
			Args: []string{"load", "-duration", "10m", "-rate", "20", "http://app/records"}}},
	}}
	if _, err := b.client.CoreV1().Pods(b.namespace()).Create(b.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		b.t.Fatal(err)
	}
	b.eventually("the load runs", func() bool {
		p, err := b.client.CoreV1().Pods(b.namespace()).Get(b.t.Context(), "load", metav1.GetOptions{})
		return err == nil && p.Status.Phase == corev1.PodRunning
	})
}

func scraped() map[string]any {
	return map[string]any{"podAnnotations": map[string]any{"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}}
}

func TestAnalysis_WithTheClustersPrometheus(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		values  map[string]any
		outcome analysis.Outcome
		rule    analysis.Rule
	}{
		{"no errors", map[string]any{}, analysis.Passed, ""},
		{"20% errors", faults("ERROR_SHARE", "0.2"), analysis.Failed, analysis.EverySample},
		{"fine until half-way", faults("ERROR_SHARE", "0.2", "ERROR_AFTER", "20s"), analysis.Failed, analysis.EverySample},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			source := b.prometheusSource()
			env := b.checking(with(t, tc.values, scraped(), moreObjects(podService("app"))))
			b.load()
			start := time.Now()
			a := errorRate(30*time.Second, source)
			if err := a.Validate(); err != nil {
				t.Fatal(err)
			}
			verdict, samples, err := b.bake(t.Context(), env, a, bakeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if verdict.Outcome != tc.outcome {
				t.Errorf("%+v\n%+v", verdict, samples)
			}
			if tc.rule == "" {
				return
			}
			if verdict.Trigger == nil || verdict.Trigger.Rule != tc.rule || verdict.Action != analysis.Rollback {
				t.Fatalf("%+v", verdict)
			}
			wantText(t, verdict.Trigger.Query, b.namespace(), `version="v1.1.1"`)
			t.Logf("first failing sample %s, trigger %s after the start", verdict.Trigger.Since.Sub(start).Round(time.Millisecond),
				verdict.Trigger.At.Sub(start).Round(time.Millisecond))

			// A run that died at its start knows at once when it is taken up.
			resumed := time.Now()
			verdict, _, err = b.bake(t.Context(), env, a, bakeOptions{Start: start})
			if err != nil || verdict.Outcome != analysis.Failed || time.Since(resumed) > 5*time.Second {
				t.Errorf("resumed: %+v, %v", verdict, err)
			}
		})
	}
}

func TestPreflight_AsksTheQueriesOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	source := b.prometheusSource()
	if err := errorRate(time.Minute, source).Preflight(t.Context(), b.target, "v1.1.1"); err != nil {
		t.Errorf("a query without data is refused: %v", err)
	}
	several := errorRate(time.Minute, source)
	several.Policy.Metrics[0].Query = "prometheus_http_requests_total or up or {__name__=~\"scrape.*\"} or " +
		"label_replace(vector(1),\"a\",\"b\",\"\",\"\") or vector(2)"
	wantText(t, asError[*AnalysisConfigError](t, several.Preflight(t.Context(), b.target, "v1.1.1")).Error(), "analysis.metric[0].query",
		"series")
	wantText(t, asError[*AnalysisConfigError](t, errorRate(time.Minute, source).Preflight(t.Context(), b.target, "")).Error(), "{{ version }}",
		"not known")
	shared := errorRate(2*time.Minute, source)
	shared.Policy.Metrics[0].Above, shared.Policy.Metrics[0].Baseline = nil,
		&analysis.Baseline{Query: several.Policy.Metrics[0].Query, MaxDifference: new(float64), RequestsQuery: "vector(1)"}
	shared.Policy.SampleRatio = &analysis.SampleRatio{CanaryQuery: "sum(increase(up[5s]))", StableQuery: several.Policy.Metrics[0].Query,
		For: time.Minute}
	wantText(t, asError[*AnalysisConfigError](t, shared.Preflight(t.Context(), b.target, "v1.1.1")).Error(),
		"analysis.metric[0].baseline.query", "analysis.sample_ratio[0].stable_query", "series")

	silent := errorRate(time.Minute, &PrometheusSource{Address: "http://127.0.0.1:1"})
	wantText(t, asError[*UntriedQueriesError](t, silent.Preflight(t.Context(), b.target, "v1.1.1")).Error(), "could not be asked",
		"error_rate", "on_inconclusive")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := silent.Preflight(ctx, b.target, "v1.1.1"); err == nil {
		t.Error("an interrupt is not said")
	}
}
