// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// PrometheusConfig defines how a Prometheus, or another server with its API, is reached. Credentials are kept in memory only.
type PrometheusConfig struct {
	// Address is the URL above /api/v1/query.
	Address string
	// Transport, if set, carries the requests, for example that of the API server, with an address of ProxyAddress. It has its own
	// TLS and credentials: Username, Password, BearerToken, CA, ServerName and a header
	// Authorization cannot be given with it, since they would be sent to the API server.
	Transport http.RoundTripper
	// Username and Password are for basic authentication; not together with BearerToken.
	Username, Password string
	BearerToken        string
	// Header is sent with each request, for example X-Scope-OrgID. Values are treated as secrets.
	Header http.Header
	// CA is a bundle of certificate authorities in PEM, instead of those of the machine.
	CA []byte
	// ServerName is the name in the certificate, if it differs from the host of Address.
	ServerName string
	// Timeout is for one sample; zero means 10 seconds.
	Timeout time.Duration
}

// Prometheus answers queries. It is safe for concurrent use.
type Prometheus struct {
	api      promv1.API
	client   *http.Client
	redactor redactor
	timeout  time.Duration
}

// NewPrometheus makes no request. The error is a *ConfigError.
func NewPrometheus(config PrometheusConfig) (*Prometheus, error) {
	address, err := url.Parse(config.Address)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, &ConfigError{Field: "prometheus.address", Problem: "is not an http or https URL"}
	}
	if address.User != nil {
		if config.Username != "" || config.Password != "" {
			return nil, &ConfigError{Field: "prometheus.address", Problem: "holds a user, and username and password are given as well"}
		}
		config.Username = address.User.Username()
		config.Password, _ = address.User.Password()
		address.User = nil
	}
	if err := config.consistent(); err != nil {
		return nil, err
	}
	transport := config.Transport
	if transport == nil {
		if transport, err = config.direct(); err != nil {
			return nil, err
		}
	}
	timeout := config.Timeout
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	client := &http.Client{
		Transport: &promTransport{next: transport, config: config},
		// Credentials must not follow a redirect.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	base, err := api.NewClient(api.Config{Address: address.String(), Client: client})
	if err != nil {
		return nil, &ConfigError{Field: "prometheus.address", Problem: "cannot be used"}
	}
	return &Prometheus{api: promv1.NewAPI(base), client: client, redactor: config.redactor(address), timeout: timeout}, nil
}

func (c *PrometheusConfig) consistent() error {
	own := c.Username != "" || c.Password != "" || c.BearerToken != ""
	switch {
	case c.BearerToken != "" && (c.Username != "" || c.Password != ""):
		return &ConfigError{Field: "prometheus.bearer_token", Problem: "excludes username and password"}
	case own && c.Header.Get("Authorization") != "":
		return &ConfigError{Field: "prometheus.headers", Problem: "Authorization excludes username, password and bearer_token"}
	case c.Transport != nil && (own || c.Header.Get("Authorization") != ""):
		return &ConfigError{
			Field:   "prometheus",
			Problem: "credentials cannot be given together with the API server's proxy, which would receive them: give the address of Prometheus",
		}
	case c.Transport != nil && (len(c.CA) > 0 || c.ServerName != ""):
		return &ConfigError{Field: "prometheus.ca", Problem: "has no effect through the API server's proxy: give the address of Prometheus"}
	}
	return nil
}

// direct is a separate transport, so that no other part of the process shares its trust.
func (c *PrometheusConfig) direct() (http.RoundTripper, error) {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName},
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		MaxIdleConnsPerHost:   4,
		ResponseHeaderTimeout: c.Timeout,
	}
	if len(c.CA) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(c.CA) {
			return nil, &ConfigError{Field: "prometheus.ca", Problem: "holds no certificate in PEM"}
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return transport, nil
}

func (c *PrometheusConfig) redactor(address *url.URL) redactor {
	secrets := []string{c.Password, c.BearerToken}
	if c.Username != "" || c.Password != "" {
		secrets = append(secrets, c.Username+":"+c.Password)
	}
	for _, values := range c.Header {
		secrets = append(secrets, guesses(values)...)
	}
	for _, values := range address.Query() {
		secrets = append(secrets, guesses(values)...)
	}
	return newRedactor(secrets...)
}

// Close frees idle connections. It does not touch a given Transport.
func (p *Prometheus) Close() { p.client.CloseIdleConnections() }

// Metric is the sampler of m. interval is the time between two samples of it, for its history.
func (p *Prometheus) Metric(m Metric, interval time.Duration) Historian {
	return &promMetric{prometheus: p, metric: m, interval: interval}
}

type promMetric struct {
	prometheus *Prometheus
	metric     Metric
	interval   time.Duration
}

func (s *promMetric) Check() string { return s.metric.Name }

// Sample queries the current value, by Prometheus' own clock.
func (s *promMetric) Sample(ctx context.Context) Sample {
	limited, cancel := context.WithTimeout(ctx, s.prometheus.timeout)
	defer cancel()
	return s.metric.sample(func(q metricQuery) (Sample, error) { return s.prometheus.instant(ctx, limited, q.text, q.reduce) })
}

// instant makes one query. The kind of the sample is empty if there is a value to classify. The error is a *QueryError or an
// *UnavailableError.
func (p *Prometheus) instant(outer, ctx context.Context, query string, reduce Reduce) (Sample, error) {
	// Without a time Prometheus takes its own, so that no clocks are compared.
	result, warnings, err := p.api.Query(ctx, query, time.Time{})
	if err != nil {
		return Sample{}, p.explain(outer, err)
	}
	if len(warnings) > 0 {
		return Sample{}, p.incomplete(warnings)
	}
	points, err := pointsOf(result)
	if err != nil {
		return Sample{}, err
	}
	return reduced(points, reduce), nil
}

