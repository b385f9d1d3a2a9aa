// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

const (
	// capacityPoll is the time between two looks at pods that are waited for.
	capacityPoll = time.Second
	// Where an autoscaler adds pods only under load, requests go ahead of it by a few percent at a time.
	nudgeAfter = 15 * time.Second
	nudgeBy    = 10
)

// progression brings a split from what it is to what is wanted. It decides, does one action and decides again, until nothing is left or an
// action fails. What it needs of the cluster is given to it.
type progression struct {
	name  string
	spec  Spec
	state *state
	// cleared says that a user has unblocked the content.
	cleared  bool
	seen     route.Observed
	reached  reached
	clock    analysis.Clock
	router   route.Router
	capacity func(ctx context.Context) (pods.Capacity, error)
	// content names the version that runs on the canary track.
	content func(ctx context.Context) (string, error)
	// analyze may be nil.
	analyze func(ctx context.Context, since time.Time) (analysis.Verdict, error)
	// abort may be nil: then nobody can abort what is done.
	abort analysis.Abort
	// save records the state, and takes annotations away that were acted on.
	save func(ctx context.Context, consumed ...string) error
	say  func(format string, values ...any)
	// rollback returns a progression that may still write when the operation's time is over.
	rollback func() (*progression, context.Context, context.CancelFunc)
	// interrupted says that Terraform was interrupted, and not that the time is over.
	interrupted func() bool

	// running is the version that gets more requests, empty where none does.
	running string
	// stale are annotations that the next save takes away.
	stale []string
}

func (p *progression) situation() situation {
	return situation{recorded: *p.state, split: p.seen.Split, wanted: p.spec.split(), steps: p.spec.Steps, reached: p.reached}
}

// run brings about the split that is wanted from whatever state there is.
func (p *progression) run(ctx context.Context) error {
	for {
		next := decide(p.situation())
		if next == done {
			return nil
		}
		if err := p.act(ctx, next); err != nil {
			return err
		}
	}
}

// act does one action.
func (p *progression) act(ctx context.Context, next action) error {
	switch next {
	case finishRollback:
		p.say("resuming the rollback that an earlier apply had begun")
		return p.restore(ctx)
	case resume:
		p.say("resuming the steps that an earlier apply had begun, at %d%%", p.seen.Split.Weight)
		return p.admit(ctx, *p.state.Baseline)
	case begin:
		return p.begin(ctx)
	case shift:
		return p.shift(ctx)
	case verify:
		return p.verify(ctx)
	case finish:
		p.state.finish(p.situation().raises(), p.spec.RetryToken)
		p.reached = complete
		return p.record(ctx)
	case done:
	}
	return nil
}

// record saves the state.
func (p *progression) record(ctx context.Context) error {
	consumed := p.stale
	if p.state.Quarantine == nil {
		consumed = append(slices.Clone(consumed), record.AnnotationQuarantine)
	}
	if err := p.save(ctx, consumed...); err != nil {
		return err
	}
	p.stale = nil
	return nil
}

// admit refuses content that is quarantined where it would get more requests than at the baseline.
func (p *progression) admit(ctx context.Context, baseline route.Split) (err error) {
	if !p.spec.split().Raises(baseline) {
		p.abort = nil // to stop would mean to send the canary more
		p.reached = between
		return nil
	}
	if p.running, err = p.content(ctx); err != nil {
		return err
	}
	if q := p.state.quarantined(p.running, p.spec, p.cleared, p.clock.Now()); q != nil {
		return errQuarantined(p.name, p.seen.Split, *q)
	}
	p.reached = between
	return nil
}

// begin records where the steps start.
func (p *progression) begin(ctx context.Context) error {
	if err := p.admit(ctx, p.seen.Split); err != nil {
		return err
	}
	p.stale = append(p.stale, record.AnnotationAbort) // one from before these steps is not about them
	stable := 0
	if p.spec.split().Raises(p.seen.Split) {
		ready, err := p.capacity(ctx)
		if err != nil {
			return err
		}
		stable = ready.Stable.Ready
	}
	p.state.begin(p.seen.Split, stable)
	return nil
}

