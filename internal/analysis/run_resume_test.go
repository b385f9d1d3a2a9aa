// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// jumping is a clock that is set at certain moments, without a monotonic reading.
type jumping struct {
	begun time.Time
	jumps map[time.Duration]time.Duration
}

func (c jumping) Now() time.Time {
	now := time.Now().Round(0)
	for at, by := range c.jumps {
		if now.Sub(c.begun.Round(0)) >= at {
			now = now.Add(by)
		}
	}
	return now
}

func (c jumping) After(d time.Duration) <-chan time.Time { return time.After(d) }

func TestRun_ClockThatIsSetNeverMakesItPassOrFailWrongly(t *testing.T) {
	tests := map[string]struct {
		jump      time.Duration
		bad, well time.Duration
		outcome   Outcome
	}{
		"back, well":                    {-time.Hour, 0, 0, Passed},
		"back, failing":                 {-time.Hour, 60 * time.Second, time.Hour, Failed},
		"forward over the end, well":    {time.Hour, 0, 0, Inconclusive},
		"forward, failing for a minute": {90 * time.Second, 80 * time.Second, 150 * time.Second, Inconclusive},
		"forward by little, well":       {25 * time.Second, 0, 0, Passed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clock := jumping{begun: time.Now(), jumps: map[time.Duration]time.Duration{125 * time.Second: test.jump}}
				verdict, _, err := Run(t.Context(), Options{Policy: bothPolicy(), Clock: clock,
					Samplers: []Sampler{always(health, Pass), rateOf(test.bad, test.well)}})
				if err != nil {
					t.Fatal(err)
				}
				requireVerdict(t, verdict, test.outcome, "")
			})
		})
	}
}

// tardy is a clock whose timers are late, each time a little less.
type tardy struct{ late *time.Duration }

func (tardy) Now() time.Time { return time.Now() }

func (c tardy) After(d time.Duration) <-chan time.Time {
	*c.late = max(*c.late-time.Millisecond, 0)
	return time.After(d + *c.late)
}

func TestRun_LateTimersDoNotMakeASpanTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, late := time.Now(), 90*time.Millisecond
		verdict, _, err := Run(t.Context(),
			Options{Policy: bothPolicy(), Clock: tardy{&late}, Samplers: []Sampler{always(health, Pass), rateOf(5*time.Second, time.Hour)}})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Failed, EverySample)
		if took := time.Since(begun); took > 131*time.Second { // From the sample at 10 s to that at 130 s.
			t.Errorf("took %s", took)
		}
	})
}

// remembering is a sampler that knows the past.
type remembering struct {
	*scripted
	asked [][2]time.Duration
	err   error
}

func (r *remembering) History(_ context.Context, from, to time.Time) ([]Sample, error) {
	r.asked = append(r.asked, [2]time.Duration{from.Sub(r.begun), to.Sub(r.begun)})
	var samples []Sample
	for at := from; !at.After(to) && r.err == nil; at = at.Add(step) {
		s := r.say(context.Background(), at.Sub(r.begun))
		s.At = at
		samples = append(samples, s)
	}
	return samples, r.err
}

func TestRun_ResumesFromHistory(t *testing.T) {
	minute := time.Minute
	tests := map[string]struct {
		bad, well time.Duration
		lost      error
		outcome   Outcome
		rule      Rule
		took      time.Duration
	}{
		"it was well":                         {0, 0, nil, Passed, "", 40 * time.Second},
		"it failed while nothing was sampled": {2 * minute, 4*minute + step, nil, Failed, EverySample, 0},
		"bad for less":                        {2 * minute, 3 * minute, nil, Passed, "", 40 * time.Second},
		"history is lost":                     {0, 0, errors.New("no Prometheus"), Inconclusive, NoDataBudget, 40 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				metric := &remembering{scripted: rateOf(test.bad, test.well), err: test.lost}
				var earlier []Sample // The first run died after 50 seconds.
				for i := range 5 {
					at := begun.Add(time.Duration(i) * step)
					earlier = append(earlier, Sample{Check: health, At: at, Kind: Pass}, Sample{Check: rate, At: at, Series: 1})
				}
				time.Sleep(10 * minute)
				resumed := time.Now()
				verdict, samples, err := Run(t.Context(), Options{
					Policy: bothPolicy(), Samplers: []Sampler{always(health, Pass), metric}, Start: begun, Earlier: earlier,
				})
				if err != nil {
					t.Fatal(err)
				}
				requireVerdict(t, verdict, test.outcome, test.rule)
				if took := time.Since(resumed); test.outcome != Inconclusive && took > test.took+minute*2+step*2 ||
					test.outcome == Failed && took != 0 {
					t.Errorf("took %s", took)
				}
				if len(metric.asked) != 1 || metric.asked[0] != [2]time.Duration{50 * time.Second, 5 * minute} {
					t.Errorf("asked for %v", metric.asked)
				}
				if len(samples) < len(earlier) || samples[0] != earlier[0] {
					t.Errorf("%d samples", len(samples))
				}
			})
		})
	}
}

func TestRun_ResumesInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		metric := &remembering{scripted: rateOf(time.Minute, time.Hour)}
		time.Sleep(2 * time.Minute)
		verdict, _, err := Run(t.Context(), Options{Policy: bothPolicy(), Samplers: []Sampler{always(health, Pass), metric}, Start: begun})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Failed, EverySample)
		// One minute of it is history, one was watched.
		if took := time.Since(begun); took != 3*time.Minute {
			t.Errorf("took %s", took)
		}
	})
}
