// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// VerificationError says that the verification of a new revision failed or was inconclusive, and what was done about it.
type VerificationError struct {
	Release  string
	Revision int
	// Version of the application that failed, empty where it is not known.
	Version string
	// Stage is one of the Stage constants; Reason is the sentence that decided.
	Stage  string
	Reason string
	// Inconclusive says that there was no verdict. The revision was left, or rolled back where the policy says so for this case.
	Inconclusive bool
	Evidence     verify.Evidence
	// Restored is nil where nothing was, and RollbackFailed then says why: *RollbackError, *RollbackInvalidError (with Restored set),
	// or nil where no rollback was asked for.
	Restored       *Restoration
	RollbackFailed error
	// LeftBehind are objects of the failed revision that a rollback does not take away, with the reason.
	LeftBehind []string
	// Quarantine is nil where the content may be deployed again.
	Quarantine *record.Quarantine
	// Cause is the failure of the rollout, nil for other stages.
	Cause error
}

// Explain says it in three paragraphs.
func (e *VerificationError) Explain() (happened, observed, advice string) {
	what := fmt.Sprintf("revision %d of release %s", e.Revision, e.Release)
	if e.Version != "" {
		what += " (" + e.Version + ")"
	}
	happened = fmt.Sprintf("%s failed its %s: %s", explain.Capitalize(what), e.Stage, explain.Sentence(e.Reason))
	if e.Inconclusive {
		happened = fmt.Sprintf("The %s of %s was inconclusive: %s", e.Stage, what, explain.Sentence(e.Reason))
	}
	if e.Stage == verify.StageManual {
		happened = fmt.Sprintf("%s was aborted by hand: %s", explain.Capitalize(what), explain.Sentence(e.Reason))
	}
	happened += " " + e.restored()
	return happened, e.observed(), e.advice()
}

func (e *VerificationError) restored() string {
	var invalid *RollbackInvalidError
	switch r := e.Restored; {
	case errors.As(e.RollbackFailed, &invalid):
		text, _, _ := invalid.Explain()
		return text
	case e.RollbackFailed != nil && r == nil:
		return explain.WithoutAdvice(e.RollbackFailed)
	case r == nil:
		return "It was left as it is."
	default:
		text := fmt.Sprintf("Revision %d was restored as revision %d", r.From, r.Revision)
		if r.Version != "" {
			text = fmt.Sprintf("Version %s was restored from revision %d as revision %d", r.Version, r.From, r.Revision)
		}
		return fmt.Sprintf("%s; all its pods were ready %s after the failure was clear. %s", text,
			r.Ready.Sub(r.Detected).Round(100*time.Millisecond), explain.Sentence(r.Validation))
	}
}

func (e *VerificationError) observed() string {
	var blocks []string
	if e.Cause != nil {
		if explained, ok := e.Cause.(interface {
			Explain() (happened, observed, advice string)
		}); ok {
			if _, observed, _ := explained.Explain(); observed != "" {
				blocks = append(blocks, observed)
			}
		}
	}
	if text := e.Evidence.Text(); text != "" {
		blocks = append(blocks, text)
	}
	var invalid *RollbackInvalidError
	if errors.As(e.RollbackFailed, &invalid) {
		if text := invalid.Evidence.Text(); text != "" {
			blocks = append(blocks, fmt.Sprintf("Of revision %d:\n%s", invalid.Revision, text))
		}
	}
	if len(e.LeftBehind) > 0 {
		blocks = append(blocks, "Left behind by it:\n  "+strings.Join(e.LeftBehind, "\n  "))
	}
	return strings.Join(blocks, "\n")
}

func (e *VerificationError) advice() string {
	var out []string
	switch {
	case e.RollbackFailed != nil:
		if explained, ok := e.RollbackFailed.(interface {
			Explain() (happened, observed, advice string)
		}); ok {
			_, _, advice := explained.Explain()
			out = append(out, advice)
		}
		out = append(out, "Look at the release now: what is live may not work.")
	case e.Inconclusive && e.Restored == nil:
		out = append(out, "Apply again to verify it again; no new revision is made. If there is too little traffic, let a probe make some, "+
			"or choose another on_inconclusive.")
	case e.Stage == verify.StageRollout:
		out = append(out, "Fix the named problem and apply again.")
	default:
		out = append(out, "Fix the version and apply again.")
	}
	if e.Quarantine != nil {
		out = append(out, releaseFromQuarantine(*e.Quarantine, e.Release))
	}
	return strings.Join(out, " ")
}

