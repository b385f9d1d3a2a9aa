// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// comparing is "more than twice the baseline's errors for 2 minutes".
func comparing(ratio, difference *float64) Policy {
	policy := ratePolicy()
	policy.Metrics[0].Above = nil
	policy.Metrics[0].Baseline = &Baseline{Query: "stable:errors:ratio", MaxRatio: ratio, MaxDifference: difference}
	return policy
}

// against gives samples a baseline.
func against(samples []Sample, baseline float64) []Sample {
	for i := range samples {
		samples[i].Baseline, samples[i].BaselineSeries = Number(baseline), 1
	}
	return samples
}

func TestMetric_ComparesWithABaseline(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := map[string]struct {
		ratio, difference *float64
		value, baseline   float64
		change            func(*Metric, *Sample)
		want              Kind
		evidence          string
	}{
		"as good as the baseline": {
			ratio: limit(2), value: 0.01, baseline: 0.01, want: Pass, evidence: "0.01, baseline 0.01, at most 0.02",
		},
		"twice the baseline, exactly": {ratio: limit(2), value: 0.02, baseline: 0.01, want: Pass},
		"a little more": {
			ratio: limit(2), value: 0.020001, baseline: 0.01, want: Fail, evidence: "0.020001, baseline 0.01, at most 0.02",
		},
		"exact but for rounding":         {ratio: limit(1.15), value: 0.023, baseline: 0.02, want: Pass},
		"exact but for rounding, tenths": {ratio: limit(3), value: 0.3, baseline: 0.1, want: Pass},
		"difference alone":               {difference: limit(0.01), value: 0.031, baseline: 0.02, want: Fail},
		"difference alone, exactly":      {difference: limit(0.01), value: 0.03, baseline: 0.02, want: Pass},
		"no difference at all":           {difference: limit(0), value: 0.02, baseline: 0.02, want: Pass},
		"both: the ratio's part":         {ratio: limit(2), difference: limit(0.01), value: 0.05, baseline: 0.02, want: Pass},
		"both: beyond":                   {ratio: limit(2), difference: limit(0.01), value: 0.0501, baseline: 0.02, want: Fail},
		"both are bad":                   {ratio: limit(2), value: 0.9, baseline: 0.8, want: Pass},
		"zero against zero":              {ratio: limit(2), value: 0, baseline: 0, want: Pass},
		"anything against zero":          {ratio: limit(2), value: 1e-9, baseline: 0, want: Fail},
		"zero with a floor":              {ratio: limit(2), difference: limit(0.01), value: 0.01, baseline: 0, want: Pass},
		"better is never a failure":      {ratio: limit(2), value: 0, baseline: 0.5, want: Pass},
		"ratio below one":                {ratio: limit(0.5), value: 0.6, baseline: 1, want: Fail},
		"baseline NaN":                   {ratio: limit(2), value: 0, baseline: nan, want: NoData, evidence: "NaN"},
		"baseline infinite":              {ratio: limit(2), value: 1, baseline: inf, want: NoData, evidence: "+Inf"},
		"value NaN":                      {ratio: limit(2), value: nan, baseline: 0.1, want: NoData, evidence: "NaN"},
		"value infinite":                 {ratio: limit(2), value: inf, baseline: 0.1, want: NoData},
		"limit beyond all numbers":       {ratio: limit(10), value: 1, baseline: 1e308, want: Error, evidence: "no number"},
		"negative baseline":              {ratio: limit(2), value: -5, baseline: -1, want: Error, evidence: "negative"},
		"negative baseline, difference":  {difference: limit(1), value: 0.5, baseline: -1, want: Fail},
		"negative baseline, within":      {difference: limit(1), value: 0, baseline: -1, want: Pass},
		"baseline without series": {
			ratio:    limit(2),
			change:   func(_ *Metric, s *Sample) { s.BaselineSeries = 0 },
			want:     NoData,
			evidence: "the baseline's query returns no series",
		},
		"baseline with several series": {
			ratio:    limit(2),
			change:   func(_ *Metric, s *Sample) { s.BaselineSeries = 2 },
			want:     Error,
			evidence: "several series",
		},
		"value without series":          {ratio: limit(2), change: func(_ *Metric, s *Sample) { s.Series = 0 }, want: NoData},
		"value with several series":     {ratio: limit(2), change: func(_ *Metric, s *Sample) { s.Series = 2 }, want: Error},
		"enough requests on both sides": {ratio: limit(2), value: 1, baseline: 0, change: requests(20, 20), want: Fail},
		"too few requests": {
			ratio: limit(2), value: 1, baseline: 0, change: requests(19, 20), want: NoData, evidence: "19 requests are fewer",
		},
		"too few requests of the baseline": {
			ratio:    limit(2),
			value:    1,
			baseline: 0,
			change:   requests(20, 19),
			want:     NoData,
			evidence: "19 requests of the baseline",
		},
		"requests of the baseline unknown": {ratio: limit(2), value: 1, baseline: 0, change: requests(20, nan), want: NoData},
		"the sampler says no data":         {ratio: limit(2), value: 1, change: func(_ *Metric, s *Sample) { s.Kind = NoData }, want: NoData},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := comparing(test.ratio, test.difference)
			samples := against(series(repeat(31, test.value)...), test.baseline)
			for i := range samples {
				if test.change != nil {
					test.change(&policy.Metrics[0], &samples[i])
				}
			}
			if err := policy.Validate(); err != nil {
				t.Fatal(err)
			}
			classified := policy.Metrics[0].Classify(samples[0])
			requireSample(t, classified, test.want, test.evidence)
			if again := policy.Metrics[0].Classify(classified); again.Kind != classified.Kind || again.Evidence != classified.Evidence {
				t.Errorf("classified again: %+v, before %+v", again, classified)
			}
			outcome, rule := map[Kind]Outcome{Pass: Passed, Fail: Failed}[test.want],
				map[Kind]Rule{Fail: EverySample, NoData: NoDataBudget, Error: ErrorBudget}[test.want]
			if outcome == "" {
				outcome = Inconclusive
			}
			requireVerdict(t, Assess(policy, samples, ended(policy)), outcome, rule)
		})
	}
}

