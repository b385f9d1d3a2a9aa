// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// session is what one Apply, Correct or Remove works with: its operation, Helm, and the secrets that no text may show.
type session struct {
	target Target
	op     *operation.Operation
	waiter *rollout.Waiter
	// helm and kube are for one Helm action, see connect.
	helm *action.Configuration
	kube *helmkube.Client
	// storage lets tests make Helm's storage fail; nil leaves it.
	storage func(driver.Driver) driver.Driver
	secrets *redact.Secrets
	// lookups are the namespaces, besides the release's own, in which templates may read.
	lookups []string
	// taking says which running objects may be taken over.
	taking ownership.Taking
}

// sessionOptions are what the callers of begin give.
type sessionOptions struct {
	clusterUID string
	timeout    time.Duration
	progress   func(string)
	// mayBeGone allows a namespace that does not exist.
	mayBeGone bool
	// graces and storage are for tests; nil means the usual ones.
	graces  *rollout.Graces
	storage func(driver.Driver) driver.Driver
}

// begin proves the place, takes the Lease and starts the clock. An interrupt before that is a *CanceledError; other errors are those of
// operation.Begin.
func begin(ctx context.Context, target Target, options sessionOptions) (*session, error) {
	op, err := operation.Begin(ctx, operation.Options{
		Cluster: target.Cluster, Handle: target.Handle, ClusterUID: options.clusterUID, Subject: "release " + target.Name,
		Timeout: options.timeout, Progress: options.progress, MayBeGone: options.mayBeGone,
	})
	if interrupted, ok := errors.AsType[*operation.InterruptedError](err); ok {
		return nil, &CanceledError{Release: target.Name, During: interrupted.During, Cause: err}
	}
	if err != nil {
		return nil, err
	}
	s := &session{target: target, op: op, storage: options.storage}
	objects, err := target.Cluster.Dynamic()
	if err != nil {
		return nil, errors.Join(err, op.Finish())
	}
	graces := rollout.DefaultGraces
	if options.graces != nil {
		graces = *options.graces
	}
	s.waiter = &rollout.Waiter{
		Release: target.Name, Namespace: target.Handle.Namespace,
		Kubernetes: op.Reads, Dynamic: objects, Classify: target.Cluster.Classify, Valid: op.Lost,
		Graces: graces, Redact: s.redact, Say: op.Paced, Doing: op.Doing,
	}
	return s, nil
}

// connect makes Helm anew for one action. Helm's configuration is never shared: Helm changes it while it runs, and the client keeps the
// first failure that it saw.
func (s *session) connect(capabilities *cluster.Capabilities) error {
	var err error
	s.kube, err = helmkube.New(helmkube.Options{
		Context: s.op.Context(), Target: s.target, Config: s.op.Config(operation.WhileItRuns),
		Waiter: s.waiter, Lookups: s.lookups, Taking: s.taking, Ended: s.op.Ended, Redact: s.redact, Doing: s.op.Doing,
	})
	if err != nil {
		return err
	}
	s.helm = s.kube.Configuration(helmkube.NewStorage(s.op.Durable, s.target.Handle.Namespace, s.storage),
		render.HelmCapabilities(capabilities))
	return nil
}

// stored reads a revision from Helm's storage. Errors as from cluster.Classify.
func (s *session) stored(number int) (*helmrelease.Release, error) {
	stored, err := s.helm.Releases.Get(s.target.Name, number)
	if err != nil {
		return nil, s.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", number, s.target.Name, err))
	}
	return stored, nil
}

// redact takes secrets out of a text. Which ones there are is known only some time after the session has begun.
func (s *session) redact(text string) string { return s.secrets.Text(text) }

// canceled says that an interrupt ended the operation.
func (s *session) canceled(err error) error {
	var already *CanceledError
	if errors.As(err, &already) || isVerificationError(err) {
		return err
	}
	return &CanceledError{Release: s.target.Name, During: s.op.Now(), Cause: errors.New(s.redact(err.Error()))}
}

// checks makes the environment in which revision release is verified.
func (s *session) checks(release *helmrelease.Release, version string) verify.Environment {
	return verify.Environment{
		Target: s.target, Op: s.op, Graces: s.waiter.Graces, Secrets: s.secrets, Release: release, Version: version,
	}
}

// keepAttempted reads what failed revisions may have made, before they are written over.
func (s *session) keepAttempted(seen situation) (notes []string, err error) {
	for _, number := range seen.attempted[max(0, len(seen.attempted)-maxAttempted):] {
		stored, err := s.stored(number)
		if err != nil {
			return nil, err
		}
		list, err := s.kube.BuildServed(stored.Manifest)
		var unreadable *object.ParseError
		var twice *object.DuplicateKeyError
		if errors.As(err, &unreadable) || errors.As(err, &twice) {
			notes = append(notes, fmt.Sprintf(
				"what revision %d may have left was not cleaned up, since its objects cannot be distinguished: %v", number, err))
			continue
		}
		if err != nil {
			return nil, s.target.Cluster.Classify(fmt.Errorf("reading the objects of revision %d of release %s: %w", number, s.target.Name, err))
		}
		s.kube.Attempted = append(s.kube.Attempted, list...)
	}
	return notes, nil
}

