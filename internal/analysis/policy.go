// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Defaults that callers use if the user sets nothing. The types of this package have no defaults: a budget of zero tolerates
// nothing.
const (
	DefaultConsecutiveFailures = 3
	DefaultInterval            = 10 * time.Second
	DefaultErrorBudget         = 2 * time.Minute
	DefaultNoDataBudget        = 2 * time.Minute
)

// MinInterval is the shortest allowed time between two samples of one check.
const MinInterval = time.Second

// OnInconclusive is what to do when too little is known.
type OnInconclusive string

// The choices.
const (
	// AcceptIfHealthy accepts if health passed and no metric had a failing sample; otherwise it is HoldInconclusive.
	AcceptIfHealthy OnInconclusive = "accept_if_healthy"
	// HoldInconclusive changes nothing and fails the apply.
	HoldInconclusive OnInconclusive = "hold"
	// RollbackInconclusive rolls back as soon as a budget is spent.
	RollbackInconclusive OnInconclusive = "rollback"
)

// Policy defines what is analyzed, for how long, and what counts as a failure.
type Policy struct {
	// Health is nil if there is no health check.
	Health  *Health
	Metrics []Metric
	// SampleRatio is nil if the share of the requests is not compared with a weight. It needs other checks next to it, since there is
	// nothing to compare at 0 and 100 percent; see AtWeight.
	SampleRatio *SampleRatio `json:",omitempty"`
	// InitialDelay is the time after the start in which nothing is sampled, and samples do not count.
	InitialDelay time.Duration
	// Duration is how long samples are taken after the initial delay. If a check is failing at the end, the run takes longer, by at
	// most Settle.
	Duration time.Duration
	// Interval is the time between two samples of a check.
	Interval time.Duration
	// OnInconclusive; empty means AcceptIfHealthy.
	OnInconclusive OnInconclusive
}

// Health defines when failing health checks fail the run.
type Health struct {
	// Checks are the names of the health checks. Each is counted separately.
	Checks []string
	// ConsecutiveFailures is how many failures in a row are tolerated: with 3 the 4th triggers, at once. Only a pass
	// resets the count.
	ConsecutiveFailures int
	// ErrorBudget is how long in total a check may be impossible to make. A sample counts as one interval; the budget is spent when
	// the sum exceeds it.
	ErrorBudget time.Duration
	// NoDataBudget is the same for samples without data, and for time without any sample.
	NoDataBudget time.Duration
}

// Reduce combines several series into one value.
type Reduce string

// The reducers.
const (
	ReduceNone Reduce = ""
	ReduceMax  Reduce = "max"
	ReduceMin  Reduce = "min"
	ReduceSum  Reduce = "sum"
)

// Metric defines when a Prometheus query fails the run.
type Metric struct {
	Name  string
	Query string
	// Above or Below is the limit: a sample fails when it is strictly beyond. Exactly one of Above, Below and Baseline is set.
	Above, Below *float64
	// Baseline replaces the fixed limit by a comparison.
	Baseline *Baseline `json:",omitempty"`
	// For triggers when every sample over a continuous span of this length fails: at least ceil(For/interval)+1 samples,
	// and none of them more than two intervals after the one before.
	For time.Duration
	// Over triggers when the average of the samples over a span of this length is beyond the limit, with as many samples
	// and as small gaps. Exactly one of For and Over is set.
	Over time.Duration
	// Interval is the time between two samples; zero means the policy's.
	Interval time.Duration
	// MinRequests is the minimum result of RequestsQuery, and of the baseline's, for a sample to count; below it, the sample is no data.
	MinRequests float64
	// RequestsQuery is the number of requests of the sample. Set together with MinRequests.
	RequestsQuery string
	// Reduce combines several series into one value. Without it several series are an error.
	Reduce Reduce
	// ErrorBudget and NoDataBudget: see Health.
	ErrorBudget, NoDataBudget time.Duration

	// ratio is set on the metric of a sample ratio; delay is the time after the initial delay in which it is not sampled.
	ratio *SampleRatio
	delay time.Duration
}

