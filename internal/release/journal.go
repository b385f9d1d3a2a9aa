// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"strings"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// journal keeps the record of one apply: what it is about to do, and how it ended.
type journal struct{ run *applyRun }

// begin records what is about to happen, so that the run after a crash knows who did what.
func (j journal) begin(s situation) error {
	next := j.newRecord()
	next.Phase, next.Revision = record.Upgrading, s.next()
	if s.installs() {
		next.Phase = record.Installing
	}
	next.Unserved = j.run.session.waiter.Endpoints.Without
	run := j.newRun(s)
	run.Revision = s.next()
	next.Begin(run)
	j.run.outcome.Kind = run.Kind
	// An annotation from before this run was not meant for it.
	return j.run.found.Save(j.run.op.Context(), j.run.op.Durable, next, j.run.options.InstanceID, record.AnnotationAbort,
		record.AnnotationQuarantine)
}

func (j journal) newRun(s situation) record.Run {
	return record.Run{
		Revision: s.last.number, Version: j.run.spec.Version, Started: j.run.started, Outcome: record.OutcomeUnverified,
		Kind: j.run.found.Content.KindOf(s.installs(), j.run.spec.Version, j.run.rendering.Digest),
	}
}

// newRecord is a record of this apply that keeps what earlier ones proved.
func (j journal) newRecord() *record.Release {
	next := &record.Release{
		NamespaceUID: j.run.outcome.NamespaceUID,
		Holder:       j.run.op.Holder(),
		Started:      j.run.started,
		Digest:       j.run.rendering.Digest,
		Version:      j.run.spec.Version,
		Chart: record.Chart{
			Source:  j.run.spec.Source,
			Name:    j.run.spec.Chart.Name,
			Version: j.run.spec.Chart.Version,
			Digest:  j.run.spec.Chart.Digest,
		},
		SecretPaths: values.Leaves(values.Merge(j.run.spec.Sensitive, j.run.spec.WriteOnly)),
	}
	if j.run.options.Verification.Verifies() {
		next.Key, next.PolicyHash = j.run.key, j.run.options.Verification.Hash()
	}
	if j.run.proven != nil {
		next.KnownGood = []record.KnownGood{*j.run.proven}
	}
	if before := j.run.found.Content; before != nil {
		next.KnownGood, next.Runs, next.Unserved = before.KnownGood, before.Runs, before.Unserved
		if q := before.Quarantine; q != nil && !j.run.found.Cleared() && q.Key != j.run.key && time.Now().Before(q.Expires) {
			next.Quarantine, next.RetryToken = q, before.RetryToken
		}
	}
	return next
}

// fail writes down that it went wrong.
func (j journal) fail(number int, failure error) error {
	next := *j.run.found.Content
	text := j.run.session.redact(failure.Error())
	outcome := record.OutcomeFailed
	var canceled *CanceledError
	if errors.As(failure, &canceled) {
		outcome = record.OutcomeCanceled
	}
	// Helm may have failed before it stored the revision; then the one before is still the newest.
	run := record.Run{Outcome: outcome, Stage: verify.StageRollout, Reason: explain.FirstLine(explain.Shorten(text, record.MaxFailure))}
	next.Fail(next.Revision, number, run, text, now())
	return j.save(&next)
}

// knownGood is the entry of a stored revision that has this apply's content.
func (j journal) knownGood(stored *helmrelease.Release) (record.KnownGood, error) {
	sealed, err := seal(stored)
	if err != nil {
		return record.KnownGood{}, err
	}
	content := j.newRecord()
	return record.KnownGood{
		Revision: stored.Version, Version: content.Version, Digest: content.Digest, At: now(),
		Chart: content.Chart, SecretPaths: content.SecretPaths, Seal: sealed,
	}, nil
}

func (j journal) exists(number int) bool {
	for _, r := range j.run.revisions {
		if r.number == number {
			return true
		}
	}
	return false
}

// keep refreshes the record where the cluster has everything already: inputs may have changed all the same.
func (j journal) keep(s situation) error {
	next := j.newRecord()
	next.Phase, next.Revision, next.Finished = record.Deployed, s.last.number, now()
	if len(next.KnownGood) == 0 || next.KnownGood[0].Revision != s.last.number {
		stored, err := j.run.session.stored(s.last.number)
		if err != nil {
			return err
		}
		good, err := j.knownGood(stored)
		if err != nil {
			return err
		}
		next.Remember(good, j.exists)
	}
	j.run.outcome.Revision, j.run.outcome.Status = s.last.number, s.last.status.String()
	return j.run.found.Save(j.run.op.Context(), j.run.op.Durable, next, j.run.options.InstanceID)
}

// save writes the record, also when the operation's context has ended.
func (j journal) save(next *record.Release, consumed ...string) error {
	ctx, stop := j.run.op.Afterward(0)
	defer stop()
	return j.run.found.Save(ctx, j.run.op.Durable, next, j.run.options.InstanceID, consumed...)
}

// prune deletes revisions beyond the history's limit.
func (j journal) prune() {
	ctx, stop := j.run.op.Afterward(0)
	defer stop()
	if err := prune(ctx, j.run.target, j.run.session.helm.Releases, j.run.options.MaxHistory, j.run.found.Content); err != nil {
		// Old revisions are only ballast; the release is as it should be.
		j.run.op.Paced("prune", "old revisions could not be deleted, the next apply tries again: "+err.Error())
	}
}

// now is a time as records keep it. It is never zero in a run that has ended.
func now() time.Time { return time.Now().UTC() }

// abortReason reads whether the run was aborted by an annotation on the record.
func (a *applyRun) abortReason(ctx context.Context) (reason string, aborted bool, err error) {
	reason, aborted, err = record.Aborted(ctx, a.op.Reads, placeOf(a.target))
	if strings.TrimSpace(reason) == "" {
		reason = "no reason was given"
	}
	return reason, aborted, err
}
