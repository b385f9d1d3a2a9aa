// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// watching is an analysis of health alone: the release's pods, and a probe of its Service.
func watching(duration time.Duration) *Analysis {
	return &Analysis{
		Policy: analysis.Policy{
			Health: &analysis.Health{Checks: []string{"pods", "ready"}, ConsecutiveFailures: 3, ErrorBudget: 5 * time.Second,
				NoDataBudget: 5 * time.Second},
			Duration: duration, Interval: time.Second, OnInconclusive: analysis.HoldInconclusive,
		},
		Pods:   &PodsCheck{Grace: 2 * time.Second},
		Probes: []HTTPCheck{{Name: "ready", Service: &analysis.Service{Name: "app", Port: "http", Path: "/readyz"}}},
	}
}

func (b *bench) bake(ctx context.Context, env Environment, a *Analysis, options bakeOptions) (analysis.Verdict, []analysis.Sample, error) {
	b.t.Helper()
	start := time.Now()
	verdict, samples, err := bake(ctx, env, a, options)
	b.t.Logf("%s, %s after %s with %d samples: %s %v", verdict.Outcome, verdict.Action, time.Since(start).Round(time.Millisecond),
		len(samples), verdict.Reason, err)
	return verdict, samples, err
}

func faults(pairs ...string) map[string]any {
	var list []any
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, map[string]any{"name": pairs[i], "value": pairs[i+1]})
	}
	return map[string]any{"env": list}
}

func TestAnalysis_WatchesPodsAndProbes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		values  []map[string]any
		outcome analysis.Outcome
		checks  []string
		reason  string
	}{
		{"a healthy release", nil, analysis.Passed, nil, ""},
		{
			"one that stops being ready", []map[string]any{faults("FAIL_READINESS_AFTER", "8s"), {"readinessPath": "/readyz"}},
			analysis.Failed, []string{"pods", "ready"}, "",
		},
		{"one whose readiness only a probe sees", []map[string]any{faults("FAIL_READINESS_AFTER", "8s")}, analysis.Failed, []string{"ready"},
			"HTTP 503"},
		// It is back at once after the first crash, and waits for 10 s after the second.
		{"one that crashes", []map[string]any{faults("CRASH_AFTER", "9s")}, analysis.Failed, []string{"pods", "ready"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			env := b.checking(with(t, append(tc.values, moreObjects(podService("app")))...))
			duration := 40 * time.Second
			if tc.outcome == analysis.Passed {
				duration = 8 * time.Second
			}
			verdict, samples, err := b.bake(t.Context(), env, watching(duration), bakeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if verdict.Outcome != tc.outcome || !strings.Contains(verdict.Reason, tc.reason) {
				t.Errorf("%+v", verdict)
			}
			if tc.outcome == analysis.Failed && (verdict.Action != analysis.Rollback || !slices.Contains(tc.checks, verdict.Trigger.Check)) {
				t.Errorf("%+v", verdict.Trigger)
			}
			for _, s := range samples {
				if s.Kind == analysis.Error {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

func TestAnalysis_EndsWithItsContextAndResumesFromItsSamples(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t, moreObjects(podService("app"))))
	stop := errors.New("a user pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	start := time.Now()
	time.AfterFunc(3500*time.Millisecond, func() { cancel(stop) })
	verdict, samples, err := b.bake(ctx, env, watching(20*time.Second), bakeOptions{})
	var interrupted *analysis.InterruptedError
	if !errors.As(err, &interrupted) || !errors.Is(err, stop) || verdict.Outcome != analysis.Pending || len(samples) < 6 {
		t.Fatalf("%+v, %d samples, %v", verdict, len(samples), err)
	}

	aborted := false
	verdict, all, err := b.bake(t.Context(), env, watching(20*time.Second),
		bakeOptions{Start: start, Earlier: samples, Abort: func(context.Context) (string, bool, error) {
			defer func() { aborted = true }()
			return "the dashboard said so", aborted, nil
		}})
	if err != nil || verdict.Outcome != analysis.Failed || verdict.Trigger.Rule != analysis.Manual || len(all) <= len(samples) ||
		!slices.Equal(all[:len(samples)], samples) {
		t.Errorf("%+v, %d samples, %v", verdict, len(all), err)
	}
}

func TestAnalysis_EndsWhenTheLeaseIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t, moreObjects(podService("app"))))
	time.AfterFunc(2*time.Second, b.stealLease)
	_, _, err := b.bake(t.Context(), env, watching(time.Minute), bakeOptions{})
	wantError[*analysis.InterruptedError](t, err)
	wantError[*cluster.LostError](t, err)
}

func TestAnalysis_ReportsWhatIsWrongBeforeItWatches(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t, map[string]any{"deployment": false}))
	_, samples, err := b.bake(t.Context(), env, watching(5*time.Second), bakeOptions{})
	wantText(t, asError[*AnalysisConfigError](t, err).Error(), "analysis.health.pods[0]", "no Deployment")
	a := watching(5 * time.Second)
	a.Pods, a.Probes[0].Service.Port = nil, "a/b"
	_, more, err := b.bake(t.Context(), env, a, bakeOptions{})
	wantText(t, asError[*AnalysisConfigError](t, err).Error(), "analysis.health.http[0].service.port")
	if len(samples)+len(more) > 0 {
		t.Error("it watched")
	}
	if verdict, _, err := b.bake(t.Context(), env, nil, bakeOptions{}); err != nil || verdict.Outcome != analysis.Passed {
		t.Errorf("nothing to watch: %+v, %v", verdict, err)
	}
}

