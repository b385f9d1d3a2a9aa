// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Defaults that callers use where the user says nothing. The types of this package have none of their own: a budget of
// zero tolerates nothing.
const (
	DefaultConsecutiveFailures = 3
	DefaultInterval            = 10 * time.Second
	DefaultErrorBudget         = 2 * time.Minute
	DefaultNoDataBudget        = 2 * time.Minute
)

// MinInterval is the shortest allowed time between two samples of one check.
const MinInterval = time.Second

// OnInconclusive says what to do when too little is known.
type OnInconclusive string

// The choices.
const (
	// AcceptIfHealthy accepts when health passed and no metric had a failing sample, and holds otherwise.
	AcceptIfHealthy OnInconclusive = "accept_if_healthy"
	// HoldInconclusive changes nothing and fails the apply.
	HoldInconclusive OnInconclusive = "hold"
	// RollbackInconclusive rolls back, as soon as a budget is spent.
	RollbackInconclusive OnInconclusive = "rollback"
)

// Policy says what is watched, for how long, and what counts as a failure.
type Policy struct {
	// Health is nil where no health check is made.
	Health  *Health
	Metrics []Metric
	// SampleRatio is nil where the share of the requests is not compared with a weight. It is made beside other checks only, since there is
	// nothing to compare at 0 and 100 percent; see AtWeight.
	SampleRatio *SampleRatio `json:",omitempty"`
	// InitialDelay is the time after the start in which nothing is sampled, and samples do not count.
	InitialDelay time.Duration
	// Duration is how long samples are taken after the initial delay. A run takes longer, by at most Settle, where a
	// check is failing at the end.
	Duration time.Duration
	// Interval is the time between two samples of a check.
	Interval time.Duration
	// OnInconclusive is AcceptIfHealthy where empty.
	OnInconclusive OnInconclusive
}

// Health says when failing health checks fail the run.
type Health struct {
	// Checks are the names of the health checks. Each counts for itself.
	Checks []string
	// ConsecutiveFailures is how many failures in a row are tolerated: with 3 the 4th triggers, at once. Only a pass
	// resets the count.
	ConsecutiveFailures int
	// ErrorBudget is how long, all in all, a check may be impossible to make. A sample stands for one interval; the
	// budget is spent by what goes beyond it.
	ErrorBudget time.Duration
	// NoDataBudget is the same for samples that have nothing to judge by, and for time without any sample.
	NoDataBudget time.Duration
}

// Reduce makes one value of several series.
type Reduce string

// The reducers.
const (
	ReduceNone Reduce = ""
	ReduceMax  Reduce = "max"
	ReduceMin  Reduce = "min"
	ReduceSum  Reduce = "sum"
)

// Metric says when a Prometheus query fails the run.
type Metric struct {
	Name  string
	Query string
	// Above or Below is the limit: a sample fails when it is strictly beyond. Exactly one of Above, Below and Baseline is set.
	Above, Below *float64
	// Baseline is what the value is compared with instead of a fixed limit.
	Baseline *Baseline `json:",omitempty"`
	// For triggers when every sample over a continuous span of this length fails: at least ceil(For/interval)+1 samples,
	// and none of them more than two intervals after the one before.
	For time.Duration
	// Over triggers when the average of the samples over a span of this length is beyond the limit, with as many samples
	// and as small gaps. Exactly one of For and Over is set.
	Over time.Duration
	// Interval is the time between two samples; the policy's where zero.
	Interval time.Duration
	// MinRequests is the smallest result of RequestsQuery with which a sample counts, and of the baseline's; below it is no data.
	MinRequests float64
	// RequestsQuery is the number of requests that the sample is about. Set together with MinRequests.
	RequestsQuery string
	// Reduce makes one value of several series. Without it several series are an error.
	Reduce Reduce
	// ErrorBudget and NoDataBudget are as those of Health.
	ErrorBudget, NoDataBudget time.Duration

	// ratio is set on the metric of a sample ratio; delay is how long after the initial delay it is not sampled.
	ratio *SampleRatio
	delay time.Duration
}

// Settle is how long a run may go on beyond its duration in order to settle a check that is failing at the end.
func (p Policy) Settle() time.Duration {
	var settle time.Duration
	for _, c := range p.checks() {
		settle = max(settle, c.settle())
	}
	return settle
}

// Longest is how long a run takes at most: the initial delay, the duration and what settling may take.
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

// span is the length that m's rule looks at.
func (m Metric) span() time.Duration { return max(m.For, m.Over) }

// excess is by how much the value of a sample is beyond m's limit, negative or zero where it is not, and margin what rounding may have
// added to it.
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

// Judge sets the kind of a sample of m by its value, and the evidence where there is none. What is no_data or error
// already stays so. It is idempotent.
func (m Metric) Judge(s Sample) Sample {
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

// check is a health check or a metric as the rules see it.
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

// intervals is how many intervals it takes to cover span.
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

// delay is how long after the initial delay the check is not made.
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

// finite reports that f can be a limit.
func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func blank(s string) bool { return strings.TrimSpace(s) == "" }
