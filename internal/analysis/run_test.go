// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// scripted is a sampler whose samples are a function of the time since the start.
type scripted struct {
	check string
	begun time.Time
	say   func(ctx context.Context, after time.Duration) Sample
	calls atomic.Int32
	busy  atomic.Int32
}

func (s *scripted) Check() string { return s.check }

func (s *scripted) Sample(ctx context.Context) Sample {
	s.calls.Add(1)
	if s.busy.Add(1) > 1 {
		panic("two checks at once")
	}
	defer s.busy.Add(-1)
	return s.say(ctx, time.Since(s.begun))
}

func script(check string, say func(after time.Duration) Sample) *scripted {
	return &scripted{check: check, begun: time.Now(), say: func(_ context.Context, after time.Duration) Sample { return say(after) }}
}

func always(check string, kind Kind) *scripted {
	return script(check, func(time.Duration) Sample { return Sample{Kind: kind, Evidence: "scripted"} })
}

// rateOf returns 20% from bad until well, and 0 otherwise.
func rateOf(bad, well time.Duration) *scripted {
	return script(rate, func(after time.Duration) Sample {
		if after >= bad && after < well {
			return Sample{Value: 0.2, Series: 1}
		}
		return Sample{Series: 1}
	})
}

func bothPolicy() Policy {
	p := ratePolicy()
	p.Health = healthPolicy().Health
	return p
}

func TestRun_PassesAfterItsDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		policy := bothPolicy()
		policy.InitialDelay = 20 * time.Second
		probe, metric := always(health, Pass), rateOf(0, 0)
		verdict, samples, err := Run(t.Context(), Options{Policy: policy, Samplers: []Sampler{probe, metric}})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Passed, "")
		if took := time.Since(begun); took < 320*time.Second || took > 321*time.Second {
			t.Errorf("took %s", took)
		}
		if n := probe.calls.Load(); n < 30 || n > 31 {
			t.Errorf("%d health checks", n)
		}
		if len(samples) != int(probe.calls.Load()+metric.calls.Load()) || samples[0].At.Before(begun.Add(20*time.Second)) {
			t.Errorf("%d samples, the first %+v", len(samples), samples[0])
		}
	})
}

func TestRun_ActsOnATriggerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		probe := script(health, func(after time.Duration) Sample {
			if after >= 60*time.Second {
				return Sample{Kind: Fail, Evidence: "HTTP 503"}
			}
			return Sample{Kind: Pass}
		})
		verdict, _, err := Run(t.Context(), Options{Policy: bothPolicy(), Samplers: []Sampler{probe, rateOf(0, 0)}})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Failed, ConsecutiveFailures)
		if took := time.Since(begun); took != 90*time.Second { // 60, 70, 80, 90: the 4th.
			t.Errorf("took %s", took)
		}
	})
}

func TestRun_FailsTwoMinutesAfterTheErrorsBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		verdict, _, err := Run(t.Context(),
			Options{Policy: bothPolicy(), Samplers: []Sampler{always(health, Pass), rateOf(150*time.Second, time.Hour)}})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Failed, EverySample)
		if took := time.Since(begun); took != 270*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestRun_ContinuesWhenItEndsInTheMiddleOfAFailure(t *testing.T) {
	for name, test := range map[string]struct {
		well    time.Duration
		outcome Outcome
		took    time.Duration
	}{
		"that continues": {time.Hour, Failed, 360 * time.Second},
		"that recovers":  {320 * time.Second, Passed, 320 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				verdict, _, err := Run(t.Context(),
					Options{Policy: bothPolicy(), Samplers: []Sampler{always(health, Pass), rateOf(240*time.Second, test.well)}})
				if err != nil {
					t.Fatal(err)
				}
				requireVerdict(t, verdict, test.outcome, "")
				if took := time.Since(begun); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
			})
		})
	}
}

func TestRun_WaitsForACheckThatBeganBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		policy := healthPolicy()
		policy.Duration, policy.Health.ConsecutiveFailures = time.Minute, 0
		probe := script(health, func(after time.Duration) Sample {
			if after < 50*time.Second {
				return Sample{Kind: Pass}
			}
			time.Sleep(15 * time.Second) // Started before the end, answered after it.
			return Sample{Kind: Fail, Evidence: "HTTP 500"}
		})
		verdict, _, err := Run(t.Context(), Options{Policy: policy, Samplers: []Sampler{probe}})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Failed, ConsecutiveFailures)
		if took := time.Since(begun); took != 65*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestRun_SlowCheckDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		slow := script(rate, func(time.Duration) Sample {
			time.Sleep(25 * time.Second)
			return Sample{Series: 1}
		})
		failing := script(health, func(time.Duration) Sample { return Sample{Kind: Fail} })
		verdict, _, err := Run(t.Context(), Options{Policy: bothPolicy(), Samplers: []Sampler{slow, failing}})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Failed, ConsecutiveFailures)
		// The 4th failure is at 30 s; the slow check that was begun at 30 s is waited for, and that is all.
		if at := verdict.Trigger.At.Sub(begun.Round(0)); at != 30*time.Second {
			t.Errorf("triggered at %s", at)
		}
	})
}

