// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestAssess_MetricFailsWhenEverySampleOfTheSpanIsBeyondTheLimit(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	with := func(values []float64, at int, v float64) []float64 {
		values = slices.Clone(values)
		values[at] = v
		return values
	}
	bad, good := repeat(13, 0.2), repeat(18, 0.01)
	tests := map[string]struct {
		values  []float64
		drop    []int
		outcome Outcome
		rule    Rule
		at      int
	}{
		"13 samples over two minutes": {values: append(bad, good...), outcome: Failed, rule: EverySample, at: 12},
		"12 samples":                  {values: append(repeat(12, 0.2), repeat(19, 0)...), outcome: Passed},
		"exactly 5%":                  {values: repeat(31, 0.05), outcome: Passed},
		"the next number above 5%":    {values: repeat(31, math.Nextafter(0.05, 1)), outcome: Failed, rule: EverySample, at: 12},
		"one sample at 5% between":    {values: append(with(bad, 6, 0.05), good...), outcome: Passed},
		"one missing sample":          {values: append(bad, good...), drop: []int{6}, outcome: Passed},
		"one missing, one more":       {values: append(repeat(14, 0.2), good...), drop: []int{6}, outcome: Failed, rule: EverySample, at: 13},
		"two missing start again":     {values: append(repeat(20, 0.2), good...), drop: []int{6, 7}, outcome: Passed},
		"two missing, then a whole span": {
			values: append(repeat(21, 0.2), good...), drop: []int{6, 7}, outcome: Failed, rule: EverySample, at: 20,
		},
		"NaN between delays":             {values: append(with(repeat(14, 0.2), 6, nan), good...), outcome: Failed, rule: EverySample, at: 13},
		"NaN between does not hide":      {values: append(with(bad, 6, nan), good...), outcome: Passed},
		"+Inf is no data":                {values: repeat(31, inf), outcome: Inconclusive, rule: NoDataBudget, at: 6},
		"-Inf is no data":                {values: repeat(31, math.Inf(-1)), outcome: Inconclusive, rule: NoDataBudget, at: 6},
		"NaN is no data":                 {values: repeat(31, nan), outcome: Inconclusive, rule: NoDataBudget, at: 6},
		"bad at the end is seen through": {values: append(repeat(30, 0), bad...), outcome: Failed, rule: EverySample, at: 42},
		"bad at the end recovers":        {values: append(repeat(30, 0), 0.2, 0.2, 0), outcome: Passed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := ratePolicy()
			all := series(test.values...)
			var samples []Sample
			for i, s := range all {
				if !slices.Contains(test.drop, i) {
					samples = append(samples, s)
				}
			}
			verdict := Assess(policy, samples, ended(policy))
			requireVerdict(t, verdict, test.outcome, test.rule)
			if test.rule != "" && !verdict.Trigger.At.Equal(all[test.at].At) {
				t.Errorf("complete at %s, want %s", verdict.Trigger.At.Sub(start), all[test.at].At.Sub(start))
			}
		})
	}
}

func TestAssess_SpanIsNotCutShortByQuickSamples(t *testing.T) {
	policy := ratePolicy()
	samples := series(repeat(13, 0.2)...)
	for i := range samples { // 13 samples, but over 119.4 seconds.
		samples[i].At = start.Add(time.Duration(i) * 9950 * time.Millisecond)
	}
	span := Span{Start: start, Now: start.Add(2 * time.Minute)}
	requireVerdict(t, Assess(policy, samples, span), Pending, "")
	samples = append(samples, Sample{Check: rate, At: start.Add(2 * time.Minute), Value: 0.2, Series: 1})
	requireVerdict(t, Assess(policy, samples, span), Failed, EverySample)
}

