// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// verification verifies a deployed revision, and resumes where an earlier apply was cut off.
type verification struct{ run *applyRun }

// keep continues from a revision that has the content already. It is verified where that is still due: a run that died while it was
// verified is resumed, and not repeated.
func (v verification) keep(action Action, s situation) error {
	// A chart may bring other definitions although its templates render to the same.
	if err := definitions(v).write(); err != nil {
		return v.run.session.explain(err, s.last.number)
	}
	if action == Keep {
		return v.run.journal().keep(s)
	}
	from, _ := v.due(s.last.number)
	v.run.outcome.Revision, v.run.outcome.Status, v.run.outcome.Resumed = s.last.number, s.last.status.String(), true
	next := v.run.journal().newRecord()
	next.Runs = v.run.found.Content.Runs
	if len(next.Runs) == 0 || next.Runs[0].Revision != s.last.number {
		next.Begin(v.run.journal().newRun(s))
	}
	v.run.outcome.Recovered = append(v.run.outcome.Recovered, fmt.Sprintf(
		"revision %d had not been verified to the end (since %s); this apply resumed the verification, and made no new revision", s.last.number,
		from.Since.UTC().Format("15:04:05 MST")))
	return v.verify(s.last.number, next, from)
}

// due reports that the deployed revision has not passed its verification yet, and where it resumes.
func (v verification) due(number int) (record.Verification, bool) {
	last := v.run.found.Content
	if last == nil || !v.run.options.Verification.Verifies() {
		return record.Verification{}, false
	}
	if len(last.KnownGood) > 0 && last.KnownGood[0].Revision == number {
		return record.Verification{}, false
	}
	fresh := record.Verification{Since: v.run.started}
	if last.Revision != number || last.Phase != record.Verifying || last.Verification == nil {
		return fresh, true
	}
	from := *last.Verification
	if last.PolicyHash != v.run.options.Verification.Hash() || !v.run.options.Verification.Has(from.Stage) {
		// The evaluation by another policy starts from its beginning, though over the same time.
		from.Stage = ""
	}
	return from, true
}

// verify watches a deployed revision, and does what the policy says when it fails. next is the record of the run.
func (v verification) verify(number int, next *record.Release, from record.Verification) error {
	if err := v.run.renew(0); err != nil {
		return err
	}
	stored, err := v.run.session.stored(number)
	if err != nil {
		return err
	}
	next.Verify(number, from)
	if err := v.run.journal().save(next); err != nil {
		return err
	}
	checks := verify.Run{Policy: v.run.options.Verification, Env: v.run.session.checks(stored, v.run.spec.Version), From: from,
		Abort: v.run.abortReason}
	checks.Reached = func(stage string) error {
		v.run.op.Doing("verifying revision " + fmt.Sprint(number) + ": " + stage)
		next := *v.run.found.Content
		next.Verification = &record.Verification{Since: from.Since, Stage: stage, Samples: from.Samples}
		return v.run.journal().save(&next)
	}
	j, err := checks.Verify(v.run.op.Context())
	if err == nil {
		err = v.run.op.Lost()
	}
	switch {
	case err != nil:
		return v.suspend(number, j, err)
	case j.Outcome == record.OutcomePassed:
		return v.accept(stored, j.Note)
	}
	return rollback(v).conclude(number, j, nil)
}

// suspend ends a run that was cut off while it was verified. The next apply resumes it.
func (v verification) suspend(number int, j verify.Result, cause error) error {
	next := *v.run.found.Content
	verifying := *next.Verification
	if v.run.options.Verification.Analysis != nil && len(j.Samples) > 0 {
		verifying.Samples = verify.KeptSamples(v.run.options.Verification.Analysis.Policy, j.Samples)
		for i := range verifying.Samples {
			verifying.Samples[i].Evidence = v.run.session.redact(verifying.Samples[i].Evidence)
		}
	}
	next.Verification = &verifying
	next.End(number, func(r *record.Run) {
		r.Outcome, r.Reason = record.OutcomeUnverified, v.run.session.redact(cause.Error())
	})
	if v.run.op.Context().Err() != nil {
		cause = &UnverifiedError{Release: v.run.target.Name, Revision: number, Since: verifying.Since, Stage: verifying.Stage,
			Cause: &CanceledError{Release: v.run.target.Name, Revision: number, During: v.run.op.Now(), Cause: cause}}
	}
	return errors.Join(cause, v.run.journal().save(&next))
}

// accept makes a revision known-good. note says why it was accepted although not everything is known; empty in the usual case.
func (v verification) accept(stored *helmrelease.Release, note string) error {
	good, err := v.run.journal().knownGood(stored)
	if err != nil {
		return err
	}
	next := *v.run.found.Content
	next.Accept(good, v.run.journal().exists, note, now())
	if err := v.run.journal().save(&next, record.AnnotationAbort); err != nil {
		return err
	}
	v.run.outcome.Unchecked = note
	if e := v.run.session.waiter.Endpoints; e != nil {
		v.run.outcome.Unserved = e.Left
	}
	v.run.journal().prune()
	return nil
}
