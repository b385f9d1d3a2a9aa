// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	step   = 10 * time.Second
	health = "http"
	rate   = "error_rate"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func limit(f float64) *float64 { return &f }

// healthPolicy tolerates three failures and a minute each of errors and of no data.
func healthPolicy() Policy {
	return Policy{
		Health:   &Health{Checks: []string{health}, ConsecutiveFailures: 3, ErrorBudget: time.Minute, NoDataBudget: time.Minute},
		Duration: 5 * time.Minute, Interval: step,
	}
}

// ratePolicy is "error rate above 5% for 2 minutes".
func ratePolicy() Policy {
	return Policy{
		Metrics: []Metric{{
			Name: rate, Query: "job:errors:ratio", Above: limit(0.05), For: 2 * time.Minute,
			ErrorBudget: time.Minute, NoDataBudget: time.Minute,
		}},
		Duration: 5 * time.Minute, Interval: step, OnInconclusive: HoldInconclusive,
	}
}

// row makes health samples one interval apart: P, F, N (no data), E (error), and a dot for none at all.
func row(symbols string) []Sample {
	kinds := map[rune]Kind{'P': Pass, 'F': Fail, 'N': NoData, 'E': Error}
	var samples []Sample
	for i, symbol := range []rune(symbols) {
		if kind, ok := kinds[symbol]; ok {
			samples = append(samples, Sample{Check: health, At: start.Add(time.Duration(i) * step), Kind: kind, Evidence: "HTTP 5xx"})
		}
	}
	return samples
}

// series makes samples of the metric one interval apart.
func series(values ...float64) []Sample {
	var samples []Sample
	for i, v := range values {
		samples = append(samples, Sample{Check: rate, At: start.Add(time.Duration(i) * step), Value: Number(v), Series: 1})
	}
	return samples
}

func repeat(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }

func ended(p Policy) Span {
	return Span{Start: start, Now: start.Add(p.Longest())}
}

func TestAssess_HealthFailsAtTheFailureAfterThoseTolerated(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	tests := map[string]struct {
		symbols string
		outcome Outcome
		rule    Rule
		at      int // the index of the sample at which the rule is complete
	}{
		"all pass":                      {many("P", 31), Passed, "", 0},
		"3rd failure in a row":          {"FFF" + many("P", 28), Passed, "", 0},
		"4th failure in a row":          {"FFFF" + many("P", 27), Failed, ConsecutiveFailures, 3},
		"4th failure later on":          {"PPFFFFP" + many("P", 24), Failed, ConsecutiveFailures, 5},
		"a pass between resets":         {"FFFPFFFP" + many("P", 23), Passed, "", 0},
		"no data between neither":       {"FFFNF" + many("P", 26), Failed, ConsecutiveFailures, 4},
		"no data does not count":        {"FFFN" + many("P", 27), Passed, "", 0},
		"error between neither":         {"FFEEFF" + many("P", 25), Failed, ConsecutiveFailures, 5},
		"error does not count":          {"FFFE" + many("P", 27), Passed, "", 0},
		"missing samples do not reset":  {"FFF.....F" + many("P", 22), Failed, ConsecutiveFailures, 8},
		"error budget just kept":        {many("E", 6) + many("P", 25), Passed, "", 0},
		"error budget spent":            {many("E", 7) + many("P", 24), Inconclusive, ErrorBudget, 6},
		"errors add up":                 {many("EEP", 4) + many("P", 20), Inconclusive, ErrorBudget, 9},
		"failure after a spent budget":  {many("E", 9) + "FFFF" + many("P", 18), Failed, ConsecutiveFailures, 12},
		"no data budget just kept":      {many("N", 6) + many("P", 25), Passed, "", 0},
		"no data budget spent":          {many("N", 7) + many("P", 24), Inconclusive, NoDataBudget, 6},
		"one missing is nothing":        {many("P.", 15) + "P", Passed, "", 0},
		"missing samples are no data":   {"P" + many(".", 8) + many("P", 22), Inconclusive, NoDataBudget, 9},
		"two missing are no data":       {many("P..", 10) + "P", Inconclusive, NoDataBudget, 12}, // 20 s each.
		"missing at the end":            {many("P", 20), Inconclusive, NoDataBudget, 30},
		"still failing after the end":   {many("P", 28) + "FFF" + "NN", Inconclusive, StillFailing, 34},
		"failing at the end completes":  {many("P", 28) + "FFF" + "F", Failed, ConsecutiveFailures, 31},
		"failing at the end recovers":   {many("P", 28) + "FFF" + "P", Passed, "", 0},
		"zero samples":                  {"", Inconclusive, NoDataBudget, 30},
		"errors only, within no budget": {many("E", 31), Inconclusive, ErrorBudget, 6},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := healthPolicy()
			verdict := Assess(policy, row(test.symbols), ended(policy))
			requireVerdict(t, verdict, test.outcome, test.rule)
			if test.rule != "" {
				if want := start.Add(time.Duration(test.at) * step); !verdict.Trigger.At.Equal(want) {
					t.Errorf("complete at %s, want %s", verdict.Trigger.At, want)
				}
			}
		})
	}
}

