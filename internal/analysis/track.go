// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"slices"
	"time"
)

// track is the state of one check while its samples are processed in order of time.
type track struct {
	check check
	// begin is the time from which samples count.
	begin time.Time
	// resumed is when an interrupted run resumed. watched is the time until which samples from before should exist: for a metric,
	// which has a history, until the end of the duration; for a health check, never.
	resumed, watched time.Time

	passed, failed, noData, errors int
	recent                         int // samples that count for the length of the run; of a health check, those since resumed
	recentAnalyzed                 int // of these, passes and failures
	missing                        time.Duration
	last                           time.Time // of the sample before, of any kind

	streak []Sample // failures since the last pass; of a metric, without a gap
	window []Sample // passes and failures that the average is made of
	blind  *Trigger // the first budget that was spent
	// latest are the most recent samples that spend the error budget, and those that spend the no-data budget.
	lastErrors, lastNoData []Sample

	trigger     *Trigger
	reason      string
	blindReason string
	unsure      bool
}

// classify sets a reliable kind for a sample.
func (t *track) classify(s Sample) Sample {
	if t.check.metric != nil {
		return t.check.metric.Classify(s)
	}
	if rank(s.Kind) < 0 {
		s.Kind, s.Evidence = Error, fmt.Sprintf("the check returned %q", s.Kind)
	}
	return s
}

func (t *track) add(s Sample) {
	t.gap(t.last, s.At)
	t.last = s.At
	if t.check.metric != nil || !s.At.Before(t.resumed) {
		t.recent++
		if s.Kind == Pass || s.Kind == Fail {
			t.recentAnalyzed++
		}
	}
	switch s.Kind {
	case Pass:
		t.passed++
		t.streak = t.streak[:0]
		t.average(s)
	case Fail:
		t.failed++
		t.fail(s)
		t.average(s)
	case NoData:
		t.noData++
		t.lastNoData = append(t.lastNoData, s)
	default:
		t.errors++
		t.lastErrors = append(t.lastErrors, s)
	}
	t.spend(s.At)
}

// gap charges the time between two samples of any kind if at least one sample is missing.
func (t *track) gap(from, to time.Time) {
	between := to.Sub(from)
	if t.resumed.After(from) && !t.resumed.After(to) {
		between = to.Sub(t.resumed) + max(0, t.watched.Sub(from))
	}
	if between > 2*t.check.interval {
		t.missing += between - t.check.interval
	}
}

// finish charges the time between the last sample and the end of the run.
func (t *track) finish(end time.Time) {
	t.gap(t.last, end)
	t.spend(end)
}

// apart reports that s is not part of the continuous span that ends with the samples before it.
func (t *track) apart(before []Sample, s Sample) bool {
	return len(before) > 0 && s.At.Sub(before[len(before)-1].At) > 2*t.check.interval
}

func (t *track) fail(s Sample) {
	m := t.check.metric
	if m != nil && t.apart(t.streak, s) {
		t.streak = t.streak[:0]
	}
	t.streak = append(t.streak, s)
	n, length := len(t.streak), s.At.Sub(t.streak[0].At)
	switch {
	case m == nil && n > t.check.failures:
		t.fire(ConsecutiveFailures, t.streak, fmt.Sprintf("The health check %s failed %s in a row, %d are tolerated: %s.",
			t.check.name, times(n), t.check.failures, evidence(s)))
	case m != nil && m.ratio != nil && n >= t.check.needed && length >= m.For:
		t.fire(SampleRatioMismatch, t.streak, m.ratio.reason(t.streak, length))
	case m != nil && m.For > 0 && n >= t.check.needed && length >= m.For:
		t.fire(EverySample, t.streak, fmt.Sprintf("%s was %s in each of %d samples over %s (%s).",
			m.Name, m.limit(), n, length.Round(time.Millisecond), m.values(t.streak)))
	}
}

// average keeps the samples since the start of the span, and compares their average with the limit.
func (t *track) average(s Sample) {
	m := t.check.metric
	if m == nil || m.Over <= 0 {
		return
	}
	if t.apart(t.window, s) {
		t.window = t.window[:0]
	}
	t.window = append(t.window, s)
	edge := s.At.Add(-m.Over)
	for len(t.window) > 1 && !t.window[1].At.After(edge) {
		t.window = t.window[1:]
	}
	if t.window[0].At.After(edge) || len(t.window) < t.check.needed {
		return
	}
	// The distance from the limit is averaged, not the value: the sum of equal values is not exact, and an average of
	// exactly the limit must not trigger. The margin is the possible rounding error, far below what can be measured.
	var excess, margin float64
	for _, w := range t.window {
		beyond, inexact := m.excess(w)
		excess += beyond / float64(len(t.window))
		margin = max(margin, inexact)
	}
	if excess <= margin {
		return
	}
	length := s.At.Sub(t.window[0].At).Round(time.Millisecond)
	if m.Baseline != nil {
		value, baseline := means(t.window)
		t.fire(Average, t.window, fmt.Sprintf("The average of %s was %s and that of the baseline %s, which is %s, over %s and %d samples.",
			m.Name, value, baseline, m.limit(), length, len(t.window)))
		return
	}
	limit := m.Above
	average := excess
	if limit == nil {
		limit, average = m.Below, -excess
	}
	t.fire(Average, t.window, fmt.Sprintf("The average of %s was %s, which is %s, over %s and %d samples.",
		m.Name, Number(*limit+average), m.limit(), length, len(t.window)))
}