// Settle is the maximum extension of a run whose check is failing at the end of the duration.
func (p Policy) Settle() time.Duration {
	var settle time.Duration
	for _, c := range p.checks() {
		settle = max(settle, c.settle())
	}
	return settle
}

// Longest is the maximum time of a run: the initial delay, the duration and Settle.
func (p Policy) Longest() time.Duration { return p.InitialDelay + p.Duration + p.Settle() }

func (p Policy) onInconclusive() OnInconclusive {
	if p.OnInconclusive == "" {
		return AcceptIfHealthy
	}
	return p.OnInconclusive
}

// interval is the time between two samples of m under p.
func (p Policy) interval(m Metric) time.Duration {
	if m.Interval > 0 {
		return m.Interval
	}
	return p.Interval
}

// span is the length of the span of m's rule.
func (m Metric) span() time.Duration { return max(m.For, m.Over) }

// excess is the distance of a sample's value beyond m's limit (negative or zero within it), and margin the possible rounding error.
func (m Metric) excess(s Sample) (excess, margin float64) {
	value := float64(s.Value)
	margin = math.Abs(value) * rounding
	switch {
	case m.Baseline != nil:
		limit, inexact := m.Baseline.limit(float64(s.Baseline))
		return value - limit, margin + inexact
	case m.Above != nil:
		return value - *m.Above, margin
	}
	return *m.Below - value, margin
}

// beyond is strict, and does not subtract: a difference could be rounded to zero.
func (m Metric) beyond(value float64) bool {
	if m.Above != nil {
		return value > *m.Above
	}
	return value < *m.Below
}

// shown is the value of a sample in words.
func (m Metric) shown(s Sample) string {
	switch {
	case m.ratio != nil:
		return s.Evidence
	case m.Baseline != nil:
		return s.Value.String() + " (baseline " + s.Baseline.String() + ")"
	}
	return s.Value.String()
}

// limit is m's condition in words.
func (m Metric) limit() string {
	if m.ratio != nil {
		return fmt.Sprintf("not the weight of %d%%", m.ratio.Weight)
	}
	if m.Baseline != nil {
		return m.Baseline.words()
	}
	if m.Above != nil {
		return "above " + exact(*m.Above)
	}
	return "below " + exact(*m.Below)
}

// Classify sets the kind of a sample of m by its value, and the evidence if it is empty. A sample that is already
// no_data or error stays so. It is idempotent.
func (m Metric) Classify(s Sample) Sample {
	if s.Kind == Error || s.Kind == NoData {
		return s
	}
	kind, evidence := m.kind(s)
	s.Kind = kind
	if s.Evidence == "" {
		s.Evidence = evidence
	}
	return s
}

func (m Metric) kind(s Sample) (kind Kind, evidence string) {
	if m.ratio != nil {
		return m.ratio.kind(s)
	}
	switch {
	case s.Series > 1:
		return Error, "the query returns several series: aggregate them in the query, or set reduce"
	case s.Series < 1:
		return NoData, "the query returns no series"
	case !s.Value.finite():
		return NoData, "the query returns " + s.Value.String()
	case m.MinRequests > 0 && (!s.Requests.finite() || float64(s.Requests) < m.MinRequests):
		return NoData, s.Requests.String() + " requests are fewer than " + exact(m.MinRequests)
	case m.Baseline != nil:
		return m.Baseline.kind(s, m.MinRequests)
	case m.beyond(float64(s.Value)):
		return Fail, ""
	}
	return Pass, ""
}

// values is the range of the values of samples, and of their baselines.
func (m Metric) values(samples []Sample) string {
	if m.Baseline != nil {
		return values(samples) + ", baseline " + baselines(samples)
	}
	return values(samples)
}

