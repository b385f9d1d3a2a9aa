// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// sharePolicy analyzes the share of a canary with this weight, next to a health check.
func sharePolicy(weight int) Policy {
	policy := healthPolicy()
	policy.OnInconclusive = HoldInconclusive
	policy.SampleRatio = &SampleRatio{
		CanaryQuery: `sum(increase(requests_total{version="v2"}[1m]))`, StableQuery: `sum(increase(requests_total{version="v1"}[1m]))`,
		Weight: weight, Significance: DefaultSignificance, Tolerance: DefaultTolerance, MinRequests: DefaultMinRequests,
		ErrorBudget: time.Minute, NoDataBudget: time.Minute,
	}
	return policy
}

// counted is a sample of so many requests on both tracks.
func counted(canary, stable float64) Sample {
	return Sample{Check: CheckSampleRatio, Value: Number(canary), Series: 1, Baseline: Number(stable), BaselineSeries: 1}
}

func TestBinomialBelow_IsTheSumOfItsTerms(t *testing.T) {
	// The terms are summed as fractions.
	exactly := func(k, n int64, p *big.Rat) float64 {
		q := new(big.Rat).Sub(big.NewRat(1, 1), p)
		power := func(x *big.Rat, e int64) *big.Rat {
			return new(big.Rat).SetFrac(new(big.Int).Exp(x.Num(), big.NewInt(e), nil), new(big.Int).Exp(x.Denom(), big.NewInt(e), nil))
		}
		sum := new(big.Rat)
		for i := int64(0); i <= k; i++ {
			term := new(big.Rat).SetInt(new(big.Int).Binomial(n, i))
			term.Mul(term, power(p, i)).Mul(term, power(q, n-i))
			sum.Add(sum, term)
		}
		f, _ := sum.Float64()
		return f
	}
	for _, n := range []int64{1, 7, 100, 250} {
		for _, p := range []*big.Rat{big.NewRat(1, 100), big.NewRat(9, 100), big.NewRat(1, 2), big.NewRat(95, 100)} {
			for _, k := range []int64{0, 1, n / 10, n / 2, n - 1, n} {
				share, _ := p.Float64()
				want := exactly(k, n, p)
				if got := binomialBelow(float64(k), float64(n), share); math.Abs(got-want) > 1e-9*want {
					t.Errorf("at most %d of %d with %s: %g, want %g", k, n, p.RatString(), got, want)
				}
			}
		}
	}
	if got := binomialBelow(-1, 10, 0.5); got != 0 {
		t.Errorf("fewer than none: %g", got)
	}
	// Far out it is neither zero nor slow, and the normal distribution of many draws follows on without a step.
	if got := binomialBelow(0, 1e6, 0.1); got > 0 && math.Log10(got) > -1000 {
		t.Errorf("none of a million: %g", got)
	}
	n := manyDraws - 1
	few, many := binomialBelow(n/10-3*9486, n, 0.1), binomialBelow((n+2)/10-3*9486, n+2, 0.1)
	if math.Abs(few-many) > 0.01*many || many < 1e-3 || many > 2e-3 {
		t.Errorf("three deviations below: %g of %g draws, %g of more", few, n, many)
	}
}

