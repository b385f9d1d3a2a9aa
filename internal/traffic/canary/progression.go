// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// Step is a weight on the way.
type Step struct {
	// Weight is a percentage between 1 and 99.
	Weight int
	// Pause is how long traffic flows before the step is judged.
	Pause time.Duration
}

// ValidateSteps checks that steps go upwards.
func ValidateSteps(steps []Step) []route.Problem {
	var out []route.Problem
	for i, step := range steps {
		field := fmt.Sprintf("step[%d].weight", i)
		switch {
		case step.Weight < 1 || step.Weight > 99:
			out = append(out, route.Problem{Field: field, Text: fmt.Sprintf("%d is no step; it must be between 1 and 99.", step.Weight)})
		case i > 0 && step.Weight <= steps[i-1].Weight:
			out = append(out, route.Problem{Field: field, Text: fmt.Sprintf("%d does not come after %d; steps go upwards.", step.Weight, steps[i-1].Weight)})
		}
	}
	return out
}

// Stages are the weights that a walk goes through, the last one being that of "to". Downwards there is one: only what has more requests
// than before is judged on the way.
func Stages(from, to int, steps []Step) []Step {
	var out []Step
	for _, step := range steps {
		if from < step.Weight && step.Weight < to {
			out = append(out, step)
		}
	}
	return append(out, Step{Weight: to})
}

const (
	// capacityPoll is the time between two looks at pods that are waited for.
	capacityPoll = time.Second
	// Where an autoscaler adds pods only under load, traffic goes ahead of it by a few percent at a time.
	nudgeAfter = 15 * time.Second
	nudgeBy    = 10
)

// walk moves traffic from one split to another. What it needs of the cluster is given to it.
type walk struct {
	name     string
	spec     Spec
	record   *canaryRecord
	seen     route.Observed
	clock    analysis.Clock
	router   route.Router
	capacity func(ctx context.Context) (pods.Capacity, error)
	// content names what runs on the canary's side.
	content func(ctx context.Context) (string, error)
	judge   func(ctx context.Context, since time.Time) (analysis.Verdict, error)
	abort   analysis.Abort
	save    func(ctx context.Context) error
	say     func(format string, values ...any)
	// back is a walk that may still write when the operation's time is over.
	back func() (*walk, context.Context, context.CancelFunc)
	// canceled says that somebody interrupted the apply.
	canceled func() bool
}

// abortedError says that there is an abort mark.
type abortedError struct{ reason string }

func (e *abortedError) Error() string { return "aborted by hand: " + e.reason }

// run brings about the split that is wanted from whatever state there is.
func (w *walk) run(ctx context.Context) error {
	r, wanted := w.record, route.Split{Weight: w.spec.Weight, Headers: w.spec.Headers}
	if r.Phase == canaryReturning && r.Baseline != nil && w.seen.Split.Raises(*r.Baseline) {
		w.say("going on with the way back that a run before had begun")
		if err := w.takeBack(ctx); err != nil {
			return err
		}
	}
	resumed := r.resumes(w.seen.Split)
	baseline, passed := w.seen.Split, w.seen.Split.Weight
	if resumed {
		baseline, passed = *r.Baseline, r.Passed
		w.say("going on with a walk that a run before had begun, at %d%%", w.seen.Split.Weight)
	} else {
		r.Since, r.aborted = time.Time{}, true // a mark from before this walk is not about it
	}
	raises := wanted.Raises(baseline)
	if !raises {
		w.abort = nil // to stop would mean to send the canary more
	}
	var content string
	if raises {
		var err error
		if content, err = w.content(ctx); err != nil {
			return err
		}
		if q := r.held(content, w.spec, w.clock.Now()); q != nil {
			return &QuarantinedError{Split: w.name, Observed: w.seen.Split, Quarantine: *q, Record: canaryRecordName(w.name)}
		}
	}
	if raises && !resumed {
		ready, err := w.capacity(ctx)
		if err != nil {
			return err
		}
		r.StableReady = ready.Stable.Ready
	}
	for _, stage := range Stages(min(passed, wanted.Weight), wanted.Weight, w.spec.Steps) {
		if !resumed || r.Stage != stage.Weight {
			r.Since = time.Time{}
		}
		r.Phase, r.Baseline, r.Passed, r.Stage = canaryWalking, &baseline, passed, stage.Weight
		if err := w.save(ctx); err != nil {
			return err
		}
		if err := w.stage(ctx, stage, raises); err != nil {
			return w.failed(err, baseline, raises, content)
		}
		passed = stage.Weight
	}
	r.Phase, r.Baseline, r.Since, r.StableReady, r.Retry = canarySteady, nil, time.Time{}, 0, w.spec.Retry
	if raises {
		r.Quarantine = nil
	}
	return w.save(ctx)
}

