// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"slices"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// Phase is a step of Migrate next to the migrations themselves.
type Phase string

// The phases. A report with PhaseValidate means that all files are applied.
const (
	PhaseCheck    Phase = "check"
	PhaseValidate Phase = "validate"
)

// PhaseError is a failed phase.
type PhaseError struct {
	Phase Phase
	Err   error
}

func (e *PhaseError) Error() string { return string(e.Phase) + ": " + e.Err.Error() }

func (e *PhaseError) Unwrap() error { return e.Err }

// Migrate runs the checks in before, applies pending files, and runs the checks in after. If a check in before fails, nothing is
// applied; if one in after fails, applied files stay applied. The checks in before are skipped if nothing is pending, since the
// migrations have changed the database by then. The error may be a *PhaseError.
func (r *Runner) Migrate(ctx context.Context, before, after []*sqlfile.File) (*Result, error) {
	if len(before) > 0 {
		status, err := r.Status(ctx)
		if err != nil {
			return nil, err
		}
		if r.left(status) > 0 {
			if err := r.Check(ctx, before); err != nil {
				return &Result{From: status.Current, To: status.Current, Left: r.left(status)}, &PhaseError{Phase: PhaseCheck, Err: err}
			}
		}
	}
	result, err := r.Up(ctx)
	if err != nil {
		return result, err
	}
	if err := r.Check(ctx, after); err != nil {
		return result, &PhaseError{Phase: PhaseValidate, Err: err}
	}
	return result, nil
}

// left is the number of files that Up would run: files up to the baseline count as applied if nothing is recorded.
func (r *Runner) left(status *Status) int {
	left := status.Pending
	if slices.ContainsFunc(status.Files, func(f FileStatus) bool { return f.State != Pending && f.State != Started }) {
		return left
	}
	for _, file := range status.Files {
		if file.Version <= r.config.Baseline {
			left--
		}
	}
	return left
}
