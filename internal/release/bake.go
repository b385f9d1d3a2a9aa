// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
)

// bakeOptions are what a bake needs beside its analysis.
type bakeOptions struct {
	// Start is when a bake that was cut off had begun, zero for a new one; Earlier are its samples as far as they are known.
	Start   time.Time
	Earlier []analysis.Sample
	// Abort is asked every few seconds. It may be nil.
	Abort analysis.Abort
	// Clock is the machine's where nil.
	Clock analysis.Clock
}

// bake watches the revision of env until there is a verdict, and returns it with all samples. The errors are
// *AnalysisConfigError (nothing was watched), *analysis.InvalidPolicyError, and *analysis.InterruptedError, with which the verdict
// is pending.
func bake(_ context.Context, _ checkEnvironment, _ *Analysis, _ bakeOptions) (analysis.Verdict, []analysis.Sample, error) {
	return analysis.Verdict{Outcome: analysis.Pending, Action: analysis.Wait}, nil, errors.New("not made")
}

// validation is the analysis of a revision that a rollback has restored: the same checks over window, which starts when it is
// begun. Zero makes one pass of each check. Rules that need more time than the window has are made as long as the window.
func (a *Analysis) validation(window time.Duration) *Analysis {
	restored := *a
	restored.Policy.Duration = window
	return &restored
}
