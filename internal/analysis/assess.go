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

// Span is the time of an assessment.
type Span struct {
	// Start is when the new version was live; the initial delay begins here.
	Start time.Time
	// Resumed is when an interrupted run resumed, or zero. The run takes at least Policy.Settle from then. Health checks are not
	// charged for the time before it in which nothing was sampled, but need as many samples as at the start of a run. Metrics have
	// a history, and are not charged for the time between the end of the duration and Resumed.
	Resumed time.Time
	// Now is the time of the assessment.
	Now time.Time
}

// Assess analyzes samples by a policy. It is a pure function: the time is in span, and neither the order of samples nor duplicates
// change the result.
//
// A rule that triggers fails the run at once, whatever comes after: once failed, a run stays failed when later samples
// are added. Samples before the end of the initial delay and those of checks that the policy does not have are ignored.
// At the end of the duration the run has passed when every check has as many passing and failing samples as its rule
// needs in order to trigger, no budget is spent, and nothing is failing. A check that is failing at the end extends the
// run by at most Policy.Settle. All other runs are inconclusive. A spent budget ends a run early only if the policy then rolls back;
// otherwise it is safer to continue, since a failure may still follow. A policy that is not valid never passes.
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

// ordered classifies the samples that count and sorts them so that the result does not depend on their order: by time, then by check,
// the worst first. Of the samples of one check at one instant, the first is kept.
func (a *assessment) ordered(samples []Sample) []Sample {
	classified := make([]Sample, 0, len(samples))
	for _, s := range samples {
		t := a.byName[s.Check]
		if t == nil || s.At.Before(t.begin) {
			continue
		}
		classified = append(classified, t.classify(s))
	}
	if !slices.IsSortedFunc(classified, compare) {
		slices.SortFunc(classified, compare)
	}
	return slices.CompactFunc(classified, func(x, y Sample) bool { return x.Check == y.Check && x.At.Equal(y.At) })
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

// rank orders results about the version before others, and failures before passes.
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

// blind ends a run whose budget is spent and whose policy then rolls back.
func (a *assessment) blind(t *track) Verdict {
	return a.verdict(Inconclusive, Rollback, t.blindReason+" "+rolledBack, t.blind)
}

const rolledBack = "It is rolled back, as the policy says for this case."

// inconclusive applies the policy's choice to the state of the checks.
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
