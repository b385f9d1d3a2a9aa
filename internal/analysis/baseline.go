// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"math"
)

// Baseline makes a metric a comparison: a sample fails when its value is strictly above MaxRatio times the baseline's plus MaxDifference.
// At least one of the two is set; the ratio is 1 and the difference 0 where they are not. Both values are queried for the same moment.
//
// If there is nothing to compare with (no series, NaN, infinity, fewer requests than Metric.MinRequests on either side), the sample is
// no data. A baseline of zero is a valid value: with only a ratio, everything above zero fails. A ratio to a negative baseline is an
// error, since a larger ratio would then allow less.
type Baseline struct {
	Query string
	// MaxRatio is above zero, MaxDifference zero or more.
	MaxRatio, MaxDifference *float64
	// RequestsQuery is the number of requests that Query is about. Set together with Metric.MinRequests.
	RequestsQuery string
}

// limit is the largest allowed value, and margin the possible rounding error.
func (b *Baseline) limit(baseline float64) (limit, margin float64) {
	ratio, difference := 1.0, 0.0
	if b.MaxRatio != nil {
		ratio = *b.MaxRatio
	}
	if b.MaxDifference != nil {
		difference = *b.MaxDifference
	}
	limit = ratio*baseline + difference
	return limit, (math.Abs(ratio*baseline) + difference) * rounding
}

// rounding is the largest relative error of a number after a few operations, far below what can be measured.
const rounding = 1e-14

// kind classifies a sample whose own value is finite.
func (b *Baseline) kind(s Sample, minRequests float64) (kind Kind, evidence string) {
	switch {
	case s.BaselineSeries > 1:
		return Error, "the baseline's query returns several series: aggregate them in the query, or set reduce"
	case s.BaselineSeries < 1:
		return NoData, "the baseline's query returns no series"
	case !s.Baseline.finite():
		return NoData, "the baseline's query returns " + s.Baseline.String()
	case minRequests > 0 && (!s.BaselineRequests.finite() || float64(s.BaselineRequests) < minRequests):
		return NoData, s.BaselineRequests.String() + " requests of the baseline are fewer than " + exact(minRequests)
	case s.Baseline < 0 && b.MaxRatio != nil && *b.MaxRatio != 1:
		return Error, "the baseline is " + s.Baseline.String() + ": a ratio to a negative number has no meaning; set only max_difference"
	}
	limit, margin := b.limit(float64(s.Baseline))
	if !finite(limit) {
		return Error, "the baseline is " + s.Baseline.String() + ": no number is the limit that follows from it"
	}
	evidence = fmt.Sprintf("%s, baseline %s, at most %s", s.Value, s.Baseline, Number(limit))
	if float64(s.Value)-limit > margin+math.Abs(float64(s.Value))*rounding {
		return Fail, evidence
	}
	return Pass, evidence
}

// words are b's condition for a failure.
func (b *Baseline) words() string {
	switch {
	case b.MaxRatio == nil && b.MaxDifference == nil:
		return "above the baseline"
	case b.MaxRatio == nil || *b.MaxRatio == 1 && b.MaxDifference != nil:
		return "more than " + exact(*b.MaxDifference) + " above the baseline"
	case b.MaxDifference == nil || *b.MaxDifference == 0:
		return "above " + exact(*b.MaxRatio) + " times the baseline"
	}
	return "above " + exact(*b.MaxRatio) + " times the baseline plus " + exact(*b.MaxDifference)
}

// baselines is the range of the baseline's values in samples.
func baselines(samples []Sample) string {
	low, high := samples[0].Baseline, samples[0].Baseline
	for _, s := range samples {
		low, high = min(low, s.Baseline), max(high, s.Baseline)
	}
	return between(low, high)
}

// validate checks a comparison.
func (b *Baseline) validate(v *validation, m Metric) {
	at := func(field string) string { return fmt.Sprintf("metric %q: baseline.%s", m.Name, field) }
	v.add(blank(b.Query), ProblemMissing, "baseline.query", "%s is missing: set the query that gives the value to compare with.", at("query"))
	v.add(b.MaxRatio == nil && b.MaxDifference == nil, ProblemMissing, "baseline.max_ratio",
		"%s or max_difference is missing: set by how much the value may be above the baseline's.", at("max_ratio"))
	v.add(b.MaxRatio != nil && !(finite(*b.MaxRatio) && *b.MaxRatio > 0), ProblemRange, "baseline.max_ratio",
		"%s is not a finite number above zero.", at("max_ratio"))
	v.add(b.MaxDifference != nil && !(finite(*b.MaxDifference) && *b.MaxDifference >= 0), ProblemRange, "baseline.max_difference",
		"%s is not a finite number from zero.", at("max_difference"))
	v.add(m.Above != nil, ProblemConflict, "above", "metric %q: above and baseline exclude each other: make two metrics of it.", m.Name)
	v.add(m.Below != nil, ProblemConflict, "below", "metric %q: below and baseline exclude each other: make two metrics of it.", m.Name)
	v.add(m.MinRequests > 0 && blank(b.RequestsQuery), ProblemMissing, "baseline.requests_query",
		"%s is missing: min_requests applies to both sides.", at("requests_query"))
	v.add(m.MinRequests == 0 && !blank(b.RequestsQuery), ProblemConflict, "baseline.requests_query", "%s has no use without min_requests.",
		at("requests_query"))
}