func requests(value, baseline float64) func(*Metric, *Sample) {
	return func(m *Metric, s *Sample) {
		m.MinRequests, m.RequestsQuery, m.Baseline.RequestsQuery = 20, "n", "n"
		s.Requests, s.BaselineRequests = Number(value), Number(baseline)
	}
}

// The metric of the two-minute rule keeps its rule: only the condition for a single sample differs.
func TestAssess_ComparisonKeepsTheRulesOfItsMetric(t *testing.T) {
	policy := comparing(limit(2), nil)
	one := against(series(append(append(repeat(12, 0.2), 0.05), repeat(18, 0.2)...)...), 0.05)
	verdict := Assess(policy, one, ended(policy))
	requireVerdict(t, verdict, Failed, EverySample)
	if want := one[25].At; !verdict.Trigger.At.Equal(want) {
		t.Errorf("complete at %s, want %s: one good sample restarts the span", verdict.Trigger.At.Sub(start), want.Sub(start))
	}
	for _, want := range []string{"error_rate was above 2 times the baseline", "0.2, baseline 0.05"} {
		if !strings.Contains(verdict.Reason, want) {
			t.Errorf("reason %q, want %q", verdict.Reason, want)
		}
	}
	if got := verdict.Trigger.Queries(); len(got) != 2 || got[1] != "Compared with: stable:errors:ratio" {
		t.Errorf("queries %q", got)
	}
	for _, s := range verdict.Trigger.Samples {
		if s.Baseline != 0.05 || s.Value != 0.2 || s.Evidence != "0.2, baseline 0.05, at most 0.1" {
			t.Errorf("evidence %+v", s)
		}
	}

	// The same limit that is crossed in turn: no span fails as a whole, and the average does.
	over := comparing(limit(2), limit(0.01))
	over.Metrics[0].For, over.Metrics[0].Over = 0, 2*time.Minute
	var turns []Sample
	for i, s := range series(repeat(31, 0)...) {
		s.Value, s.Baseline, s.BaselineSeries = []Number{0.4, 0}[i%2], []Number{0.05, 0.03}[i%2], 1
		turns = append(turns, s)
	}
	verdict = Assess(over, turns, ended(over))
	requireVerdict(t, verdict, Failed, Average)
	if want := "and that of the baseline 0.0407692, which is above 2 times the baseline plus 0.01"; !strings.Contains(verdict.Reason, want) {
		t.Errorf("reason %q, want %q", verdict.Reason, want)
	}
	for i := range turns { // an average of exactly the limit
		turns[i].Value = 2*turns[i].Baseline + 0.01
	}
	requireVerdict(t, Assess(over, turns, ended(over)), Passed, "")
}

