// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"math"
	"time"
)

// CheckSampleRatio is the name of the check that a SampleRatio makes.
const CheckSampleRatio = "sample_ratio"

// Defaults of a SampleRatio that callers use if the user sets nothing.
const (
	DefaultSignificance = 0.001
	DefaultTolerance    = 0.1
	DefaultMinRequests  = 100
)

// SampleRatio detects a sample ratio mismatch: the share of the requests that reach the canary differs from its weight. The cause
// are callers that do not use the route, a cache or retries before it, or pods that are not scraped, and no other metric of the two
// tracks can be compared.
//
// Each sample is a binomial test on the requests of a window. It fails when the observed share has a probability below Significance even if
// the true share is as far from the weight as Tolerance allows. The run fails when every sample over For fails; since
// For is at least the window, the first and the last of them share no request, so that a false alarm in a whole run stays less likely
// than Significance. Nothing is sampled until the window is after the start of the run, since the weight was different before.
// Fewer requests than MinRequests, or too few to notice that a track gets none at all, are no data.
type SampleRatio struct {
	// CanaryQuery and StableQuery count the requests of each track in a window, as with increase(…[1m]). No series count as no requests.
	CanaryQuery, StableQuery string
	// Weight is the percentage of the canary, 1 to 99. Zero is for a policy whose weight is not known yet: its samples are errors.
	Weight int
	// HeaderRouted means that requests with certain headers reach the canary in addition to its share: only a smaller share than the
	// weight is a mismatch.
	HeaderRouted bool
	// Significance is the probability of a false alarm, above 0 and at most 0.1.
	Significance float64
	// Tolerance is the allowed distance of the share from the weight, as a part of the smaller of the two shares: with 0.1 and a
	// weight of 10, from 9 to 11 %. Counts that are computed from counters are not exact.
	Tolerance float64
	// MinRequests is the minimum number of requests of both tracks together.
	MinRequests float64
	// For is the span over which every sample must fail; zero means the window of the queries.
	For time.Duration
	// Interval is the time between two samples; the policy's where zero.
	Interval time.Duration
	// ErrorBudget and NoDataBudget are as those of Health.
	ErrorBudget, NoDataBudget time.Duration
}

// metric is the check in the form that the rules use.
func (r *SampleRatio) metric(p Policy) Metric {
	m := Metric{
		Name: CheckSampleRatio, Query: r.CanaryQuery, Baseline: &Baseline{Query: r.StableQuery}, ratio: r,
		For: r.lasting(), Interval: r.Interval, MinRequests: r.MinRequests, ErrorBudget: r.ErrorBudget, NoDataBudget: r.NoDataBudget,
	}
	m.delay = r.window() + p.interval(m)
	return m
}

// window is how far back the queries look.
func (r *SampleRatio) window() time.Duration {
	if reach := max(QueryReach(r.CanaryQuery), QueryReach(r.StableQuery)); reach > 0 {
		return reach
	}
	return r.For // For recorded series only the user knows.
}

func (r *SampleRatio) lasting() time.Duration {
	if r.For > 0 {
		return r.For
	}
	return r.window()
}

// kind classifies a sample: Value are the canary's requests, Baseline those of stable.
func (r *SampleRatio) kind(s Sample) (kind Kind, evidence string) {
	if s.Series > 1 || s.BaselineSeries > 1 {
		return Error, "a query returns several series: use sum(…)"
	}
	if !s.Value.finite() || !s.Baseline.finite() {
		return NoData, fmt.Sprintf("the queries return %s and %s", s.Value, s.Baseline)
	}
	if s.Value < 0 || s.Baseline < 0 {
		return Error, fmt.Sprintf("the queries return %s and %s, which are no numbers of requests", s.Value, s.Baseline)
	}
	if r.Weight <= 0 || r.Weight >= 100 {
		return Error, fmt.Sprintf("a weight of %d%% has no share to compare", r.Weight)
	}
	canary := math.Round(float64(s.Value))
	total := canary + math.Round(float64(s.Baseline))
	if total < r.MinRequests {
		return NoData, exact(total) + " requests are fewer than " + exact(r.MinRequests)
	}
	if !r.suffices(total) {
		return NoData, fmt.Sprintf("%s requests are too few to notice at a weight of %d%% that a track gets none", exact(total), r.Weight)
	}
	p := r.probability(canary, total)
	evidence = fmt.Sprintf("%s of %s requests (%s%%) reached the canary, its weight is %d%% (%s)",
		exact(canary), exact(total), Number(math.Round(canary/total*1e4)/100), r.Weight, likelihood(p))
	if p < r.Significance {
		return Fail, evidence
	}
	return Pass, evidence
}

