// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"strings"
	"time"
)

// ProblemKind is the kind of a problem of a policy.
type ProblemKind string

// The kinds of problem.
const (
	ProblemMissing    ProblemKind = "missing"    // something that must be set is not
	ProblemConflict   ProblemKind = "conflict"   // two things exclude each other
	ProblemRange      ProblemKind = "range"      // a value is out of range
	ProblemDuplicate  ProblemKind = "duplicate"  // two checks have one name
	ProblemImpossible ProblemKind = "impossible" // the rule could never trigger, so the check would have no effect
)

// Problem is one mistake in a policy.
type Problem struct {
	Kind ProblemKind
	// Metric is the index of the metric with the problem, or -1.
	Metric int
	// Field is the name of the field in the user's words, for example "for" or "health.consecutive_failures".
	Field string
	// Text describes the mistake and its correction.
	Text string
}

// InvalidPolicyError lists all problems of a policy. They are known at plan time.
type InvalidPolicyError struct {
	Problems []Problem
}

// Explain implements explain.Explainer.
func (e *InvalidPolicyError) Explain() (happened, observed, advice string) {
	lines := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		lines = append(lines, p.Text)
	}
	return "The analysis cannot be made as it is configured.", strings.Join(lines, "\n"), "Correct the analysis block."
}

func (e *InvalidPolicyError) Error() string {
	texts := make([]string, 0, len(e.Problems))
	for _, p := range e.Problems {
		texts = append(texts, p.Text)
	}
	return "invalid analysis: " + strings.Join(texts, " ")
}

type validation struct {
	problems []Problem
	metric   int
}

func (v *validation) add(wrong bool, kind ProblemKind, field, format string, values ...any) {
	if wrong {
		v.problems = append(v.problems, Problem{Kind: kind, Metric: v.metric, Field: field, Text: fmt.Sprintf(format, values...)})
	}
}

func (v *validation) policy(p Policy) {
	v.add(p.Duration <= 0, ProblemMissing, "duration", "duration is missing or not positive: set how long the new version is watched.")
	v.add(p.InitialDelay < 0, ProblemRange, "initial_delay", "initial_delay is negative.")
	v.add(p.Interval < MinInterval, ProblemRange, "interval", "interval is %s, the shortest is %s.", p.Interval, MinInterval)
	switch p.onInconclusive() {
	case AcceptIfHealthy, HoldInconclusive, RollbackInconclusive:
	default:
		v.add(true, ProblemRange, "on_inconclusive", "on_inconclusive is %q: use %s, %s or %s.", p.OnInconclusive,
			AcceptIfHealthy, HoldInconclusive, RollbackInconclusive)
	}
	v.add(p.Health == nil && len(p.Metrics) == 0, ProblemMissing, "health",
		"There is nothing to analyze: set a health block or a metric. An analysis without a check would always pass.")
	names := map[string]bool{}
	if p.Health != nil {
		v.health(p, names)
	}
	for i, m := range p.Metrics {
		v.metric = i
		v.metricOf(p, m, names)
	}
	v.metric = -1
	if p.SampleRatio != nil {
		v.name(CheckSampleRatio, CheckSampleRatio, names)
		p.SampleRatio.validate(v, p)
	}
}

func (v *validation) health(p Policy, names map[string]bool) {
	h := p.Health
	v.add(len(h.Checks) == 0, ProblemMissing, "health", "health has no check: give an HTTP probe or a selector of pods.")
	for _, name := range h.Checks {
		v.name("health", name, names)
	}
	v.add(h.ConsecutiveFailures < 0, ProblemRange, "health.consecutive_failures",
		"consecutive_failures is negative; 0 means that the first failure triggers.")
	v.budgets("health.", h.ErrorBudget, h.NoDataBudget)
	if p.Interval >= MinInterval && p.Duration > 0 && h.ConsecutiveFailures > 0 {
		// By division, since the product of two large numbers overflows.
		v.add(int64(h.ConsecutiveFailures) > int64(p.Duration/p.Interval), ProblemImpossible, "health.consecutive_failures",
			"More than %d failures in a row need %d samples, which a duration of %s with an interval of %s does not have: the health "+
				"check could never fail. "+
				"Make the duration longer or the interval shorter.", h.ConsecutiveFailures, h.ConsecutiveFailures+1, p.Duration, p.Interval)
	}
}

func (v *validation) metricOf(p Policy, m Metric, names map[string]bool) {
	v.name("name", m.Name, names)
	at := func(field string) string { return fmt.Sprintf("metric %q: %s", m.Name, field) }
	v.add(blank(m.Query), ProblemMissing, "query", "%s is missing.", at("query"))
	v.add(m.Above == nil && m.Below == nil && m.Baseline == nil, ProblemMissing, "above",
		"%s, below or a baseline is missing: set the limit, or what the value is compared with.", at("above"))
	v.add(m.Above != nil && m.Below != nil, ProblemConflict, "below", "%s and below exclude each other: make two metrics of it.", at("above"))
	for field, limit := range map[string]*float64{"above": m.Above, "below": m.Below} {
		v.add(limit != nil && !finite(*limit), ProblemRange, field, "%s is not a finite number.", at(field))
	}
	v.add(m.For == 0 && m.Over == 0, ProblemMissing, "for",
		"%s or over is missing: for = \"2m\" triggers when every sample of two minutes is beyond the limit, over = \"2m\" when their "+
			"average is.", at("for"))
	v.add(m.For != 0 && m.Over != 0, ProblemConflict, "over", "%s and over exclude each other.", at("for"))
	for field, span := range map[string]time.Duration{"for": m.For, "over": m.Over} {
		v.add(span < 0, ProblemRange, field, "%s is negative.", at(field))
		v.add(p.Duration > 0 && span > p.Duration, ProblemImpossible, field,
			"%s = %s is longer than the duration of %s: the metric could never fail.", at(field), span, p.Duration)
	}
	v.add(m.Interval != 0 && m.Interval < MinInterval, ProblemRange, "interval", "%s is %s, the shortest is %s.", at("interval"), m.Interval,
		MinInterval)
	v.add(m.MinRequests < 0 || !finite(m.MinRequests), ProblemRange, "min_requests", "%s is not a number from zero.", at("min_requests"))
	v.add(m.MinRequests > 0 && blank(m.RequestsQuery), ProblemMissing, "requests_query",
		"%s needs requests_query, the query that counts the requests.", at("min_requests"))
	v.add(m.MinRequests == 0 && !blank(m.RequestsQuery), ProblemConflict, "requests_query",
		"%s has no use without min_requests.", at("requests_query"))
	if m.Baseline != nil {
		m.Baseline.validate(v, m)
	}
	switch m.Reduce {
	case ReduceNone, ReduceMax, ReduceMin, ReduceSum:
	default:
		v.add(true, ProblemRange, "reduce", "%s is %q: use max, min or sum.", at("reduce"), m.Reduce)
	}
	v.budgets("", m.ErrorBudget, m.NoDataBudget)
}

func (v *validation) name(field, name string, names map[string]bool) {
	v.add(blank(name), ProblemMissing, field, "A check has no name.")
	v.add(names[name], ProblemDuplicate, field, "Two checks are called %q.", name)
	names[name] = true
}

func (v *validation) budgets(prefix string, errors, noData time.Duration) {
	v.add(errors < 0, ProblemRange, prefix+"error_budget", "%serror_budget is negative; 0 tolerates nothing.", prefix)
	v.add(noData < 0, ProblemRange, prefix+"no_data_budget", "%sno_data_budget is negative; 0 tolerates nothing.", prefix)
}