// queries are the queries of a sample of m, the metric's own first.
func (m Metric) queries() []metricQuery {
	out := []metricQuery{{fieldQuery, m.Query, m.Reduce}}
	counted := m.MinRequests > 0 && m.ratio == nil // The queries of a sample ratio count requests themselves.
	if counted {
		out = append(out, metricQuery{fieldRequests, m.RequestsQuery, ReduceNone})
	}
	if m.Baseline == nil {
		return out
	}
	out = append(out, metricQuery{fieldBaseline, m.Baseline.Query, m.Reduce})
	if counted {
		out = append(out, metricQuery{fieldBaselineRequests, m.Baseline.RequestsQuery, ReduceNone})
	}
	return out
}

// sample runs the queries of m and classifies the result. It stops after a query without a result.
func (m Metric) sample(ask func(metricQuery) (Sample, error)) Sample {
	var s Sample
	for _, q := range m.queries() {
		answer, err := ask(q)
		if err != nil {
			return Sample{Kind: Error, Evidence: q.wrap(err).Error()}
		}
		if s = s.with(q.field, answer); s.Kind != "" {
			break
		}
	}
	return m.Classify(s)
}

// check is a health check or a metric, in the form that the rules use.
type check struct {
	name                      string
	interval                  time.Duration
	errorBudget, noDataBudget time.Duration
	failures                  int     // tolerated in a row; health only
	metric                    *Metric // nil for health
	needed                    int     // samples without which the rule cannot trigger
}

func (p Policy) checks() []check {
	var checks []check
	if p.Health != nil {
		for _, name := range p.Health.Checks {
			checks = append(checks, check{
				name: name, interval: p.Interval, errorBudget: p.Health.ErrorBudget, noDataBudget: p.Health.NoDataBudget,
				failures: p.Health.ConsecutiveFailures, needed: p.Health.ConsecutiveFailures + 1,
			})
		}
	}
	queried := p.Queried()
	for i := range queried {
		m := &queried[i]
		interval := p.interval(*m)
		checks = append(checks, check{
			name: m.Name, interval: interval, errorBudget: m.ErrorBudget, noDataBudget: m.NoDataBudget,
			metric: m, needed: intervals(m.span(), interval) + 1,
		})
	}
	return checks
}

// Validate returns an *InvalidPolicyError, or nil. A policy that is not valid never passes.
func (p Policy) Validate() error {
	v := validation{metric: -1}
	v.policy(p)
	if len(v.problems) == 0 {
		return nil
	}
	return &InvalidPolicyError{Problems: v.problems}
}

// AtWeight is p for a canary with this percentage of the requests. At 0 and 100 the share is not analyzed, since there is only one
// track. At 100 no metric is compared with a baseline either: the stable track has no requests, and no data would end the run.
func (p Policy) AtWeight(weight int, headerRouted bool) Policy {
	if weight >= 100 {
		p.Metrics = slices.DeleteFunc(slices.Clone(p.Metrics), func(m Metric) bool { return m.Baseline != nil })
	}
	if p.SampleRatio == nil || weight <= 0 || weight >= 100 {
		p.SampleRatio = nil
		return p
	}
	ratio := *p.SampleRatio
	ratio.Weight, ratio.HeaderRouted = weight, headerRouted
	p.SampleRatio = &ratio
	return p
}

// Queried are all metrics of p, with that of its sample ratio.
func (p Policy) Queried() []Metric {
	if p.SampleRatio == nil {
		return p.Metrics
	}
	return append(p.Metrics[:len(p.Metrics):len(p.Metrics)], p.SampleRatio.metric(p))
}

// intervals is the number of intervals that cover span.
func intervals(span, interval time.Duration) int {
	if interval <= 0 || span <= 0 {
		return 0
	}
	n := span / interval
	if span%interval > 0 {
		n++
	}
	return int(n)
}

// delay is the time after the initial delay in which the check is not made.
func (c check) delay() time.Duration {
	if c.metric == nil {
		return 0
	}
	return c.metric.delay
}

func (c check) settle() time.Duration {
	if c.metric == nil {
		return time.Duration(c.failures+1) * c.interval
	}
	return c.metric.span() + 2*c.interval
}

// finite reports that f is a valid limit.
func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func blank(s string) bool { return strings.TrimSpace(s) == "" }