func TestRun_AbortStopsItAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		polls := 0
		var lines []string
		verdict, samples, err := Run(t.Context(), Options{
			Policy: bothPolicy(), Samplers: []Sampler{always(health, Pass), rateOf(0, 0)},
			Progress: func(line string) { lines = append(lines, line) },
			Abort: func(context.Context) (string, bool, error) {
				polls++
				switch after := time.Since(begun); {
				case after >= 60*time.Second && after < 80*time.Second:
					return "", false, errors.New("the API server does not answer")
				case after >= 100*time.Second:
					return "slipway.dev/abort: latency looks wrong", true, nil
				}
				return "", false, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Failed, Manual)
		if took := time.Since(begun); took != 100*time.Second || polls != 21 {
			t.Errorf("took %s and %d polls", took, polls)
		}
		if !strings.Contains(verdict.Reason, "latency looks wrong") || len(samples) == 0 || len(verdict.Checks) != 2 {
			t.Errorf("verdict %+v, %d samples", verdict, len(samples))
		}
		trouble := strings.Count(strings.Join(lines, "\n"), "the API server does not answer")
		if trouble != 1 || !strings.Contains(strings.Join(lines, "\n"), "can be read again") {
			t.Errorf("the trouble was reported %d times:\n%s", trouble, strings.Join(lines, "\n"))
		}
	})
}

func TestRun_ChecksForAnAbortOnceMoreBeforeItAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		verdict, _, err := Run(t.Context(), Options{
			Policy: bothPolicy(), Samplers: []Sampler{always(health, Pass), rateOf(0, 0)}, AbortInterval: time.Hour,
			Abort: func(context.Context) (string, bool, error) {
				return "too late?", time.Since(begun) > 4*time.Minute, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		requireVerdict(t, verdict, Failed, Manual)
	})
}

func TestRun_EndOfTheContextIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		cause := errors.New("terraform was interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(65*time.Second, func() { cancel(cause) })
		hanging := &scripted{check: health, begun: begun, say: func(ctx context.Context, after time.Duration) Sample {
			if after < 60*time.Second {
				return Sample{Kind: Pass}
			}
			<-ctx.Done()
			return Sample{Kind: Error, Evidence: "interrupted"}
		}}
		verdict, samples, err := Run(ctx, Options{Policy: bothPolicy(), Samplers: []Sampler{hanging, rateOf(0, 0)}})
		var interrupted *InterruptedError
		if !errors.As(err, &interrupted) || !errors.Is(err, cause) || verdict.Outcome != Pending || verdict.Action != Wait {
			t.Errorf("error %v, verdict %+v", err, verdict)
		}
		if took := time.Since(begun); took != 65*time.Second {
			t.Errorf("took %s", took)
		}
		if slices.ContainsFunc(samples, func(s Sample) bool { return s.Kind == Error }) || len(samples) == 0 {
			t.Errorf("the interruption is among the samples: %+v", samples)
		}
	})
}

func TestRun_ProgressIsReadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var lines []string
		last := begun.Add(-time.Hour)
		policy := bothPolicy()
		policy.InitialDelay = time.Minute
		flapping := script(health, func(after time.Duration) Sample {
			if after > 2*time.Minute && int(after.Seconds())%20 < 10 {
				return Sample{Kind: Fail, Evidence: "HTTP 503"}
			}
			return Sample{Kind: Pass}
		})
		_, _, err := Run(t.Context(), Options{
			Policy: policy, Samplers: []Sampler{flapping, rateOf(3*time.Minute, 4*time.Minute)},
			Progress: func(line string) {
				lines = append(lines, fmt.Sprintf("%4.0f %s", time.Since(begun).Seconds(), line))
				if pause := time.Since(last); pause < linePause && !strings.Contains(line, "passed.") && len(lines) > 1 {
					t.Errorf("after only %s: %s", pause, line)
				}
				last = time.Now()
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(lines, "\n")
		for _, want := range []string{
			"Analysis: watching http, error_rate for 5m0s after an initial delay of 1m0s.",
			"Analysis: begins in 30s: no sample yet",
			"error_rate is 0.2, above 0.05, for 0s of 2m0s",
			"http failed, 1 of 4 (HTTP 503)",
			"Analysis: passed. No check triggered in 5m0s",
		} {
			if !strings.Contains(all, want) {
				t.Errorf("no %q", want)
			}
		}
		if len(lines) < 10 || len(lines) > 50 {
			t.Errorf("%d lines in six minutes", len(lines))
		}
		if t.Failed() {
			t.Log(all)
		}
	})
}

func TestRun_RefusesWhatItCannotDo(t *testing.T) {
	_, _, err := Run(t.Context(), Options{Policy: Policy{}})
	var invalid *InvalidPolicyError
	if !errors.As(err, &invalid) {
		t.Errorf("error %v", err)
	}
	for name, samplers := range map[string][]Sampler{
		"none": nil, "one missing": {always(health, Pass)},
		"one too many": {always(health, Pass), rateOf(0, 0), always("pods", Pass)},
		"twice":        {always(health, Pass), rateOf(0, 0), always(health, Pass)},
	} {
		verdict, _, err := Run(t.Context(), Options{Policy: bothPolicy(), Samplers: samplers})
		var mismatch *SamplersError
		if !errors.As(err, &mismatch) || verdict.Outcome == Passed {
			t.Errorf("%s: %v, %s", name, err, verdict.Outcome)
		}
	}
}