// suffices reports that this number of requests is enough to notice that the smaller track gets none.
func (r *SampleRatio) suffices(total float64) bool {
	return r.probability(0, total) < r.Significance && (r.HeaderRouted || r.probability(total, total) < r.Significance)
}

// probability is the p-value: the probability of a share at least as far off as observed, if the true share is within the tolerance.
func (r *SampleRatio) probability(canary, total float64) float64 {
	share := float64(r.Weight) / 100
	room := r.Tolerance * min(share, 1-share)
	least, most := share-room, share+room
	switch {
	case canary < total*least && r.HeaderRouted:
		return binomialBelow(canary, total, least)
	case canary < total*least:
		return min(1, 2*binomialBelow(canary, total, least))
	case canary > total*most && !r.HeaderRouted:
		return min(1, 2*binomialBelow(total-canary, total, 1-most))
	}
	return 1
}

// likelihood formats a p-value.
func likelihood(p float64) string {
	if p < 1e-12 {
		return "p < 1e-12"
	}
	return fmt.Sprintf("p = %.2g", p)
}

// reason explains why failing samples fail the run.
func (r *SampleRatio) reason(samples []Sample, length time.Duration) string {
	return fmt.Sprintf("Sample ratio mismatch: the share of the requests that reached the canary was not its weight in each of %d "+
		"samples over %s (p < %s); the last sample: %s.",
		len(samples), length.Round(time.Millisecond), exact(r.Significance), samples[len(samples)-1].Evidence)
}

// validate checks a sample ratio whose weight need not be known.
func (r *SampleRatio) validate(v *validation, p Policy) {
	const at = CheckSampleRatio + "."
	for field, query := range map[string]string{"canary_query": r.CanaryQuery, "stable_query": r.StableQuery} {
		v.add(blank(query), ProblemMissing, at+field, "sample_ratio: %s is missing: set the query that counts the requests of that track.", field)
	}
	v.add(!(r.Significance > 0 && r.Significance <= 0.1), ProblemRange, at+"significance",
		"sample_ratio: significance is not above 0 and at most 0.1.")
	v.add(!(r.Tolerance >= 0 && r.Tolerance < 1), ProblemRange, at+"tolerance", "sample_ratio: tolerance is not a number from 0 and below 1.")
	v.add(!(r.MinRequests >= 0) || !finite(r.MinRequests), ProblemRange, at+"min_requests",
		"sample_ratio: min_requests is not a number from zero.")
	v.add(r.Weight < 0 || r.Weight > 99, ProblemRange, "weight", "sample_ratio: there is no share to compare at a weight of %d%%.", r.Weight)
	v.add(r.Interval != 0 && r.Interval < MinInterval, ProblemRange, at+"interval", "sample_ratio: interval is %s, the shortest is %s.",
		r.Interval, MinInterval)
	v.add(r.For < 0, ProblemRange, at+"for", "sample_ratio: for is negative.")
	v.budgets(at, r.ErrorBudget, r.NoDataBudget)
	if blank(r.CanaryQuery) || blank(r.StableQuery) || ParseQuery(r.CanaryQuery) != nil || ParseQuery(r.StableQuery) != nil || r.For < 0 {
		return
	}
	reach := max(QueryReach(r.CanaryQuery), QueryReach(r.StableQuery))
	v.add(reach == 0 && r.For == 0, ProblemMissing, at+"for",
		"sample_ratio: the queries do not define the time over which they count: use increase(…[1m]), or set for to the time that the "+
			"recorded series cover.")
	v.add(r.For > 0 && r.For < reach, ProblemRange, at+"for",
		"sample_ratio: for = %s is shorter than the %s that the queries look back: samples that share requests are not independent.", r.For,
		reach)
	m := r.metric(p)
	v.add(p.Duration > 0 && p.Interval >= MinInterval && m.delay+m.For > p.Duration, ProblemImpossible, at+"for",
		"sample_ratio: it takes %s until all counted requests came under the new weight, and %s more to analyze them, which the "+
			"duration of %s does not have:  "+
			"the check could never fail. Make the duration longer, or the time shorter over which the queries count.", m.delay, m.For, p.Duration)
}