func TestAssess_ZeroSamplesNeverPass(t *testing.T) {
	for _, choice := range []OnInconclusive{AcceptIfHealthy, HoldInconclusive, RollbackInconclusive} {
		for name, policy := range map[string]Policy{"health": healthPolicy(), "metric": ratePolicy()} {
			policy.OnInconclusive = choice
			if policy.Health != nil {
				policy.Health.NoDataBudget = 24 * time.Hour
			} else {
				policy.Metrics[0].NoDataBudget = 24 * time.Hour
			}
			for _, now := range []time.Duration{0, time.Minute, policy.Duration, policy.Longest(), 24 * time.Hour} {
				verdict := Assess(policy, nil, Span{Start: start, Now: start.Add(now)})
				if verdict.Outcome == Passed || verdict.Action == Accept {
					t.Errorf("%s, %s, after %s: %s and %s without a sample", name, choice, now, verdict.Outcome, verdict.Action)
				}
			}
			requireVerdict(t, Assess(policy, nil, ended(policy)), Inconclusive, TooFewSamples)
		}
	}
}

func TestAssess_FewerSamplesThanTheRuleNeedsDoNotPass(t *testing.T) {
	policy := ratePolicy()
	policy.Metrics[0].NoDataBudget = time.Hour
	requireVerdict(t, Assess(policy, series(repeat(12, 0)...), ended(policy)), Inconclusive, TooFewSamples)
	requireVerdict(t, Assess(policy, series(repeat(13, 0)...), ended(policy)), Passed, "")
}

func TestAssess_TooFewSamplesNamesTheOtherSamples(t *testing.T) {
	policy := ratePolicy()
	policy.Metrics[0].NoDataBudget, policy.Metrics[0].ErrorBudget = time.Hour, time.Hour
	samples := series(append([]float64{0, math.NaN(), math.NaN()}, repeat(2, 0)...)...)
	samples[4] = Sample{Check: rate, At: samples[4].At, Kind: Error, Evidence: "no answer within 5s"}
	verdict := Assess(policy, samples, ended(policy))
	requireVerdict(t, verdict, Inconclusive, TooFewSamples)
	for _, part := range []string{
		"could be analyzed 2 times", "2 times there was no data: the query returns NaN",
		"once it could not be checked: no answer within 5s",
	} {
		if !strings.Contains(verdict.Reason, part) {
			t.Errorf("the reason does not contain %q: %s", part, verdict.Reason)
		}
	}
	if n := len(verdict.Trigger.Samples); n != 3 {
		t.Errorf("the evidence has %d samples, want the 3 that could not be analyzed", n)
	}
}

func TestAssess_PolicyForInconclusive(t *testing.T) {
	quiet := func(p *Policy) []Sample { // Health passes, the metric has nearly no requests.
		p.Health = healthPolicy().Health
		return append(row(strings.Repeat("P", 31)), series(repeat(31, math.NaN())...)...)
	}
	tests := map[string]struct {
		choice OnInconclusive
		change func([]Sample, *Policy) []Sample
		action Action
	}{
		"default":                          {"", nil, Accept},
		"accept":                           {AcceptIfHealthy, nil, Accept},
		"accept, one failing sample":       {AcceptIfHealthy, func(s []Sample, _ *Policy) []Sample { s[40].Value = 0.2; return s }, Hold},
		"accept, one passing sample":       {AcceptIfHealthy, func(s []Sample, _ *Policy) []Sample { s[40].Value = 0.01; return s }, Accept},
		"accept, no health check":          {AcceptIfHealthy, func(s []Sample, p *Policy) []Sample { p.Health = nil; return s }, Hold},
		"accept, no health sample":         {AcceptIfHealthy, func(s []Sample, _ *Policy) []Sample { return s[31:] }, Hold},
		"accept, health still failing":     {AcceptIfHealthy, func(s []Sample, _ *Policy) []Sample { s[30].Kind = Fail; return s }, Hold},
		"accept, health budget is spent":   {AcceptIfHealthy, func(s []Sample, _ *Policy) []Sample { return errorsIn(s[:31], s[31:]) }, Hold},
		"accept, health failed in passing": {AcceptIfHealthy, func(s []Sample, _ *Policy) []Sample { s[5].Kind = Fail; return s }, Accept},
		"hold":                             {HoldInconclusive, nil, Hold},
		"rollback":                         {RollbackInconclusive, nil, Rollback},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := ratePolicy()
			policy.OnInconclusive = test.choice
			samples := quiet(&policy)
			if test.change != nil {
				samples = test.change(samples, &policy)
			}
			verdict := Assess(policy, samples, ended(policy))
			if verdict.Outcome != Inconclusive || verdict.Action != test.action {
				t.Errorf("%s and %s, want inconclusive and %s: %s", verdict.Outcome, verdict.Action, test.action, verdict.Reason)
			}
		})
	}
}

