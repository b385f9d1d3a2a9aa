// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// CheckSampleRatio is the name of the check that a SampleRatio makes.
const CheckSampleRatio = "sample_ratio"

// Defaults of a SampleRatio that callers use where the user says nothing.
const (
	DefaultSignificance = 0.001
	DefaultTolerance    = 0.1
	DefaultMinRequests  = 100
)

// SampleRatio looks for a sample ratio mismatch: the share of the requests that reach the canary is not the one that its weight says.
// Then requests go astray (callers that do not take the route, a cache or retries before it, pods that nobody scrapes), and no other metric
// of the two sides can be compared.
//
// Each sample is a binomial test on the requests of a window. It fails when the observed share, were the true one as far from the weight as
// Tolerance allows, would be as far off as it is with a probability below Significance. The run fails when every sample over For fails; as For
// is at least the window, the first and the last of them have no request in common, so that also over a whole run a false alarm stays
// less likely than Significance. Nothing is sampled until the window lies behind the begin of the run, when the weight was another one.
// Fewer requests than MinRequests, or than it takes to notice that a side gets none at all, are no data.
type SampleRatio struct {
	// CanaryQuery and StableQuery count the requests of each side in a window, as with increase(…[1m]). No series count as no requests.
	CanaryQuery, StableQuery string
	// Weight is the percentage that the canary should have, 1 to 99. Zero is for a policy whose weight is not known yet: its samples are errors.
	Weight int
	// HeaderRouted says that requests with certain headers go to the canary beside its share: only a smaller share than the weight is a
	// mismatch then.
	HeaderRouted bool
	// Significance is the probability of a false alarm, above 0 and at most 0.1.
	Significance float64
	// Tolerance is how far the share may be from the weight without being a mismatch, as a part of the smaller of the two shares: with 0.1
	// and a weight of 10, from 9 to 11 %. Counts that are taken from counters are not exact.
	Tolerance float64
	// MinRequests is the smallest number of requests of both sides together.
	MinRequests float64
	// For is the span over which every sample must fail; the window of the queries where zero.
	For time.Duration
	// Interval is the time between two samples; the policy's where zero.
	Interval time.Duration
	// ErrorBudget and NoDataBudget are as those of Health.
	ErrorBudget, NoDataBudget time.Duration
}

// AtWeight is p for a canary that has this percentage of the requests. At 0 and 100 the share is not judged, since there is one side only. At
// 100 no metric is compared with a baseline either: the stable side has no requests, and no data would end the run.
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

// metric is the check as the rules see it.
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
	return r.For // Of recorded series only the user knows.
}

func (r *SampleRatio) lasting() time.Duration {
	if r.For > 0 {
		return r.For
	}
	return r.window()
}

// kind judges a sample: Value are the canary's requests, Baseline those of stable.
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
		return Error, fmt.Sprintf("a weight of %d%% says nothing about the share", r.Weight)
	}
	canary := math.Round(float64(s.Value))
	total := canary + math.Round(float64(s.Baseline))
	if total < r.MinRequests {
		return NoData, exact(total) + " requests are fewer than " + exact(r.MinRequests)
	}
	if !r.tells(total) {
		return NoData, fmt.Sprintf("%s requests are too few to notice at a weight of %d%% that a side gets none", exact(total), r.Weight)
	}
	p := r.probability(canary, total)
	evidence = fmt.Sprintf("%s of %s requests (%s%%) reached the canary, its weight is %d%% (%s)",
		exact(canary), exact(total), Number(math.Round(canary/total*1e4)/100), r.Weight, likelihood(p))
	if p < r.Significance {
		return Fail, evidence
	}
	return Pass, evidence
}

// tells reports that so many requests are enough to notice that the smaller side gets none of them.
func (r *SampleRatio) tells(total float64) bool {
	return r.probability(0, total) < r.Significance && (r.HeaderRouted || r.probability(total, total) < r.Significance)
}

// probability is how likely it is that the share is at least as far off as observed, were the true one within the tolerance: the p-value.
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

// likelihood writes a p-value.
func likelihood(p float64) string {
	if p < 1e-12 {
		return "p < 1e-12"
	}
	return fmt.Sprintf("p = %.2g", p)
}

// reason is why samples that all failed fail the run.
func (r *SampleRatio) reason(samples []Sample, length time.Duration) string {
	return fmt.Sprintf("Sample ratio mismatch: the share of the requests that reached the canary was not its weight in each of %d samples over %s (p < %s); at last %s.",
		len(samples), length.Round(time.Millisecond), exact(r.Significance), samples[len(samples)-1].Evidence)
}

// validate checks a sample ratio whose weight need not be known.
func (r *SampleRatio) validate(v *validation, p Policy) {
	const at = CheckSampleRatio + "."
	for field, query := range map[string]string{"canary_query": r.CanaryQuery, "stable_query": r.StableQuery} {
		v.add(blank(query), ProblemMissing, at+field, "sample_ratio: %s is missing: set the query that counts the requests of that side.", field)
	}
	v.add(!(r.Significance > 0 && r.Significance <= 0.1), ProblemRange, at+"significance", "sample_ratio: significance is not above 0 and at most 0.1.")
	v.add(!(r.Tolerance >= 0 && r.Tolerance < 1), ProblemRange, at+"tolerance", "sample_ratio: tolerance is not a number from 0 and below 1.")
	v.add(!(r.MinRequests >= 0) || !finite(r.MinRequests), ProblemRange, at+"min_requests", "sample_ratio: min_requests is not a number from zero.")
	v.add(r.Weight < 0 || r.Weight > 99, ProblemRange, "weight", "sample_ratio: there is no share to judge at a weight of %d%%.", r.Weight)
	v.add(r.Interval != 0 && r.Interval < MinInterval, ProblemRange, at+"interval", "sample_ratio: interval is %s, the shortest is %s.", r.Interval, MinInterval)
	v.add(r.For < 0, ProblemRange, at+"for", "sample_ratio: for is negative.")
	v.budgets(at, r.ErrorBudget, r.NoDataBudget)
	if blank(r.CanaryQuery) || blank(r.StableQuery) || ParseQuery(r.CanaryQuery) != nil || ParseQuery(r.StableQuery) != nil || r.For < 0 {
		return
	}
	reach := max(QueryReach(r.CanaryQuery), QueryReach(r.StableQuery))
	v.add(reach == 0 && r.For == 0, ProblemMissing, at+"for",
		"sample_ratio: the queries do not say over which time they count: use increase(…[1m]), or set for to the time that the recorded series cover.")
	v.add(r.For > 0 && r.For < reach, ProblemRange, at+"for",
		"sample_ratio: for = %s is shorter than the %s that the queries look back: samples that share requests say one thing twice.", r.For, reach)
	m := r.metric(p)
	v.add(p.Duration > 0 && p.Interval >= MinInterval && m.delay+m.For > p.Duration, ProblemImpossible, at+"for",
		"sample_ratio: it takes %s until there are requests that came under the new weight alone, and %s more to judge them, which the duration of %s does not have: "+
			"the check could never fail. Make the duration longer, or the time shorter over which the queries count.", m.delay, m.For, p.Duration)
}
