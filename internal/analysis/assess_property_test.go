// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"cmp"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// scene is a policy with samples, made of bytes so that the fuzzer can make one too.
type scene struct {
	policy  Policy
	samples []Sample
}

// sceneOf reads two bytes a sample: the first selects the check and its result, the second the time since the sample before.
func sceneOf(config uint32, data []byte) scene {
	bits := func(n int) int {
		v := config & (1<<n - 1)
		config >>= n
		return int(v)
	}
	p := healthPolicy()
	p.Duration = 3 * time.Minute
	p.Health.Checks = []string{health, "pods"}
	p.Health.ConsecutiveFailures = 1 + bits(2)
	p.Health.ErrorBudget = time.Duration(bits(3)) * step
	p.Health.NoDataBudget = time.Duration(bits(3)) * 3 * step
	p.InitialDelay = time.Duration(bits(1)) * step
	p.OnInconclusive = []OnInconclusive{"", AcceptIfHealthy, HoldInconclusive, RollbackInconclusive}[bits(2)]
	forSpan, overSpan := time.Duration(1+bits(3))*7*time.Second, time.Duration(1+bits(3))*9*time.Second
	p.Metrics = []Metric{
		{Name: rate, Query: "a", Above: limit(0.05), For: forSpan, ErrorBudget: time.Minute, NoDataBudget: time.Minute},
		{
			Name:          "latency",
			Query:         "b",
			Below:         limit(0.05),
			Over:          overSpan,
			Interval:      5 * time.Second,
			MinRequests:   10,
			RequestsQuery: "c",
			NoDataBudget:  time.Hour,
		},
	}
	values := []Number{0, 0.01, 0.05, 0.2, 0.2, Number(math.NaN()), Number(math.Inf(1)), 1}
	kinds := []Kind{Pass, Fail, Fail, NoData, Error, "", Pass, Fail}
	checks := []string{health, "pods", rate, "latency"}
	sc, at := scene{policy: p}, start
	for len(data) >= 2 {
		what, later := data[0], data[1]
		data = data[2:]
		at = at.Add(time.Duration(int8(later)) * 100 * time.Millisecond) // Also backwards.
		check := checks[what&3]
		s := Sample{Check: check, At: at, Kind: kinds[what>>2&7]}
		if check == rate || check == "latency" {
			s = Sample{Check: check, At: at, Value: values[what>>2&7], Series: 1, Requests: 10}
			switch what >> 5 {
			case 6:
				s.Series = 2
			case 7:
				s.Series, s.Requests = 1, 9
			}
		}
		sc.samples = append(sc.samples, s)
	}
	return sc
}

func randomScene(random *rand.Rand) scene {
	data := make([]byte, 2*random.IntN(120))
	for i := range data {
		data[i] = byte(random.Uint32())
		if i%2 == 1 { // Mostly forward, often by the interval.
			data[i] = []byte{0, 10, 25, 25, 25, 50, 100, 127, 250}[random.IntN(9)]
		}
		if i%2 == 0 && random.IntN(2) > 0 { // Rules are completed more often where samples agree.
			data[i] = []byte{1 << 2, 1<<2 | 1, 4<<2 | 2, 1<<2 | 3}[random.IntN(4)]
		}
	}
	return sceneOf(random.Uint32(), data)
}

func (s scene) assess(samples []Sample, after time.Duration) Verdict {
	return Assess(s.policy, samples, Span{Start: start, Now: start.Add(after)})
}