func TestSampleRatio_ComparesTheShareWithTheWeight(t *testing.T) {
	nan := math.NaN()
	tests := map[string]struct {
		weight         int
		canary, stable float64
		change         func(*SampleRatio, *Sample)
		want           Kind
		evidence       string
	}{
		"as the weight": {
			weight:   10,
			canary:   100,
			stable:   900,
			want:     Pass,
			evidence: "100 of 1000 requests (10%) reached the canary, its weight is 10% (p = 1)",
		},
		"by chance a little more": {weight: 10, canary: 130, stable: 870, want: Pass},
		"half instead of a tenth": {
			weight:   10,
			canary:   500,
			stable:   500,
			want:     Fail,
			evidence: "500 of 1000 requests (50%) reached the canary, its weight is 10% (p < 1e-12)",
		},
		"none instead of a tenth":        {weight: 10, canary: 0, stable: 1000, want: Fail},
		"a twentieth instead of a tenth": {weight: 10, canary: 50, stable: 950, want: Fail},
		"far off, but few":               {weight: 10, canary: 15, stable: 85, want: Pass},
		"within the tolerance, many":     {weight: 10, canary: 91_000, stable: 909_000, want: Pass},
		"beyond the tolerance, many":     {weight: 10, canary: 88_000, stable: 912_000, want: Fail},
		"without a tolerance, many": {
			weight: 10, canary: 91_000, stable: 909_000, change: func(r *SampleRatio, _ *Sample) { r.Tolerance = 0 }, want: Fail,
		},
		"above the tolerance, many":            {weight: 90, canary: 912_000, stable: 88_000, want: Fail},
		"requests that come by their header":   {weight: 10, canary: 500, stable: 500, change: byHeader, want: Pass},
		"too few although some come by header": {weight: 10, canary: 50, stable: 950, change: byHeader, want: Fail},
		"all of them by header":                {weight: 10, canary: 1000, stable: 0, change: byHeader, want: Pass},
		"one percent, none":                    {weight: 1, canary: 0, stable: 2000, want: Fail},
		"99 percent, all":                      {weight: 99, canary: 2000, stable: 0, want: Fail},
		"one percent, too few to notice": {
			weight: 1, canary: 0, stable: 500, want: NoData, evidence: "500 requests are too few to notice at a weight of 1%",
		},
		"99 percent, too few to notice": {weight: 99, canary: 500, stable: 0, want: NoData},
		"fewer than asked for":          {weight: 10, canary: 50, stable: 49, want: NoData, evidence: "99 requests are fewer than 100"},
		"no requests": {
			weight:   10,
			change:   func(_ *SampleRatio, s *Sample) { s.Series, s.BaselineSeries = 0, 0 },
			want:     NoData,
			evidence: "0 requests",
		},
		"no series is no request": {
			weight:   10,
			stable:   1000,
			change:   func(_ *SampleRatio, s *Sample) { s.Series = 0 },
			want:     Fail,
			evidence: "0 of 1000",
		},
		"no series of stable":          {weight: 10, canary: 1000, change: func(_ *SampleRatio, s *Sample) { s.BaselineSeries = 0 }, want: Fail},
		"counts between whole numbers": {weight: 10, canary: 100.4, stable: 899.7, want: Pass, evidence: "100 of 1000"},
		"NaN":                          {weight: 10, canary: nan, stable: 900, want: NoData, evidence: "NaN"},
		"infinity":                     {weight: 10, canary: 100, stable: math.Inf(1), want: NoData},
		"negative":                     {weight: 10, canary: -1, stable: 900, want: Error, evidence: "no numbers of requests"},
		"several series": {
			weight:   10,
			canary:   100,
			stable:   900,
			change:   func(_ *SampleRatio, s *Sample) { s.Series = 2 },
			want:     Error,
			evidence: "use sum",
		},
		"several series of stable": {
			weight: 10, canary: 100, stable: 900, change: func(_ *SampleRatio, s *Sample) { s.BaselineSeries = 2 }, want: Error,
		},
		"an unknown weight": {weight: 0, canary: 100, stable: 900, want: Error, evidence: "0%"},
		"the sampler returns error": {
			weight: 10, canary: 100, stable: 900, change: func(_ *SampleRatio, s *Sample) { s.Kind = Error }, want: Error,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy, s := sharePolicy(test.weight), counted(test.canary, test.stable)
			if test.change != nil {
				test.change(policy.SampleRatio, &s)
			}
			requireSample(t, policy.Queried()[0].Classify(s), test.want, test.evidence)
		})
	}
}

func byHeader(r *SampleRatio, _ *Sample) { r.HeaderRouted = true }

