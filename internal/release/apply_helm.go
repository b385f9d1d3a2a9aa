// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// maxAttempted is how many failed revisions in a row are looked at for what they left.
const maxAttempted = 5

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
				"what revision %d may have left was not cleaned up, since its objects cannot be told apart: %v", number, err))
			continue
		}
		if err != nil {
			return nil, s.target.Cluster.Classify(fmt.Errorf("reading the objects of revision %d of release %s: %w", number, s.target.Name, err))
		}
		s.kube.Attempted = append(s.kube.Attempted, list...)
	}
	return notes, nil
}

// runHelm installs or upgrades. It never uses RunWithContext, which returns while a goroutine of it goes on writing: Run ends
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
		install.Description = fmt.Sprintf("Installed by Slipway (%s)", a.op.Holder())
		result, err = install.Run(chart, a.values())
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
		upgrade.Description = fmt.Sprintf("Upgraded by Slipway (%s)", a.op.Holder())
		result, err = upgrade.Run(a.target.Name, chart, a.values())
	}
	if err != nil && result != nil && result.Info != nil && result.Info.Status == helmrelease.StatusDeployed {
		// Only the last write of the storage failed, which settle repeats.
		return result, nil
	}
	return result, err
}

// explain turns what Helm returned, which is text, into what really went wrong.
func (s *session) explain(ran error, number int) error {
	cause := s.op.Ended()
	switch {
	case s.op.Interrupted():
		return &CanceledError{Release: s.target.Name, Revision: number, During: s.op.Now(), Cause: cause}
	case isOwnError(ran):
		return ran
	case errors.Is(cause, operation.ErrDeadline):
		return &DeadlineError{Release: s.target.Name, Revision: number, Timeout: s.op.Timeout(), During: s.op.Now(), Objects: s.waiter.Pending, blamed: s.waiter.Blamed}
	}
	var (
		notReady *rollout.NotReadyError
		refused  *helmkube.RefusedError
	)
	failure := s.kube.Failure()
	switch {
	case errors.As(failure, &notReady) && notReady.Hook:
		return &HookError{Release: s.target.Name, Revision: number, Event: hookEvent(ran), Cause: s.redact(notReady.Cause), Objects: notReady.Reports}
	case errors.As(failure, &notReady):
		return &RolloutError{Release: s.target.Name, Revision: number, Cause: s.redact(notReady.Cause), Objects: notReady.Reports, kind: notReady.Kind}
	case cause != nil:
		return cause // The Lease was lost, and with it the right to write.
	case errors.As(failure, &refused) && cluster.IsTransient(refused.Cause):
		return s.target.Cluster.Classify(refused.Cause)
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
			Advice: "Remove that object, or leave it out of the chart, or give it to this release by Helm's label and annotations. Apply again then."}
	}
	if cluster.IsTransient(ran) {
		return s.target.Cluster.Classify(ran)
	}
	return fmt.Errorf("writing revision %d of release %s: %s", number, s.target.Name, text)
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