func TestAssess_AverageOverASpan(t *testing.T) {
	alternating := func(n int, a, b float64) []float64 {
		values := make([]float64, n)
		for i := range values {
			values[i] = []float64{a, b}[i%2]
		}
		return values
	}
	tests := map[string]struct {
		values  []float64
		below   bool
		outcome Outcome
		at      int
	}{
		"every other sample bad":      {values: alternating(31, 0.2, 0), outcome: Failed, at: 12},
		"one outlier of 13":           {values: append([]float64{0.9}, repeat(30, 0)...), outcome: Failed, at: 12},
		"an outlier that is averaged": {values: append([]float64{0.6}, repeat(30, 0)...), outcome: Passed},
		"exactly the limit":           {values: repeat(31, 0.05), outcome: Passed},
		"just above":                  {values: repeat(31, 0.0500001), outcome: Failed, at: 12},
		"too short":                   {values: append(repeat(6, 0.09), repeat(25, 0)...), outcome: Passed},
		"below":                       {values: repeat(31, 0.04), below: true, outcome: Failed, at: 12},
		"below, exactly":              {values: repeat(31, 0.05), below: true, outcome: Passed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := ratePolicy()
			m := &policy.Metrics[0]
			m.For, m.Over = 0, 2*time.Minute
			if test.below {
				m.Above, m.Below = nil, m.Above
			}
			samples := series(test.values...)
			verdict := Assess(policy, samples, ended(policy))
			rule := Rule("")
			if test.outcome == Failed {
				rule = Average
			}
			requireVerdict(t, verdict, test.outcome, rule)
			if rule != "" && !verdict.Trigger.At.Equal(samples[test.at].At) {
				t.Errorf("complete at %s, want %s", verdict.Trigger.At.Sub(start), samples[test.at].At.Sub(start))
			}
		})
	}
}

func TestAssess_AverageNeedsAContinuousSpan(t *testing.T) {
	policy := ratePolicy()
	policy.Metrics[0].For, policy.Metrics[0].Over = 0, 2*time.Minute
	samples := slices.Delete(series(append(repeat(6, 0.2), repeat(25, 0)...)...), 8, 10) // a gap of 30 s
	requireVerdict(t, Assess(policy, samples, ended(policy)), Passed, "")
	whole := series(append(repeat(6, 0.2), repeat(25, 0)...)...)
	requireVerdict(t, Assess(policy, whole, ended(policy)), Failed, Average)
}

func TestAssess_WhatCannotBeAnalyzedIsNoDataOrError(t *testing.T) {
	tests := map[string]struct {
		change func(*Metric, *Sample)
		want   Kind
		rule   Rule
	}{
		"empty":            {func(_ *Metric, s *Sample) { s.Series = 0 }, NoData, NoDataBudget},
		"several series":   {func(_ *Metric, s *Sample) { s.Series = 3 }, Error, ErrorBudget},
		"too few requests": {func(m *Metric, s *Sample) { m.MinRequests, m.RequestsQuery, s.Requests = 20, "n", 19 }, NoData, NoDataBudget},
		"enough requests":  {func(m *Metric, s *Sample) { m.MinRequests, m.RequestsQuery, s.Requests = 20, "n", 20 }, Fail, EverySample},
		"requests not known": {
			func(m *Metric, s *Sample) { m.MinRequests, m.RequestsQuery, s.Requests = 20, "n", Number(math.NaN()) }, NoData,
			NoDataBudget,
		},
		"sampler: no data": {func(_ *Metric, s *Sample) { s.Kind = NoData }, NoData, NoDataBudget},
		"sampler: error":   {func(_ *Metric, s *Sample) { s.Kind = Error }, Error, ErrorBudget},
		"sampler: pass":    {func(_ *Metric, s *Sample) { s.Kind = Pass }, Fail, EverySample}, // The policy decides, not the sampler.
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := ratePolicy()
			samples := series(repeat(31, 0.2)...)
			for i := range samples {
				test.change(&policy.Metrics[0], &samples[i])
			}
			classified := policy.Metrics[0].Classify(samples[0])
			if classified.Kind != test.want {
				t.Errorf("kind %s, want %s", classified.Kind, test.want)
			}
			if again := policy.Metrics[0].Classify(classified); again != classified && !math.IsNaN(float64(classified.Requests)) {
				t.Errorf("classified again: %+v, before %+v", again, classified)
			}
			verdict := Assess(policy, samples, ended(policy))
			outcome := Inconclusive
			if test.want == Fail {
				outcome = Failed
			}
			requireVerdict(t, verdict, outcome, test.rule)
		})
	}
}
