// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// applyRun is one Apply.
type applyRun struct {
	target  Target
	session *session
	op      *operation.Operation
	spec    Spec
	options ApplyOptions
	outcome *Outcome

	// found is our record as it was read, and is written through.
	found     *record.Stored[record.Release]
	revisions []revision
	rendering *render.Result
	started   time.Time
	// key is the ContentKey of what is applied.
	key          string
	capabilities *cluster.Capabilities
	// made are the CRDs that this apply has created.
	made []string

	// foreign says why the release is not this resource's; nil where it is.
	foreign error
	// proven is what another program deployed and what runs; nil where there is a record.
	proven *record.KnownGood
	// mayDeploy says that no irreversible migration forbids the content.
	mayDeploy bool
	// hooksEnded is the revision whose hooks this apply has waited for; 0 at first.
	hooksEnded int
	// rollbackFinished says that this apply has done what a rollback that was cut off had left to do.
	rollbackFinished bool
}

func (a *applyRun) journal() journal { return journal{run: a} }

// apply checks what needs no cluster, takes the Lease, and acts.
func (a *applyRun) apply(ctx context.Context) (err error) {
	if err := a.options.Verification.ValidateChecks(); err != nil {
		return err
	}
	if check := a.options.Verification.Analysis; check != nil {
		if err := check.Validate(); err != nil {
			return err
		}
	}
	if err := (content{run: a}).checkChart(); err != nil {
		return err
	}
	if err := a.begin(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.op.Finish()) }()
	a.started = time.Now().UTC()
	a.session.secrets = redact.New(a.spec.Sensitive, a.spec.WriteOnly)
	a.session.lookups = a.spec.LookupNamespaces

	err = a.underLease()
	switch {
	case err != nil && a.op.Interrupted():
		return a.session.canceled(err)
	case errors.Is(err, operation.ErrDeadline) && !isVerificationError(err):
		return &DeadlineError{Release: a.target.Name, Revision: a.outcome.Revision, Timeout: a.op.Timeout(), During: a.op.Now(),
			Objects: a.session.waiter.Pending}
	}
	return err
}

// begin takes the Lease, with which nobody else changes the release.
func (a *applyRun) begin(ctx context.Context) (err error) {
	a.session, err = begin(ctx, a.target, sessionOptions{
		clusterUID: a.options.ClusterUID, timeout: a.options.Timeout, progress: a.options.Progress,
		graces: a.options.graces, storage: a.options.storage,
	})
	if err != nil {
		return err
	}
	a.op = a.session.op
	a.session.taking = a.options.Taking
	a.outcome.ClusterUID, a.outcome.NamespaceUID = a.op.ClusterUID, a.op.NamespaceUID
	return nil
}

// underLease observes, decides, acts, and observes again, until an action ends the apply.
func (a *applyRun) underLease() error {
	var before State
	for {
		seen, observed, err := a.observe()
		if err != nil {
			return err
		}
		// Each action leads to another state. Without this check, an action that changes nothing repeats until the deadline.
		state, action := observed.State(), Decide(observed)
		if state == before {
			return errNoProgress(a.target.Name, seen.last.number, state, action)
		}
		before = state
		if action.deploys() && !a.mayDeploy {
			if err := refuseBack(a.op.Context(), a.target, a.found.Content, a.spec.Version, a.rendering.Digest); err != nil {
				return err
			}
			a.mayDeploy = true
		}
		if ended, err := a.act(action, seen); ended || err != nil {
			return err
		}
	}
}

