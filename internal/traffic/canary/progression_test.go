// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

// memoryRouter is a route in memory.
type memoryRouter struct {
	now route.Split
	set []int
	// prepare is what Prepare does, nil where there is nothing to prepare.
	prepare func() bool
}

func (r *memoryRouter) Read(context.Context) (route.Observed, error) {
	return route.Observed{Exists: true, Managed: true, Split: r.now}, nil
}
func (r *memoryRouter) Prepare(context.Context, route.Split) (bool, error) {
	return r.prepare != nil && r.prepare(), nil
}
func (r *memoryRouter) Set(_ context.Context, s route.Split) error {
	r.now, r.set = s, append(r.set, s.Weight)
	return nil
}
func (r *memoryRouter) Restore(context.Context) error { return nil }
func (r *memoryRouter) Object() string                { return "a route" }

// leaping is a clock that is at once where it is waited for.
type leaping struct{ now time.Time }

func (c *leaping) Now() time.Time { return c.now }
func (c *leaping) After(d time.Duration) <-chan time.Time {
	c.now = c.now.Add(d)
	out := make(chan time.Time, 1)
	out <- c.now
	return out
}

func newProgression(from route.Split, spec Spec, ready pods.Capacity) (*progression, *memoryRouter) {
	router := &memoryRouter{now: from}
	p := &progression{
		name: "app", spec: spec, state: &state{}, reached: nothing, seen: route.Observed{Exists: true, Managed: true, Split: from},
		clock: &leaping{now: time.Unix(1e9, 0)}, router: router,
		capacity:    func(context.Context) (pods.Capacity, error) { return ready, nil },
		content:     func(context.Context) (string, error) { return "v1:one", nil },
		save:        func(context.Context, ...string) error { return nil },
		say:         func(string, ...any) {},
		interrupted: func() bool { return false },
	}
	p.rollback = func() (*progression, context.Context, context.CancelFunc) {
		back := *p
		return &back, context.Background(), func() {}
	}
	return p, router
}

func both(n int) pods.Capacity {
	return pods.Capacity{Stable: pods.TrackCapacity{Ready: n, Pods: n}, Canary: pods.TrackCapacity{Ready: n, Pods: n}}
}

// verdictAt gives a verdict at each weight, accepting all but one.
func verdictAt(router *memoryRouter, bad int, action analysis.Action) func(context.Context, time.Time) (analysis.Verdict, error) {
	return func(context.Context, time.Time) (analysis.Verdict, error) {
		if router.now.Weight == bad {
			return analysis.Verdict{Outcome: analysis.Failed, Action: action, Reason: "It is bad."}, nil
		}
		return analysis.Verdict{Outcome: analysis.Passed, Action: analysis.Accept}, nil
	}
}

func TestProgression_GoesThroughItsSteps(t *testing.T) {
	p, router := newProgression(route.Split{}, Spec{Weight: 100, Steps: []Step{{Weight: 10}, {Weight: 50, Pause: time.Minute}}}, both(2))
	p.analyze = verdictAt(router, -1, "")
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []int{10, 50, 100}; !slices.Equal(router.set, want) || p.state.Phase != steady {
		t.Errorf("weights %v, phase %s; want %v, steady", router.set, p.state.Phase, want)
	}
}