// stage moves to one weight and judges it.
func (w *walk) stage(ctx context.Context, stage Step, raises bool) error {
	to := route.Split{Weight: stage.Weight, Headers: w.spec.Headers}
	if !w.seen.Split.Equal(to) {
		w.record.Since = time.Time{} // what was seen under another split says nothing about this one
	}
	if err := w.move(ctx, to); err != nil {
		return err
	}
	if !raises {
		return nil
	}
	if stage.Pause > 0 {
		w.say("waiting %s at %d%%", stage.Pause, stage.Weight)
		if err := w.pause(ctx, stage.Pause); err != nil {
			return err
		}
	}
	if w.judge == nil {
		return w.aborted(ctx)
	}
	w.say("judging the canary at %d%%", stage.Weight)
	since := w.record.Since
	if since.IsZero() {
		w.record.Since = w.clock.Now().UTC()
		if err := w.save(ctx); err != nil {
			return err
		}
	}
	verdict, err := w.judge(ctx, since)
	if err != nil {
		return fmt.Errorf("judging the canary at %d%%: %w", stage.Weight, err)
	}
	if verdict.Action != analysis.Accept {
		return &verdictError{verdict: verdict}
	}
	return nil
}

// verdictError carries a verdict that does not accept.
type verdictError struct{ verdict analysis.Verdict }

func (e *verdictError) Error() string { return e.verdict.Reason }

// failed acts on what stopped a stage.
func (w *walk) failed(err error, baseline route.Split, raises bool, content string) error {
	r := w.record
	failed := &FailedError{Split: w.name, Weight: r.Stage, Baseline: baseline}
	var byVerdict *verdictError
	var byHand *abortedError
	var slow *CapacityError
	switch {
	case errors.As(err, &byVerdict) && byVerdict.verdict.Action == analysis.Hold:
		r.Since = time.Time{} // it is judged anew
		held := &HeldError{Split: w.name, Weight: r.Stage, Reason: byVerdict.verdict.Reason}
		back, ctx, cancel := w.back()
		defer cancel()
		return errors.Join(held, back.save(ctx))
	case errors.As(err, &byVerdict):
		failed.Reason, failed.Verdict = byVerdict.verdict.Reason, byVerdict.verdict
	case errors.As(err, &byHand):
		failed.Reason = "The walk was aborted by hand: " + byHand.reason
		failed.Verdict = analysis.Verdict{Outcome: analysis.Failed, Action: analysis.Rollback, Reason: failed.Reason}
	case !raises || w.canceled():
		return err // the next apply goes on
	case (errors.As(err, &slow) || errors.Is(err, context.DeadlineExceeded)) && w.seen.Split.Equal(baseline):
		// Nothing was moved, so that there is nothing to take back: the route is left as it is.
		r.rest()
		back, ctx, cancel := w.back()
		defer cancel()
		return errors.Join(err, back.save(ctx))
	case errors.As(err, &slow):
		failed.Reason = err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		failed.Reason = "There was no verdict within the timeout: " + err.Error()
	default:
		return err
	}
	if failed.Verdict.Outcome == analysis.Failed {
		failed.Until = w.clock.Now().Add(w.spec.Quarantine).UTC().Truncate(time.Second)
		r.Quarantine = &Quarantine{Content: content, Policy: w.spec.Policy, Weight: r.Stage, Reason: failed.Reason, Until: failed.Until}
		r.cleared, r.aborted = false, true
	}
	r.Retry = w.spec.Retry
	back, ctx, cancel := w.back()
	defer cancel()
	w.say("the canary failed at %d%%: %s", r.Stage, failed.Reason)
	if err := back.takeBack(ctx); err != nil {
		return errors.Join(failed, err)
	}
	failed.Back = true
	return failed
}

