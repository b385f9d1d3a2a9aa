// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"slices"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// Phase is a step of Migrate beside the migrations themselves.
type Phase string

// The phases. A report that names PhaseValidate says that all files are applied.
const (
	PhaseCheck    Phase = "check"
	PhaseValidate Phase = "validate"
)

// PhaseError is a phase that did not pass.
type PhaseError struct {
	Phase Phase
	Err   error
}

func (e *PhaseError) Error() string { return string(e.Phase) + ": " + e.Err.Error() }

func (e *PhaseError) Unwrap() error { return e.Err }

// Migrate checks that the statements of before hold, applies what is pending, and checks those of after. Where one of before does not
// hold, nothing is applied; where one of after does not, what was applied stays. The checks before it are left out where nothing is
// pending: a run that is repeated meets a database that the migrations have changed. The error may be a *PhaseError.
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

// left is how many files Up would run: those up to the baseline count as applied where nothing is recorded.
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