// errorsIn makes seven of the first samples errors.
func errorsIn(first, rest []Sample) []Sample {
	for i := range 7 {
		first[i].Kind = Error
	}
	return append(first, rest...)
}

func TestAssess_SpentBudgetEndsARunOnlyWhereItIsRolledBack(t *testing.T) {
	policy := healthPolicy()
	samples := row("PPEEEEEEE")
	span := Span{Start: start, Now: start.Add(90 * time.Second)}
	for choice, want := range map[OnInconclusive]Outcome{
		AcceptIfHealthy: Pending, HoldInconclusive: Pending, RollbackInconclusive: Inconclusive,
	} {
		policy.OnInconclusive = choice
		if got := Assess(policy, samples, span); got.Outcome != want {
			t.Errorf("%s: %s, want %s: %s", choice, got.Outcome, want, got.Reason)
		}
	}
}

func TestAssess_InitialDelayDoesNotCount(t *testing.T) {
	policy := healthPolicy()
	policy.InitialDelay = time.Minute
	symbols := "FFFFFF" + strings.Repeat("P", 31) // 0 s to 50 s fail; what comes from 60 s on counts.
	requireVerdict(t, Assess(policy, row(symbols), ended(policy)), Passed, "")
	policy.InitialDelay = 0
	requireVerdict(t, Assess(policy, row(symbols), ended(policy)), Failed, ConsecutiveFailures)
}

func TestAssess_EachHealthCheckCountsForItself(t *testing.T) {
	policy := healthPolicy()
	policy.Health.Checks = []string{health, "pods"}
	samples := row(strings.Repeat("F", 4) + strings.Repeat("P", 27))
	for _, s := range row(strings.Repeat("P", 31)) { // The other one passing in between resets nothing.
		s.Check = "pods"
		samples = append(samples, s)
	}
	verdict := Assess(policy, samples, ended(policy))
	requireVerdict(t, verdict, Failed, ConsecutiveFailures)
	if verdict.Trigger.Check != health {
		t.Errorf("trigger of %s, want %s", verdict.Trigger.Check, health)
	}
}

func TestAssess_ResumedRunIsNotChargedForTheTimeWithoutSamples(t *testing.T) {
	policy := healthPolicy()
	resumed := 20 * time.Minute
	samples := row(strings.Repeat("P", 12))
	after := func(n int) []Sample {
		all := slices.Clone(samples)
		for i := range n {
			all = append(all, Sample{Check: health, At: start.Add(resumed + time.Duration(i)*step), Kind: Pass})
		}
		return all
	}
	at := func(d time.Duration) Span {
		return Span{Start: start, Resumed: start.Add(resumed), Now: start.Add(resumed + d)}
	}
	requireVerdict(t, Assess(policy, after(1), at(0)), Pending, "") // The rule can be seen through once more.
	requireVerdict(t, Assess(policy, after(5), at(40*time.Second)), Passed, "")
	requireVerdict(t, Assess(policy, after(0), at(10*time.Minute)), Inconclusive, TooFewSamples)
	// Without the time of resumption, the same gap is missing data.
	requireVerdict(t, Assess(policy, after(5), Span{Start: start, Now: start.Add(30 * time.Minute)}), Inconclusive, NoDataBudget)
}

func TestAssess_FailuresBeforeAndAfterAResumptionAreOneRow(t *testing.T) {
	policy := healthPolicy()
	samples := row("PPPFFF")
	samples = append(samples, Sample{Check: health, At: start.Add(10 * time.Minute), Kind: Fail})
	span := Span{Start: start, Resumed: start.Add(10 * time.Minute), Now: start.Add(10 * time.Minute)}
	requireVerdict(t, Assess(policy, samples, span), Failed, ConsecutiveFailures)
}

