// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Sampler makes one check. Sample is never called twice at once for one sampler, and returns soon after ctx has ended.
// Run sets the name and the time of the sample. A failure to make the check is a sample of kind Error, with the cause as evidence
// and without credentials.
type Sampler interface {
	Check() string
	Sample(ctx context.Context) Sample
}

// Historian is a Sampler that can return samples of the past.
type Historian interface {
	Sampler
	// History returns the samples of the time from from to to, both included, one interval apart.
	History(ctx context.Context, from, to time.Time) ([]Sample, error)
}

// Abort reports whether a person requests that the run ends as failed, and why.
type Abort func(ctx context.Context) (reason string, aborted bool, err error)

// Options of a run.
type Options struct {
	Policy Policy
	// Samplers make the checks of the policy, each exactly one.
	Samplers []Sampler
	// Clock; nil means SystemClock.
	Clock Clock
	// Progress gets a line when something changes, at most every 5 seconds, and at least every ProgressInterval. It may
	// be nil. It is never called twice at once.
	Progress func(string)
	// ProgressInterval; zero means 30 seconds.
	ProgressInterval time.Duration
	// Abort is called every AbortInterval (zero means 5 seconds), and before the run is accepted. It may be nil.
	Abort         Abort
	AbortInterval time.Duration
	// Start is when an interrupted run began, zero for a new one. Earlier are its recorded samples; those of a Historian are read
	// again.
	Start   time.Time
	Earlier []Sample
}

// SamplersError means that the samplers are not those of the policy: a mistake of the caller.
type SamplersError struct {
	Missing, Unknown []string
}

func (e *SamplersError) Error() string {
	return fmt.Sprintf("the samplers do not match the analysis: without a sampler [%s], not in the policy or twice [%s]",
		strings.Join(e.Missing, ", "), strings.Join(e.Unknown, ", "))
}

// InterruptedError means that the context ended before there was a verdict. It is no result about the version: the run can
// be resumed with the returned samples.
type InterruptedError struct {
	Cause error
}

func (e *InterruptedError) Error() string {
	return "the analysis was interrupted before it came to a verdict: " + e.Cause.Error()
}
func (e *InterruptedError) Unwrap() error { return e.Cause }

// Run takes samples until there is a verdict, and returns it with all samples, earlier ones included. It acts on a
// trigger at once. The error is an *InvalidPolicyError, a *SamplersError or an *InterruptedError; with the last one the
// verdict is Pending. No goroutine is left when it returns.
func Run(ctx context.Context, o Options) (Verdict, []Sample, error) {
	if err := o.Policy.Validate(); err != nil {
		return Verdict{Outcome: Pending, Action: Wait}, o.Earlier, err
	}
	r, err := newRun(o)
	if err != nil {
		return Verdict{Outcome: Pending, Action: Wait}, o.Earlier, err
	}
	inner, stop := context.WithCancel(ctx)
	defer r.background.Wait()
	defer stop()
	verdict, err := r.watch(inner)
	return verdict, r.samples, err
}

type run struct {
	o        Options
	clock    *steady
	span     Span
	begin    time.Time
	samples  []Sample
	probes   []*probe
	results  chan Sample
	aborts   chan aborted
	reporter *reporter

	background sync.WaitGroup
}

// probe is one sampler and its next due time.
type probe struct {
	sampler  Sampler
	interval time.Duration
	begin    time.Time // of the samples that count
	due      time.Time
	last     time.Time
	busy     bool
}

type aborted struct {
	reason string
	done   bool
	err    error
}

func newRun(o Options) (*run, error) {
	if o.Clock == nil {
		o.Clock = SystemClock{}
	}
	if o.AbortInterval <= 0 {
		o.AbortInterval = 5 * time.Second
	}
	r := &run{o: o, clock: newSteady(o.Clock), results: make(chan Sample, len(o.Samplers)), aborts: make(chan aborted)}
	now := r.clock.now
	r.span.Start = now
	if !o.Start.IsZero() {
		r.span.Resumed = now
		if o.Start.Before(now) {
			r.span.Start = o.Start.Round(0)
		}
	}
	r.begin = r.span.Start.Add(o.Policy.InitialDelay)
	r.samples = append(r.samples, o.Earlier...)
	samplers := map[string]Sampler{}
	mismatch := &SamplersError{}
	for _, s := range o.Samplers {
		if samplers[s.Check()] != nil {
			mismatch.Unknown = append(mismatch.Unknown, s.Check())
		}
		samplers[s.Check()] = s
	}
	for _, c := range o.Policy.checks() {
		s := samplers[c.name]
		if s == nil {
			mismatch.Missing = append(mismatch.Missing, c.name)
			continue
		}
		delete(samplers, c.name)
		r.probes = append(r.probes, &probe{sampler: s, interval: c.interval, begin: r.begin.Add(c.delay()), due: r.begin.Add(c.delay())})
	}
	for name := range samplers {
		mismatch.Unknown = append(mismatch.Unknown, name)
	}
	if len(mismatch.Missing)+len(mismatch.Unknown) > 0 {
		return nil, mismatch
	}
	r.reporter = newReporter(o, now)
	return r, nil
}

