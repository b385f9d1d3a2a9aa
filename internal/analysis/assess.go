// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Span is the time that an assessment is about.
type Span struct {
	// Start is when the new version was there; the initial delay begins here.
	Start time.Time
	// Resumed is when a run that had been cut off was taken up again, zero otherwise. It lasts at least Policy.Settle from here
	// on. Health checks are not blamed for the time in which nobody watched, but need as many samples from here on as from the
	// start of a run. Metrics have a history, and are not blamed for what lies between the end of the duration and Resumed.
	Resumed time.Time
	// Now is the time of the assessment.
	Now time.Time
}

// Assess judges samples by a policy. It is a pure function: the time comes in through span, and neither the order of
// samples nor their being given twice changes the result.
//
// A rule that triggers fails the run at once, whatever comes after: once failed, a run stays failed when later samples
// are added. Samples before the end of the initial delay and those of checks that the policy does not have are ignored.
// At the end of the duration the run has passed when every check has as many passing and failing samples as its rule
// needs in order to trigger, no budget is spent, and nothing is failing. A check that is failing at the end makes the run
// go on, for at most Policy.Settle. All else is inconclusive. A spent budget ends a run early only where the policy rolls
// back then; otherwise watching on is safer, since a failure may still come. A policy that is not valid never passes.
func Assess(policy Policy, samples []Sample, span Span) Verdict {
	if err := policy.Validate(); err != nil {
		return Verdict{Outcome: Inconclusive, Action: Hold, Reason: err.Error(), Trigger: &Trigger{Rule: InvalidPolicy, At: span.Now}}
	}
	a := newAssessment(policy, span)
	for _, s := range a.ordered(samples) {
		t := a.byName[s.Check]
		t.add(s)
		if t.trigger != nil {
			return a.verdict(Failed, Rollback, t.reason, t.trigger)
		}
		if t.blind != nil && policy.onInconclusive() == RollbackInconclusive {
			return a.blind(t)
		}
	}
	return a.conclude()
}

type assessment struct {
	policy     Policy
	span       Span
	begin, end time.Time
	settle     time.Duration
	tracks     []*track
	byName     map[string]*track
}

func newAssessment(policy Policy, span Span) *assessment {
	a := &assessment{policy: policy, span: span, begin: span.Start.Add(policy.InitialDelay), settle: policy.Settle()}
	a.end = ending(policy, span, a.settle)
	checks := policy.checks()
	a.byName = make(map[string]*track, len(checks))
	for _, c := range checks {
		t := &track{check: c, begin: a.begin, resumed: span.Resumed}
		if c.metric != nil {
			t.begin = a.begin.Add(c.metric.delay)
			t.watched = a.begin.Add(policy.Duration)
			if span.Resumed.Before(t.watched) {
				t.watched = span.Resumed
			}
		}
		t.last = t.begin
		a.tracks = append(a.tracks, t)
		a.byName[c.name] = t
	}
	return a
}

// ending is when a run is over unless something has to be settled.
func ending(policy Policy, span Span, settle time.Duration) time.Time {
	end := span.Start.Add(policy.InitialDelay).Add(policy.Duration)
	if least := span.Resumed.Add(settle); !span.Resumed.IsZero() && least.After(end) {
		end = least
	}
	return end
}

// ordered judges the samples that count and sorts them so that one sequence has one result: by time, then by check, the
// worst first. Of those of one check at one instant the first is kept.
func (a *assessment) ordered(samples []Sample) []Sample {
	judged := make([]Sample, 0, len(samples))
	for _, s := range samples {
		t := a.byName[s.Check]
		if t == nil || s.At.Before(t.begin) {
			continue
		}
		judged = append(judged, t.judge(s))
	}
	if !slices.IsSortedFunc(judged, compare) {
		slices.SortFunc(judged, compare)
	}
	return slices.CompactFunc(judged, func(x, y Sample) bool { return x.Check == y.Check && x.At.Equal(y.At) })
}