func TestAssess_FailsByASampleRatioMismatch(t *testing.T) {
	// shares makes samples one interval apart; those before the queries see the new weight alone do not count.
	shares := func(n int, canary func(i int) float64) []Sample {
		samples := row(strings.Repeat("P", 31))
		for i := range n {
			s := counted(canary(i), 1000-canary(i))
			s.At = start.Add(time.Duration(i) * step)
			samples = append(samples, s)
		}
		return samples
	}
	policy := sharePolicy(10)
	begin := 7 // one minute that the queries look back, and one interval

	wrong := shares(31, func(int) float64 { return 500 })
	verdict := Assess(policy, wrong, ended(policy))
	requireVerdict(t, verdict, Failed, SampleRatioMismatch)
	if at := start.Add(time.Duration(begin+6) * step); !verdict.Trigger.At.Equal(at) || len(verdict.Trigger.Samples) != 7 {
		t.Errorf("complete at %s with %d samples, want %s with 7", verdict.Trigger.At.Sub(start), len(verdict.Trigger.Samples), at.Sub(start))
	}
	for _, want := range []string{"Sample ratio mismatch", "p < 0.001", "500 of 1000 requests (50%)", "its weight is 10%"} {
		if !strings.Contains(verdict.Reason, want) {
			t.Errorf("reason %q, want %q", verdict.Reason, want)
		}
	}
	if got := verdict.Trigger.Queries(); len(got) != 2 || !strings.Contains(got[1], "v1") {
		t.Errorf("queries %q", got)
	}

	right := shares(31, func(int) float64 { return 100 })
	requireVerdict(t, Assess(policy, right, ended(policy)), Passed, "")
	// Requests under the weight before do not count.
	before := shares(31, func(i int) float64 { return map[bool]float64{true: 0, false: 100}[i < begin] })
	requireVerdict(t, Assess(policy, before, ended(policy)), Passed, "")
	// One good sample in between restarts the span, and a mismatch shorter than the span does not fail.
	once := shares(31, func(i int) float64 { return map[bool]float64{true: 100, false: 500}[i%6 == 0] })
	once = slices.DeleteFunc(once, func(s Sample) bool { return s.Check == CheckSampleRatio && s.At.After(start.Add(30*step)) })
	if verdict := Assess(policy, once, Span{Start: start, Now: start.Add(30 * step)}); verdict.Outcome == Failed {
		t.Errorf("failed: %s", verdict.Reason)
	}
	// No requests: neither passed nor failed.
	quiet := shares(31, func(int) float64 { return 0 })
	for i := range quiet {
		quiet[i].Baseline = 0
	}
	requireVerdict(t, Assess(policy, quiet, ended(policy)), Inconclusive, NoDataBudget)
	// No sample at all.
	requireVerdict(t, Assess(policy, row(strings.Repeat("P", 31)), ended(policy)), Inconclusive, NoDataBudget)
	// At 0 and 100 percent there is nothing to compare with.
	for _, weight := range []int{0, 100} {
		requireVerdict(t, Assess(policy.AtWeight(weight, false), wrong, ended(policy)), Passed, "")
	}
	requireVerdict(t, Assess(policy.AtWeight(50, false), wrong, ended(policy)), Passed, "")
	requireVerdict(t, Assess(policy.AtWeight(10, true), wrong, ended(policy)), Passed, "")
	if policy.SampleRatio.Weight != 10 || policy.SampleRatio.HeaderRouted {
		t.Errorf("the policy itself was changed: %+v", policy.SampleRatio)
	}
}

// A correct split fails at most as often as the significance allows, and a wrong one fails nearly always.
func TestSampleRatio_FalseAlarmsAreAsRareAsItsSignificance(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int, share float64) (canary float64) {
		for range n {
			if random.Float64() < share {
				canary++
			}
		}
		return canary
	}
	for _, weight := range []int{1, 10, 50, 90} {
		ratio := *sharePolicy(weight).SampleRatio
		// A test that is exact may not be wrong more often; with a tolerance it is wrong less often.
		ratio.Significance, ratio.Tolerance = 0.01, 0
		const runs, requests = 3000, 2000
		alarms, found := 0, 0
		for range runs {
			canary := draw(requests, float64(weight)/100)
			if kind, evidence := ratio.kind(counted(canary, requests-canary)); kind == Fail {
				alarms++
			} else if kind != Pass {
				t.Fatal(evidence)
			}
		}
		off := float64(weight)/100 + 0.08
		for range 200 {
			canary := draw(requests, off)
			if kind, _ := ratio.kind(counted(canary, requests-canary)); kind == Fail {
				found++
			}
		}
		// 30 are expected at most; more than 55 come once in a hundred thousand times.
		if alarms > 55 {
			t.Errorf("%d%%: %d false alarms in %d samples", weight, alarms, runs)
		}
		if found < 198 {
			t.Errorf("%d%%: a share of %g was found %d times of 200", weight, off, found)
		}
	}
}