// explain turns what Helm returned, which is text, into what really went wrong.
func (s *session) explain(ran error, number int) error {
	cause := s.op.Ended()
	switch {
	case s.op.Interrupted():
		return &CanceledError{Release: s.target.Name, Revision: number, During: s.op.Now(), Cause: cause}
	case isOwnError(ran):
		return ran
	case errors.Is(cause, operation.ErrDeadline) && s.waiter.Silence != nil:
		return s.waiter.Silence // It says nothing about the revision.
	case errors.Is(cause, operation.ErrDeadline):
		return &DeadlineError{Release: s.target.Name, Revision: number, Timeout: s.op.Timeout(), During: s.op.Now(), Objects: s.waiter.Pending,
			blamed: s.waiter.Blamed}
	}
	var (
		notReady *rollout.NotReadyError
		refused  *helmkube.RefusedError
		foreign  *ownership.Error
		read     *helmkube.LookupError
		gate     *cluster.GateError
	)
	failure := s.kube.Failure()
	switch {
	case errors.As(failure, &foreign):
		return foreign
	case errors.As(failure, &read):
		return read
	case errors.As(failure, &notReady) && notReady.Hook:
		return &HookError{Release: s.target.Name, Revision: number, Event: hookEvent(ran), Cause: s.redact(notReady.Cause),
			Objects: notReady.Reports}
	case errors.As(failure, &notReady):
		return &RolloutError{Release: s.target.Name, Revision: number, Cause: s.redact(notReady.Cause), Objects: notReady.Reports,
			kind: notReady.Kind}
	case cause != nil:
		return cause // The Lease was lost, and with it the right to write.
	case errors.As(failure, &gate):
		return gate.Cause // Likewise: it could not be renewed for long.
	case errors.As(failure, &refused) && cluster.IsTransient(refused.Cause):
		return s.unwritten(refused, number)
	case errors.As(failure, &refused) && refused.Hook:
		return &HookError{Release: s.target.Name, Revision: number, Event: hookEvent(ran), Cause: s.redact(refused.Error())}
	case errors.As(failure, &refused):
		return &RolloutError{Release: s.target.Name, Revision: number, Cause: s.redact(refused.Error()), Refused: true}
	case failure != nil && cluster.IsTransient(failure):
		return s.target.Cluster.Classify(failure)
	}
	text := s.redact(explain.Library(ran))
	if strings.Contains(text, "exists and cannot be imported into the current release") {
		return &ownership.Error{Release: s.target.Name, Namespace: s.target.Handle.Namespace, Reason: text,
			Advice: "Set take_ownership = true to take the object over as it runs, or leave it out of the chart, or give it another name. " +
				"Apply again then."}
	}
	if cluster.IsTransient(ran) {
		return s.target.Cluster.Classify(ran)
	}
	return fmt.Errorf("writing revision %d of release %s: %s", number, s.target.Name, text)
}

// unwritten says that the cluster, and not the revision, is the reason why an object could not be written.
func (s *session) unwritten(refused *helmkube.RefusedError, number int) error {
	classified := s.target.Cluster.Classify(refused.Cause)
	if _, explained := explain.As(classified); explained {
		return classified
	}
	return fmt.Errorf("writing revision %d of release %s: %s", number, s.target.Name, s.redact(refused.Error()))
}

// isOwnError reports that an error says what it means already.
func isOwnError(err error) bool {
	var (
		pending  *PendingError
		canceled *CanceledError
	)
	return errors.As(err, &pending) || errors.As(err, &canceled)
}

// hookEvent finds the kind of hook in Helm's error.
func hookEvent(ran error) string {
	text := ran.Error()
	events := []string{"pre-install", "post-install", "pre-upgrade", "post-upgrade", "pre-delete", "post-delete"}
	i := slices.IndexFunc(events, func(e string) bool {
		return strings.Contains(text, "failed "+e) || strings.Contains(text, e+" hooks failed")
	})
	if i < 0 {
		return ""
	}
	return events[i]
}

// markUnfit writes the result of a verification into Helm's storage: the revision has failed, though its pods are ready.
func (s *session) markUnfit(number int, reason string) error {
	stored, err := s.stored(number)
	if err != nil {
		return err
	}
	if stored.Info.Status == helmrelease.StatusFailed {
		return nil
	}
	stored.SetStatus(helmrelease.StatusFailed, "Slipway: "+explain.Shorten(s.redact(explain.FirstLine(reason)), record.MaxReason))
	if err := s.helm.Releases.Update(stored); err != nil {
		return s.target.Cluster.Classify(fmt.Errorf("marking revision %d of release %s as failed: %w", number, s.target.Name, err))
	}
	return nil
}

// markFailed writes a revision's end into Helm's storage, with the name of the apply that died.
func (s *session) markFailed(number int, reason string) error {
	stored, err := s.stored(number)
	if err != nil {
		return err
	}
	stored.SetStatus(helmrelease.StatusFailed, fmt.Sprintf("Slipway: %s. Marked failed by %s.", reason, s.op.Holder()))
	if err := s.helm.Releases.Update(stored); err != nil {
		return s.target.Cluster.Classify(fmt.Errorf("marking revision %d of release %s as failed: %w", number, s.target.Name, err))
	}
	return nil
}

// uninstall removes the release with its history, and waits until its objects are gone.
func (s *session) uninstall() error {
	s.op.Doing("uninstalling")
	u := action.NewUninstall(s.helm)
	u.Wait = true
	u.Timeout = s.op.Timeout()
	// A workload is gone only when its pods are: what comes after, such as the removal of their database, would fail while they end.
	u.DeletionPropagation = "foreground"
	_, err := u.Run(s.target.Name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil
	}
	return err
}

// maxAttempted is how many failed revisions in a row are looked at for what they left.
const maxAttempted = 5