// watch is the run's only loop; all state belongs to it.
func (r *run) watch(ctx context.Context) (Verdict, error) {
	r.reporter.begin(r.o.Policy, r.span)
	if r.o.Abort != nil {
		r.background.Go(func() { r.poll(ctx) })
	}
	if !r.span.Resumed.IsZero() {
		r.recall(ctx)
	}
	for {
		now := r.clock.read()
		r.span.Now = now
		if ctx.Err() != nil {
			return r.interrupted(ctx)
		}
		verdict := Assess(r.o.Policy, r.samples, r.span)
		final := verdict.Outcome != Pending
		if final && (verdict.Action == Rollback || r.busy() == 0) {
			return r.conclude(ctx, verdict)
		}
		// The run waits for checks that began before its end.
		if !final {
			r.begun(ctx, now)
		}
		r.reporter.report(r.o.Policy, r.span, verdict, r.samples)
		select {
		case <-ctx.Done():
		case s := <-r.results:
			r.take(ctx, s)
		case a := <-r.aborts:
			if a.done {
				return r.aborted(a), nil
			}
			r.reporter.abortTrouble(a.err)
		case <-r.o.Clock.After(max(r.next(final).Sub(now), time.Millisecond)):
		}
	}
}

func (r *run) interrupted(ctx context.Context) (Verdict, error) {
	err := &InterruptedError{Cause: context.Cause(ctx)}
	verdict := Assess(r.o.Policy, r.samples, r.span)
	// Samples that were complete before the end of the context may have triggered; that takes precedence over the interruption.
	if verdict.Outcome == Failed {
		return verdict, nil
	}
	return Verdict{Outcome: Pending, Action: Wait, Reason: err.Error(), Checks: verdict.Checks}, err
}

// conclude checks for an abort once more before a version is accepted.
func (r *run) conclude(ctx context.Context, verdict Verdict) (Verdict, error) {
	if verdict.Action != Rollback && r.o.Abort != nil {
		if a := r.ask(ctx); a.done {
			return r.aborted(a), nil
		} else if ctx.Err() != nil {
			return r.interrupted(ctx)
		}
	}
	r.reporter.end(verdict)
	return verdict, nil
}

func (r *run) aborted(a aborted) Verdict {
	r.span.Now = r.clock.read()
	verdict := Verdict{
		Outcome: Failed, Action: Rollback, Checks: Assess(r.o.Policy, r.samples, r.span).Checks,
		Reason:  "The run was aborted by hand: " + a.reason,
		Trigger: &Trigger{Rule: Manual, Since: r.span.Now, At: r.span.Now},
	}
	r.reporter.end(verdict)
	return verdict
}

// begun starts the checks that are due.
func (r *run) begun(ctx context.Context, now time.Time) {
	for _, p := range r.probes {
		if p.busy || now.Before(p.due) {
			continue
		}
		// On schedule, the time is exactly the scheduled time: a span of n intervals must not be a microsecond short.
		at := now
		if now.Sub(p.due) < p.interval/10 {
			at = p.due
		}
		if !at.After(p.last) { // The clock did not advance: two samples of one instant would be one.
			at = p.last.Add(1)
		}
		p.busy, p.last = true, at
		// The schedule is kept, but missed samples are not repeated.
		if p.due = p.due.Add(p.interval); !p.due.After(now) {
			p.due = now.Add(p.interval)
		}
		r.background.Go(func() {
			s := p.sampler.Sample(ctx)
			s.Check, s.At = p.sampler.Check(), at
			r.results <- s
		})
	}
}

func (r *run) take(ctx context.Context, s Sample) {
	if s.Kind == Error && ctx.Err() != nil { // The end of the run is no result of the check.
		return
	}
	for _, p := range r.probes {
		if p.sampler.Check() == s.Check {
			p.busy = false
		}
	}
	r.samples = append(r.samples, s)
}

func (r *run) busy() int {
	n := 0
	for _, p := range r.probes {
		if p.busy {
			n++
		}
	}
	return n
}

// next is when the loop has something to do if no result arrives.
func (r *run) next(final bool) time.Time {
	next := r.reporter.due()
	if end := ending(r.o.Policy, r.span, r.o.Policy.Settle()); end.After(r.span.Now) && end.Before(next) {
		next = end
	}
	for _, p := range r.probes {
		if !p.busy && !final && p.due.Before(next) {
			next = p.due
		}
	}
	return next
}

// recall reads the samples of Historians for the time in which nothing was sampled.
func (r *run) recall(ctx context.Context) {
	known := map[string]time.Time{}
	for _, s := range r.samples {
		if s.At.After(known[s.Check]) {
			known[s.Check] = s.At
		}
	}
	to := r.span.Resumed
	if end := r.begin.Add(r.o.Policy.Duration); end.Before(to) {
		to = end
	}
	for _, p := range r.probes {
		historian, able := p.sampler.(Historian)
		from := p.begin
		if last, ok := known[p.sampler.Check()]; ok && last.Add(p.interval).After(from) {
			from = last.Add(p.interval)
		}
		if !able || from.After(to) {
			continue
		}
		past, err := historian.History(ctx, from, to)
		if err != nil && ctx.Err() == nil {
			past = []Sample{{At: r.span.Resumed.Add(-1), Kind: Error, Evidence: err.Error()}}
		}
		for _, s := range past {
			s.Check = p.sampler.Check()
			r.samples = append(r.samples, s)
		}
	}
	for _, p := range r.probes {
		p.due = later(p.begin, r.span.Resumed)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// poll checks for an abort until ctx ends or there is one.
func (r *run) poll(ctx context.Context) {
	for {
		answer := r.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case r.aborts <- answer:
		}
		if answer.done {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-r.o.Clock.After(r.o.AbortInterval):
		}
	}
}

func (r *run) ask(ctx context.Context) aborted {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	reason, done, err := r.o.Abort(ctx)
	return aborted{reason: reason, done: done, err: err}
}
