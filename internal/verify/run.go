// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

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

// Result is the outcome of the verification of a revision.
type Result struct {
	// Outcome is record.OutcomePassed, record.OutcomeFailed or record.OutcomeInconclusive.
	Outcome       string
	Stage, Reason string
	Evidence      Evidence
	// Rollback says that the revision is to be rolled back, quarantine that its content is not to come again.
	Rollback, Quarantine bool
	// At is when it was clear.
	At time.Time
	// Samples are those of the analysis, also of one that was interrupted.
	Samples []analysis.Sample
	// Note says why it passed although not everything is known.
	Note string
}

// Run is one way through the stages of a policy.
type Run struct {
	Policy Policy
	Env    Environment
	// From is where it begins.
	From record.Verification
	// Reached is told before each stage, and abort is asked. Both may be nil.
	Reached func(stage string) error
	Abort   analysis.Abort
}

// Verify goes through the stages until one does not pass. An error says nothing about the version: the context has ended, or the
// Lease was lost.
func (v Run) Verify(ctx context.Context) (Result, error) {
	passed := Result{Outcome: record.OutcomePassed}
	begun := v.From.Stage == ""
	for _, stage := range []string{StageSmokeTest, StageAnalysis, StageAcceptance} {
		begun = begun || stage == v.From.Stage
		if !begun || !v.Policy.Has(stage) {
			continue
		}
		if j, aborted, err := v.aborted(ctx); aborted || err != nil {
			return j, err
		}
		if v.Reached != nil {
			if err := v.Reached(stage); err != nil {
				return Result{}, err
			}
		}
		j, err := v.stage(ctx, stage)
		if err != nil || j.Outcome != record.OutcomePassed {
			return j, err
		}
		passed.Note += j.Note
	}
	if j, aborted, err := v.aborted(ctx); aborted || err != nil {
		return j, err
	}
	passed.At = time.Now().UTC()
	return passed, nil
}

func (v Run) stage(ctx context.Context, stage string) (Result, error) {
	switch stage {
	case StageAnalysis:
		return v.analyze(ctx)
	case StageAcceptance:
		return v.check(ctx, stage, *v.Policy.Acceptance)
	}
	for _, test := range v.Policy.SmokeTests {
		if j, err := v.check(ctx, stage, test); err != nil || j.Outcome != record.OutcomePassed {
			return j, err
		}
		if j, aborted, err := v.aborted(ctx); aborted || err != nil {
			return j, err
		}
	}
	return Result{Outcome: record.OutcomePassed}, nil
}

// check makes one smoke test, or asks the acceptance gate. One that could not be made says nothing: such a run is inconclusive, and
// the policy's choice for that counts.
func (v Run) check(ctx context.Context, stage string, check Check) (Result, error) {
	err := runCheck(ctx, v.Env, stage, check)
	if err == nil {
		return Result{Outcome: record.OutcomePassed}, nil
	}
	var failure *CheckFailure
	if !errors.As(err, &failure) {
		return Result{}, err
	}
	j := Result{
		Outcome: record.OutcomeFailed, Stage: stage, Rollback: true, Quarantine: true, At: time.Now().UTC(),
		Reason:   strings.TrimPrefix(failure.Check+": "+failure.Problem, ": "),
		Evidence: Evidence{Check: failure.Check, Log: failure.Log},
	}
	if !failure.Refused {
		j.Outcome, j.Quarantine = record.OutcomeInconclusive, false
		j.Rollback = v.Policy.Analysis != nil && v.Policy.Analysis.Policy.OnInconclusive == analysis.RollbackInconclusive
	}
	return j, nil
}

func (v Run) analyze(ctx context.Context) (Result, error) {
	options := bakeOptions{Earlier: v.From.Samples, Abort: v.Abort}
	if v.From.Stage != "" {
		options.Start = v.From.Since
	}
	verdict, samples, err := bake(ctx, v.Env, v.Policy.Analysis, options)
	verdict = v.Env.masked(verdict)
	j := Result{
		Outcome: record.OutcomePassed, Stage: StageAnalysis, Reason: verdict.Reason, At: time.Now().UTC(), Samples: samples,
		Evidence: Evidence{Verdict: &verdict, Samples: samples},
	}
	if err != nil {
		return j, err
	}
	if t := verdict.Trigger; t != nil && !t.At.IsZero() && t.At.Before(j.At) {
		j.At = t.At
	}
	switch {
	case verdict.Outcome == analysis.Failed:
		j.Outcome, j.Rollback, j.Quarantine = record.OutcomeFailed, true, true
		if verdict.Trigger != nil && verdict.Trigger.Rule == analysis.Manual {
			j.Stage, j.Reason = StageManual, strings.TrimPrefix(verdict.Reason, "The run was aborted by hand: ")
		}
	case verdict.Outcome == analysis.Inconclusive && verdict.Action == analysis.Accept:
		j.Note = verdict.Reason
	case verdict.Action != analysis.Accept:
		j.Outcome, j.Rollback = record.OutcomeInconclusive, verdict.Action == analysis.Rollback
	}
	return j, nil
}

// aborted asks for the annotation between stages; the analysis asks by itself. A question that cannot be asked is asked again later.
func (v Run) aborted(ctx context.Context) (Result, bool, error) {
	if ctx.Err() != nil {
		return Result{}, false, context.Cause(ctx)
	}
	if v.Abort == nil {
		return Result{}, false, nil
	}
	reason, aborted, err := v.Abort(ctx)
	if err != nil || !aborted {
		return Result{}, false, nil //nolint:nilerr // The next question sees the annotation.
	}
	return Result{Outcome: record.OutcomeFailed, Stage: StageManual, Reason: reason, Rollback: true, Quarantine: true, At: time.Now().UTC()},
		true, nil
}

const (
	// maxSamples is how many samples of health checks the record keeps of a run that was interrupted, and maxSampleEvidence how
	// much of the text of each: a ConfigMap has room for a megabyte.
	maxSamples        = 400
	maxSampleEvidence = 120
)

// KeptSamples are those that no history remembers, newest last, cut to what a record can hold.
func KeptSamples(policy analysis.Policy, samples []analysis.Sample) []analysis.Sample {
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