func TestAssess_ClockThatJumpsForwardIsNoContinuousSpan(t *testing.T) {
	policy := ratePolicy()
	samples := series(repeat(7, 0.2)...)
	for _, s := range series(repeat(7, 0.2)...) {
		s.At = s.At.Add(time.Hour)
		samples = append(samples, s)
	}
	verdict := Assess(policy, samples, Span{Start: start, Now: start.Add(2 * time.Hour)})
	if verdict.Outcome != Inconclusive {
		t.Errorf("%s: %s", verdict.Outcome, verdict.Reason)
	}
}

func TestAssess_ClockThatJumpsForwardDoesNotEndTheRunAsPassed(t *testing.T) {
	policy := healthPolicy()
	verdict := Assess(policy, row("PPPPPP"), Span{Start: start, Now: start.Add(time.Hour)})
	requireVerdict(t, verdict, Inconclusive, NoDataBudget)
}

func TestAssess_SamplesFromTheFutureCount(t *testing.T) {
	verdict := Assess(healthPolicy(), row("PPFFFF"), Span{Start: start, Now: start.Add(time.Second)})
	requireVerdict(t, verdict, Failed, ConsecutiveFailures)
}

func TestAssess_ForeignSamplesAndAnInvalidPolicyNeverPass(t *testing.T) {
	policy := healthPolicy()
	samples := row(strings.Repeat("P", 31))
	for i := range samples {
		samples[i].Check = "another"
	}
	requireVerdict(t, Assess(policy, samples, ended(policy)), Inconclusive, NoDataBudget)
	verdict := Assess(Policy{Duration: time.Minute, Interval: step}, samples, ended(policy))
	requireVerdict(t, verdict, Inconclusive, InvalidPolicy)
	if verdict.Action != Hold {
		t.Errorf("action %s", verdict.Action)
	}
}

func TestAssess_HealthSampleOfUnknownKindIsAnError(t *testing.T) {
	policy := healthPolicy()
	samples := row(strings.Repeat("P", 31))
	for i := range samples {
		samples[i].Kind = "fine"
	}
	requireVerdict(t, Assess(policy, samples, ended(policy)), Inconclusive, ErrorBudget)
}

func TestAssess_EvidenceHasQuerySamplesAndTimes(t *testing.T) {
	policy := ratePolicy()
	samples := series(append(repeat(5, 0.01), repeat(13, 0.2)...)...)
	verdict := Assess(policy, samples, Span{Start: start, Now: start.Add(3 * time.Minute)})
	requireVerdict(t, verdict, Failed, EverySample)
	trigger := verdict.Trigger
	if trigger.Query != policy.Metrics[0].Query || trigger.Check != rate {
		t.Errorf("query %q of %q", trigger.Query, trigger.Check)
	}
	if len(trigger.Samples) != 13 || !trigger.Since.Equal(samples[5].At) || !trigger.At.Equal(samples[17].At) {
		t.Errorf("%d samples from %s to %s", len(trigger.Samples), trigger.Since, trigger.At)
	}
	for _, s := range trigger.Samples {
		if s.Value != 0.2 || s.Kind != Fail || s.At.IsZero() {
			t.Errorf("sample %+v", s)
		}
	}
	want := "error_rate was above 0.05 in each of 13 samples over 2m0s (0.2)."
	if verdict.Reason != want {
		t.Errorf("reason %q, want %q", verdict.Reason, want)
	}
	if got := verdict.Checks[0]; got.Passed != 5 || got.Failed != 13 || got.Streak != 13 {
		t.Errorf("standing %+v", got)
	}
	// What the caller does with its samples afterwards changes no evidence.
	samples[10].Value = 7
	if trigger.Samples[5].Value != 0.2 {
		t.Error("the evidence is shared with the caller's samples")
	}
}

func requireVerdict(t *testing.T, got Verdict, outcome Outcome, rule Rule) {
	t.Helper()
	if got.Outcome != outcome {
		t.Fatalf("%s, want %s: %s", got.Outcome, outcome, got.Reason)
	}
	if rule != "" && (got.Trigger == nil || got.Trigger.Rule != rule) {
		t.Fatalf("trigger %+v, want the rule %s: %s", got.Trigger, rule, got.Reason)
	}
	if got.Reason == "" || (got.Outcome == Passed || got.Outcome == Pending) != (got.Trigger == nil) {
		t.Fatalf("%s with reason %q and trigger %s", got.Outcome, got.Reason, fmt.Sprint(got.Trigger))
	}
	if (got.Outcome == Failed) && got.Action != Rollback || (got.Outcome == Passed) && got.Action != Accept {
		t.Fatalf("%s asks for %s", got.Outcome, got.Action)
	}
}
