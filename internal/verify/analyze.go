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
	samplers, release, err := a.samplers(ctx, env, policy)
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

// Validation is the analysis of a revision that a rollback has restored: the same checks over window, which starts when it is
// begun. Zero makes one pass of each health check. Fewer failures in a row are tolerated where the window has no time for more. A metric
// whose rule needs more time than the window has is left out: it could only judge by what the other revision did. For the same reason
// nothing is sampled until the queries of the others look back no further than to the start. Nil where nothing is left.
func (a *Analysis) Validation(window time.Duration) *Analysis {
	if a == nil {
		return nil
	}
	restored := *a
	policy := a.Policy
	policy.InitialDelay, policy.Duration, policy.Metrics, policy.SampleRatio = 0, window, nil, nil
	if window == 0 {
		// Long enough for the first sample of each check to be begun, too short for a second.
		policy.Duration = analysis.MinInterval / 4
	}
	if policy.Health != nil && policy.Interval > 0 {
		health := *policy.Health
		health.ConsecutiveFailures = min(health.ConsecutiveFailures, int(policy.Duration/policy.Interval))
		policy.Health = &health
	}
	for _, m := range a.Policy.Metrics {
		if window > 0 && max(m.For, m.Over) <= window {
			policy.Metrics = append(policy.Metrics, m)
			for _, q := range metricQueries(&m) {
				if reach := queryReach(*q.text); reach > 0 {
					policy.InitialDelay = max(policy.InitialDelay, reach+policy.Interval)
				}
			}
		}
	}
	restored.Policy = policy
	if policy.Health == nil && len(policy.Metrics) == 0 {
		return nil
	}
	return &restored
}