func compare(x, y Sample) int {
	if c := x.At.Compare(y.At); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(x.Check, y.Check),
		cmp.Compare(rank(x.Kind), rank(y.Kind)),
		cmp.Compare(x.Value, y.Value),
		cmp.Compare(x.Requests, y.Requests),
		cmp.Compare(x.Series, y.Series),
		cmp.Compare(x.Baseline, y.Baseline),
		cmp.Compare(x.BaselineRequests, y.BaselineRequests),
		cmp.Compare(x.BaselineSeries, y.BaselineSeries),
		cmp.Compare(x.Evidence, y.Evidence),
	)
}

// rank puts what says something about the version before what does not, and the bad before the good.
func rank(k Kind) int { return slices.Index([]Kind{Fail, Pass, NoData, Error}, k) }

// conclude is for runs in which no rule triggered.
func (a *assessment) conclude() Verdict {
	if a.span.Now.Before(a.end) {
		return a.verdict(Pending, Wait, fmt.Sprintf("%s are left.", a.end.Sub(a.span.Now).Round(time.Second)), nil)
	}
	settling := a.span.Now.Before(a.end.Add(a.settle))
	var (
		open    []string
		reasons []string
		first   *Trigger
	)
	for _, t := range a.tracks {
		t.finish(a.end)
		if t.blind != nil && a.policy.onInconclusive() == RollbackInconclusive {
			return a.blind(t)
		}
		if settling && (t.failing() || t.recent < t.check.needed) {
			open = append(open, t.check.name)
		}
		if trigger, reason := t.unsettled(a.span.Now); trigger != nil {
			t.unsure = true
			reasons = append(reasons, reason)
			if first == nil {
				first = trigger
			}
		}
	}
	switch {
	case len(open) > 0:
		return a.verdict(Pending, Wait, "The duration is over; "+strings.Join(open, ", ")+" is not settled yet.", nil)
	case first == nil:
		return a.verdict(Passed, Accept, a.passed(), nil)
	}
	action, why := a.inconclusive()
	return a.verdict(Inconclusive, action, strings.Join(reasons, " ")+" "+why, first)
}

// blind ends a run of which a budget is spent and whose policy is to roll back then.
func (a *assessment) blind(t *track) Verdict {
	return a.verdict(Inconclusive, Rollback, t.blindReason+" "+rolledBack, t.blind)
}

const rolledBack = "It is rolled back, as the policy says for this case."

// inconclusive applies the policy's choice, once it is known how each check stands.
func (a *assessment) inconclusive() (Action, string) {
	switch a.policy.onInconclusive() {
	case RollbackInconclusive:
		return Rollback, rolledBack
	case HoldInconclusive:
		return Hold, "Nothing is changed, as the policy says for this case."
	}
	if a.policy.Health == nil {
		return Hold, "It is not accepted, since no health check is made."
	}
	for _, t := range a.tracks {
		if t.check.metric == nil && t.unsure {
			return Hold, fmt.Sprintf("It is not accepted, since the health check %s did not pass.", t.check.name)
		}
		if t.check.metric != nil && t.failed > 0 {
			return Hold, fmt.Sprintf("It is not accepted, since %s failed %s.", t.check.name, times(t.failed))
		}
	}
	return Accept, "It is accepted, since health passed and no metric had a failing sample."
}

func (a *assessment) passed() string {
	parts := make([]string, 0, len(a.tracks))
	for _, t := range a.tracks {
		parts = append(parts, fmt.Sprintf("%s passed %s", t.check.name, times(t.passed)))
	}
	return "No check triggered in " + a.policy.Duration.String() + ": " + strings.Join(parts, ", ") + "."
}

func (a *assessment) verdict(outcome Outcome, action Action, reason string, trigger *Trigger) Verdict {
	v := Verdict{Outcome: outcome, Action: action, Reason: reason, Trigger: trigger, Checks: make([]Standing, 0, len(a.tracks))}
	for _, t := range a.tracks {
		v.Checks = append(v.Checks, t.standing())
	}
	return v
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