// incomplete returns an error for an answer with warnings: part of the data may be missing, so that it cannot be analyzed.
func (p *Prometheus) incomplete(warnings []string) error {
	return &UnavailableError{Problem: p.redactor.text("the answer of Prometheus is not complete: " + warnings[0])}
}

// History implements Historian. If Prometheus' clock differs from the local clock, the time of the samples is corrected.
func (s *promMetric) History(ctx context.Context, from, to time.Time) ([]Sample, error) {
	if s.interval <= 0 || to.Before(from) {
		return nil, fmt.Errorf("the history of %s cannot be read from %s to %s in steps of %s", s.metric.Name, from, to, s.interval)
	}
	limited, cancel := context.WithTimeout(ctx, s.prometheus.timeout)
	defer cancel()
	skew, err := s.prometheus.skew(ctx, limited)
	if err != nil {
		return nil, err
	}
	// Prometheus calculates in milliseconds, so steps are compared in milliseconds, too.
	from, to = from.Round(0).Truncate(time.Millisecond), to.Round(0)
	window := promv1.Range{Start: from.Add(skew), End: to.Add(skew), Step: s.interval}
	answers := map[string]map[model.Time][]float64{}
	for _, q := range s.metric.queries() {
		if answers[q.field], err = s.prometheus.ranged(ctx, limited, q.text, window); err != nil {
			return nil, q.wrap(err)
		}
	}
	var samples []Sample
	for at := from; !at.After(to); at = at.Add(s.interval) {
		step := model.TimeFromUnixNano(at.Add(skew).UnixNano())
		sample := s.metric.sample(func(q metricQuery) (Sample, error) { return reduced(answers[q.field][step], q.reduce), nil })
		sample.Check, sample.At = s.metric.Name, at
		samples = append(samples, sample)
	}
	return samples, nil
}

// skew is how far Prometheus' clock is ahead; less than a second counts as zero, since a request may take that long.
func (p *Prometheus) skew(outer, ctx context.Context) (time.Duration, error) {
	before := time.Now()
	result, _, err := p.api.Query(ctx, "time()", time.Time{})
	if err != nil {
		return 0, p.explain(outer, err)
	}
	took := time.Since(before)
	scalar, ok := result.(*model.Scalar)
	if !ok {
		return 0, fmt.Errorf("the query time() returns a %s", result.Type())
	}
	skew := time.UnixMilli(int64(scalar.Value * 1000)).Sub(before.Add(took / 2))
	if skew.Abs() <= time.Second+took {
		return 0, nil
	}
	return skew.Truncate(time.Millisecond), nil
}

// ranged makes a range query. The result maps times to the values of all series.
func (p *Prometheus) ranged(outer, ctx context.Context, query string, window promv1.Range) (map[model.Time][]float64, error) {
	result, warnings, err := p.api.QueryRange(ctx, query, window)
	if err != nil {
		return nil, p.explain(outer, err)
	}
	if len(warnings) > 0 {
		return nil, p.incomplete(warnings)
	}
	matrix, ok := result.(model.Matrix)
	if !ok {
		return nil, &QueryError{Query: query, Problem: fmt.Sprintf("a range query returns a %s", result.Type())}
	}
	points := map[model.Time][]float64{}
	for _, stream := range matrix {
		if len(stream.Histograms) > 0 {
			return nil, &QueryError{Query: query, Problem: histogramProblem}
		}
		for _, pair := range stream.Values {
			points[pair.Timestamp] = append(points[pair.Timestamp], float64(pair.Value))
		}
	}
	return points, nil
}

// explain describes why a query failed, without credentials.
func (p *Prometheus) explain(outer context.Context, err error) error {
	var answer *promv1.Error
	if !errors.As(err, &answer) {
		text, _ := describe(outer, err, p.timeout)
		return &UnavailableError{Problem: p.redactor.text("Prometheus: " + text)}
	}
	if message, found := apiServerMessage([]byte(answer.Detail)); found {
		return &UnavailableError{Problem: p.redactor.text("the API server answers instead of Prometheus: " + message)}
	}
	text := string(answer.Type) + ": " + answer.Msg
	if detail := answerDetail(answer.Detail); detail != "" {
		text += ": " + detail
	}
	text = p.redactor.text("Prometheus answers " + text)
	if answer.Type == promv1.ErrBadData {
		return &QueryError{Problem: text}
	}
	return &UnavailableError{Problem: text}
}

// Probe runs m's queries once, so that mistakes in them are reported before anything is changed. The error is a *QueryError if the
// configuration is wrong, and an *UnavailableError if Prometheus does not answer; no data is not an error.
func (p *Prometheus) Probe(ctx context.Context, m Metric) error {
	for _, q := range m.queries() {
		limited, cancel := context.WithTimeout(ctx, p.timeout)
		err := p.probe(ctx, limited, q)
		cancel()
		if err != nil {
			return fmt.Errorf("metric %q, %s: %w", m.Name, q.field, err)
		}
	}
	return nil
}

func (p *Prometheus) probe(outer, ctx context.Context, q metricQuery) error {
	s, err := p.instant(outer, ctx, q.text, q.reduce)
	var broken *QueryError
	switch {
	case errors.As(err, &broken):
		return &QueryError{Query: q.text, Problem: broken.Problem}
	case err != nil:
		return err
	case s.Kind == "" && s.Series > 1:
		return &QueryError{
			Query:   q.text,
			Problem: fmt.Sprintf("the query returns %d series: aggregate them in the query, for example by sum(…)", s.Series),
		}
	}
	return nil
}