// While proxies learn of the subsets, the canary's pods go.
func TestProgression_ChecksThePodsAgainWhenItsSubsetsExist(t *testing.T) {
	p, router := newProgression(route.Split{}, Spec{Weight: 10}, both(1))
	prepared := 0
	router.prepare = func() bool {
		prepared++
		p.capacity = func(ctx context.Context) (pods.Capacity, error) {
			return pods.Capacity{Stable: both(1).Stable}, ctx.Err()
		}
		return prepared == 1
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.interrupted = func() bool { return ctx.Err() != nil }
	p.abort = func(context.Context) (string, bool, error) {
		cancel() // it waits for pods
		return "", false, nil
	}
	if err := p.run(ctx); !errors.Is(err, context.Canceled) || len(router.set) > 0 || prepared != 1 {
		t.Errorf("got %v and the weights %v, prepared %d times; want no weight without a ready pod", err, router.set, prepared)
	}
}

func TestProgression_RestoresTheOldWeightAndQuarantinesTheContent(t *testing.T) {
	spec := Spec{Weight: 100, Steps: []Step{{Weight: 50}}, Quarantine: time.Hour}
	p, router := newProgression(route.Split{Weight: 10}, spec, both(2))
	p.analyze = verdictAt(router, 50, analysis.Rollback)
	err := p.run(t.Context())
	if router.now.Weight != 10 {
		t.Fatalf("got %v at %d%%, want the old weight back", err, router.now.Weight)
	}
	traffictest.WantExplained(t, err, "failed at 50%. The old weights are back")
	again, untouched := newProgression(route.Split{Weight: 10}, spec, both(2))
	again.state = p.state
	err = again.run(t.Context())
	traffictest.WantExplained(t, err, "is quarantined. Nothing was changed")
	if len(untouched.set) > 0 {
		t.Errorf("got %v after %v, want a refusal without a change", err, untouched.set)
	}
	again.spec.RetryToken = "again"
	if err := again.run(t.Context()); err != nil || untouched.now.Weight != 100 {
		t.Errorf("got %v at %d%%, want the token to release it", err, untouched.now.Weight)
	}
}

func TestProgression_NeverRollsBackToAnUnhealthyTrack(t *testing.T) {
	p, router := newProgression(route.Split{}, Spec{Weight: 50, Quarantine: time.Hour}, both(2))
	p.analyze = func(ctx context.Context, _ time.Time) (analysis.Verdict, error) {
		p.capacity = func(context.Context) (pods.Capacity, error) {
			return pods.Capacity{Canary: pods.TrackCapacity{Ready: 2, Pods: 2}}, nil
		}
		return verdictAt(router, 50, analysis.Rollback)(ctx, time.Time{})
	}
	err := p.run(t.Context())
	traffictest.WantExplained(t, err, "were not sent back to the stable track")
	if router.now.Weight != 50 {
		t.Errorf("got %v at %d%%, want a halt at 50%%", err, router.now.Weight)
	}
}

func TestProgression_StaysWhereTooLittleIsKnown(t *testing.T) {
	p, router := newProgression(route.Split{}, Spec{Weight: 10}, both(1))
	p.analyze = verdictAt(router, 10, analysis.Hold)
	err := p.run(t.Context())
	traffictest.WantExplained(t, err, "was inconclusive. The weights stay at 10%")
	if router.now.Weight != 10 {
		t.Errorf("got %v at %d%%, want it left at 10%%", err, router.now.Weight)
	}
}

// An autoscaler gives the stable track no more pods than served everything before; it can have that again at once.
func TestProgression_RollsBackAtOnceToPodsThatServedItBefore(t *testing.T) {
	for name, test := range map[string]struct {
		left int // pods of the stable track when the canary fails
		want []int
	}{
		"all are there":     {2, []int{50, 0}},
		"some went to idle": {1, []int{50, 40, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			grown := func(stable int) pods.Capacity {
				return pods.Capacity{
					Stable: pods.TrackCapacity{Ready: stable, Pods: stable, Grows: true},
					Canary: pods.TrackCapacity{Ready: 2, Pods: 2, Grows: true},
				}
			}
			ready := grown(2)
			p, router := newProgression(route.Split{}, Spec{Weight: 50, Quarantine: time.Hour}, ready)
			p.capacity = func(context.Context) (pods.Capacity, error) { return ready, nil }
			p.analyze = func(ctx context.Context, since time.Time) (analysis.Verdict, error) {
				ready = grown(test.left)
				return verdictAt(router, 50, analysis.Rollback)(ctx, since)
			}
			err := p.run(t.Context())
			traffictest.WantExplained(t, err, "failed at 50%")
			if !slices.Equal(router.set, test.want) {
				t.Errorf("got %v after the weights %v, want %v", err, router.set, test.want)
			}
		})
	}
}

func TestProgression_AbortStopsItAtOnce(t *testing.T) {
	p, router := newProgression(route.Split{}, Spec{Weight: 100, Steps: []Step{{Weight: 10, Pause: time.Hour}}, Quarantine: time.Hour},
		both(2))
	p.abort = func(context.Context) (string, bool, error) {
		return "errors on the dashboard", router.now.Weight == 10, nil
	}
	err := p.run(t.Context())
	traffictest.WantExplained(t, err, "failed at 10%. The old weights are back", "aborted by hand: errors on the dashboard")
	if router.now.Weight != 0 || slices.Max(router.set) != 10 {
		t.Errorf("got %v after %v", err, router.set)
	}
}

func TestProgression_ResumesFromTheObservedWeight(t *testing.T) {
	p, router := newProgression(route.Split{Weight: 50}, Spec{Weight: 100, Steps: []Step{{Weight: 10}, {Weight: 50}}, Quarantine: time.Hour},
		both(2))
	*p.state = state{Phase: shifting, Baseline: &route.Split{}, Passed: 10, Step: 50}
	p.analyze = verdictAt(router, 50, analysis.Rollback)
	if err := p.run(t.Context()); err == nil || router.now.Weight != 0 {
		t.Errorf("got %v at %d%%, want the step analyzed again and the split from before the first run", err, router.now.Weight)
	}
}

// What an analysis that was cut off had seen is about the weight that it saw.
func TestProgression_AnalyzesAnewWhatAHandMovedMeanwhile(t *testing.T) {
	begun := time.Unix(1e9-60, 0)
	for _, observed := range []int{50, 30} {
		p, router := newProgression(route.Split{Weight: observed}, Spec{Weight: 100, Steps: []Step{{Weight: 50}}}, both(2))
		*p.state = state{Phase: shifting, Baseline: &route.Split{}, Passed: 10, Step: 50, Since: begun}
		var since []time.Time
		p.analyze = func(_ context.Context, at time.Time) (analysis.Verdict, error) {
			since = append(since, at)
			return analysis.Verdict{Outcome: analysis.Passed, Action: analysis.Accept}, nil
		}
		if err := p.run(t.Context()); err != nil || router.now.Weight != 100 {
			t.Fatalf("got %v at %d%%", err, router.now.Weight)
		}
		if resumed := since[0].Equal(begun); resumed != (observed == 50) || len(since) != 2 || !since[1].IsZero() {
			t.Errorf("at %d%% the analyses begin at %v", observed, since)
		}
	}
}

func TestProgression_ACanaryWithoutReadyPodsGetsNoTraffic(t *testing.T) {
	p, router := newProgression(route.Split{}, Spec{Weight: 10},
		pods.Capacity{Stable: pods.TrackCapacity{Ready: 2, Pods: 2}, Canary: pods.TrackCapacity{Pods: 2}})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if err := p.run(ctx); err == nil || router.now.Weight != 0 {
		t.Errorf("got %v at %d%%", err, router.now.Weight)
	}
}

func TestValidateSteps(t *testing.T) {
	for _, steps := range [][]Step{{{Weight: 0}}, {{Weight: 100}}, {{Weight: 20}, {Weight: 10}}} {
		if len(ValidateSteps(steps)) == 0 {
			t.Errorf("%v was accepted", steps)
		}
	}
	if problems := ValidateSteps([]Step{{Weight: 10}, {Weight: 50}}); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestProgression_LeavesARouteThatItDidNotMove(t *testing.T) {
	down := pods.Capacity{Stable: pods.TrackCapacity{Ready: 2, Pods: 2}, Canary: pods.TrackCapacity{Pods: 2}}
	for _, late := range []bool{false, true} {
		p, router := newProgression(route.Split{Weight: 5}, Spec{Weight: 10}, down)
		over := &overdue{Context: t.Context()}
		looks := 0
		p.capacity = func(ctx context.Context) (pods.Capacity, error) {
			looks++
			if looks <= 2 { // the second one is that of the first move
				over.over = !late && looks == 2
				return down, nil
			}
			over.over = true // within a look
			return pods.Capacity{}, fmt.Errorf("listing the pods: %w", ctx.Err())
		}
		traffictest.WantError[*CapacityError](t, p.run(over), "Split app was not moved to 10%", "The canary has 0 pods ready and needs 1")
		if len(router.set) > 0 || p.state.Phase != steady || p.state.Baseline != nil || (looks > 2) != late {
			t.Errorf("the weights %v were written after %d looks; the record says %+v", router.set, looks, p.state)
		}
	}
}

// overdue is a context whose time ends when the test says so.
type overdue struct {
	context.Context
	over bool
}

func (o *overdue) Err() error {
	if o.over {
		return context.DeadlineExceeded
	}
	return o.Context.Err()
}