func (t *track) fire(rule Rule, samples []Sample, reason string) {
	t.trigger, t.reason = t.made(rule, samples, samples[len(samples)-1].At), reason
}

func (t *track) made(rule Rule, samples []Sample, at time.Time) *Trigger {
	trigger := &Trigger{Rule: rule, Check: t.check.name, At: at, Since: at, Samples: append([]Sample(nil), samples...)}
	if t.check.metric != nil {
		trigger.Query = t.check.metric.Query
		if b := t.check.metric.Baseline; b != nil {
			trigger.BaselineQuery = b.Query
		}
	}
	if len(samples) > 0 {
		trigger.Since = samples[0].At
	}
	return trigger
}

// spend compares the spent time with the budgets.
func (t *track) spend(at time.Time) {
	if t.blind != nil {
		return
	}
	errors := time.Duration(t.errors) * t.check.interval
	noData := time.Duration(t.noData)*t.check.interval + t.missing
	switch {
	case errors > t.check.errorBudget:
		t.blind = t.made(ErrorBudget, latest(t.lastErrors), at)
		t.blindReason = fmt.Sprintf("%s could not be checked for %s, its error budget is %s: %s.",
			t.check.name, errors, t.check.errorBudget, evidence(t.lastErrors[len(t.lastErrors)-1]))
	case noData > t.check.noDataBudget:
		why := "samples are missing"
		if n := len(t.lastNoData); n > 0 {
			why = evidence(t.lastNoData[n-1])
		}
		t.blind = t.made(NoDataBudget, latest(t.lastNoData), at)
		t.blindReason = fmt.Sprintf("%s had no data for %s, its budget is %s: %s.", t.check.name, noData.Round(time.Millisecond),
			t.check.noDataBudget, why)
	}
}

// latest keeps the samples that evidence needs from a long row of samples without a result about the version.
func latest(samples []Sample) []Sample { return samples[max(0, len(samples)-20):] }

// failing reports that the end of the run would cut off failures that may still complete a rule.
func (t *track) failing() bool {
	return len(t.streak) > 0 && (t.check.metric == nil || t.check.metric.For > 0)
}

// unsettled explains why the check has not passed at the end of a run in which it did not trigger.
func (t *track) unsettled(now time.Time) (*Trigger, string) {
	analyzed := t.recentAnalyzed
	switch {
	case t.blind != nil:
		return t.blind, t.blindReason
	case t.failing():
		return t.made(StillFailing, t.streak, now), fmt.Sprintf("%s was failing at the end (%s in a row) without completing its rule: %s.",
			t.check.name, times(len(t.streak)), evidence(t.streak[len(t.streak)-1]))
	case analyzed < t.check.needed:
		unknown := append(append([]Sample(nil), t.lastNoData...), t.lastErrors...)
		slices.SortFunc(unknown, compare)
		return t.made(TooFewSamples, latest(unknown), now),
			fmt.Sprintf("%s could be analyzed %s, and its rule needs %d samples%s.", t.check.name, times(analyzed), t.check.needed, t.notAnalyzed())
	}
	return nil, ""
}

// notAnalyzed explains why samples are no result about the version, as the rest of a sentence.
func (t *track) notAnalyzed() string {
	var why string
	if n := len(t.lastNoData); n > 0 {
		why += fmt.Sprintf("; %s there was no data: %s", times(t.noData), evidence(t.lastNoData[n-1]))
	}
	if n := len(t.lastErrors); n > 0 {
		why += fmt.Sprintf("; %s it could not be checked: %s", times(t.errors), evidence(t.lastErrors[n-1]))
	}
	return why
}

func (t *track) standing() Standing {
	s := Standing{
		Check: t.check.name, Passed: t.passed, Failed: t.failed, NoData: t.noData, Errors: t.errors,
		Streak: len(t.streak), Missing: t.missing,
	}
	if len(t.streak) > 0 {
		s.Since = t.streak[0].At
	}
	return s
}

// evidence describes a sample.
func evidence(s Sample) string {
	if s.Evidence != "" {
		return s.Evidence
	}
	if s.Series > 0 {
		return "the value is " + s.Value.String()
	}
	return string(s.Kind)
}

// means are the averages of both tracks.
func means(samples []Sample) (value, baseline Number) {
	for _, s := range samples {
		value += s.Value / Number(len(samples))
		baseline += s.Baseline / Number(len(samples))
	}
	return value, baseline
}

func values(samples []Sample) string {
	low, high := samples[0].Value, samples[0].Value
	for _, s := range samples {
		low, high = min(low, s.Value), max(high, s.Value)
	}
	return between(low, high)
}

func between(low, high Number) string {
	if low == high {
		return low.String()
	}
	return low.String() + " to " + high.String()
}
