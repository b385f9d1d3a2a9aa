// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/slipway-dev/terraform-provider-slipway/test/debian"
)

// service is a small server that counts its requests by code, as a real one does. Requests come in steadily.
type service struct {
	job      string
	server   *httptest.Server
	requests *prometheus.CounterVec
	// percent of the requests that fail; none come in while it is negative.
	percent atomic.Int32
}

func newService(t *testing.T, job string) *service {
	t.Helper()
	s := &service{job: job, requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total"}, []string{"code"})}
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.requests)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusOK
		if r.URL.Query().Get("fail") != "" {
			code = http.StatusInternalServerError
		}
		s.requests.WithLabelValues(fmt.Sprint(code)).Inc()
		w.WriteHeader(code)
	})
	for _, code := range []string{"200", "500"} {
		s.requests.WithLabelValues(code)
	}
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := int32(0); ctx.Err() == nil; n = (n + 1) % 100 {
			if percent := s.percent.Load(); percent >= 0 {
				path := "/"
				if n*percent/100 != (n+1)*percent/100 { // Spread evenly over the requests.
					path = "/?fail=1"
				}
				if response, err := http.Get(s.server.URL + path); err == nil {
					_ = response.Body.Close()
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// program is the Prometheus of the distribution, which is fetched where it is not in the cache.
func program(t *testing.T) string {
	t.Helper()
	dir, err := debian.Unpack(t.Context(), "prometheus")
	if errors.Is(err, debian.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "usr", "bin", "prometheus")
}

// runPrometheus starts a Prometheus that scrapes services twice a second, and returns its address and how to stop it.
func runPrometheus(t *testing.T, services ...*service) (address string, stop func()) {
	t.Helper()
	binary := program(t)
	folder := t.TempDir()
	config := "global:\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\nscrape_configs:\n"
	for _, s := range services {
		config += fmt.Sprintf("- job_name: %s\n  static_configs:\n  - targets: [%q]\n", s.job, strings.TrimPrefix(s.server.URL, "http://"))
	}
	file := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	log := &strings.Builder{}
	command := exec.Command(binary, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+host,
		"--log.level=warn")
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = command.Process.Kill()
			_ = command.Wait() // It was killed.
		}
	}
	t.Cleanup(stop)
	address = "http://" + host
	for range 300 {
		if response, err := http.Get(address + "/-/ready"); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return address, stop
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	t.Fatalf("Prometheus is not ready after 30 s:\n%s", log)
	return "", nil
}

// realPolicy is "more than 5% errors for 6 seconds", in the time of a test.
func realPolicy(s *service, duration time.Duration) Policy {
	all := fmt.Sprintf(`sum(rate(http_requests_total{job=%q}[3s]))`, s.job)
	bad := fmt.Sprintf(`sum(rate(http_requests_total{job=%q,code=~"5.."}[3s]))`, s.job)
	return Policy{
		Health: &Health{Checks: []string{health}, ConsecutiveFailures: 3, ErrorBudget: 5 * time.Second, NoDataBudget: 5 * time.Second},
		Metrics: []Metric{{
			Name: rate, Query: bad + " / " + all, Above: limit(0.05), For: 6 * time.Second,
			MinRequests: 5, RequestsQuery: fmt.Sprintf(`sum(increase(http_requests_total{job=%q}[3s]))`, s.job),
			ErrorBudget: 5 * time.Second, NoDataBudget: 5 * time.Second,
		}},
		Duration: duration, Interval: time.Second,
	}
}

func TestRun_WithARealPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	failing, recovering, quiet, blinded := newService(t, "failing"), newService(t, "recovering"), newService(t, "quiet"),
		newService(t, "blinded")
	quiet.percent.Store(-1)
	address, _ := runPrometheus(t, failing, recovering, quiet)
	doomed, kill := runPrometheus(t, blinded)
	time.Sleep(4 * time.Second) // A rate needs two scrapes, and the first window to be full.

	analyze := func(t *testing.T, s *service, address string, duration time.Duration, change func(*Options)) (Verdict, []Sample) {
		t.Helper()
		client := connect(t, PrometheusConfig{Address: address, Timeout: 5 * time.Second})
		policy := realPolicy(s, duration)
		options := Options{
			Policy: policy,
			Samplers: []Sampler{
				&HTTPProbe{Name: health, URL: s.server.URL + "/metrics", Client: s.server.Client()},
				client.Metric(policy.Metrics[0], policy.Interval),
			},
			Progress: func(line string) { t.Log(line) },
		}
		if change != nil {
			change(&options)
		}
		verdict, samples, err := Run(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		return verdict, samples
	}

	t.Run("20% errors trigger, and are found again in history", func(t *testing.T) {
		t.Parallel()
		begun := time.Now()
		bad := begun.Add(3 * time.Second)
		time.AfterFunc(time.Until(bad), func() { failing.percent.Store(20) })
		verdict, samples := analyze(t, failing, address, 40*time.Second, nil)
		requireVerdict(t, verdict, Failed, EverySample)
		took := time.Since(bad)
		t.Logf("%s after the first error (the rule itself takes 6 s): %s", took.Round(time.Millisecond), verdict.Reason)
		if took < 6*time.Second || took > 20*time.Second {
			t.Errorf("triggered %s after the errors began", took)
		}
		if since := verdict.Trigger.Since; since.Before(bad) || len(verdict.Trigger.Samples) < 7 ||
			!strings.Contains(verdict.Trigger.Query, "http_requests_total") {
			t.Errorf("evidence %+v", verdict.Trigger)
		}
		for _, s := range verdict.Trigger.Samples {
			if s.Value <= 0.05 || s.Value > 0.3 || s.Requests < 5 {
				t.Errorf("sample %+v", s)
			}
		}
		if samples[len(samples)-1].At.Sub(begun) > 35*time.Second {
			t.Error("it continued after the trigger")
		}

		// The same run, had it died at its start and been taken up now, knows at once.
		resumed := time.Now()
		verdict, _ = analyze(t, failing, address, 40*time.Second, func(o *Options) { o.Start = begun })
		requireVerdict(t, verdict, Failed, EverySample)
		if took := time.Since(resumed); took > 5*time.Second {
			t.Errorf("the history took %s", took)
		}
	})

	t.Run("errors that end in time do not", func(t *testing.T) {
		t.Parallel()
		time.AfterFunc(2*time.Second, func() { recovering.percent.Store(20) })
		time.AfterFunc(3*time.Second, func() { recovering.percent.Store(0) })
		verdict, samples := analyze(t, recovering, address, 14*time.Second, nil)
		requireVerdict(t, verdict, Passed, "")
		failed := 0
		for _, s := range samples {
			if s.Kind == Fail {
				failed++
			}
		}
		if failed == 0 {
			t.Error("no sample saw the errors")
		}
	})

	t.Run("nobody asks", func(t *testing.T) {
		t.Parallel()
		verdict, _ := analyze(t, quiet, address, 10*time.Second, nil)
		requireVerdict(t, verdict, Inconclusive, NoDataBudget)
		if verdict.Action != Accept { // Health passed, and no sample failed.
			t.Errorf("%s: %s", verdict.Action, verdict.Reason)
		}
	})

	t.Run("Prometheus dies", func(t *testing.T) {
		t.Parallel()
		time.AfterFunc(2*time.Second, kill)
		verdict, _ := analyze(t, blinded, doomed, 30*time.Second, func(o *Options) { o.Policy.OnInconclusive = RollbackInconclusive })
		requireVerdict(t, verdict, Inconclusive, ErrorBudget)
		if verdict.Action != Rollback || !strings.Contains(verdict.Reason, "connection refused") {
			t.Errorf("%s: %s", verdict.Action, verdict.Reason)
		}
	})

	t.Run("queries that cannot be used are known beforehand", func(t *testing.T) {
		t.Parallel()
		client := connect(t, PrometheusConfig{Address: address})
		good := realPolicy(recovering, time.Minute).Metrics[0]
		if err := client.Probe(t.Context(), good); err != nil {
			t.Error(err)
		}
		for query, want := range map[string]string{
			"sum(": "parse error", "http_requests_total": "series", "http_requests_total[1m]": "range of values", `"text"`: "string",
		} {
			good.Query = query
			err := client.Probe(t.Context(), good)
			// Until it has scraped twice, Prometheus has no series that would be too many.
			for deadline := time.Now().Add(20 * time.Second); err == nil && time.Now().Before(deadline); err = client.Probe(t.Context(), good) {
				time.Sleep(200 * time.Millisecond)
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", query, err, want)
			}
		}
	})
}
