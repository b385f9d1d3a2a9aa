// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
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
	rendering *render.Result
	started   time.Time
	// key is the ContentKey of what is applied.
	key          string
	capabilities *cluster.Capabilities
	// made are the CRDs that this apply has created.
	made []string
	// notes go into Outcome.Recovered.
	notes []string
}

// apply reads as the story of what must happen, in the order in which it must.
func (a *application) apply(ctx context.Context, target Target) (err error) {
	if err := a.options.Guard.ValidateChecks(); err != nil {
		return err
	}
	if check := a.options.Guard.Analysis; check != nil {
		if err := check.Validate(); err != nil {
			return err
		}
	}
	if err = a.checkPlace(ctx, target); err == nil {
		err = a.lookAt(ctx, target)
	}
	if err != nil && ctx.Err() != nil {
		return &CanceledError{Release: target.Name, During: "looking at what is there", Cause: err}
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
	a.secrets = redact.New(a.spec.Sensitive, a.spec.WriteOnly)

	err = a.underLease()
	switch {
	case err != nil && a.interrupted():
		return a.canceled(err)
	case errors.Is(err, errDeadline) && !isGuardError(err):
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
	a.capabilities = &capabilities
	a.helm = a.helmConfiguration(&capabilities, a.options.storage)
	if a.options.CorrectDrift {
		a.kube.restoring = &restoring{op: a.operation, ignore: a.options.IgnoreDrift}
	}
	s, err := classify(a.revisions, a.helm.Releases, a.target.Name)
	if err != nil {
		return a.target.Cluster.Classify(err)
	}
	if err := a.renderAsPlanned(s, &capabilities); err != nil {
		return err
	}
	if err := dryrun.CheckNamespaces(a.ctx, a.target, a.rendering); err != nil {
		return err
	}
	a.key = ContentKey(a.spec, a.rendering, a.options.Guard)
	if err := a.refuseQuarantined(s); err != nil {
		return err
	}
	if same, err := a.unchanged(s, &capabilities); err != nil || same {
		if err != nil {
			return err
		}
		// A chart may bring other definitions although its templates render to the same.
		if err := a.makeCRDs(); err != nil {
			return a.explain(err, s.last.number)
		}
		return a.keep(s)
	}
	if err := a.found.record.refuseBack(a.ctx, a.target, a.spec.Version, a.rendering.Digest); err != nil {
		return err
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
	var canceled *CanceledError
	if errors.As(failure, &canceled) && now.number != number {
		canceled.Revision = 0
	}
	if err != nil {
		failure = errors.Join(failure, err)
		return errors.Join(failure, a.recordFailed(now.number, failure))
	}
	switch j, taken := a.rolloutJudgment(failure, now.number == number); {
	case taken:
		return a.takeBack(number, j, failure)
	case failure != nil:
		return errors.Join(failure, a.recordFailed(now.number, failure))
	case a.options.Guard.judges():
		next := *a.found.record
		return a.guarded(number, &next, Verifying{Since: finished()})
	}
	stored, err := a.helm.Releases.Get(a.target.Name, number)
	if err != nil {
		return a.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", number, a.target.Name, err))
	}
	return a.accept(number, stored, "")
}

// pruneOld deletes revisions beyond the history's limit.
func (a *application) pruneOld() {
	ctx, stop := a.afterwards()
	defer stop()
	if err := prune(ctx, a.target, a.helm.Releases, a.options.MaxHistory, a.found.record); err != nil {
		// Old revisions are only ballast; the release is as it should be.
		a.progress.say("prune", "old revisions could not be deleted, the next apply tries again: "+err.Error())
	}
}

// recordBegin writes down what is about to happen, so that whoever comes after a crash knows who did what.
func (a *application) recordBegin(s situation) error {
	next := a.newRecord()
	next.Phase, next.Revision = phaseUpgrading, s.next()
	if s.installs() {
		next.Phase = phaseInstalling
	}
	run := a.newRun(s)
	run.Revision = s.next()
	next.beginRun(run)
	a.outcome.Kind = run.Kind
	// A mark from before this run was not meant for it.
	return a.found.save(a.ctx, a.clients.durable, a.target, next, AnnotationAbort, AnnotationHold)
}

func (a *application) newRun(s situation) Run {
	return Run{
		Revision: s.last.number, Version: a.spec.Version, Started: a.started, Outcome: OutcomeUnverified,
		Kind: a.found.record.kindOf(s.installs(), a.spec.Version, a.rendering.Digest),
	}
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
	if a.options.Guard.judges() {
		next.Key, next.PolicyHash = a.key, a.options.Guard.policyHash()
	}
	if before := a.found.record; before != nil {
		next.KnownGood, next.Runs = before.KnownGood, before.Runs
		if q := before.Quarantine; q != nil && !before.cleared && q.Key != a.key && time.Now().Before(q.Expires) {
			next.Quarantine, next.Retry = q, before.Retry
		}
	}
	return next
}

// recordFailed writes down that it went wrong.
func (a *application) recordFailed(number int, failure error) error {
	next := *a.found.record
	// Helm may have failed before it stored the revision; then the one before is still the newest.
	begun := next.Revision
	next.Finished, next.Phase, next.Revision, next.Failure = finished(), phaseFailed, number, explain.Shorten(a.secrets.Text(failure.Error()), maxFailureText)
	outcome := OutcomeFailed
	var canceled *CanceledError
	if errors.As(failure, &canceled) {
		outcome = OutcomeCanceled
	}
	next.endRun(begun, func(r *Run) {
		r.Outcome, r.Stage, r.Reason, r.Finished = outcome, StageRollout, explain.FirstLine(next.Failure), next.Finished
	})
	return a.save(&next)
}

// knownGood is the entry of a stored revision that has this apply's content.
func (a *application) knownGood(stored *helmrelease.Release) (KnownGood, error) {
	sealed, err := seal(stored)
	if err != nil {
		return KnownGood{}, err
	}
	record := a.newRecord()
	return KnownGood{
		Revision: stored.Version, Version: record.Version, Digest: record.Digest, At: time.Now().UTC(),
		Chart: record.Chart, SecretPaths: record.SecretPaths, Seal: sealed,
	}, nil
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
	next.Phase, next.Revision, next.Finished = phaseDeployed, s.last.number, finished()
	if len(next.KnownGood) == 0 || next.KnownGood[0].Revision != s.last.number {
		stored, err := a.helm.Releases.Get(a.target.Name, s.last.number)
		if err != nil {
			return a.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", s.last.number, a.target.Name, err))
		}
		good, err := a.knownGood(stored)
		if err != nil {
			return err
		}
		next.addKnownGood(good, a.exists)
	}
	a.outcome.Revision, a.outcome.Status = s.last.number, s.last.status.String()
	return a.found.save(a.ctx, a.clients.durable, a.target, next)
}

// canceled says that an interrupt ended the operation.
func (a *application) canceled(err error) error {
	var already *CanceledError
	if errors.As(err, &already) || isGuardError(err) {
		return err
	}
	return &CanceledError{Release: a.target.Name, During: a.now(), Cause: fmt.Errorf("%s", a.secrets.Text(err.Error()))}
}
