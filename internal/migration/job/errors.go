// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
)

// FilesError is a directory that cannot be run as it is.
type FilesError struct {
	Directory string
	File      string // empty where it is about all
	Reason    string
}

func (e *FilesError) Error() string {
	return strings.TrimSpace("migrations " + e.Directory + " " + e.File + ": " + e.Reason)
}

// Explain says what happened, what was seen and what to do.
func (e *FilesError) Explain() (happened, observed, advice string) {
	what := "The directory " + e.Directory
	if e.File != "" {
		what = "The file " + e.File + " in " + e.Directory
	}
	return what + " cannot be run as it is.", "Reason: " + e.Reason + ".", "Nothing was run. Fix it and plan again."
}

// EditedError is files that were changed after they were applied.
type EditedError struct{ Files []string }

func (e *EditedError) Error() string {
	return "migrations were edited after they were applied: " + strings.Join(e.Files, ", ")
}

// Explain says what happened, what was seen and what to do.
func (e *EditedError) Explain() (happened, observed, advice string) {
	return "Migrations were edited after they were applied.",
		"Their checksum is another one than that of what was run: " + strings.Join(e.Files, ", ") + ".",
		"An applied file is never run again, so that the edit would have no effect here and one in a new database. Put the old " +
			"content back, and write the change as a new file with a higher number."
}

// LateError is a file that would run after a newer one.
type LateError struct {
	File   string
	Newest int64
}

func (e *LateError) Error() string {
	return fmt.Sprintf("migration %s is older than %d, which is applied", e.File, e.Newest)
}

// Explain says what happened, what was seen and what to do.
func (e *LateError) Explain() (happened, observed, advice string) {
	return "A migration came late.", fmt.Sprintf("%s is not applied, and is older than number %d, which is.", e.File, e.Newest),
		"Give it a number higher than all others: it was not there when they were written and tested."
}

// NewBlockedError says that a contract migration must wait, and for what.
func NewBlockedError(name string, reasons []string) error {
	return &explain.Error{
		Happened: "The contract migration " + name + " must wait: an old version still runs, or could be rolled back to.",
		Observed: "- " + strings.Join(reasons, "\n- "),
		Advice:   "Nothing was run. Apply again when that is over, or set on_blocked = \"defer\" to let the rest of the apply continue.",
	}
}

// errRunning says that a migration is not removed, since it runs.
func errRunning(migration string, one *batchv1.Job) error {
	return &explain.Error{
		Happened: "The migration " + migration + " is running.",
		Observed: fmt.Sprintf("The Job %s/%s runs since %s.", one.Namespace, one.Name, one.CreationTimestamp.UTC().Format(time.RFC3339)),
		Advice:   "Wait for its end and destroy again, or delete the Job first: what it has applied stays.",
	}
}

// notStarted is the advice for a Job whose pod cannot start.
const notStarted = "Nothing was run. Correct what keeps the pod from starting, and apply again: for an image that cannot be pulled, " +
	"its name " +
	"and tag, and the right of the namespace's ServiceAccount or pull secret to pull it."

// RunError is a Job that did not apply all that was pending.
type RunError struct {
	Job, Namespace string // no Job: it ran in this process
	Reason         string
	Phase          runner.Phase    // that did not pass, empty where it was a migration
	Failure        *runner.Failure // nil where the runner did not report one
	Applied        []string        // in this run
	Left           int
	Events         []string
	Log            []string // the tail
	Retry          bool
	// Idle says that the program of the Job did not start.
	Idle bool
}

func (e *RunError) Error() string {
	if e.Job == "" {
		return fmt.Sprintf("migration from this process for namespace %s: %s", e.Namespace, e.Reason)
	}
	return fmt.Sprintf("migration Job %s/%s: %s", e.Namespace, e.Job, e.Reason)
}

// Explain says what happened, what was seen and what to do.
func (e *RunError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("The Job %s in namespace %s did not apply all migrations: %s.", e.Job, e.Namespace,
		strings.TrimSuffix(e.Reason, "."))
	if e.Job == "" {
		happened = fmt.Sprintf("The migrations of namespace %s, run from this process, were not all applied: %s.", e.Namespace,
			strings.TrimSuffix(e.Reason, "."))
	}
	by := fmt.Sprintf("the Job %s in namespace %s", e.Job, e.Namespace)
	if e.Job == "" {
		by = "this process, for namespace " + e.Namespace
	}
	switch e.Phase {
	case runner.PhaseCheck:
		happened = fmt.Sprintf("The check before the migrations did not succeed, and none of them was run, by %s: %s.", by,
			strings.TrimSuffix(e.Reason, "."))
	case runner.PhaseValidate:
		happened = fmt.Sprintf("All migrations are applied and recorded, but their validation did not succeed, by %s: %s.", by,
			strings.TrimSuffix(e.Reason, "."))
	}
	var seen []string
	if f := e.Failure; f != nil {
		at := f.File
		if f.Line > 0 {
			at += fmt.Sprintf(":%d", f.Line)
		}
		if f.Of > 0 {
			at += fmt.Sprintf(" (statement %d of %d)", f.Statement, f.Of)
		}
		if f.SQL != "" {
			seen = append(seen, strings.TrimSpace(at)+":\n  "+strings.ReplaceAll(f.SQL, "\n", "\n  "))
		} else if at != "" {
			seen = append(seen, at)
		}
		message := f.Message
		if f.Code != "" {
			message += " (SQLSTATE " + f.Code + ")"
		}
		seen = append(seen, message)
		if f.Kept {
			seen = append(seen, "The statements before it in the same file stay applied.")
		}
	}
	if len(e.Applied) > 0 {
		seen = append(seen, "Applied before that, and recorded: "+strings.Join(e.Applied, ", ")+".")
	}
	if len(e.Events) > 0 {
		seen = append(seen, "Events:\n  "+strings.Join(e.Events, "\n  "))
	}
	if len(e.Log) > 0 {
		seen = append(seen, "End of the log:\n  "+strings.Join(e.Log, "\n  "))
	}
	advice = "Fix it and apply again: it resumes with the first file that is not applied."
	if e.Phase == runner.PhaseValidate {
		advice = "Write what is missing as a new migration, or correct the validation, and apply again: it validates again, and runs " +
			"nothing that is applied."
	} else if e.Failure != nil && e.Failure.Advice != "" {
		advice = e.Failure.Advice + "\n\n" + advice
	}
	if e.Idle {
		advice = notStarted
	}
	if e.Retry {
		advice = "Apply again: it resumes where it was."
	}
	return happened, strings.Join(seen, "\n\n"), advice
}