// act does one thing. It reports whether that ends the apply.
func (a *applyRun) act(action Action, seen situation) (ended bool, err error) {
	switch action {
	case RefuseForeign:
		return true, a.foreign
	case RefuseQuarantined:
		return true, &QuarantinedError{Release: a.target.Name, Quarantine: *a.quarantined()}
	case FinishRollback:
		a.rollbackFinished = true
		return false, rollback{run: a}.finish(seen, a.quarantined())
	case RefusePending:
		return true, recovery{run: a}.refusePending(seen)
	case FinishRemoval:
		err = recovery{run: a}.finishRemoval(seen)
	case MarkFailed:
		err = recovery{run: a}.pending(seen)
	case AwaitHooks:
		err = recovery{run: a}.failed(seen)
	case Verify, Keep:
		return true, verification{run: a}.keep(action, seen)
	default:
		return true, a.deploy(seen)
	}
	if err != nil {
		return true, a.session.explain(err, seen.last.number)
	}
	return false, nil
}

// observe reads what is there, and compares it with the content that is applied. What was observed decides; seen is what the actions
// work on.
func (a *applyRun) observe() (seen situation, observed Observed, err error) {
	if err := a.lookAt(a.op.Context()); err != nil {
		return seen, observed, err
	}
	if a.foreign = a.checkOwner(); a.foreign != nil {
		return seen, Observed{Foreign: true}, nil //nolint:nilerr // Being foreign is a state; the action that follows returns the error.
	}
	if a.session.helm == nil {
		if err := a.connect(); err != nil {
			return seen, observed, err
		}
	}
	if seen, err = classify(a.revisions, a.session.helm.Releases, a.target.Name); err != nil {
		return seen, observed, a.target.Cluster.Classify(err)
	}
	if a.rendering == nil {
		if err := a.render(seen); err != nil {
			return seen, observed, err
		}
	}
	observed = Observed{
		condition:    seen.condition,
		Ours:         recovery{run: a}.began(seen.last.number),
		Age:          time.Since(seen.last.created),
		LeavePending: a.options.FailOnPending,
		HooksEnded:   a.hooksEnded == seen.last.number,
		Quarantined:  a.quarantined() != nil,
		RollingBack:  a.rollingBack() && !a.rollbackFinished,
	}
	if observed.Quarantined {
		return seen, observed, nil
	}
	if observed.Same, err = (content{run: a}).deployed(seen, a.capabilities); err != nil {
		return seen, observed, err
	}
	from, due := verification{run: a}.due(seen.last.number)
	observed.VerificationDue, observed.VerificationBegun = due, due && from.Since != a.started
	return seen, observed, nil
}

// connect makes the clients of Helm.
func (a *applyRun) connect() error {
	capabilities, err := a.target.Cluster.Capabilities(a.op.Context())
	if err != nil {
		return err
	}
	a.capabilities = &capabilities
	if err := a.session.connect(&capabilities); err != nil {
		return err
	}
	if a.options.CorrectDrift {
		a.session.kube.RestoreFields(a.options.IgnoreDrift)
	}
	return nil
}

// render renders the content, and refuses what the plan did not show.
func (a *applyRun) render(seen situation) error {
	if err := (content{run: a}).render(seen, a.capabilities); err != nil {
		return err
	}
	if err := dryrun.CheckNamespaces(a.op.Context(), a.target, a.rendering); err != nil {
		return err
	}
	a.key = ContentKey(a.spec, a.rendering, a.options.Verification)
	return nil
}

// quarantined is the quarantine of the content, nil where it may be deployed. Content that is known to work is never quarantined.
func (a *applyRun) quarantined() *record.Quarantine {
	if a.found.Content.Proves(a.rendering.Digest) {
		return nil
	}
	return a.found.Content.Quarantined(a.key, a.options.Verification.RetryToken, a.found.Cleared(), time.Now())
}

// deploy makes a revision with the content, and verifies it.
func (a *applyRun) deploy(seen situation) error {
	notes, err := a.session.keepAttempted(seen)
	if err != nil {
		return err
	}
	if seen.condition == uninstalled {
		a.recovered("revision %d was uninstalled before with its history kept; the release was installed again over it", seen.last.number)
	}
	a.outcome.Recovered = append(a.outcome.Recovered, notes...)
	if err := (endpoints{run: a}).before(seen); err != nil {
		return err
	}
	if err := a.journal().begin(seen); err != nil {
		return err
	}
	ran := definitions{run: a}.write()
	var result *helmrelease.Release
	if ran == nil {
		result, ran = a.runHelm(seen)
	}
	return a.conclude(seen.next(), result, ran)
}