func TestAnalysis_ScaledToZeroIsNoPass(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t, map[string]any{"replicas": 0}))
	a := watching(3 * time.Second)
	a.Policy.Health.Checks, a.Probes, a.Policy.Health.ConsecutiveFailures = []string{"pods"}, nil, 1
	verdict, _, err := b.bake(t.Context(), env, a, bakeOptions{})
	if err != nil || verdict.Outcome != analysis.Inconclusive || verdict.Action != analysis.Hold {
		t.Errorf("%+v, %v", verdict, err)
	}
}

// With a window of zero each check is made once.
func TestAnalysis_OfARestoredRevision(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t, moreObjects(podService("app"))))
	a := watching(time.Minute)
	start := time.Now()
	verdict, samples, err := b.bake(t.Context(), env, a.Validation(0), bakeOptions{})
	if err != nil || verdict.Outcome != analysis.Passed || len(samples) != 2 || time.Since(start) > 3*time.Second {
		t.Errorf("%+v, %d samples, %v", verdict, len(samples), err)
	}
	a.Probes[0].Service.Path = "/nope"
	if verdict, _, err := b.bake(t.Context(), env, a.Validation(0), bakeOptions{}); err != nil || verdict.Outcome != analysis.Failed {
		t.Errorf("%+v, %v", verdict, err)
	}
}

// counted is the same cluster behind a proxy that counts requests.
func (b *bench) counted() (target ownership.Release, requests func() []string) {
	b.t.Helper()
	config := b.target.Cluster.RESTConfig()
	address, err := url.Parse(config.Host)
	if err != nil {
		b.t.Fatal(err)
	}
	var mu sync.Mutex
	var seen []string
	server := httptest.NewServer(&httputil.ReverseProxy{Transport: config.Transport, Rewrite: func(r *httputil.ProxyRequest) {
		mu.Lock()
		seen = append(seen, r.In.Method+" "+r.In.URL.Path)
		mu.Unlock()
		r.SetURL(address)
	}})
	b.t.Cleanup(server.Close)
	c, err := cluster.NewConnections(cluster.Config{Clusters: map[string]cluster.Connection{"counted": {Host: server.URL}}}).
		Cluster(b.t.Context(), cluster.Coordinate{Context: "counted"})
	if err != nil {
		b.t.Fatal(err)
	}
	return benchTarget(c, b.namespace()), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

// prometheusSource is the Prometheus of the test cluster, which scrapes annotated pods each second.
func (b *bench) prometheusSource() *PrometheusSource {
	b.t.Helper()
	service, err := b.client.CoreV1().Services("monitoring").Get(b.t.Context(), "prometheus", metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		b.t.Skip("there is no Prometheus on the test cluster (test/prometheus/prometheus.yaml)")
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return &PrometheusSource{Service: &analysis.Service{Namespace: service.Namespace, Name: service.Name, Port: "http"},
		Timeout: 5 * time.Second}
}

func TestAnalysis_AsksRarely(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	source := b.prometheusSource()
	spec := with(t, scraped(), moreObjects(podService("app")))
	b.mustApply(spec)
	target, requests := b.counted()
	env := b.checkingRevision(target, 1, spec)
	a := watching(20 * time.Second)
	limit := 0.5
	// The shape of the default: pods, a probe, a metric with the number of requests; ten times as fast.
	a.Prometheus = source
	a.Policy.Metrics = []analysis.Metric{{
		Name: "up", Query: `min(up{namespace="{{ namespace }}"})`, Below: &limit, For: 3 * time.Second, ErrorBudget: time.Minute,
		NoDataBudget:  time.Minute,
		RequestsQuery: "vector(10)", MinRequests: 1,
	}}
	before := len(requests())
	start := time.Now()
	if _, _, err := b.bake(t.Context(), env, a, bakeOptions{}); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	all := requests()[before:]
	kinds := map[string]int{}
	for _, r := range all {
		switch {
		case strings.Contains(r, "/leases"):
			kinds["lease"]++
		case strings.Contains(r, "prometheus"):
			kinds["Prometheus"]++
		case strings.Contains(r, "/proxy/"):
			kinds["probe"]++
		case strings.HasSuffix(r, "/pods"):
			kinds["pods"]++
		default:
			kinds[r]++
		}
	}
	samples := took.Seconds() / a.Policy.Interval.Seconds()
	perSample := float64(len(all)-kinds["lease"]) / samples
	t.Logf("%d requests in %s: %v", len(all), took.Round(time.Millisecond), kinds)
	t.Logf("%.2f requests each interval; with the default interval of 10 s that is %.0f a minute, and 6 for the Lease", perSample, perSample*6)
	if perSample > 4.5 {
		t.Errorf("%.2f requests each interval for 4 questions", perSample)
	}
	for _, r := range all {
		if method, _, _ := strings.Cut(r, " "); method != http.MethodGet && !strings.Contains(r, "/leases") {
			t.Errorf("watching is to read only: %s", r)
		}
	}
}
