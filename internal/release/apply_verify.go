// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
)

// renew gives the operation a new context, since the one before may have ended with its deadline, and with it new clients and a new
// Helm. Without a limit it ends only with the caller's.
func (a *application) renew(limit time.Duration) error {
	a.cancel()
	if limit > 0 {
		a.ctx, a.cancel = context.WithTimeoutCause(a.caller, limit, errDeadline)
	} else {
		a.ctx, a.cancel = context.WithCancel(a.caller)
	}
	a.timeout, a.pending = limit, nil
	var err error
	if a.clients, err = newClients(a.ctx, a.target.Cluster, a.lease); err != nil {
		return err
	}
	attempted := a.kube.attempted
	a.helm = a.helmConfiguration(a.capabilities, a.options.storage)
	a.kube.attempted = attempted
	return nil
}

// keep goes on from a revision that has the content already. It is verified where that is still due: a run that died while it was
// verified is resumed, and not repeated.
func (a *application) keep(s situation) error {
	from, due := a.verificationDue(s.last.number)
	if !due {
		return a.recordUnchanged(s)
	}
	a.outcome.Revision, a.outcome.Status, a.outcome.Resumed = s.last.number, s.last.status.String(), true
	next := a.newRecord()
	next.Runs = a.found.record.Runs
	if len(next.Runs) == 0 || next.Runs[0].Revision != s.last.number {
		next.beginRun(a.newRun(s))
	}
	a.outcome.Recovered = append(a.outcome.Recovered, fmt.Sprintf(
		"revision %d had not been verified to the end (since %s); this apply went on with that, and made no new revision", s.last.number, from.Since.UTC().Format("15:04:05 MST")))
	return a.guarded(s.last.number, next, from)
}

// verificationDue reports that the deployed revision has not passed its guard yet, and where to go on.
func (a *application) verificationDue(number int) (Verifying, bool) {
	record := a.found.record
	if record == nil || !a.options.Guard.judges() {
		return Verifying{}, false
	}
	if len(record.KnownGood) > 0 && record.KnownGood[0].Revision == number {
		return Verifying{}, false
	}
	fresh := Verifying{Since: a.started}
	if record.Revision != number || record.Phase != phaseVerifying || record.Verifying == nil {
		return fresh, true
	}
	from := *record.Verifying
	if record.PolicyHash != a.options.Guard.policyHash() || !a.options.Guard.has(from.Stage) {
		// Another policy is judged by from its beginning, though over the same time.
		from.Stage = ""
	}
	return from, true
}

// guarded watches a deployed revision, and does what its guard says when it does badly. next is the record of the run.
func (a *application) guarded(number int, next *Record, from Verifying) error {
	if err := a.renew(0); err != nil {
		return err
	}
	stored, err := a.helm.Releases.Get(a.target.Name, number)
	if err != nil {
		return a.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", number, a.target.Name, err))
	}
	next.Phase, next.Revision, next.Verifying = phaseVerifying, number, &Verifying{Since: from.Since, Stage: from.Stage, Samples: from.Samples}
	if err := a.save(next); err != nil {
		return err
	}
	v := verification{guard: a.options.Guard, env: a.checks(stored, a.spec.Version), from: from, abort: a.abortMark}
	v.reached = func(stage string) error {
		a.doing("verifying revision " + fmt.Sprint(number) + ": " + stage)
		next := *a.found.record
		next.Verifying = &Verifying{Since: from.Since, Stage: stage, Samples: from.Samples}
		return a.save(&next)
	}
	j, err := v.verify(a.ctx)
	if err == nil {
		err = a.lease.Valid()
	}
	switch {
	case err != nil:
		return a.suspend(number, j, err)
	case j.outcome == OutcomePassed:
		return a.accept(number, stored, j.note)
	}
	return a.takeBack(number, j, nil)
}

// suspend ends a run that was cut off while it was verified. The next apply goes on with it.
func (a *application) suspend(number int, j judgment, cause error) error {
	next := *a.found.record
	verifying := *next.Verifying
	if a.options.Guard.Analysis != nil && len(j.samples) > 0 {
		verifying.Samples = healthSamples(a.options.Guard.Analysis.Policy, j.samples)
		for i := range verifying.Samples {
			verifying.Samples[i].Evidence = a.secrets.Text(verifying.Samples[i].Evidence)
		}
	}
	next.Verifying = &verifying
	next.endRun(number, func(r *Run) { r.Outcome, r.Reason = OutcomeUnverified, a.secrets.Text(cause.Error()) })
	if a.ctx.Err() != nil {
		cause = &UnverifiedError{Release: a.target.Name, Revision: number, Since: verifying.Since, Stage: verifying.Stage,
			Cause: &CanceledError{Release: a.target.Name, Revision: number, During: a.now(), Cause: cause}}
	}
	return errors.Join(cause, a.save(&next))
}

// accept makes a revision known-good. note says why it was accepted although not everything is known; empty in the usual case.
func (a *application) accept(number int, stored *helmrelease.Release, note string) error {
	good, err := a.knownGood(stored)
	if err != nil {
		return err
	}
	next := *a.found.record
	next.Phase, next.Revision, next.Failure, next.Verifying, next.Finished = phaseDeployed, number, "", nil, finished()
	next.addKnownGood(good, a.exists)
	next.endRun(number, func(r *Run) { r.Outcome, r.Reason, r.Finished = OutcomePassed, note, next.Finished })
	if err := a.save(&next, AnnotationAbort); err != nil {
		return err
	}
	a.outcome.Unjudged = note
	a.pruneOld()
	return nil
}

// save writes the record, also when the operation's context has ended.
func (a *application) save(next *Record, consumed ...string) error {
	ctx, stop := a.afterwards()
	defer stop()
	return a.found.saveUnlessEnded(ctx, a.clients.durable, a.target, next, consumed...)
}
