// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// podsCheck is the name of the health check by the release's own pods.
const podsCheck = "pods"

// Analysis is a policy and how its checks are made. The release's own pods are a health check where Pods is not nil.
type Analysis struct {
	Policy analysis.Policy
	// Pods watches the pods of the release's workloads, under the name "pods".
	Pods *PodsCheck
	// Probes are health checks by HTTP; their names are those of the policy.
	Probes []HTTPCheck
	// Prometheus answers the policy's metrics; nil where it has none.
	Prometheus *PrometheusSource
}

// PodsCheck is a health check by the state of the release's pods.
type PodsCheck struct {
	// MinReady is the least number of ready pods for each workload, 1 where zero.
	MinReady int
	// Grace is how long after its creation a pod may be not ready, one minute where zero.
	Grace time.Duration
}

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

// Validation is the analysis of a revision that a rollback has restored: the same checks over window, which starts when it is
// begun. Zero makes one pass of each health check. Fewer failures in a row are tolerated where the window has no time for more. A metric
// whose rule needs more time than the window has is left out: it could only judge by what the other revision did. For the same reason
// nothing is sampled until the queries of the others look back no further than to the start. Nil where nothing is left.
func (a *Analysis) Validation(window time.Duration) *Analysis {
	if a == nil {
		return nil
	}
	restored := *a
	policy := a.Policy
	policy.InitialDelay, policy.Duration, policy.Metrics, policy.SampleRatio = 0, window, nil, nil
	if window == 0 {
		// Long enough for the first sample of each check to be begun, too short for a second.
		policy.Duration = analysis.MinInterval / 4
	}
	if policy.Health != nil && policy.Interval > 0 {
		health := *policy.Health
		health.ConsecutiveFailures = min(health.ConsecutiveFailures, int(policy.Duration/policy.Interval))
		policy.Health = &health
	}
	for _, m := range a.Policy.Metrics {
		if window > 0 && max(m.For, m.Over) <= window {
			policy.Metrics = append(policy.Metrics, m)
			for _, q := range metricQueries(&m) {
				if reach := queryReach(*q.text); reach > 0 {
					policy.InitialDelay = max(policy.InitialDelay, reach+policy.Interval)
				}
			}
		}
	}
	restored.Policy = policy
	if policy.Health == nil && len(policy.Metrics) == 0 {
		return nil
	}
	return &restored
}

// Watch makes the checks of an analysis on the pods of w until there is a verdict. A nil analysis passes. Errors:
// *AnalysisConfigError, *analysis.InvalidPolicyError (nothing was watched), and *analysis.InterruptedError, with which the verdict is
// pending: ctx has ended, or the Lease is lost.
func (a *Analysis) Watch(ctx context.Context, w Watched) (analysis.Verdict, []analysis.Sample, error) {
	if a == nil {
		return analysis.Verdict{Outcome: analysis.Passed, Action: analysis.Accept, Reason: "There is nothing to watch."}, nil, nil
	}
	pending := analysis.Verdict{Outcome: analysis.Pending, Action: analysis.Wait}
	policy, err := a.expanded(queryValuesOf(w.Target, w.Version))
	if err != nil {
		return pending, nil, err
	}
	policy = policy.AtWeight(w.Weight, w.HeaderRouted)
	env := Environment{Target: w.Target, Secrets: redact.New(), Version: w.Version}
	others := *a
	others.Pods = nil
	samplers, release, err := makeSamplers(ctx, env, &others, policy)
	if err != nil {
		return pending, nil, err
	}
	defer release()
	if a.Pods != nil {
		samplers = append(samplers, &analysis.PodReadiness{Name: podsCheck, Pods: w.Pods, MinReady: a.Pods.MinReady, Grace: a.Pods.Grace})
	}
	held, stop := whileHeld(ctx, w.Lost)
	defer stop()
	return analysis.Run(held, analysis.Options{Policy: policy, Samplers: samplers, Abort: w.Abort, Start: w.Start, Progress: w.Progress})
}

// PolicyKey names what an analysis judges by, without credentials. It is empty where a is nil.
func (a *Analysis) PolicyKey() string { return Policy{Analysis: a}.Hash() }
