// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// leaseLookEvery is how often a bake looks whether the Lease is still held. It asks nobody.
const leaseLookEvery = time.Second

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

// bake watches the revision of env until there is a verdict, and returns it with all samples. Nothing to watch (nil) is a pass. The
// errors are *AnalysisConfigError and *analysis.InvalidPolicyError (nothing was watched), those of the cluster as from Classify
// (likewise), and *analysis.InterruptedError, with which the verdict is pending: ctx has ended, or the Lease is lost.
func bake(ctx context.Context, env Environment, a *Analysis, options bakeOptions) (analysis.Verdict, []analysis.Sample, error) {
	if a == nil {
		return analysis.Verdict{Outcome: analysis.Passed, Action: analysis.Accept, Reason: "There is nothing to watch."}, options.Earlier, nil
	}
	pending := analysis.Verdict{Outcome: analysis.Pending, Action: analysis.Wait}
	policy, err := a.expanded(queryValuesOf(env.Target, env.Version))
	if err != nil {
		return pending, options.Earlier, err
	}
	samplers, release, err := makeSamplers(ctx, env, a, policy)
	if err != nil {
		return pending, options.Earlier, err
	}
	defer release()
	held, stop := whileHeld(ctx, env.Op.Lost)
	defer stop()
	return analysis.Run(held, analysis.Options{
		Policy: policy, Samplers: samplers, Clock: options.Clock, Abort: options.Abort, Start: options.Start, Earlier: options.Earlier,
		Progress: func(line string) { env.Op.Say("%s", env.Secrets.Text(line)) }, // It comes at a pace of its own.
	})
}

// whileHeld is a context that ends when the Lease is lost: whoever has it then may be changing what is watched.
func whileHeld(ctx context.Context, lost func() error) (context.Context, func()) {
	held, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for held.Err() == nil {
			if err := lost(); err != nil {
				cancel(err)
				return
			}
			rollout.Pause(held, leaseLookEvery)
		}
	}()
	return held, func() {
		cancel(nil)
		<-done
	}
}
