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
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// maxAttempted is how many failed revisions in a row are looked at for what they left.
const maxAttempted = 5

// keepAttempted reads what failed revisions may have made, before they are written over.
func (a *application) keepAttempted(s situation) error {
	attempted := s.attempted[max(0, len(s.attempted)-maxAttempted):]
	for _, number := range attempted {
		stored, err := a.helm.Releases.Get(a.target.Name, number)
		if err != nil {
			return a.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", number, a.target.Name, err))
		}
		list, err := a.kube.buildTolerant(stored.Manifest)
		var unreadable *object.ParseError
		var twice *object.DuplicateKeyError
		if errors.As(err, &unreadable) || errors.As(err, &twice) {
			a.notes = append(a.notes, fmt.Sprintf("what revision %d may have left was not cleaned up, since its objects cannot be told apart: %v", number, err))
			continue
		}
		if err != nil {
			return a.target.Cluster.Classify(fmt.Errorf("reading the objects of revision %d of release %s: %w", number, a.target.Name, err))
		}
		a.kube.attempted = append(a.kube.attempted, list...)
	}
	return nil
}

// runHelm installs or upgrades. It never uses RunWithContext, which returns while a goroutine of it goes on writing: Run ends
// when ctxKube does, and that ends with the operation's context.
func (a *application) runHelm(s situation) (*helmrelease.Release, error) {
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
		a.doing(fmt.Sprintf("installing revision %d", s.next()))
		install := action.NewInstall(a.helm)
		install.ReleaseName = a.target.Name
		install.Namespace = a.target.Handle.Namespace
		install.Replace = s.next() > 1
		install.SkipCRDs = true // They are ours, see makeCRDs.
		install.Wait = true
		install.WaitForJobs = true
		install.DisableOpenAPIValidation = true
		install.Timeout = a.timeout
		install.Labels = labels
		install.Description = fmt.Sprintf("Installed by Slipway (%s)", a.lease.Holder())
		result, err = install.Run(chart, a.values())
	} else {
		a.doing(fmt.Sprintf("upgrading to revision %d", s.next()))
		upgrade := action.NewUpgrade(a.helm)
		a.kube.learns = true
		upgrade.Namespace = a.target.Handle.Namespace
		upgrade.ResetValues = true
		upgrade.SkipCRDs = true
		upgrade.Wait = true
		upgrade.WaitForJobs = true
		upgrade.DisableOpenAPIValidation = true
		upgrade.Timeout = a.timeout
		upgrade.Labels = labels
		upgrade.Description = fmt.Sprintf("Upgraded by Slipway (%s)", a.lease.Holder())
		result, err = upgrade.Run(a.target.Name, chart, a.values())
	}
	if err != nil && result != nil && result.Info != nil && result.Info.Status == helmrelease.StatusDeployed {
		// Only the last write of the storage failed, which settle repeats.
		return result, nil
	}
	return result, err
}

// explain turns what Helm returned, which is text, into what really went wrong.
func (a *application) explain(ran error, number int) error {
	cause := a.ended()
	switch {
	case a.interrupted():
		return &CanceledError{Release: a.target.Name, Revision: number, During: a.now(), Cause: cause}
	case isOwnError(ran):
		return ran
	case errors.Is(cause, errDeadline):
		return &DeadlineError{Release: a.target.Name, Revision: number, Timeout: a.timeout, During: a.now(), Objects: a.pending, blamed: a.blamed}
	}
	var (
		notReady *notReadyError
		refused  *refusedError
	)
	failure := a.kube.failure
	switch {
	case errors.As(failure, &notReady) && notReady.hook:
		return &HookError{Release: a.target.Name, Revision: number, Event: hookEvent(ran), Cause: a.secrets.Text(notReady.cause), Objects: notReady.reports}
	case errors.As(failure, &notReady):
		return &RolloutError{Release: a.target.Name, Revision: number, Cause: a.secrets.Text(notReady.cause), Objects: notReady.reports, kind: notReady.kind}
	case cause != nil:
		return cause // The Lease was lost, and with it the right to write.
	case errors.As(failure, &refused) && cluster.IsTransient(refused.cause):
		return a.target.Cluster.Classify(refused.cause)
	case errors.As(failure, &refused) && refused.hook:
		return &HookError{Release: a.target.Name, Revision: number, Event: hookEvent(ran), Cause: a.secrets.Text(refused.Error())}
	case errors.As(failure, &refused):
		return &RolloutError{Release: a.target.Name, Revision: number, Cause: a.secrets.Text(refused.Error()), Refused: true}
	case failure != nil && cluster.IsTransient(failure):
		return a.target.Cluster.Classify(failure)
	}
	text := a.secrets.Text(explain.Library(ran))
	if strings.Contains(text, "exists and cannot be imported into the current release") {
		return &ownership.Error{Release: a.target.Name, Namespace: a.target.Handle.Namespace, Reason: text,
			Advice: "Remove that object, or leave it out of the chart, or give it to this release by Helm's label and annotations. Apply again then."}
	}
	if cluster.IsTransient(ran) {
		return a.target.Cluster.Classify(ran)
	}
	return fmt.Errorf("writing revision %d of release %s: %s", number, a.target.Name, text)
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
