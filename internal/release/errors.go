// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// OwnershipError says that a release, or one of the objects that it would make, belongs to somebody else. Nothing was written.
type OwnershipError struct {
	Release   string
	Namespace string
	// Revision and Status of the foreign release; 0 where an object is foreign and not the release.
	Revision int
	Status   string
	// Reason says what was observed and how the reader gets on.
	Reason string
}

func (e *OwnershipError) Error() string {
	if e.Revision == 0 {
		return fmt.Sprintf("release %s in namespace %s would take what is not its own: %s", e.Release, e.Namespace, e.Reason)
	}
	return fmt.Sprintf("release %s in namespace %s exists already (revision %d, %s) and was not made by Slipway: %s",
		e.Release, e.Namespace, e.Revision, e.Status, e.Reason)
}

// PlanMismatchError says that apply would install something else than the plan showed. Nothing was written.
type PlanMismatchError struct {
	// Differences are lines such as "apps/v1/Deployment/x: spec.replicas 2 → 3", without secrets.
	Differences []string
	// Chart says in words that the chart itself is another one; empty where it is not.
	Chart string
}

func (e *PlanMismatchError) Error() string {
	if e.Chart != "" {
		return "the chart is not the one that was planned: " + e.Chart
	}
	return "the chart renders to something else than the plan showed:\n  " + strings.Join(e.Differences, "\n  ")
}

// PendingError says that an operation on the release was left half done, or still runs, and is not recovered.
type PendingError struct {
	Release  string
	Revision int
	Status   string
	Since    time.Time
	// Running names hook Jobs and Pods that still run.
	Running []string
	// Reason says why it is left alone and what to do.
	Reason string
}

func (e *PendingError) Error() string {
	text := fmt.Sprintf("release %s is %s at revision %d since %s", e.Release, e.Status, e.Revision, e.Since.UTC().Format(time.RFC3339))
	if len(e.Running) > 0 {
		text += ", and still runs " + strings.Join(e.Running, ", ")
	}
	return text + ": " + e.Reason
}

// ObjectReport is what was observed of one object that did not become ready.
type ObjectReport struct {
	Object object.Key
	// Observed is the state in words ("1 of 2 pods ready").
	Observed string
	// Details are conditions, container states, events and log lines, ready to print, without secrets.
	Details []string
}

// RolloutError says that the release was written but did not become ready, or that the API server refused an object.
type RolloutError struct {
	Release  string
	Revision int
	// Cause is the first thing that went wrong.
	Cause string
	// Objects are those that are not ready.
	Objects []ObjectReport
}

func (e *RolloutError) Error() string {
	return fmt.Sprintf("revision %d of release %s did not become ready: %s%s", e.Revision, e.Release, e.Cause, reportText(e.Objects))
}

// HookError says that a hook of the chart failed.
type HookError struct {
	Release  string
	Revision int
	// Event is "pre-install", "post-upgrade" and so on, empty where Helm did not say.
	Event   string
	Cause   string
	Objects []ObjectReport
}

func (e *HookError) Error() string {
	return fmt.Sprintf("a %s hook of revision %d of release %s failed: %s%s", e.Event, e.Revision, e.Release, e.Cause, reportText(e.Objects))
}

// CancelledError says that the operation was interrupted. What had been done is recorded; the next apply goes on from there.
type CancelledError struct {
	Release  string
	Revision int
	// During says what was going on.
	During string
	Cause  error
}

func (e *CancelledError) Error() string {
	return fmt.Sprintf("release %s: interrupted while %s (revision %d is recorded as failed; the next apply goes on from there)",
		e.Release, e.During, e.Revision)
}

func (e *CancelledError) Unwrap() error { return e.Cause }

// DeadlineError says that the operation's own timeout passed.
type DeadlineError struct {
	Release  string
	Revision int
	Timeout  time.Duration
	During   string
	Objects  []ObjectReport
}

func (e *DeadlineError) Error() string {
	return fmt.Sprintf("release %s: revision %d was not done after %s, while %s%s", e.Release, e.Revision, e.Timeout, e.During, reportText(e.Objects))
}

// NewerRecordError says that the record was written by a newer Slipway, which this one must not overwrite.
type NewerRecordError struct {
	Name          string
	SchemaVersion int
}

func (e *NewerRecordError) Error() string {
	return fmt.Sprintf("ConfigMap %s has schema version %d, newer than this provider writes (%d): use the newer provider version",
		e.Name, e.SchemaVersion, recordSchemaVersion)
}

// ForeignRecordError says that the record under the release's name belongs to another client or stage, or is not ours at all.
type ForeignRecordError struct {
	Name   string
	Client string
	Stage  string
	// Reason is set where the ConfigMap is not a record that can be read.
	Reason string
}

func (e *ForeignRecordError) Error() string {
	if e.Reason != "" {
		return fmt.Sprintf("ConfigMap %s is not a record of this release: %s", e.Name, e.Reason)
	}
	return fmt.Sprintf("ConfigMap %s belongs to client %s, stage %s", e.Name, e.Client, e.Stage)
}

// reportText prints reports below an error's first line.
func reportText(reports []ObjectReport) string {
	var b strings.Builder
	for _, r := range reports {
		fmt.Fprintf(&b, "\n\n%s: %s", r.Object, r.Observed)
		for _, d := range r.Details {
			b.WriteString("\n  " + strings.ReplaceAll(d, "\n", "\n  "))
		}
	}
	return b.String()
}
