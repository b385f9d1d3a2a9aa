// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"time"

	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// Observation is what Read needs to know of a release, at the cost of two requests: a metadata LIST of Helm's Secrets and a
// GET of the record.
type Observation struct {
	// Revision is the newest one, 0 where there is none; Status its Helm status ("deployed", "failed", "pending-upgrade").
	Revision int
	Status   string
	// Deployed is the newest revision with status deployed, 0 where there is none.
	Deployed int
	// Record is ours, nil where there is none.
	Record *record.Release
	// Cleared says that somebody has released the content from quarantine.
	Cleared bool
}

// Absent reports that neither a revision nor a record is there.
func (o *Observation) Absent() bool { return o.Revision == 0 && o.Record == nil }

// Outside reports that the newest revision was not made by Slipway, or not recorded.
func (o *Observation) Outside() bool {
	if o.Record != nil && o.Record.Phase == record.RollingBack && o.Revision > o.Record.Revision {
		return false // A rollback was begun after the revision that it takes back.
	}
	return o.Revision != 0 && (o.Record == nil || o.Record.Revision != o.Revision)
}

// Observe reads a release. A release that does not exist is no error (see Absent). Errors as from cluster.Classify;
// *record.ForeignError where the record belongs to another client or stage.
func Observe(ctx context.Context, target Target) (*Observation, error) {
	out, _, _, err := observe(ctx, target)
	return out, err
}

// Working reports that a revision is deployed under a record that says so: somebody has it in a state, or had.
func (o *Observation) Working() bool {
	if o.Deployed == 0 || o.Record == nil {
		return false
	}
	switch o.Record.Phase {
	case record.Deployed, record.Verifying, record.Unverified, record.RolledBack:
		return true
	}
	return false
}

// Verification says in words how sure it is that the newest revision is healthy: "verified" (its verification passed), "unverified since
// <RFC 3339>" (its run was cut off, or was inconclusive; the next apply resumes it), "" (it has no verification, was made outside, or failed).
func (o *Observation) Verification() string {
	if o.Record == nil || o.Outside() {
		return ""
	}
	switch o.Record.Phase {
	case record.Verifying, record.Unverified:
		since := o.Record.Started
		if o.Record.Verification != nil {
			since = o.Record.Verification.Since
		}
		return "unverified since " + since.UTC().Format(time.RFC3339)
	case record.Deployed, record.RolledBack:
		if o.Record.PolicyHash != "" {
			return "verified"
		}
	}
	return ""
}

// ObserveForCreate is Observe for a plan that creates the release. Errors besides those of Observe: *ownership.Error where the// release is not ours, *record.NewerError.
func ObserveForCreate(ctx context.Context, target Target) (*Observation, error) {
	return observeForCreate(ctx, target)
}

// ApplyOptions steer Apply.
type ApplyOptions struct {
	// InstanceID is the resource's id in state; on create a new one. It is written into the record: what an earlier Create or
	// another state left is taken over by that, and a Delete with the old id then only forgets it.
	InstanceID string
	// ClusterUID is checked against the live one before anything is written; empty on create. On an update a record with
	// another instance id is refused: another state manages the release now.
	ClusterUID string
	// MadeInThisRun reports on create that an instance id is that of another release which this run of Terraform has made: two
	// resources have the same name then, and nothing is taken over. Nil: none is.
	MadeInThisRun func(instanceID string) bool
	// Planned are the objects that the plan showed (known entries only); anything else is refused (*PlanMismatchError).
	// Nil: no check. PlannedChartDigest likewise.
	Planned            map[object.Key]string
	PlannedChartDigest string
	// Timeout for hooks and readiness together.
	Timeout time.Duration
	// FailOnPending refuses to recover a pending release of another tool (on_pending = "fail").
	FailOnPending bool
	// MaxHistory is how many revisions are kept (default 10); the deployed, the newest known-good and the one before, and
	// pending ones are always kept.
	MaxHistory int
	// Progress receives short sentences ("waiting for Deployment/x: 1 of 2 pods ready"), at most one every 10 s per topic.
	Progress func(string)
	// Verification watches the new revision, and takes it back when it does badly. Timeout is for the rollout alone.
	Verification verify.Policy

	// CorrectDrift puts custom resources back that were changed by hand, which Helm's own upgrade and rollback do not do, except
	// for what IgnoreDrift covers. Drift of a release whose content does not change is for Correct.
	CorrectDrift bool
	IgnoreDrift  []object.IgnoreRule

	// Seams for tests of this package: failing storage, short graces.
	storage func(driver.Driver) driver.Driver
	graces  *rollout.Graces
}