func (e *VerificationError) Error() string   { return explain.Text(e.Explain()) }
func (e *VerificationError) Unwrap() []error { return unwrapped(e.Cause, e.RollbackFailed) }

func unwrapped(all ...error) []error {
	var out []error
	for _, err := range all {
		if err != nil {
			out = append(out, err)
		}
	}
	return out
}

// RollbackError says that a rollback was refused, or did not come to its end.
type RollbackError struct {
	Release string
	// Target is the known-good revision, 0 where there is none.
	Target int
	// Refused says that nothing was changed: the failed revision is live as it was.
	Refused bool
	// Reason is a sentence, Advice what to do.
	Reason string
	Advice string
	Cause  error
}

// Explain says it in three paragraphs.
func (e *RollbackError) Explain() (happened, observed, advice string) {
	switch {
	case e.Target == 0:
		happened = "Nothing was rolled back: release " + e.Release + " has no known-good revision."
	case e.Refused:
		happened = fmt.Sprintf("It was not rolled back to revision %d.", e.Target)
	default:
		happened = fmt.Sprintf("The rollback to revision %d did not come to its end.", e.Target)
	}
	return happened, e.Reason, e.Advice
}

func (e *RollbackError) Error() string { return explain.Text(e.Explain()) }
func (e *RollbackError) Unwrap() error { return e.Cause }

// RollbackInvalidError says that the restored revision is also unhealthy. It was left: there is nothing better to restore.
type RollbackInvalidError struct {
	Release string
	// Revision was restored from revision From.
	Revision, From int
	// Stage and Reason say what failed.
	Stage, Reason string
	Evidence      verify.Evidence
}

// Explain says it in three paragraphs.
func (e *RollbackInvalidError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Revision %d was restored as revision %d, which is also unhealthy: its %s failed: %s", e.From, e.Revision, e.Stage,
			explain.Sentence(e.Reason)),
		e.Evidence.Text(),
		"What is wrong is probably not the version: look at what it depends on. Nothing more is rolled back."
}

func (e *RollbackInvalidError) Error() string { return explain.Text(e.Explain()) }

// QuarantinedError says that the content is not deployed, since its verdict was failed not long ago. Nothing was changed, but for a
// rollback that had ended half way, see Outcome.Restored.
type QuarantinedError struct {
	Release    string
	Quarantine record.Quarantine
}

// Explain says it in three paragraphs.
func (e *QuarantinedError) Explain() (happened, observed, advice string) {
	q := e.Quarantine
	what := "This content"
	if q.Version != "" {
		what = "Version " + q.Version
	}
	return fmt.Sprintf("%s is not deployed again to release %s: it failed as revision %d at %s.", what, e.Release, q.Revision,
			q.At.UTC().Format(time.RFC3339)),
		explain.Sentence(q.Reason), releaseFromQuarantine(q, e.Release)
}

func (e *QuarantinedError) Error() string { return explain.Text(e.Explain()) }

// releaseFromQuarantine says how a quarantine ends.
func releaseFromQuarantine(q record.Quarantine, release string) string {
	return fmt.Sprintf("This content is quarantined until %s. To deploy it earlier, change the chart, the values, the version or the policy, "+
		"set another retry_token, or put the annotation %s=%s on ConfigMap %s.", q.Expires.UTC().Format(time.RFC3339),
		record.AnnotationQuarantine, record.QuarantineCleared, record.OfRelease.Object(release))
}

// UnverifiedError says that the run was cut off while a deployed revision was watched. The revision was left, and the next apply
// resumes the verification.
type UnverifiedError struct {
	Release  string
	Revision int
	// Since is when its pods were ready; Stage is the stage that was cut off.
	Since time.Time
	Stage string
	Cause error
}

// Explain says it in three paragraphs.
func (e *UnverifiedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The verification of revision %d of release %s was interrupted in its %s.", e.Revision, e.Release, e.Stage),
		fmt.Sprintf("All its pods were ready at %s. It was left as it is, neither accepted nor rolled back, and nothing continues in the "+
			"background.",
			e.Since.UTC().Format(time.RFC3339)),
		"Apply again: the verification resumes from there, and no new revision is made."
}

func (e *UnverifiedError) Error() string { return explain.Text(e.Explain()) }
func (e *UnverifiedError) Unwrap() error { return e.Cause }

// isVerificationError reports that an error explains what happened already, whatever it was caused by.
func isVerificationError(err error) bool {
	var (
		failed     *VerificationError
		quarantine *QuarantinedError
	)
	return errors.As(err, &failed) || errors.As(err, &quarantine)
}