// shift moves requests to the next step.
func (p *progression) shift(ctx context.Context) error {
	s := p.situation()
	step := s.step()
	p.state.enter(step.Weight)
	if err := p.record(ctx); err != nil {
		return err
	}
	to := route.Split{Weight: step.Weight, Headers: p.spec.Headers}
	if !p.seen.Split.Equal(to) {
		p.state.Since = time.Time{} // what was seen under another split says nothing about this one
	}
	if err := p.move(ctx, to); err != nil {
		return p.failed(ctx, err)
	}
	if p.reached = shifted; !s.raises() {
		p.pass(step)
	}
	return nil
}

// pass notes that a step is good.
func (p *progression) pass(step Step) {
	p.state.Passed, p.reached = step.Weight, verified
}

// verify pauses at the step and analyzes it.
func (p *progression) verify(ctx context.Context) error {
	step := p.situation().step()
	if err := p.analyzeStep(ctx, step); err != nil {
		return p.failed(ctx, err)
	}
	p.pass(step)
	return nil
}

// analyzeStep returns nil where the step has passed.
func (p *progression) analyzeStep(ctx context.Context, step Step) error {
	if step.Pause > 0 {
		p.say("waiting %s at %d%%", step.Pause, step.Weight)
		if err := p.pause(ctx, step.Pause); err != nil {
			return err
		}
	}
	if p.analyze == nil {
		return p.aborted(ctx)
	}
	p.say("analyzing the canary at %d%%", step.Weight)
	since := p.state.Since
	if since.IsZero() {
		p.state.Since = p.clock.Now().UTC()
		if err := p.record(ctx); err != nil {
			return err
		}
	}
	verdict, err := p.analyze(ctx, since)
	if err != nil {
		return fmt.Errorf("analyzing the canary at %d%%: %w", step.Weight, err)
	}
	if verdict.Action != analysis.Accept {
		return &verdictError{verdict: verdict}
	}
	return nil
}

// outOfTime reports that ctx has ended by its deadline, and not because Terraform was interrupted.
func (p *progression) outOfTime(ctx context.Context) bool {
	return ctx.Err() != nil && !p.interrupted()
}

// failed acts on what stopped a step: it rolls back, or leaves the weights to the next apply.
func (p *progression) failed(ctx context.Context, err error) error {
	s := p.state
	f := failure{split: p.name, weight: s.Step, baseline: *s.Baseline}
	byVerdict, _ := errors.AsType[*verdictError](err)
	byHand, _ := errors.AsType[*abortedError](err)
	slow, _ := errors.AsType[*CapacityError](err)
	switch {
	case byVerdict != nil && byVerdict.verdict.Action == analysis.Hold:
		s.Since = time.Time{} // it is analyzed anew
		return errors.Join(errInconclusive(p.name, s.Step, byVerdict.verdict.Reason), p.recordAfterward())
	case byVerdict != nil:
		f.reason, f.verdict = byVerdict.verdict.Reason, byVerdict.verdict
	case byHand != nil:
		f.reason = "The apply was aborted by hand: " + byHand.reason
		f.verdict = analysis.Verdict{Outcome: analysis.Failed, Action: analysis.Rollback, Reason: f.reason}
	case !p.situation().raises() || p.interrupted():
		return err // the next apply continues
	case (slow != nil || p.outOfTime(ctx)) && p.seen.Split.Equal(*s.Baseline):
		// Nothing was moved, so that there is nothing to roll back: the route is left as it is.
		s.rest()
		return errors.Join(err, p.recordAfterward())
	case slow != nil:
		f.reason = err.Error()
	case p.outOfTime(ctx):
		f.reason = "There was no verdict within the timeout: " + err.Error()
	default:
		return err
	}
	return p.rollBack(f)
}

// recordAfterward saves the state although the operation's time may be over.
func (p *progression) recordAfterward() error {
	back, ctx, cancel := p.rollback()
	defer cancel()
	return back.record(ctx)
}