// More requests on the track that has too many never make a mismatch less likely.
func TestSampleRatio_FartherOffIsLessLikely(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 3))
		ratio := *sharePolicy(1 + random.IntN(99)).SampleRatio
		ratio.HeaderRouted, ratio.Tolerance = random.IntN(2) == 0, random.Float64()*0.5
		total := float64(1 + random.IntN(5000))
		last, falling := -1.0, false
		for canary := 0.0; canary <= total; canary += 1 + math.Floor(total/500) {
			p := ratio.probability(canary, total)
			if p < 0 || p > 1 || math.IsNaN(p) {
				t.Fatalf("seed %d: p = %g", seed, p)
			}
			if p < last {
				falling = true
			} else if p > last && falling {
				t.Fatalf("seed %d: p rises again to %g at %g of %g", seed, p, canary, total)
			}
			last = p
		}
		if ratio.HeaderRouted && falling {
			t.Fatalf("seed %d: more requests than the weight were a mismatch although some come by their header", seed)
		}
	}
}

func TestPolicy_ValidatesASampleRatio(t *testing.T) {
	tests := map[string]struct {
		change func(*Policy)
		kind   ProblemKind
		field  string
	}{
		"no query of the canary":  {func(p *Policy) { p.SampleRatio.CanaryQuery = "" }, ProblemMissing, "sample_ratio.canary_query"},
		"no query of stable":      {func(p *Policy) { p.SampleRatio.StableQuery = " " }, ProblemMissing, "sample_ratio.stable_query"},
		"significance zero":       {func(p *Policy) { p.SampleRatio.Significance = 0 }, ProblemRange, "sample_ratio.significance"},
		"significance too high":   {func(p *Policy) { p.SampleRatio.Significance = 0.5 }, ProblemRange, "sample_ratio.significance"},
		"significance NaN":        {func(p *Policy) { p.SampleRatio.Significance = math.NaN() }, ProblemRange, "sample_ratio.significance"},
		"tolerance negative":      {func(p *Policy) { p.SampleRatio.Tolerance = -0.1 }, ProblemRange, "sample_ratio.tolerance"},
		"tolerance of everything": {func(p *Policy) { p.SampleRatio.Tolerance = 1 }, ProblemRange, "sample_ratio.tolerance"},
		"tolerance NaN":           {func(p *Policy) { p.SampleRatio.Tolerance = math.NaN() }, ProblemRange, "sample_ratio.tolerance"},
		"requests negative":       {func(p *Policy) { p.SampleRatio.MinRequests = -1 }, ProblemRange, "sample_ratio.min_requests"},
		"requests infinite":       {func(p *Policy) { p.SampleRatio.MinRequests = math.Inf(1) }, ProblemRange, "sample_ratio.min_requests"},
		"interval too short":      {func(p *Policy) { p.SampleRatio.Interval = time.Millisecond }, ProblemRange, "sample_ratio.interval"},
		"budget negative":         {func(p *Policy) { p.SampleRatio.ErrorBudget = -1 }, ProblemRange, "sample_ratio.error_budget"},
		"for negative":            {func(p *Policy) { p.SampleRatio.For = -1 }, ProblemRange, "sample_ratio.for"},
		"shorter than its window": {func(p *Policy) { p.SampleRatio.For = 30 * time.Second }, ProblemRange, "sample_ratio.for"},
		"counters without a time": {
			func(p *Policy) { p.SampleRatio.CanaryQuery, p.SampleRatio.StableQuery = "a:requests", "b:requests" }, ProblemMissing,
			"sample_ratio.for",
		},
		"never complete":        {func(p *Policy) { p.Duration = 2 * time.Minute }, ProblemImpossible, "sample_ratio.for"},
		"weight of a hundred":   {func(p *Policy) { p.SampleRatio.Weight = 100 }, ProblemRange, "weight"},
		"nothing else to watch": {func(p *Policy) { p.Health = nil }, ProblemMissing, "health"},
		"a metric of its name": {func(p *Policy) {
			p.Metrics = ratePolicy().Metrics
			p.Metrics[0].Name = CheckSampleRatio
		}, ProblemDuplicate, "sample_ratio"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := sharePolicy(0) // as the configuration knows it
			if err := policy.Validate(); err != nil {
				t.Fatal(err)
			}
			test.change(&policy)
			requireProblem(t, policy, Problem{Kind: test.kind, Field: test.field, Metric: -1})
		})
	}
	recorded := sharePolicy(10)
	recorded.SampleRatio.CanaryQuery, recorded.SampleRatio.StableQuery, recorded.SampleRatio.For = "a:requests", "b:requests", time.Minute
	if err := recorded.Validate(); err != nil {
		t.Error(err)
	}
	if got, want := recorded.Longest(), 5*time.Minute+time.Minute+2*step; got != want {
		t.Errorf("it takes %s at most, want %s", got, want)
	}
}