// recovered notes what was found half done, and what was done about it.
func (a *applyRun) recovered(format string, values ...any) {
	a.outcome.Recovered = append(a.outcome.Recovered, fmt.Sprintf(format, values...))
}

// conclude writes down what happened, and says what went wrong. It works although the operation's context may have ended.
func (a *applyRun) conclude(number int, result *helmrelease.Release, ran error) error {
	ctx, stop := a.op.Afterward(0)
	defer stop()
	var failure error
	if ran != nil {
		failure = a.session.explain(ran, number)
	}
	is, err := settling{session: a.session}.settle(ctx, number, result, ran)
	if is.number != 0 {
		a.outcome.Revision, a.outcome.Status = is.number, is.status.String()
		a.outcome.Changed = is.number == number
	}
	var canceled *CanceledError
	if errors.As(failure, &canceled) && is.number != number {
		canceled.Revision = 0
	}
	if err != nil {
		failure = errors.Join(failure, err)
		return errors.Join(failure, a.journal().fail(is.number, failure))
	}
	switch j, taken := (rollback{run: a}).afterRollout(failure, is.number == number); {
	case taken:
		return rollback{run: a}.conclude(number, j, failure)
	case failure != nil:
		return errors.Join(failure, a.journal().fail(is.number, failure))
	case a.options.Verification.Verifies():
		next := *a.found.Content
		return verification{run: a}.verify(number, &next, record.Verification{Since: now()})
	}
	stored, err := a.session.stored(number)
	if err != nil {
		return err
	}
	return verification{run: a}.accept(stored, "")
}

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

// rollingBack reports that a rollback was begun and has not ended.
func (a *applyRun) rollingBack() bool {
	return a.found.Content != nil && a.found.Content.Phase == record.RollingBack
}

// lookAt reads what is there.
func (a *applyRun) lookAt(ctx context.Context) error {
	seen, revisions, found, err := observe(ctx, a.target)
	if err != nil {
		return err
	}
	if a.found == nil && !found.Exists() {
		if a.proven, err = Proven(ctx, a.target, seen); err != nil {
			return err
		}
	}
	a.found, a.revisions = found, revisions
	a.outcome.Revision, a.outcome.Status = seen.Revision, seen.Status
	return nil
}

// checkOwner returns why the release is not this resource's, nil where it is. It distinguishes our releases from others by the record, and
// where the record is lost by the labels that we give revisions.
// On an update the state itself says that the release is ours, for example after an import.
func (a *applyRun) checkOwner() error {
	update := a.options.ClusterUID != ""
	if a.found.Exists() || update {
		return a.found.Check(record.Claim{InstanceID: a.options.InstanceID, Create: !update, MadeInThisRun: a.options.MadeInThisRun})
	}
	return checkUnrecorded(a.target, a.revisions, a.options.Taking)
}