// rollBack quarantines content that failed, and restores the split from before.
func (p *progression) rollBack(f failure) error {
	var quarantine *Quarantine
	if f.verdict.Outcome == analysis.Failed {
		f.until = p.clock.Now().Add(p.spec.Quarantine).UTC().Truncate(time.Second)
		quarantine = &Quarantine{Content: p.running, Policy: p.spec.Policy, Weight: f.weight, Reason: f.reason, Until: f.until}
		p.cleared, p.stale = false, append(p.stale, record.AnnotationAbort, record.AnnotationQuarantine)
	}
	p.state.fail(quarantine, p.spec.RetryToken)
	p.say("the canary failed at %d%%: %s", f.weight, f.reason)
	back, ctx, cancel := p.rollback()
	defer cancel()
	if err := back.restore(ctx); err != nil {
		return errors.Join(errFailed(f, false), err)
	}
	return errFailed(f, true)
}

// restore restores the split from before, unless the stable track cannot serve.
func (p *progression) restore(ctx context.Context) (err error) {
	s := p.state
	s.rollBack()
	if err := p.record(ctx); err != nil {
		return err
	}
	if p.seen, err = p.router.Read(ctx); err != nil {
		return err
	}
	ready, err := p.capacity(ctx)
	if err != nil {
		return err
	}
	if ready.Stable.Ready == 0 && s.Baseline.Weight < 100 {
		return errStableDown(p.name, p.seen.Split, *s.Baseline, ready.Stable)
	}
	p.say("rolling back to %d%%", s.Baseline.Weight)
	abort := p.abort
	p.abort = nil
	// The pods that served it before can serve it again at once; fewer of them get it gradually.
	asBefore := s.StableReady > 0 && ready.Stable.Ready >= s.StableReady && (len(s.Baseline.Headers) == 0 || ready.Canary.Ready > 0)
	if asBefore {
		err = p.set(ctx, *s.Baseline)
	} else {
		err = p.move(ctx, *s.Baseline)
	}
	if err != nil {
		return err
	}
	p.abort = abort
	s.rest()
	return p.record(ctx)
}

// move shifts requests to a split as far as the tracks can carry it, and further when they can carry more.
func (p *progression) move(ctx context.Context, to route.Split) error {
	var stuck time.Time
	var missing string
	said := false
	for {
		ready, err := p.capacity(ctx)
		if err != nil && missing != "" && p.outOfTime(ctx) {
			return &CapacityError{Split: p.name, Observed: p.seen.Split, Wanted: to.Weight, Missing: missing}
		}
		if err != nil {
			return err
		}
		from := p.seen.Split.Weight
		var next int
		next, missing = ready.Reach(from, to.Weight, len(to.Headers) > 0)
		grower := ready.Canary
		if to.Weight < from {
			grower = ready.Stable
		}
		now := p.clock.Now()
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
			waited, err := p.router.Prepare(ctx, part)
			if err != nil {
				return err
			}
			if waited {
				continue // the pods may not be the same any more
			}
			if err := p.set(ctx, part); err != nil {
				return err
			}
		}
		if next == to.Weight && (missing == "" || next != from) {
			return nil
		}
		if !said {
			p.say("at %d%%: %s", next, missing)
			said = true
		}
		if err := p.pause(ctx, capacityPoll); err != nil {
			if p.outOfTime(ctx) {
				return &CapacityError{Split: p.name, Observed: p.seen.Split, Wanted: to.Weight, Missing: missing}
			}
			return err
		}
	}
}

func (p *progression) set(ctx context.Context, split route.Split) error {
	if err := p.router.Set(ctx, split); err != nil {
		return err
	}
	if !split.Equal(p.seen.Split) {
		p.say("%s", split)
	}
	p.seen.Split, p.seen.Exists, p.seen.Managed = split, true, true
	return nil
}

// pause waits, and sees an abort meanwhile.
func (p *progression) pause(ctx context.Context, d time.Duration) error {
	for end := p.clock.Now().Add(d); ; {
		if err := p.aborted(ctx); err != nil {
			return err
		}
		left := end.Sub(p.clock.Now())
		if left <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.clock.After(min(left, capacityPoll)):
		}
	}
}

// aborted looks for the abort annotation. A record that cannot be read is read again later.
func (p *progression) aborted(ctx context.Context) error {
	if p.abort != nil {
		reason, aborted, err := p.abort(ctx)
		if err == nil && aborted {
			return &abortedError{reason: reason}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return nil
}