func TestPolicy_ComparesOnlyWhereBothSidesHaveRequests(t *testing.T) {
	policy := sharePolicy(0)
	policy.Metrics = append(comparing(limit(2), nil).Metrics, ratePolicy().Metrics...)
	for weight, want := range map[int]struct{ metrics, shares int }{0: {2, 0}, 1: {2, 1}, 99: {2, 1}, 100: {1, 0}} {
		at := policy.AtWeight(weight, false)
		if got := len(at.Queried()) - want.shares; got != want.metrics || len(at.Metrics) != want.metrics ||
			(at.SampleRatio != nil) != (want.shares == 1) {
			t.Errorf("at %d%%: %d metrics, sample ratio %+v; want %+v", weight, len(at.Metrics), at.SampleRatio, want)
		}
	}
	if len(policy.Metrics) != 2 || policy.SampleRatio.Weight != 0 {
		t.Error("the policy itself has changed")
	}
}

// The check is not made before its queries see the new weight alone, and its history begins there too.
func TestRun_SamplesTheShareOnceTheWindowHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		policy := sharePolicy(10)
		begin := time.Now()
		var first time.Time
		share := &scripted{check: CheckSampleRatio, say: func(_ context.Context, _ time.Duration) Sample {
			if first.IsZero() {
				first = time.Now()
			}
			return policy.Queried()[0].Classify(counted(100, 900))
		}}
		verdict, samples, err := Run(t.Context(), Options{Policy: policy, Samplers: []Sampler{always(health, Pass), share}})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Passed, "")
		if got := first.Sub(begin); got != 70*time.Second {
			t.Errorf("asked after %s, want 1m10s", got)
		}
		n := 0
		for _, s := range samples {
			if s.Check == CheckSampleRatio {
				n++
			}
		}
		if n < 20 {
			t.Errorf("%d samples", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		policy := sharePolicy(10)
		began := time.Now().Add(-3 * time.Minute)
		var from time.Time
		history := &remembered{Sampler: always(CheckSampleRatio, Pass), past: func(f, to time.Time) []Sample {
			from = f
			var out []Sample
			for at := f; !at.After(to); at = at.Add(step) {
				s := counted(500, 500)
				s.At = at
				out = append(out, s)
			}
			return out
		}}
		verdict, _, err := Run(t.Context(), Options{Policy: policy, Samplers: []Sampler{always(health, Pass), history}, Start: began})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Failed, SampleRatioMismatch)
		if got := from.Sub(began); got != 70*time.Second {
			t.Errorf("its history was asked for from %s on, want 1m10s", got)
		}
	})
}

// remembered is a sampler with a history.
type remembered struct {
	Sampler
	past func(from, to time.Time) []Sample
}

func (r *remembered) History(_ context.Context, from, to time.Time) ([]Sample, error) {
	return r.past(from, to), nil
}

func TestPrometheus_CountsTheRequestsOfBothSides(t *testing.T) {
	policy := sharePolicy(10)
	policy.SampleRatio.CanaryQuery, policy.SampleRatio.StableQuery = "canary", "stable"
	for name, test := range map[string]struct {
		canary, stable string
		want           Kind
		text           string
	}{
		"as the weight": {vector("100.2"), vector("899.9"), Pass, "100 of 1000"},
		"half":          {vector("500"), vector("500"), Fail, "500 of 1000"},
		"none":          {vector(), vector("1000"), Fail, "0 of 1000"},
		"nobody":        {vector(), vector(), NoData, "0 requests are fewer"},
		"several":       {vector("50", "50"), vector("900"), Error, "use sum"},
		"broken":        {vector("100"), "broken", Error, "baseline.query"},
	} {
		server := answering(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, map[string]string{"canary": test.canary, "stable": test.stable}[r.URL.Query().Get("query")])
		})
		t.Run(name, func(t *testing.T) {
			requireSample(t, connect(t, PrometheusConfig{Address: server.URL}).Metric(policy.Queried()[0], step).Sample(t.Context()), test.want,
				test.text)
		})
	}
}
