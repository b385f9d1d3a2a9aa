// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// renew gives the operation a new context, since the one before may have ended with its deadline, and with it new clients and a new
// Helm. Without a limit it ends only with the caller's.
func (a *applyRun) renew(limit time.Duration) error {
	if err := a.op.Renew(limit); err != nil {
		return err
	}
	a.session.waiter.Pending = nil
	attempted := a.session.kube.Attempted
	if err := a.session.connect(a.capabilities); err != nil {
		return err
	}
	a.session.kube.Attempted = attempted
	return nil
}

// keep goes on from a revision that has the content already. It is verified where that is still due: a run that died while it was
// verified is resumed, and not repeated.
func (a *applyRun) keep(action Action, s situation) error {
	// A chart may bring other definitions although its templates render to the same.
	if err := a.makeCRDs(); err != nil {
		return a.session.explain(err, s.last.number)
	}
	if action == Keep {
		return a.recordUnchanged(s)
	}
	from, _ := a.verificationDue(s.last.number)
	a.outcome.Revision, a.outcome.Status, a.outcome.Resumed = s.last.number, s.last.status.String(), true
	next := a.newRecord()
	next.Runs = a.found.Content.Runs
	if len(next.Runs) == 0 || next.Runs[0].Revision != s.last.number {
		next.Begin(a.newRun(s))
	}
	a.outcome.Recovered = append(a.outcome.Recovered, fmt.Sprintf(
		"revision %d had not been verified to the end (since %s); this apply went on with that, and made no new revision", s.last.number, from.Since.UTC().Format("15:04:05 MST")))
	return a.verify(s.last.number, next, from)
}

// verificationDue reports that the deployed revision has not passed its verification yet, and where it resumes.
func (a *applyRun) verificationDue(number int) (record.Verification, bool) {
	last := a.found.Content
	if last == nil || !a.options.Verification.Verifies() {
		return record.Verification{}, false
	}
	if len(last.KnownGood) > 0 && last.KnownGood[0].Revision == number {
		return record.Verification{}, false
	}
	fresh := record.Verification{Since: a.started}
	if last.Revision != number || last.Phase != record.Verifying || last.Verification == nil {
		return fresh, true
	}
	from := *last.Verification
	if last.PolicyHash != a.options.Verification.Hash() || !a.options.Verification.Has(from.Stage) {
		// Another policy is judged by from its beginning, though over the same time.
		from.Stage = ""
	}
	return from, true
}

// verify watches a deployed revision, and does what the policy says when it fails. next is the record of the run.
func (a *applyRun) verify(number int, next *record.Release, from record.Verification) error {
	if err := a.renew(0); err != nil {
		return err
	}
	stored, err := a.session.stored(number)
	if err != nil {
		return err
	}
	next.Verify(number, from)
	if err := a.save(next); err != nil {
		return err
	}
	v := verify.Run{Policy: a.options.Verification, Env: a.session.checks(stored, a.spec.Version), From: from, Abort: a.abortReason}
	v.Reached = func(stage string) error {
		a.op.Doing("verifying revision " + fmt.Sprint(number) + ": " + stage)
		next := *a.found.Content
		next.Verification = &record.Verification{Since: from.Since, Stage: stage, Samples: from.Samples}
		return a.save(&next)
	}
	j, err := v.Verify(a.op.Context())
	if err == nil {
		err = a.op.Lost()
	}
	switch {
	case err != nil:
		return a.suspend(number, j, err)
	case j.Outcome == record.OutcomePassed:
		return a.accept(number, stored, j.Note)
	}
	return a.rollBackOrLeave(number, j, nil)
}

// suspend ends a run that was cut off while it was verified. The next apply goes on with it.
func (a *applyRun) suspend(number int, j verify.Result, cause error) error {
	next := *a.found.Content
	verifying := *next.Verification
	if a.options.Verification.Analysis != nil && len(j.Samples) > 0 {
		verifying.Samples = verify.KeptSamples(a.options.Verification.Analysis.Policy, j.Samples)
		for i := range verifying.Samples {
			verifying.Samples[i].Evidence = a.session.redact(verifying.Samples[i].Evidence)
		}
	}
	next.Verification = &verifying
	next.End(number, func(r *record.Run) { r.Outcome, r.Reason = record.OutcomeUnverified, a.session.redact(cause.Error()) })
	if a.op.Context().Err() != nil {
		cause = &UnverifiedError{Release: a.target.Name, Revision: number, Since: verifying.Since, Stage: verifying.Stage,
			Cause: &CanceledError{Release: a.target.Name, Revision: number, During: a.op.Now(), Cause: cause}}
	}
	return errors.Join(cause, a.save(&next))
}

// accept makes a revision known-good. note says why it was accepted although not everything is known; empty in the usual case.
func (a *applyRun) accept(number int, stored *helmrelease.Release, note string) error {
	good, err := a.knownGood(stored)
	if err != nil {
		return err
	}
	next := *a.found.Content
	next.Accept(good, a.exists, note, now())
	if err := a.save(&next, record.AnnotationAbort); err != nil {
		return err
	}
	a.outcome.Unjudged = note
	a.pruneOld()
	return nil
}