// A comparison has the result of a fixed limit that is computed from the baseline.
func TestAssess_ComparisonWithAConstantIsAFixedLimit(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 2))
		baseline, ratio, difference := float64(random.IntN(8))/64, float64(1+random.IntN(6))/2, float64(random.IntN(4))/64 // no rounding
		compared := comparing(&ratio, &difference)
		fixed := ratePolicy()
		fixed.Metrics[0].Above = limit(ratio*baseline + difference)
		if seed%2 == 0 {
			for _, p := range []*Policy{&compared, &fixed} {
				p.Metrics[0].For, p.Metrics[0].Over = 0, 2*time.Minute
			}
		}
		bad := random.IntN(10) > 3
		var values []float64
		for range 31 {
			value := float64(random.IntN(64)) / 64
			if bad {
				value = max(value, *fixed.Metrics[0].Above+1.0/64)
			}
			if random.IntN(12) == 0 {
				value = math.NaN()
			}
			values = append(values, value)
		}
		want := Assess(fixed, series(values...), ended(fixed))
		got := Assess(compared, against(series(values...), baseline), ended(compared))
		if got.Outcome != want.Outcome || (got.Trigger == nil) != (want.Trigger == nil) ||
			got.Trigger != nil && (got.Trigger.Rule != want.Trigger.Rule || !got.Trigger.At.Equal(want.Trigger.At)) {
			t.Fatalf("seed %d: %s %q, want %s %q", seed, got.Outcome, got.Reason, want.Outcome, want.Reason)
		}
	}
}

func TestPolicy_ValidatesABaseline(t *testing.T) {
	tests := map[string]struct {
		change func(*Metric)
		kind   ProblemKind
		field  string
	}{
		"no query":              {func(m *Metric) { m.Baseline.Query = " " }, ProblemMissing, "baseline.query"},
		"nothing allowed":       {func(m *Metric) { m.Baseline.MaxRatio = nil }, ProblemMissing, "baseline.max_ratio"},
		"ratio zero":            {func(m *Metric) { m.Baseline.MaxRatio = limit(0) }, ProblemRange, "baseline.max_ratio"},
		"ratio negative":        {func(m *Metric) { m.Baseline.MaxRatio = limit(-1) }, ProblemRange, "baseline.max_ratio"},
		"ratio NaN":             {func(m *Metric) { m.Baseline.MaxRatio = limit(math.NaN()) }, ProblemRange, "baseline.max_ratio"},
		"ratio infinite":        {func(m *Metric) { m.Baseline.MaxRatio = limit(math.Inf(1)) }, ProblemRange, "baseline.max_ratio"},
		"difference negative":   {func(m *Metric) { m.Baseline.MaxDifference = limit(-0.1) }, ProblemRange, "baseline.max_difference"},
		"difference NaN":        {func(m *Metric) { m.Baseline.MaxDifference = limit(math.NaN()) }, ProblemRange, "baseline.max_difference"},
		"with above":            {func(m *Metric) { m.Above = limit(1) }, ProblemConflict, "above"},
		"with below":            {func(m *Metric) { m.Below = limit(1) }, ProblemConflict, "below"},
		"requests of one side":  {func(m *Metric) { m.MinRequests, m.RequestsQuery = 1, "n" }, ProblemMissing, "baseline.requests_query"},
		"requests without min":  {func(m *Metric) { m.Baseline.RequestsQuery = "n" }, ProblemConflict, "baseline.requests_query"},
		"neither limit at all":  {func(m *Metric) { m.Baseline = nil }, ProblemMissing, "above"},
		"neither for nor over":  {func(m *Metric) { m.For = 0 }, ProblemMissing, "for"},
		"ratio, difference NaN": {func(m *Metric) { m.Baseline.MaxDifference = limit(math.Inf(1)) }, ProblemRange, "baseline.max_difference"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := comparing(limit(2), nil)
			if err := policy.Validate(); err != nil {
				t.Fatal(err)
			}
			test.change(&policy.Metrics[0])
			requireProblem(t, policy, Problem{Kind: test.kind, Field: test.field, Metric: 0})
			if verdict := Assess(policy, against(series(repeat(31, 0)...), 0), ended(policy)); verdict.Outcome == Passed {
				t.Error("a policy that is not valid passed")
			}
		})
	}
}