// takeBack puts the split back from before the walk, unless the stable side cannot serve.
func (w *walk) takeBack(ctx context.Context) (err error) {
	r := w.record
	r.Phase = canaryReturning
	if err := w.save(ctx); err != nil {
		return err
	}
	if w.seen, err = w.router.Read(ctx); err != nil {
		return err
	}
	ready, err := w.capacity(ctx)
	if err != nil {
		return err
	}
	if ready.Stable.Ready == 0 && r.Baseline.Weight < 100 {
		return &NoWayBackError{Split: w.name, Observed: w.seen.Split, Baseline: *r.Baseline, Lacking: ready.Stable.Lacking}
	}
	w.say("going back to %d%%", r.Baseline.Weight)
	w.abort = nil
	// The pods that served it before can serve it again at once; only fewer of them get it in portions.
	asBefore := r.StableReady > 0 && ready.Stable.Ready >= r.StableReady && (len(r.Baseline.Headers) == 0 || ready.Canary.Ready > 0)
	if asBefore {
		err = w.set(ctx, *r.Baseline)
	} else {
		err = w.move(ctx, *r.Baseline)
	}
	if err != nil {
		return err
	}
	r.rest()
	return w.save(ctx)
}

// move goes to a split as far as the tracks can carry it, and on when they can carry more.
func (w *walk) move(ctx context.Context, to route.Split) error {
	var stuck time.Time
	var missing string
	told := false
	for {
		ready, err := w.capacity(ctx)
		if err != nil && missing != "" && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return &CapacityError{Split: w.name, Observed: w.seen.Split, Wanted: to.Weight, Missing: missing}
		}
		if err != nil {
			return err
		}
		from := w.seen.Split.Weight
		var next int
		next, missing = ready.Reach(from, to.Weight, len(to.Headers) > 0)
		grower := ready.Canary
		if to.Weight < from {
			grower = ready.Stable
		}
		now := w.clock.Now()
		switch {
		case next != from || missing == "":
			stuck = time.Time{}
		case stuck.IsZero():
			stuck = now
		case grower.Grows && grower.Ready > 0 && now.Sub(stuck) >= nudgeAfter && (len(to.Headers) == 0 || ready.Canary.Ready > 0):
			next, stuck = from+max(-nudgeBy, min(nudgeBy, to.Weight-from)), time.Time{}
		}
		if next != from || missing == "" {
			part := route.Split{Weight: next, Headers: to.Headers}
			waited, err := w.router.Prepare(ctx, part)
			if err != nil {
				return err
			}
			if waited {
				continue // the pods may not be the same any more
			}
			if err := w.set(ctx, part); err != nil {
				return err
			}
		}
		if next == to.Weight && (missing == "" || next != from) {
			return nil
		}
		if !told {
			w.say("at %d%%: %s", next, missing)
			told = true
		}
		if err := w.pause(ctx, capacityPoll); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				return &CapacityError{Split: w.name, Observed: w.seen.Split, Wanted: to.Weight, Missing: missing}
			}
			return err
		}
	}
}

func (w *walk) set(ctx context.Context, split route.Split) error {
	if err := w.router.Set(ctx, split); err != nil {
		return err
	}
	if !split.Equal(w.seen.Split) {
		w.say("%s", split)
	}
	w.seen.Split, w.seen.Exists, w.seen.Managed = split, true, true
	return nil
}

// pause waits, and hears of an abort meanwhile.
func (w *walk) pause(ctx context.Context, d time.Duration) error {
	for end := w.clock.Now().Add(d); ; {
		if err := w.aborted(ctx); err != nil {
			return err
		}
		left := end.Sub(w.clock.Now())
		if left <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.clock.After(min(left, capacityPoll)):
		}
	}
}

// aborted asks for the mark. A question that cannot be asked is asked again later.
func (w *walk) aborted(ctx context.Context) error {
	if w.abort == nil {
		return ctx.Err()
	}
	reason, aborted, err := w.abort(ctx)
	if err == nil && aborted {
		return &abortedError{reason: reason}
	}
	return ctx.Err()
}