// each calls prove with many scenes, made from seeds that a failure names.
func each(t *testing.T, prove func(t *testing.T, random *rand.Rand, s scene)) {
	t.Helper()
	for seed := range uint64(800) {
		random := rand.New(rand.NewPCG(seed, 1))
		prove(t, random, randomScene(random))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// sorted are the classified samples of one check as the rules see them, found without the code under test where possible.
func (s scene) sorted(check string) []Sample {
	var metric *Metric
	for i := range s.policy.Metrics {
		if s.policy.Metrics[i].Name == check {
			metric = &s.policy.Metrics[i]
		}
	}
	worst := map[int64]Sample{}
	for _, sample := range s.samples {
		if sample.Check != check || sample.At.Before(start.Add(s.policy.InitialDelay)) {
			continue
		}
		if metric != nil {
			sample = metric.Classify(sample)
		} else if sample.Kind == "" {
			sample.Kind = Error
		}
		known, ok := worst[sample.At.UnixNano()]
		worse := map[Kind]int{Fail: 3, Pass: 2, NoData: 1, Error: 0}
		if !ok || worse[sample.Kind] > worse[known.Kind] || worse[sample.Kind] == worse[known.Kind] && sample.Value < known.Value {
			worst[sample.At.UnixNano()] = sample
		}
	}
	var all []Sample
	for _, sample := range worst {
		all = append(all, sample)
	}
	slices.SortFunc(all, func(a, b Sample) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return all
}

// firstFailure finds when the first rule is complete by trying every span, as the rules are written down.
func (s scene) firstFailure() (time.Time, bool) {
	var first time.Time
	found := func(at time.Time) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	for _, name := range s.policy.Health.Checks {
		row := 0
		for _, sample := range s.sorted(name) {
			switch sample.Kind {
			case Pass:
				row = 0
			case Fail:
				if row++; row == s.policy.Health.ConsecutiveFailures+1 {
					found(sample.At)
				}
			}
		}
	}
	for _, m := range s.policy.Metrics {
		interval := s.policy.Interval
		if m.Interval > 0 {
			interval = m.Interval
		}
		classified := slices.DeleteFunc(s.sorted(m.Name), func(x Sample) bool { return x.Kind != Pass && x.Kind != Fail })
		for last := range classified {
			for begin := range last + 1 {
				if spanFails(m, interval, classified, begin, last) {
					found(classified[last].At)
				}
			}
		}
	}
	return first, !first.IsZero()
}

func spanFails(m Metric, interval time.Duration, classified []Sample, begin, last int) bool {
	span := classified[begin : last+1]
	length := max(m.For, m.Over)
	if span[len(span)-1].At.Sub(span[0].At) < length || float64(len(span)) < math.Ceil(float64(length)/float64(interval))+1 {
		return false
	}
	total, failed := 0.0, true
	for i, sample := range span {
		if i > 0 && sample.At.Sub(span[i-1].At) > 2*interval {
			return false
		}
		total += float64(sample.Value)
		failed = failed && sample.Kind == Fail
	}
	if m.For > 0 {
		return failed
	}
	// The average is that of the shortest such span, which is the one that begins last.
	if begin+1 <= last && classified[last].At.Sub(classified[begin+1].At) >= length {
		return false
	}
	average := total / float64(len(span))
	if m.Above != nil {
		return average-*m.Above > 1e-9
	}
	return *m.Below-average > 1e-9
}

func TestAssess_FailsExactlyByTheRules(t *testing.T) {
	fails, passes := 0, 0
	each(t, func(t *testing.T, _ *rand.Rand, s scene) {
		s.policy.OnInconclusive = HoldInconclusive // A budget ends nothing early.
		verdict := s.assess(s.samples, time.Hour)
		at, want := s.firstFailure()
		if got := verdict.Outcome == Failed; got != want {
			t.Errorf("%s (%s), the rules give failed = %t at %s", verdict.Outcome, verdict.Reason, want, at)
		} else if want && !verdict.Trigger.At.Equal(at) {
			t.Errorf("triggers at %s, the rules give %s", verdict.Trigger.At, at)
		}
		if want {
			fails++
		} else {
			passes++
		}
	})
	if fails < 100 || passes < 100 { // Otherwise the scenes would prove little.
		t.Errorf("%d scenes fail and %d do not", fails, passes)
	}
}

func TestAssess_OnceFailedStaysFailed(t *testing.T) {
	each(t, func(t *testing.T, _ *rand.Rand, s scene) {
		slices.SortStableFunc(s.samples, func(a, b Sample) int { return a.At.Compare(b.At) })
		// Samples of one instant arrive together, or the order among them would be part of the result.
		var before *Verdict
		for n := range s.samples {
			if n+1 < len(s.samples) && s.samples[n+1].At.Equal(s.samples[n].At) {
				continue
			}
			verdict := s.assess(s.samples[:n+1], s.samples[n].At.Sub(start))
			if before != nil && before.Outcome == Failed && !reflect.DeepEqual(*before, verdict) {
				t.Errorf("failed by %+v, then %s by %+v", before.Trigger, verdict.Outcome, verdict.Trigger)
			}
			before = &verdict
		}
		if before != nil && before.Outcome == Failed {
			if later := s.assess(s.samples, 100*time.Hour); !reflect.DeepEqual(*before, later) {
				t.Errorf("failed, and with the time going by %s", later.Outcome)
			}
		}
	})
}

func TestAssess_OrderAndRepetitionDoNotMatter(t *testing.T) {
	each(t, func(t *testing.T, random *rand.Rand, s scene) {
		want := encoded(t, s.assess(s.samples, time.Hour))
		mixed := append(slices.Clone(s.samples), s.samples...)
		random.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		copied := slices.Clone(mixed)
		if got := encoded(t, s.assess(mixed, time.Hour)); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if encoded(t, copied) != encoded(t, mixed) {
			t.Error("the samples of the caller were changed")
		}
	})
}

func TestAssess_AnotherPassNeverMakesHealthFailSooner(t *testing.T) {
	each(t, func(t *testing.T, random *rand.Rand, s scene) {
		s.policy.Metrics = nil
		s.policy.OnInconclusive = HoldInconclusive
		before := s.assess(s.samples, time.Hour)
		more := append(slices.Clone(s.samples), Sample{
			Check: health, At: start.Add(time.Duration(random.IntN(200_000)) * time.Millisecond), Kind: Pass,
		})
		after := s.assess(more, time.Hour)
		if after.Outcome == Failed && (before.Outcome != Failed || after.Trigger.At.Before(before.Trigger.At)) {
			t.Errorf("%s before the pass was added, then failed at %s", before.Outcome, after.Trigger.At)
		}
	})
}

func TestAssess_NoDataAndErrorsNeverMakeARunFail(t *testing.T) {
	each(t, func(t *testing.T, random *rand.Rand, s scene) {
		s.policy.OnInconclusive = HoldInconclusive
		before := s.assess(s.samples, time.Hour)
		for range 10 {
			s.samples = append(s.samples, Sample{
				Check: []string{health, "pods", rate, "latency"}[random.IntN(4)], Kind: []Kind{NoData, Error}[random.IntN(2)],
				At: start.Add(time.Duration(random.IntN(200_000)) * time.Millisecond),
			})
		}
		after := s.assess(s.samples, time.Hour)
		if (before.Outcome == Failed) != (after.Outcome == Failed) {
			t.Errorf("%s, and with more samples without information %s: %s", before.Outcome, after.Outcome, after.Reason)
		}
	})
}

func TestAssess_VerdictSurvivesItsRecord(t *testing.T) {
	each(t, func(t *testing.T, _ *rand.Rand, s scene) {
		text := encoded(t, s.samples)
		var again []Sample
		if err := json.Unmarshal([]byte(text), &again); err != nil {
			t.Fatal(err)
		}
		if got, want := encoded(t, s.assess(again, time.Hour)), encoded(t, s.assess(s.samples, time.Hour)); got != want {
			t.Errorf("from the record %s\nwant %s", got, want)
		}
	})
}

// FuzzAssess looks for samples with which Assess panics or breaks one of its promises.
func FuzzAssess(f *testing.F) {
	f.Add(uint32(0), uint16(600), []byte{})
	f.Add(uint32(3), uint16(200), []byte{4, 100, 4, 100, 4, 100, 4, 100})
	f.Add(uint32(0xffffffff), uint16(9), []byte{18, 100, 18, 100, 22, 156, 255, 255})
	f.Fuzz(func(t *testing.T, config uint32, seconds uint16, data []byte) {
		if len(data) > 400 {
			data = data[:400]
		}
		s := sceneOf(config, data)
		if err := s.policy.Validate(); err != nil {
			t.Skip()
		}
		verdict := s.assess(s.samples, time.Duration(seconds)*time.Second)
		at, fails := s.firstFailure()
		switch verdict.Outcome {
		case Failed:
			if !fails || !verdict.Trigger.At.Equal(at) || len(verdict.Trigger.Samples) == 0 || verdict.Action != Rollback {
				t.Errorf("failed: %+v, by the rules %t at %s", verdict, fails, at)
			}
		case Passed:
			if fails || verdict.Action != Accept {
				t.Errorf("passed: %+v, by the rules it fails at %s", verdict, at)
			}
			for _, standing := range verdict.Checks {
				if standing.Passed+standing.Failed == 0 {
					t.Errorf("%s passed without a sample", standing.Check)
				}
			}
		case Inconclusive:
			if verdict.Trigger == nil || verdict.Action == Wait || fails && verdict.Action != Rollback {
				t.Errorf("inconclusive: %+v, by the rules failed = %t", verdict, fails)
			}
		case Pending:
			if fails || verdict.Action != Wait || time.Duration(seconds)*time.Second >= s.policy.Longest() {
				t.Errorf("pending after %d s: %+v", seconds, verdict)
			}
		default:
			t.Errorf("outcome %q", verdict.Outcome)
		}
		if verdict.Reason == "" {
			t.Error("no reason")
		}
	})
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func BenchmarkAssess1000(b *testing.B) {
	policy := ratePolicy()
	policy.Health = healthPolicy().Health
	policy.Duration = 500 * step
	var samples []Sample
	for i := range 500 {
		at := start.Add(time.Duration(i) * step)
		samples = append(samples,
			Sample{Check: rate, At: at, Value: Number([]float64{0.2, 0.01}[i/9%2]), Series: 1},
			Sample{Check: health, At: at, Kind: Pass, Evidence: "HTTP 200"})
	}
	for name, change := range map[string]func(*Policy){
		"for": func(*Policy) {},
		"over": func(p *Policy) {
			p.Metrics[0].For, p.Metrics[0].Over, p.Metrics[0].Above = 0, 2*time.Minute, limit(0.5)
		},
	} {
		b.Run(name, func(b *testing.B) {
			policy := policy
			policy.Metrics = slices.Clone(policy.Metrics)
			change(&policy)
			b.ReportAllocs()
			for b.Loop() {
				if v := Assess(policy, samples, ended(policy)); v.Outcome != Passed {
					b.Fatal(v.Reason)
				}
			}
		})
	}
}