// runHelm installs or upgrades. It never uses RunWithContext, which returns while a goroutine of it still writes: Run ends
// when Client does, and that ends with the operation's context.
func (a *applyRun) runHelm(s situation) (*helmrelease.Release, error) {
	chart, err := a.spec.Chart.Load()
	if err != nil {
		return nil, fmt.Errorf("loading chart %s: %w", a.spec.Chart.Name, err)
	}
	labels := map[string]string{
		environment.LabelClient: a.target.Handle.Client,
		environment.LabelStage:  a.target.Handle.Stage,
		labelSeal:               newSealKey(),
	}
	var result *helmrelease.Release
	if s.installs() {
		a.op.Doing(fmt.Sprintf("installing revision %d", s.next()))
		install := action.NewInstall(a.session.helm)
		install.ReleaseName = a.target.Name
		install.Namespace = a.target.Handle.Namespace
		install.Replace = s.next() > 1
		install.SkipCRDs = true // They are ours, see makeCRDs.
		install.Wait = true
		install.WaitForJobs = true
		install.DisableOpenAPIValidation = true
		install.Timeout = a.op.Timeout()
		install.Labels = labels
		install.TakeOwnership = a.options.Taking.Allowed
		install.Description = fmt.Sprintf("Installed by Slipway (%s)", a.op.Holder())
		result, err = install.Run(chart, content{run: a}.values())
	} else {
		a.op.Doing(fmt.Sprintf("upgrading to revision %d", s.next()))
		upgrade := action.NewUpgrade(a.session.helm)
		a.session.kube.ExpectBuilt()
		upgrade.Namespace = a.target.Handle.Namespace
		upgrade.ResetValues = true
		upgrade.SkipCRDs = true
		upgrade.Wait = true
		upgrade.WaitForJobs = true
		upgrade.DisableOpenAPIValidation = true
		upgrade.Timeout = a.op.Timeout()
		upgrade.Labels = labels
		upgrade.TakeOwnership = a.options.Taking.Allowed
		upgrade.Description = fmt.Sprintf("Upgraded by Slipway (%s)", a.op.Holder())
		result, err = upgrade.Run(a.target.Name, chart, content{run: a}.values())
	}
	if err != nil {
		err = render.HideEngineError(a.spec, err)
	}
	if err != nil && result != nil && result.Info != nil && result.Info.Status == helmrelease.StatusDeployed {
		// Only the last write of the storage failed, which settle repeats.
		return result, nil
	}
	return result, err
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
	// Taking says which running objects are taken over, and whether a Helm release of this name that Slipway did not make is.
	Taking ownership.Taking
	// FailOnPending refuses to recover a pending release of another tool (on_pending = "fail").
	FailOnPending bool
	// MaxHistory is how many revisions are kept (default 10); the deployed, the newest known-good and the one before, and
	// pending ones are always kept.
	MaxHistory int
	// Progress receives short sentences ("waiting for Deployment/x: 1 of 2 pods ready"), at most one every 10 s per topic.
	Progress func(string)
	// Verification watches the new revision, and rolls it back when it fails. Timeout is for the rollout alone.
	Verification verify.Policy

	// CorrectDrift puts custom resources back that were changed by hand, which Helm's own upgrade and rollback do not do, except
	// for what IgnoreDrift covers. Drift of a release whose content does not change is for Correct.
	CorrectDrift bool
	IgnoreDrift  []object.IgnoreRule

	// Seams for tests of this package: failing storage, short graces.
	storage func(driver.Driver) driver.Driver
	graces  *rollout.Graces
}

// Apply brings a release to spec: checks cluster, namespace and ownership, takes the Lease, classifies what is there (absent,
// foreign, failed install, deployed, pending …), recovers it by kind, and installs or upgrades. It returns after the
// Helm action has returned, never before, and after the record is correct. The Outcome is valid also with an error
// wherever something is there. Errors: *ownership.Error (the release is not ours), *PlanMismatchError, *PendingError,
// *RolloutError (objects with their events and last log lines), *HookError, *CanceledError (interrupt: records and
// stops), *DeadlineError, an explained error where Helm's storage failed at the end, *record.ForeignError, *record.NewerError,
// *cluster.HeldError and others of package cluster and environment.
//
// With a verification policy the revision is verified after that, and is known-good only when smoke tests, analysis and acceptance
// passed. Errors then: *AnalysisConfigError and *analysis.InvalidPolicyError (nothing was written), *QuarantinedError (likewise),
// *VerificationError (which stage, what was seen, what was restored). A failed rollout is rolled back as well where it has a
// rollback policy; the
// *VerificationError wraps the *RolloutError, *HookError or *DeadlineError then.
func Apply(ctx context.Context, target Target, spec Spec, options ApplyOptions) (*Outcome, error) {
	a := &applyRun{target: target, spec: spec, options: options, outcome: &Outcome{InstanceID: options.InstanceID}}
	err := a.apply(ctx)
	return a.outcome, err
}