// requireProblem demands a problem of this kind, field and metric.
func requireProblem(t *testing.T, policy Policy, want Problem) {
	t.Helper()
	var invalid *InvalidPolicyError
	if err := policy.Validate(); !errors.As(err, &invalid) {
		t.Fatalf("error %v", err)
	}
	if !slices.ContainsFunc(invalid.Problems, func(p Problem) bool {
		return p.Kind == want.Kind && p.Field == want.Field && p.Metric == want.Metric && strings.HasSuffix(p.Text, ".")
	}) {
		t.Errorf("problems %+v, want %+v", invalid.Problems, want)
	}
}

func TestPrometheus_QueriesBothSidesOfAComparison(t *testing.T) {
	tests := map[string]struct {
		answers map[string]string
		want    Kind
		text    string
	}{
		"worse": {
			map[string]string{"canary": vector("0.2"), "stable": vector("0.01"), "n": vector("50"), "m": vector("50")}, Fail,
			"0.2, baseline 0.01, at most 0.02",
		},
		"as good": {
			map[string]string{"canary": vector("0.02"), "stable": vector("0.01"), "n": vector("50"), "m": vector("50")}, Pass, "",
		},
		"no baseline": {
			map[string]string{"canary": vector("0.2"), "stable": vector(), "n": vector("50"), "m": vector("50")}, NoData,
			"the baseline's query returns no series",
		},
		"baseline NaN": {
			map[string]string{"canary": vector("0.2"), "stable": vector("NaN"), "n": vector("50"), "m": vector("50")}, NoData,
			"NaN",
		},
		"baseline broken": {
			map[string]string{"canary": vector("0.2"), "stable": "broken", "n": vector("50"), "m": vector("50")}, Error,
			"baseline.query: ",
		},
		"baseline of many": {
			map[string]string{"canary": vector("0.2"), "stable": vector("1", "2"), "n": vector("50"), "m": vector("50")}, Error,
			"several series",
		},
		"baseline without calls": {
			map[string]string{"canary": vector("0.2"), "stable": vector("0"), "n": vector("50"), "m": vector()}, NoData,
			"0 requests of the baseline are fewer than 10",
		},
		"calls of the baseline": {
			map[string]string{"canary": vector("0.2"), "stable": vector("0"), "n": vector("50"), "m": vector("1", "2")}, Error,
			"baseline.requests_query returns several series",
		},
		"no calls of the canary": {
			map[string]string{"canary": vector("0.2"), "stable": vector("0"), "n": vector("9"), "m": vector("50")}, NoData,
			"9 requests are fewer than 10",
		},
		"canary without any value": {
			map[string]string{"canary": vector(), "stable": vector("0"), "n": vector("50"), "m": vector("50")}, NoData,
			"the query returns no series",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := answering(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprint(w, test.answers[r.URL.Query().Get("query")])
			})
			metric := comparing(limit(2), nil).Metrics[0]
			metric.Query, metric.MinRequests, metric.RequestsQuery = "canary", 10, "n"
			metric.Baseline.Query, metric.Baseline.RequestsQuery = "stable", "m"
			requireSample(t, connect(t, PrometheusConfig{Address: server.URL}).Metric(metric, step).Sample(t.Context()), test.want, test.text)
		})
	}
}

func TestPrometheus_HistoryOfAComparison(t *testing.T) {
	begin := time.Now().Add(-10 * time.Minute).Truncate(time.Millisecond)
	server := past(t, 0, func(query string, at time.Time) []string {
		minute := int((at.Sub(begin) + 2*time.Second).Minutes())
		if query == "stable" {
			return [][]string{{"0.01"}, {"0.2"}, {}}[minute]
		}
		return []string{"0.2"}
	})
	metric := comparing(limit(2), nil).Metrics[0]
	metric.Query, metric.Baseline.Query = "canary", "stable"
	samples, err := connect(t, PrometheusConfig{Address: server.URL}).Metric(metric, time.Minute).History(t.Context(), begin,
		begin.Add(2*time.Minute))
	if err != nil || len(samples) != 3 || samples[0].Kind != Fail || samples[1].Kind != Pass || samples[2].Kind != NoData {
		t.Errorf("%+v, %v", samples, err)
	}
}
