// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// podsCheck is the name of the health check by the release's own pods.
const podsCheck = "pods"

// AnalysisConfigError says what is wrong with an analysis' checks. It is known at plan time, but for what only Prometheus and the
// cluster know (see Preflight).
type AnalysisConfigError struct {
	Problems []ConfigProblem
}

// Explain says it in three paragraphs.
func (e *AnalysisConfigError) Explain() (happened, observed, advice string) {
	return "The analysis cannot be made as it is configured.", problemText(e.Problems), "Correct the block that is named."
}

func (e *AnalysisConfigError) Error() string { return explain.Text(e.Explain()) }

// Validate says at plan time what is wrong with an analysis, without a request. The error holds an *analysis.InvalidPolicyError, an
// *AnalysisConfigError, or both.
func (a *Analysis) Validate() error {
	p := &problems{}
	a.checkHealth(p)
	a.checkMetrics(p)
	if a.Prometheus != nil {
		p.block, p.index = "analysis.prometheus", 0
		a.Prometheus.check(p)
	}
	var configured error
	if len(p.list) > 0 {
		configured = &AnalysisConfigError{Problems: p.list}
	}
	return joined(a.Policy.Validate(), configured)
}

// joined is errors.Join that leaves a single error as it is.
func joined(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return errors.Join(a, b)
}

// checkHealth compares the health checks with those of the policy, each exactly one.
func (a *Analysis) checkHealth(p *problems) {
	var wanted []string
	if a.Policy.Health != nil {
		wanted = slices.Clone(a.Policy.Health.Checks)
	}
	taken := func(name string) bool {
		i := slices.Index(wanted, name)
		if i >= 0 {
			wanted = slices.Delete(wanted, i, i+1)
		}
		return i >= 0
	}
	if a.Pods != nil {
		p.block, p.index = "analysis.health.pods", 0
		p.add(!taken(podsCheck), "", "the policy does not count the check %q.", podsCheck)
		p.add(a.Pods.MinReady < 0, "min_ready", "it is negative.")
		p.add(a.Pods.Grace < 0, "grace", "it is negative.")
	}
	p.block = "analysis.health.http"
	for i := range a.Probes {
		p.index = i
		p.add(a.Pods != nil && a.Probes[i].Name == podsCheck, "name", "%q is the name of the check of the release's pods: choose another one.",
			podsCheck)
		p.add(!taken(a.Probes[i].Name), "name", "the policy does not count the check %q, or counts it for another one.", a.Probes[i].Name)
		p.request("", &a.Probes[i])
	}
	p.block, p.index = "analysis.health", 0
	for _, name := range wanted {
		p.add(true, "", "the check %q has no probe.", name)
	}
}

func (a *Analysis) checkMetrics(p *problems) {
	p.block, p.index = "analysis.metric", 0
	const nobody = "there is no prometheus block that says whom to ask."
	p.add(len(a.Policy.Metrics) > 0 && a.Prometheus == nil, "", nobody)
	for i, m := range a.Policy.Metrics {
		p.index = i
		for _, q := range metricQueries(&m) {
			p.syntax(q.name, *q.text)
		}
	}
	if r := a.Policy.SampleRatio; r != nil {
		p.block, p.index = "analysis.sample_ratio", 0
		p.add(len(a.Policy.Metrics) == 0 && a.Prometheus == nil, "", nobody)
		for _, q := range ratioQueries(r) {
			p.syntax(q.name, *q.text)
		}
	}
}

// syntax checks a query without its values. What is missing is said by the policy.
func (p *problems) syntax(field, query string) {
	if strings.TrimSpace(query) == "" {
		return
	}
	expanded, err := ExpandQuery(query, QueryValues{Namespace: "n", Release: "r", Client: "c", Stage: "s", Version: "v"})
	if err == nil {
		err = analysis.ParseQuery(expanded)
	}
	p.query(field, err)
}

// query adds what is wrong with a query.
func (p *problems) query(field string, err error) {
	var placeholder *PlaceholderError
	var query *analysis.QueryError
	switch {
	case errors.As(err, &placeholder):
		p.add(true, field, "{{ %s }}: %s.", placeholder.Placeholder, placeholder.Problem)
	case errors.As(err, &query):
		p.add(true, field, "%s.", query.Problem)
	}
}

func (s *PrometheusSource) check(p *problems) {
	p.add((s.Service == nil) == (s.Address == ""), "url", "exactly one of service and url is needed.")
	p.add(s.Timeout < 0, "timeout", "it is negative.")
	config := s.config()
	if s.Service != nil {
		p.service("service.", *s.Service)
		config.Address, config.Transport = "http://service", http.DefaultTransport
	}
	client, err := analysis.NewPrometheus(config)
	if err == nil {
		client.Close()
	}
	p.config("", err)
}

// ValidateObjects says at plan time whether there are pods to watch among the objects that the chart renders: *AnalysisConfigError.
func (a *Analysis) ValidateObjects(objects map[object.Key]string) error {
	if a.Pods == nil {
		return nil
	}
	for key := range objects {
		if apiVersion, kind, _, _ := key.Parts(); IsPodWorkload(apiVersion, kind) {
			return nil
		}
	}
	return noWorkloads()
}

