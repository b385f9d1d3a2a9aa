// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// application is one Apply.
type application struct {
	*operation
	spec    Spec
	options ApplyOptions
	outcome *Outcome

	// found is our record as it was read, and is written through.
	found     recorded
	revisions []revision
	rendering *Rendering
	started   time.Time
	// notes go into Outcome.Recovered.
	notes []string
}

// apply reads as the story of what must happen, in the order in which it must.
func (a *application) apply(ctx context.Context, target Target) (err error) {
	if err = a.checkPlace(ctx, target); err == nil {
		err = a.lookAt(ctx, target)
	}
	if err != nil && ctx.Err() != nil {
		return &CancelledError{Release: target.Name, During: "looking at what is there", Cause: err}
	}
	if err != nil {
		return err
	}
	a.operation, err = begin(ctx, target, a.options.Timeout, a.options.graces, a.options.Progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.finish()) }()
	a.started = time.Now().UTC()
	a.secrets = newScrubber(a.spec.Sensitive, a.spec.WriteOnly)

	err = a.underLease()
	switch {
	case err != nil && a.interrupted():
		return a.cancelled(err)
	case errors.Is(err, errDeadline):
		return &DeadlineError{Release: target.Name, Revision: a.outcome.Revision, Timeout: a.timeout, During: a.now(), Objects: a.pending}
	}
	return err
}

func (a *application) underLease() error {
	// What was true before the wait for the Lease may not be so any more.
	if err := a.lookAt(a.ctx, a.target); err != nil {
		return err
	}
	capabilities, err := a.target.Cluster.Capabilities(a.ctx)
	if err != nil {
		return err
	}
	a.helm = a.helmConfiguration(&capabilities, a.options.storage)
	s, err := classify(a.revisions, a.helm.Releases, a.target.Name)
	if err != nil {
		return a.target.Cluster.Classify(err)
	}
	if err := a.renderAsPlanned(s, &capabilities); err != nil {
		return err
	}
	if same, err := a.unchanged(s, &capabilities); err != nil || same {
		if err != nil {
			return err
		}
		return a.recordUnchanged(s)
	}
	if err := a.keepAttempted(s); err != nil {
		return err
	}
	recovered, err := a.recover(s)
	if err != nil {
		return a.explain(err, s.last.number)
	}
	a.outcome.Recovered = append(recovered, a.notes...)
	if err := a.recordBegin(s); err != nil {
		return err
	}
	ran := a.makeCRDs()
	var result *helmrelease.Release
	if ran == nil {
		result, ran = a.runHelm(s)
	}
	return a.conclude(s.next(), result, ran)
}

// conclude writes down what happened, and says what went wrong. It works although the operation's context may have ended.
func (a *application) conclude(number int, result *helmrelease.Release, ran error) error {
	ctx, stop := a.afterwards()
	defer stop()
	var failure error
	if ran != nil {
		failure = a.explain(ran, number)
	}
	now, err := a.settle(ctx, number, result, ran)
	if now.number != 0 {
		a.outcome.Revision, a.outcome.Status = now.number, now.status.String()
		a.outcome.Changed = now.number == number
	}
	var cancelled *CancelledError
	if errors.As(failure, &cancelled) && now.number != number {
		cancelled.Revision = 0
	}
	failure = errors.Join(failure, err)
	if err := a.recordEnd(ctx, now.number, failure); err != nil {
		return errors.Join(failure, err)
	}
	if failure != nil {
		return failure
	}
	if err := prune(ctx, a.target, a.helm.Releases, a.options.MaxHistory, a.found.record); err != nil {
		// Old revisions are only ballast; the release is as it should be.
		a.progress.say("prune", "old revisions could not be deleted, the next apply tries again: "+err.Error())
	}
	return nil
}

// recordBegin writes down what is about to happen, so that whoever comes after a crash knows who did what.
func (a *application) recordBegin(s situation) error {
	phase := phaseUpgrading
	if s.installs() {
		phase = phaseInstalling
	}
	next := a.newRecord()
	next.Phase, next.Revision = phase, s.next()
	if err := a.found.save(a.ctx, a.clients.durable, a.target, next); err != nil {
		return err
	}
	return nil
}

// newRecord is a record of this apply that keeps what earlier ones proved.
func (a *application) newRecord() *Record {
	next := &Record{
		InstanceID:   a.options.InstanceID,
		Client:       a.target.Handle.Client,
		Stage:        a.target.Handle.Stage,
		NamespaceUID: a.outcome.NamespaceUID,
		Holder:       a.lease.Holder(),
		Started:      a.started,
		Digest:       a.rendering.Digest,
		Version:      a.spec.Version,
		Chart: ChartRecord{
			Source:  a.spec.Source,
			Name:    a.spec.Chart.Name,
			Version: a.spec.Chart.Version,
			Digest:  a.spec.Chart.Digest,
		},
		SecretPaths: values.Leaves(values.Merge(a.spec.Sensitive, a.spec.WriteOnly)),
	}
	if a.found.record != nil {
		next.KnownGood = a.found.record.KnownGood
	}
	return next
}

// recordEnd writes down how it ended.
func (a *application) recordEnd(ctx context.Context, number int, failure error) error {
	next := *a.found.record
	next.Finished = time.Now().UTC()
	if failure == nil {
		next.Phase, next.Revision, next.Failure = phaseDeployed, number, ""
		next.addKnownGood(a.knownGood(number), a.exists)
	} else {
		// Helm may have failed before it stored the revision; then the one before is still the newest.
		next.Phase, next.Revision, next.Failure = phaseFailed, number, cut(a.secrets.text(failure.Error()), maxFailureText)
	}
	return a.found.saveUnlessEnded(ctx, a.clients.durable, a.target, &next)
}

func (a *application) knownGood(number int) KnownGood {
	return KnownGood{Revision: number, Version: a.spec.Version, Digest: a.rendering.Digest, At: time.Now().UTC()}
}

func (a *application) exists(number int) bool {
	for _, r := range a.revisions {
		if r.number == number {
			return true
		}
	}
	return false
}

// recordUnchanged refreshes the record where the cluster has everything already: inputs may have changed all the same.
func (a *application) recordUnchanged(s situation) error {
	next := a.newRecord()
	next.Phase, next.Revision, next.Finished = phaseDeployed, s.last.number, time.Now().UTC()
	if len(next.KnownGood) == 0 || next.KnownGood[0].Revision != s.last.number {
		next.addKnownGood(a.knownGood(s.last.number), a.exists)
	}
	a.outcome.Revision, a.outcome.Status = s.last.number, s.last.status.String()
	return a.found.save(a.ctx, a.clients.durable, a.target, next)
}

// cancelled says that an interrupt ended the operation.
func (a *application) cancelled(err error) error {
	var already *CancelledError
	if errors.As(err, &already) {
		return err
	}
	return &CancelledError{Release: a.target.Name, During: a.now(), Cause: fmt.Errorf("%s", a.secrets.text(err.Error()))}
}
