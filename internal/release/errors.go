// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// PlanMismatchError says that apply would install something else than the plan showed. Nothing was written.
type PlanMismatchError struct {
	// Differences are lines such as "apps/v1/Deployment/x: spec.replicas 2 → 3", without secrets.
	Differences []string
	// Chart says in words that the chart itself is another one; empty where it is not.
	Chart string
}

// Explain says it in three paragraphs.
func (e *PlanMismatchError) Explain() (happened, observed, advice string) {
	advice = "Nothing was changed. Plan again, and look at what differs."
	if e.Chart != "" {
		return "The chart is not the one that was planned.", e.Chart, advice
	}
	return "The chart renders to something else than the plan showed.", "Planned → rendered now:\n  " + strings.Join(e.Differences, "\n  "),
		advice
}

func (e *PlanMismatchError) Error() string { return explain.Text(e.Explain()) }

// PendingError says that an operation on the release was left half done, or still runs, and is not recovered.
type PendingError struct {
	Release  string
	Revision int
	Status   string
	Since    time.Time
	// Running names hook Jobs and Pods that still run.
	Running []string
	// Reason says why it is left alone, Advice what to do.
	Reason string
	Advice string
}

// Explain says it in three paragraphs.
func (e *PendingError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("Revision %d of release %s is %s since %s.", e.Revision, e.Release, e.Status, e.Since.UTC().Format(time.RFC3339))
	observed = e.Reason
	if len(e.Running) > 0 {
		observed += "\nStill running: " + strings.Join(e.Running, ", ")
	}
	return happened, observed, e.Advice
}

func (e *PendingError) Error() string { return explain.Text(e.Explain()) }

// CanceledError says that the operation was interrupted. What had been done is recorded; the next apply resumes from there.
type CanceledError struct {
	Release string
	// Revision that was being made; 0 where none had been begun.
	Revision int
	// Removal says that the release was being uninstalled.
	Removal bool
	// During says what was in progress.
	During string
	Cause  error
}

// Explain says it in three paragraphs.
func (e *CanceledError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("Work on release %s was interrupted while %s.", e.Release, e.During)
	switch {
	case e.Removal:
		observed = "Some of its objects may be gone already. Nothing of it continues in the background."
		advice = "Run terraform destroy again to finish it."
	case e.Revision == 0:
		observed = "No revision had been begun."
		advice = "Apply again."
	default:
		observed = fmt.Sprintf("Revision %d is recorded as failed, and nothing of it continues in the background. It was not rolled back.",
			e.Revision)
		advice = "Apply again: it resumes from there."
	}
	return happened, observed, advice
}

func (e *CanceledError) Error() string { return explain.Text(e.Explain()) }
func (e *CanceledError) Unwrap() error { return e.Cause }

// errUnrecorded says that Helm's storage could not be brought up to date at the end of an operation. want is the status that the
// revision should have there.
func errUnrecorded(release string, revision int, want string, cause error) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Revision %d of release %s is %s, but Helm's storage does not say so.", revision, release, want),
		Observed: cause.Error(),
		Advice:   "Apply again: it repairs the storage.",
		Cause:    cause,
	}
}

// NotImportableError says that there is no release that could be imported.
type NotImportableError struct {
	Release   string
	Namespace string
	Reason    string
}

// Explain says it in three paragraphs.
func (e *NotImportableError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Release %s in namespace %s cannot be imported.", e.Release, e.Namespace), e.Reason,
		"Check the import id, or let an apply install the release."
}

func (e *NotImportableError) Error() string { return explain.Text(e.Explain()) }

// errNoProgress says that an action did not change the state of a release, for example because Helm's storage did not keep a write.
func errNoProgress(release string, revision int, state State, action Action) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Release %s was not applied.", release),
		Observed: fmt.Sprintf("Revision %d is %s, also after this apply was to %s. Helm's storage did not keep what was written, or another "+
			"program writes it at the same time.", revision, state, action),
		Advice: fmt.Sprintf("Make sure that no other program writes the Secrets sh.helm.release.v1.%s.*, and apply again.", release),
	}
}
