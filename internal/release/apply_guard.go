// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// judgment is what a guard says of a revision.
type judgment struct {
	// outcome is record.OutcomePassed, record.OutcomeFailed or record.OutcomeInconclusive.
	outcome       string
	stage, reason string
	evidence      Evidence
	// rollback says that the revision is to be taken back, quarantine that its content is not to come again.
	rollback, quarantine bool
	// at is when it was clear.
	at time.Time
	// samples are those of the analysis, also of one that was interrupted.
	samples []analysis.Sample
	// note says why it passed although not everything is known.
	note string
}

// verification is one way through the stages of a guard.
type verification struct {
	guard Guard
	env   checkEnvironment
	// from is where it begins.
	from record.Verification
	// reached is told before each stage, and abort is asked. Both may be nil.
	reached func(stage string) error
	abort   analysis.Abort
}

// verify goes through the stages until one does not pass. An error says nothing about the version: the context has ended, or the
// Lease was lost.
func (v verification) verify(ctx context.Context) (judgment, error) {
	passed := judgment{outcome: record.OutcomePassed}
	begun := v.from.Stage == ""
	for _, stage := range []string{StageSmokeTest, StageAnalysis, StageAcceptance} {
		begun = begun || stage == v.from.Stage
		if !begun || !v.guard.has(stage) {
			continue
		}
		if j, aborted, err := v.aborted(ctx); aborted || err != nil {
			return j, err
		}
		if v.reached != nil {
			if err := v.reached(stage); err != nil {
				return judgment{}, err
			}
		}
		j, err := v.stage(ctx, stage)
		if err != nil || j.outcome != record.OutcomePassed {
			return j, err
		}
		passed.note += j.note
	}
	if j, aborted, err := v.aborted(ctx); aborted || err != nil {
		return j, err
	}
	passed.at = now()
	return passed, nil
}

func (g Guard) has(stage string) bool {
	switch stage {
	case StageSmokeTest:
		return len(g.SmokeTests) > 0
	case StageAnalysis:
		return g.Analysis != nil
	}
	return g.Acceptance != nil
}

func (v verification) stage(ctx context.Context, stage string) (judgment, error) {
	switch stage {
	case StageAnalysis:
		return v.analyze(ctx)
	case StageAcceptance:
		return v.check(ctx, stage, *v.guard.Acceptance)
	}
	for _, test := range v.guard.SmokeTests {
		if j, err := v.check(ctx, stage, test); err != nil || j.outcome != record.OutcomePassed {
			return j, err
		}
		if j, aborted, err := v.aborted(ctx); aborted || err != nil {
			return j, err
		}
	}
	return judgment{outcome: record.OutcomePassed}, nil
}

// check makes one smoke test, or asks the acceptance gate. One that could not be made says nothing: such a run is inconclusive, and
// the policy's choice for that counts.
func (v verification) check(ctx context.Context, stage string, check Check) (judgment, error) {
	err := runCheck(ctx, v.env, stage, check)
	if err == nil {
		return judgment{outcome: record.OutcomePassed}, nil
	}
	var failure *CheckFailure
	if !errors.As(err, &failure) {
		return judgment{}, err
	}
	j := judgment{
		outcome: record.OutcomeFailed, stage: stage, rollback: true, quarantine: true, at: now(),
		reason:   strings.TrimPrefix(failure.Check+": "+failure.Problem, ": "),
		evidence: Evidence{Check: failure.Check, Log: failure.Log},
	}
	if !failure.Refused {
		j.outcome, j.quarantine = record.OutcomeInconclusive, false
		j.rollback = v.guard.Analysis != nil && v.guard.Analysis.Policy.OnInconclusive == analysis.RollbackInconclusive
	}
	return j, nil
}

func (v verification) analyze(ctx context.Context) (judgment, error) {
	options := bakeOptions{Earlier: v.from.Samples, Abort: v.abort}
	if v.from.Stage != "" {
		options.Start = v.from.Since
	}
	verdict, samples, err := bake(ctx, v.env, v.guard.Analysis, options)
	verdict = v.env.masked(verdict)
	j := judgment{
		outcome: record.OutcomePassed, stage: StageAnalysis, reason: verdict.Reason, at: now(), samples: samples,
		evidence: Evidence{Verdict: &verdict, Samples: samples},
	}
	if err != nil {
		return j, err
	}
	if t := verdict.Trigger; t != nil && !t.At.IsZero() && t.At.Before(j.at) {
		j.at = t.At
	}
	switch {
	case verdict.Outcome == analysis.Failed:
		j.outcome, j.rollback, j.quarantine = record.OutcomeFailed, true, true
		if verdict.Trigger != nil && verdict.Trigger.Rule == analysis.Manual {
			j.stage, j.reason = StageManual, strings.TrimPrefix(verdict.Reason, "The run was aborted by hand: ")
		}
	case verdict.Outcome == analysis.Inconclusive && verdict.Action == analysis.Accept:
		j.note = verdict.Reason
	case verdict.Action != analysis.Accept:
		j.outcome, j.rollback = record.OutcomeInconclusive, verdict.Action == analysis.Rollback
	}
	return j, nil
}

// masked takes secrets out of what people will read: a probe may show what a service answered.
func (e checkEnvironment) masked(verdict analysis.Verdict) analysis.Verdict {
	verdict.Reason = e.secrets.Text(verdict.Reason)
	if verdict.Trigger != nil {
		trigger := *verdict.Trigger
		trigger.Samples = slices.Clone(trigger.Samples)
		for i := range trigger.Samples {
			trigger.Samples[i].Evidence = e.secrets.Text(trigger.Samples[i].Evidence)
		}
		verdict.Trigger = &trigger
	}
	return verdict
}

// aborted asks for the mark between stages; the bake asks by itself. A question that cannot be asked is asked again later.
func (v verification) aborted(ctx context.Context) (judgment, bool, error) {
	if ctx.Err() != nil {
		return judgment{}, false, context.Cause(ctx)
	}
	if v.abort == nil {
		return judgment{}, false, nil
	}
	reason, aborted, err := v.abort(ctx)
	if err != nil || !aborted {
		return judgment{}, false, nil //nolint:nilerr // Who wants to abort is heard at the next question.
	}
	return judgment{outcome: record.OutcomeFailed, stage: StageManual, reason: reason, rollback: true, quarantine: true, at: now()}, true, nil
}

// abortReason reads whether the run was aborted by an annotation on the record.
func (a *applyRun) abortReason(ctx context.Context) (reason string, aborted bool, err error) {
	reason, aborted, err = record.Aborted(ctx, a.op.Reads, placeOf(a.target))
	if strings.TrimSpace(reason) == "" {
		reason = "no reason was given"
	}
	return reason, aborted, err
}

const (
	// maxSamples is how many samples of health checks the record keeps of a run that was interrupted, and maxSampleEvidence how
	// much of the text of each: a ConfigMap has room for a megabyte.
	maxSamples        = 400
	maxSampleEvidence = 120
)

// healthSamples are those that no history remembers, newest last, cut to what a record can hold.
func healthSamples(policy analysis.Policy, samples []analysis.Sample) []analysis.Sample {
	var out []analysis.Sample
	for _, s := range samples {
		if slices.ContainsFunc(policy.Metrics, func(m analysis.Metric) bool { return m.Name == s.Check }) {
			continue
		}
		s.Evidence = explain.Shorten(s.Evidence, maxSampleEvidence)
		out = append(out, s)
	}
	return out[max(0, len(out)-maxSamples):]
}
