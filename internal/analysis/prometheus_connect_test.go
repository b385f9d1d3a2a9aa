// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPrometheus_Credentials(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		_, _ = fmt.Fprintf(w, "you sent %v to %s", r.Header, r.URL)
	}
	tests := map[string]struct {
		config PrometheusConfig
		header string
		want   string
	}{
		"basic":        {PrometheusConfig{Username: "reader", Password: secret}, "Authorization", "Basic cmVhZGVyOmM0bjRyeS1zM2NyZXQ="},
		"bearer":       {PrometheusConfig{BearerToken: secret}, "Authorization", "Bearer " + secret},
		"header":       {PrometheusConfig{Header: http.Header{"x-scope-orgid": {secret}}}, "X-Scope-Orgid", secret},
		"own":          {PrometheusConfig{Header: http.Header{"Authorization": {"Api-Key " + secret}}}, "Authorization", "Api-Key " + secret},
		"in the URL":   {PrometheusConfig{Address: "http://reader:" + secret + "@HOST"}, "Authorization", "Basic cmVhZGVyOmM0bjRyeS1zM2NyZXQ="},
		"in the query": {PrometheusConfig{Address: "http://HOST?tenant=" + secret}, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var sent http.Header
			server := answering(t, func(w http.ResponseWriter, r *http.Request) {
				sent = r.Header
				if name == "in the query" && r.URL.Query().Get("tenant") != secret {
					t.Errorf("asked for %s", r.URL)
				}
				echo(w, r)
			})
			if test.config.Address == "" {
				test.config.Address = "http://HOST"
			}
			test.config.Address = strings.Replace(test.config.Address, "HOST", strings.TrimPrefix(server.URL, "http://"), 1)
			prometheus := connect(t, test.config)
			policy := ratePolicy()
			got := prometheus.Metric(policy.Metrics[0], step).Sample(t.Context())
			requireSample(t, got, Error, "503")
			if sent.Get(test.header) != test.want && test.header != "" {
				t.Errorf("sent %v", sent)
			}
			// It appears neither in the evidence of a verdict nor in other texts.
			got.Check = rate
			var samples []Sample
			for i := range 10 {
				got.At = start.Add(time.Duration(i) * step)
				samples = append(samples, got)
			}
			verdict := Assess(policy, samples, ended(policy))
			requireVerdict(t, verdict, Inconclusive, ErrorBudget)
			requireNoSecret(t, verdict)
			if text, _ := json.Marshal(verdict); strings.Contains(string(text), "cmVhZGVyOmM0") || len(verdict.Trigger.Samples) == 0 ||
				verdict.Trigger.Query == "" {
				t.Errorf("evidence %s", text)
			}
			server.Close()
			requireSample(t, prometheus.Metric(policy.Metrics[0], step).Sample(t.Context()), Error, "connection refused")
			if _, err := prometheus.Metric(policy.Metrics[0], step).History(t.Context(), start, start.Add(time.Minute)); err == nil ||
				strings.Contains(err.Error(), secret) {
				t.Errorf("history: %v", err)
			}
		})
	}
}

func TestPrometheus_CredentialsFollowNoRedirect(t *testing.T) {
	var reached atomic.Bool
	other := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		reached.Store(true)
		_, _ = w.Write([]byte(vector("0")))
	})
	server := answering(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	got := connect(t, PrometheusConfig{Address: server.URL, BearerToken: secret}).Metric(ratePolicy().Metrics[0], step).Sample(t.Context())
	requireSample(t, got, Error, "302")
	if reached.Load() {
		t.Error("the redirect was followed")
	}
}

func TestPrometheus_TLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(vector("0"))) }))
	defer server.Close()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	metric := ratePolicy().Metrics[0]
	requireSample(t, connect(t, PrometheusConfig{Address: server.URL, CA: authority}).Metric(metric, step).Sample(t.Context()), Pass, "")
	requireSample(t, connect(t, PrometheusConfig{Address: server.URL}).Metric(metric, step).Sample(t.Context()), Error, "give the CA")
	requireSample(t, connect(t, PrometheusConfig{Address: server.URL, CA: authority, ServerName: "example.com"}).Metric(metric,
		step).Sample(t.Context()), Pass, "")
	requireSample(t, connect(t, PrometheusConfig{Address: server.URL, CA: authority, ServerName: "other.test"}).Metric(metric,
		step).Sample(t.Context()), Error, "other.test")
}

// proxying replaces the API server's transport: it adds its own credentials and refuses requests that change something.
type proxying struct {
	t    *testing.T
	next http.RoundTripper
}

func (p proxying) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return nil, errors.New("refused: " + r.Method)
	}
	if r.Header.Get("Authorization") != "" {
		p.t.Error("credentials of Prometheus reach the API server")
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer of the cluster")
	return p.next.RoundTrip(r)
}

func TestPrometheus_ThroughTheAPIServer(t *testing.T) {
	server := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy/api/v1/query" || r.Header.Get("X-Tenant") != "a" {
			t.Errorf("asked for %s with %v", r.URL, r.Header)
		}
		_, _ = w.Write([]byte(vector("0.2")))
	})
	address, err := ProxyAddress(server.URL, Service{Namespace: "monitoring", Name: "prometheus", Port: "9090"})
	if err != nil {
		t.Fatal(err)
	}
	prometheus := connect(t,
		PrometheusConfig{Address: address, Transport: proxying{t, server.Client().Transport}, Header: http.Header{"X-Tenant": {"a"}}})
	requireSample(t, prometheus.Metric(ratePolicy().Metrics[0], step).Sample(t.Context()), Fail, "")
}

func TestNewPrometheus_RefusesWhatWouldLeakOrContradict(t *testing.T) {
	transport := http.DefaultTransport
	for name, config := range map[string]PrometheusConfig{
		"no address":              {},
		"no URL":                  {Address: "prometheus:9090"},
		"another scheme":          {Address: "file:///etc/passwd"},
		"two credentials":         {Address: "http://p", Username: "a", BearerToken: secret},
		"credentials in two ways": {Address: "http://a:" + secret + "@p", Username: "a"},
		"header and token":        {Address: "http://p", BearerToken: secret, Header: http.Header{"Authorization": {secret}}},
		"token through the proxy": {Address: "http://p", BearerToken: secret, Transport: transport},
		"URL through the proxy":   {Address: "http://a:" + secret + "@p", Transport: transport},
		"header through it":       {Address: "http://p", Header: http.Header{"Authorization": {secret}}, Transport: transport},
		"CA through it":           {Address: "http://p", CA: []byte("x"), Transport: transport},
		"no CA":                   {Address: "http://p", CA: []byte("x")},
	} {
		_, err := NewPrometheus(config)
		var wrong *ConfigError
		if !errors.As(err, &wrong) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrometheus_LongQueriesStayPosts(t *testing.T) {
	var methods []string
	var mu sync.Mutex
	server := answering(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		methods = append(methods, r.Method)
		if err := r.ParseForm(); err != nil || len(r.Form.Get("query")) < 10 {
			t.Errorf("form %v, %v", r.Form, err)
		}
		_, _ = w.Write([]byte(vector("0")))
	})
	prometheus := connect(t, PrometheusConfig{Address: server.URL})
	for _, query := range []string{"sum(errors)", "sum(errors)" + strings.Repeat(" + a", 3000)} {
		metric := ratePolicy().Metrics[0]
		metric.Query = query
		requireSample(t, prometheus.Metric(metric, step).Sample(t.Context()), Pass, "")
	}
	if got := strings.Join(methods, " "); got != "GET POST" {
		t.Errorf("methods %s", got)
	}
}