func noWorkloads() *AnalysisConfigError {
	return &AnalysisConfigError{Problems: []ConfigProblem{{Block: "analysis.health.pods",
		Text: "the chart renders no Deployment, StatefulSet or DaemonSet whose pods could be watched: use an http block or a metric."}}}
}

func IsPodWorkload(apiVersion, kind string) bool {
	return strings.HasPrefix(apiVersion, "apps/") && slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, kind)
}

// Preflight asks each query once, before anything is changed: a query that can never give a sample would be noticed only when the new
// version is live. The error is an *AnalysisConfigError, or an *UntriedQueriesError where Prometheus could not be asked, which need not
// be so when it counts.
func (a *Analysis) Preflight(ctx context.Context, target ownership.Release, version string) error {
	if a == nil || a.Prometheus == nil {
		return nil
	}
	policy, err := a.expanded(queryValuesOf(target, version))
	if err != nil {
		return err
	}
	client, err := a.Prometheus.connect(target)
	if err != nil {
		return err
	}
	defer client.Close()
	p := &problems{}
	var untried error
	for i, m := range policy.Queried() {
		queries := metricQueries(&m)
		p.block, p.index = "analysis.metric", i
		if i == len(policy.Metrics) {
			p.block, p.index, queries = "analysis.sample_ratio", 0, ratioQueries(policy.SampleRatio)
		}
		err := client.Probe(ctx, m)
		var query *analysis.QueryError
		if err != nil && !errors.As(err, &query) && untried == nil {
			untried = &UntriedQueriesError{Cause: err}
		}
		if query != nil {
			field := queries[0].name
			for _, q := range queries {
				if query.Query == *q.text {
					field = q.name
				}
			}
			p.query(field, query)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("trying the queries of the analysis: %w", context.Cause(ctx))
		}
	}
	if len(p.list) > 0 {
		return &AnalysisConfigError{Problems: p.list}
	}
	return untried
}

// UntriedQueriesError says that Prometheus did not answer the queries of an analysis at plan time.
type UntriedQueriesError struct {
	// Cause is what the first query met.
	Cause error
}

// Explain says it in three paragraphs.
func (e *UntriedQueriesError) Explain() (happened, observed, advice string) {
	return "Prometheus could not be asked.", e.Cause.Error() + ".",
		"Check the address in analysis.prometheus and the right to it. While it cannot be asked, the metrics say nothing about a version, " +
			"and on_inconclusive decides."
}

func (e *UntriedQueriesError) Error() string { return explain.Text(e.Explain()) }

// Unwrap returns what the first query met.
func (e *UntriedQueriesError) Unwrap() error { return e.Cause }

// expanded is the policy with the placeholders of its queries filled in.
func (a *Analysis) expanded(values QueryValues) (analysis.Policy, error) {
	out := a.Policy
	out.Metrics = slices.Clone(out.Metrics)
	p := &problems{block: "analysis.metric"}
	expand := func(queries []queryField) {
		for _, q := range queries {
			var err error
			*q.text, err = ExpandQuery(*q.text, values)
			p.query(q.name, err)
		}
	}
	for i := range out.Metrics {
		p.index = i
		m := &out.Metrics[i]
		if m.Baseline != nil {
			baseline := *m.Baseline
			m.Baseline = &baseline
		}
		expand(metricQueries(m))
	}
	if out.SampleRatio != nil {
		ratio := *out.SampleRatio
		out.SampleRatio = &ratio
		p.block, p.index = "analysis.sample_ratio", 0
		expand(ratioQueries(&ratio))
	}
	if len(p.list) > 0 {
		return analysis.Policy{}, &AnalysisConfigError{Problems: p.list}
	}
	return out, nil
}

// UsesVersion reports that a query needs the application's version, which must be set then.
func (a *Analysis) UsesVersion() bool {
	var queries []queryField
	for _, m := range a.Policy.Metrics {
		queries = append(queries, metricQueries(&m)...)
	}
	if r := a.Policy.SampleRatio; r != nil {
		queries = append(queries, ratioQueries(r)...)
	}
	return slices.ContainsFunc(queries, func(q queryField) bool { return usesVersion(*q.text) })
}

func (s *PrometheusSource) config() analysis.PrometheusConfig {
	return analysis.PrometheusConfig{
		Address: s.Address, Username: s.Username, Password: s.Password, BearerToken: s.BearerToken,
		Header: maps.Clone(s.Header), CA: s.CA, Timeout: s.Timeout,
	}
}

// connect makes no request.
func (s *PrometheusSource) connect(target ownership.Release) (*analysis.Prometheus, error) {
	config := s.config()
	var err error
	if s.Service != nil {
		if config.Address, err = proxyAddress(target, *s.Service); err == nil {
			config.Transport, err = proxyTransport(target.Cluster)
		}
		if err != nil {
			return nil, err
		}
	}
	return analysis.NewPrometheus(config)
}
