// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// RolloutError says that the API server refused an object, or that the release was written but did not become ready.
type RolloutError struct {
	Release  string
	Revision int
	// Cause is the first thing that went wrong.
	Cause string
	// Refused says that it was the API server that refused an object.
	Refused bool
	// Objects are those that are not ready.
	Objects []rollout.ObjectReport

	// kind is that of the trouble, for example "crash"; empty where there was none.
	kind string
}

const afterFailure = "Nothing was rolled back. Fix the named problem and apply again: the apply continues from what is there."

// Explain says it in three paragraphs.
func (e *RolloutError) Explain() (happened, observed, advice string) {
	what := "did not become ready"
	if e.Refused {
		what = "could not be written"
	}
	return fmt.Sprintf("Revision %d of release %s %s: %s", e.Revision, e.Release, what, e.Cause), rollout.Text(e.Objects), afterFailure
}

func (e *RolloutError) Error() string { return explain.Text(e.Explain()) }

// HookError says that a hook of the chart failed.
type HookError struct {
	Release  string
	Revision int
	// Event is "pre-install", "post-upgrade" and so on, empty where it is not known.
	Event   string
	Cause   string
	Objects []rollout.ObjectReport
}

// Explain says it in three paragraphs.
func (e *HookError) Explain() (happened, observed, advice string) {
	hook := "hook"
	if e.Event != "" {
		hook = e.Event + " hook"
	}
	return fmt.Sprintf("A %s of revision %d of release %s failed: %s", hook, e.Revision, e.Release, e.Cause), rollout.Text(e.Objects),
		afterFailure
}

func (e *HookError) Error() string { return explain.Text(e.Explain()) }

// DeadlineError says that the operation's own timeout passed.
type DeadlineError struct {
	Release  string
	Revision int
	Timeout  time.Duration
	// During says what was in progress.
	During string
	// Objects are those that were not ready.
	Objects []rollout.ObjectReport

	// blamed says that pods ran and were not ready: it was the version that was not done in time.
	blamed bool
}

// Explain says it in three paragraphs.
func (e *DeadlineError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Revision %d of release %s was not done after %s; the time ran out while %s.", e.Revision, e.Release, e.Timeout,
			e.During),
		rollout.Text(e.Objects), afterFailure + " Where it only needs longer, raise it in timeouts."
}

func (e *DeadlineError) Error() string { return explain.Text(e.Explain()) }