// Outcome is what is there after Apply, also beside an error.
type Outcome struct {
	InstanceID   string
	ClusterUID   string
	NamespaceUID string
	Revision     int
	Status       string
	// Changed is false where the cluster already had exactly this content and no revision was made.
	Changed bool
	// Recovered says in words what was found half done and finished or put right; empty in the usual case.
	Recovered []string
	// Unjudged says why a version was accepted although not all of its checks could be made; empty in the usual case.
	Unjudged string
	// Rendering is what was installed, or tried.
	Rendering *render.Result
	// Kind is "install", "upgrade" or "rollback" (an earlier known-good version was deployed again); empty where nothing was done.
	Kind string
	// Resumed says that no revision was made, and the verification of the one that is there was finished.
	Resumed bool
	// Restored is what an automatic rollback put back; nil without one, and where it did not come to its end. Revision and Status
	// are those of the restored revision then. The content that is live is what the state held before if its digest is the same.
	Restored *Restoration
}

// Restoration is a rollback that ended with the known-good content ready.
type Restoration struct {
	// Revision is the new one that Helm made; From the known-good one whose content it has.
	Revision, From int
	// Version, Digest and Chart are those of the known-good revision.
	Version, Digest string
	Chart           record.Chart
	// Detected is when it was clear that the other version is bad, Ready when all pods of the restored one were.
	Detected, Ready time.Time
	// Validated says that the checks passed on the restored revision; Validation says it in words.
	Validated  bool
	Validation string
}

// Apply brings a release to spec: checks cluster, namespace and ownership, takes the Lease, classifies what is there (absent,
// foreign, failed install, deployed, pending …), recovers it by kind, and installs or upgrades. It returns after the
// Helm action has returned, never before, and after the record tells the truth. The Outcome is valid also beside an error
// wherever something is there. Errors: *ownership.Error (the release is not ours), *PlanMismatchError, *PendingError,
// *RolloutError (objects with their events and last log lines), *HookError, *CanceledError (interrupt: records and
// stops), *DeadlineError, *UnrecordedError (Helm's storage failed at the end), *record.ForeignError, *record.NewerError,
// *cluster.HeldError and others of package cluster and environment.
//
// With a verification policy the revision is verified after that, and is known-good only when smoke tests, analysis and acceptance passed. Errors
// then: *AnalysisConfigError and *analysis.InvalidPolicyError (nothing was written), *QuarantinedError (likewise), *VerificationError (which
// stage, what was seen, what was restored). A failed rollout is rolled back as well where it has a rollback policy; the
// *VerificationError wraps the *RolloutError, *HookError or *DeadlineError then.
func Apply(ctx context.Context, target Target, spec Spec, options ApplyOptions) (*Outcome, error) {
	a := &applyRun{target: target, spec: spec, options: options, outcome: &Outcome{InstanceID: options.InstanceID}}
	err := a.apply(ctx)
	return a.outcome, err
}

// RemoveOptions steer Remove.
type RemoveOptions struct {
	InstanceID string
	ClusterUID string
	Timeout    time.Duration
	Progress   func(string)
	// Routed says in words what sends requests to pods with one of these sets of labels; nil asks nobody. While there is such a thing
	// the release is not removed (*RoutedError).
	Routed func(ctx context.Context, pods []map[string]string) ([]string, error)
}

// Remove uninstalls a release, waits until its objects are gone, and deletes the record. A release that is absent is no
// error; one that carries another instance id is left alone (forgotten = true).
func Remove(ctx context.Context, target Target, options RemoveOptions) (forgotten bool, err error) {
	return remove(ctx, target, options)
}

// Imported is what Import found.
type Imported struct {
	Observation *Observation
	// Values is the user-supplied configuration of the release without what was given as secret; nil where there is no record
	// that says what was.
	Values  map[string]any
	Chart   record.Chart
	Objects map[object.Key]string
	Digest  string
	Version string
}

// Import reads an existing deployed release for terraform import. A release without our record is accepted only in a
// namespace that belongs to the handle. Objects are masked (Secret data, and leaves at which a Secret's decoded value
// appears). Errors: *NotImportableError, *record.ForeignError, those of environment.Check, others as from cluster.Classify.
func Import(ctx context.Context, target Target) (*Imported, error) {
	return importRelease(ctx, target)
}
