// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
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
	Record *Record
}

// Absent reports that neither a revision nor a record is there.
func (o *Observation) Absent() bool { return o.Revision == 0 && o.Record == nil }

// Outside reports that the newest revision was not made by Slipway, or not recorded.
func (o *Observation) Outside() bool {
	if o.Record != nil && o.Record.Phase == phaseRollingBack && o.Revision > o.Record.Revision {
		return false // A rollback was begun after the revision that it takes back.
	}
	return o.Revision != 0 && (o.Record == nil || o.Record.Revision != o.Revision)
}

// Record is the ConfigMap "slipway-release-<name>": what Slipway did last, for the next run, which may be another process.
// Its JSON carries a schema version; a record newer than this code is read for display and never written
// (*NewerRecordError). It holds no secret.
type Record struct {
	SchemaVersion int    `json:"schemaVersion"`
	InstanceID    string `json:"instanceID"`
	Client        string `json:"client"`
	Stage         string `json:"stage"`
	NamespaceUID  string `json:"namespaceUID"`
	// Phase is "installing", "upgrading", "verifying" (deployed, and no verdict yet), "unverified" (the verdict was inconclusive, and
	// the revision was left), "deployed", "rolling back", "rolled back" or "failed".
	Phase    string      `json:"phase"`
	Holder   string      `json:"holder"`
	Started  time.Time   `json:"started"`
	Finished time.Time   `json:"finished,omitzero"`
	Revision int         `json:"revision"` // the revision of the phase
	Digest   string      `json:"digest"`   // Rendering.Digest of it
	Version  string      `json:"version"`
	Chart    ChartRecord `json:"chart"`
	// Key is the ContentKey of the revision, and PolicyHash the part of it that the guard makes; both empty without a guard.
	Key        string `json:"key,omitempty"`
	PolicyHash string `json:"policyHash,omitempty"`
	// Verifying is set in the phases "verifying" and "unverified".
	Verifying *Verifying `json:"verifying,omitempty"`
	// KnownGood are revisions that were deployed, became ready, and passed their guard where they had one, newest first.
	KnownGood []KnownGood `json:"knownGood,omitempty"`
	// Runs are the last attempts, newest first.
	Runs []Run `json:"runs,omitempty"`
	// Quarantine is the content that failed last, nil where nothing is held.
	Quarantine *Quarantine `json:"quarantine,omitempty"`
	// Retry is Guard.Retry of the run that made the quarantine.
	Retry string `json:"retry,omitempty"`
	// Failure is what the last failed operation said, shortened, without secrets.
	Failure string `json:"failure,omitempty"`
	// SecretPaths are the dotted paths of the values that were given as sensitive or write-only, so that an import leaves
	// them out. The values themselves are not here.
	SecretPaths []string `json:"secretPaths,omitempty"`

	// cleared says that the ConfigMap carries the annotation that clears the quarantine.
	cleared bool
}

// Verifying says how far the guard of a revision has come.
type Verifying struct {
	// Since is when its pods were ready: the analysis begins there.
	Since time.Time `json:"since"`
	// Stage is the stage that was begun last.
	Stage string `json:"stage"`
	// Samples are those of health checks, which nobody else remembers, newest last. They are written when a run is interrupted.
	Samples []analysis.Sample `json:"samples,omitempty"`
}

// ChartRecord is enough to find the chart again on import.
type ChartRecord struct {
	Source  chart.Source `json:"source"`
	Name    string       `json:"name"`
	Version string       `json:"version"`
	Digest  string       `json:"digest"`
}

// KnownGood is one revision that worked.
type KnownGood struct {
	Revision int       `json:"revision"`
	Version  string    `json:"version"`
	Digest   string    `json:"digest"`
	At       time.Time `json:"at"`
	// Chart and SecretPaths are as in Record: they come back with the revision.
	Chart       ChartRecord `json:"chart,omitzero"`
	SecretPaths []string    `json:"secretPaths,omitempty"`
	// Seal is a keyed hash over what Helm has stored of the revision; its key is a label of Helm's Secret. A rollback to something
	// else than what was good is refused by it. Empty where the revision was made before there were seals.
	Seal string `json:"seal,omitempty"`
}

// Observe reads a release. A release that does not exist is no error (see Absent). Errors as from cluster.Classify;
// *ForeignRecordError where the record belongs to another client or stage.
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
	case phaseDeployed, phaseVerifying, phaseUnverified, phaseRolledBack:
		return true
	}
	return false
}

// Verification says in words how sure it is that the newest revision does well: "verified" (its guard passed), "unverified since
// <RFC 3339>" (its run was cut off, or came to no verdict; the next apply goes on), "" (it has no guard, was made outside, or failed).
func (o *Observation) Verification() string {
	if o.Record == nil || o.Outside() {
		return ""
	}
	switch o.Record.Phase {
	case phaseVerifying, phaseUnverified:
		since := o.Record.Started
		if o.Record.Verifying != nil {
			since = o.Record.Verifying.Since
		}
		return "unverified since " + since.UTC().Format(time.RFC3339)
	case phaseDeployed, phaseRolledBack:
		if o.Record.PolicyHash != "" {
			return "verified"
		}
	}
	return ""
}

// ObserveForCreate is Observe for a plan that creates the release. Errors besides those of Observe: *ownership.Error where the
// release is not ours, *NewerRecordError.
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
	// Guard watches the new revision, and takes it back when it does badly. Timeout is for the rollout alone.
	Guard Guard

	// CorrectDrift puts custom resources back that were changed by hand, which Helm's own upgrade and rollback do not do, except
	// for what IgnoreDrift covers. Drift of a release whose content does not change is for Correct.
	CorrectDrift bool
	IgnoreDrift  []object.IgnoreRule

	// Seams for tests of this package: failing storage, short graces.
	storage wrapStorage
	graces  *graces
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
	Chart           ChartRecord
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
// stops), *DeadlineError, *UnrecordedError (Helm's storage failed at the end), *ForeignRecordError, *NewerRecordError,
// *cluster.HeldError and others of package cluster and environment.
//
// With a guard the revision is watched after that, and is known-good only when smoke tests, analysis and acceptance passed. Errors
// then: *AnalysisConfigError and *analysis.InvalidPolicyError (nothing was written), *QuarantinedError (likewise), *GuardError (which
// stage, what was seen, what was restored). A failed rollout is rolled back as well where the guard has a rollback policy; the
// *GuardError wraps the *RolloutError, *HookError or *DeadlineError then.
func Apply(ctx context.Context, target Target, spec Spec, options ApplyOptions) (*Outcome, error) {
	a := &application{spec: spec, options: options, outcome: &Outcome{InstanceID: options.InstanceID}}
	err := a.apply(ctx, target)
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
	Chart   ChartRecord
	Objects map[object.Key]string
	Digest  string
	Version string
}

// Import reads an existing deployed release for terraform import. A release without our record is accepted only in a
// namespace that belongs to the handle. Objects are masked (Secret data, and leaves at which a Secret's decoded value
// appears). Errors: *NotImportableError, *ForeignRecordError, those of environment.Check, others as from cluster.Classify.
func Import(ctx context.Context, target Target) (*Imported, error) {
	return importRelease(ctx, target)
}
