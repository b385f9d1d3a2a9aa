// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// Watched says what an analysis is made on that is not about one release: traffic that is moved between tracks of pods.
type Watched struct {
	// Target is the environment; its Name stands for {{ release }} in queries.
	Target ownership.Release
	// Version stands for {{ version }} in queries.
	Version string
	// Pods are those that the check "pods" is about.
	Pods analysis.PodLister
	// Weight is the percentage of the requests that the pods have, and HeaderRouted that some come to them whatever it is. They matter where
	// the analysis compares the share with it.
	Weight       int
	HeaderRouted bool
	// Lost returns why the analysis must stop although its context has not ended, nil while it may continue: operation.Lost.
	Lost func() error
	// Start is when an analysis that was cut off had begun, zero for a new one.
	Start time.Time
	// Abort is asked every few seconds. It may be nil.
	Abort analysis.Abort
	// Progress may be nil.
	Progress func(string)
}

// Watch makes the checks of an analysis on the pods of w until there is a verdict. A nil analysis passes. Errors:
// *AnalysisConfigError, *analysis.InvalidPolicyError (nothing was watched), and *analysis.InterruptedError, with which the verdict is
// pending: ctx has ended, or the Lease is lost.
func (a *Analysis) Watch(ctx context.Context, w Watched) (analysis.Verdict, []analysis.Sample, error) {
	if a == nil {
		return analysis.Verdict{Outcome: analysis.Passed, Action: analysis.Accept, Reason: "There is nothing to watch."}, nil, nil
	}
	pending := analysis.Verdict{Outcome: analysis.Pending, Action: analysis.Wait}
	policy, err := a.expanded(queryValuesOf(w.Target, w.Version))
	if err != nil {
		return pending, nil, err
	}
	policy = policy.AtWeight(w.Weight, w.HeaderRouted)
	env := Environment{Target: w.Target, Secrets: redact.New(), Version: w.Version}
	others := *a
	others.Pods = nil
	samplers, release, err := others.samplers(ctx, env, policy)
	if err != nil {
		return pending, nil, err
	}
	defer release()
	if a.Pods != nil {
		samplers = append(samplers, &analysis.PodReadiness{Name: podsCheck, Pods: w.Pods, MinReady: a.Pods.MinReady, Grace: a.Pods.Grace})
	}
	held, stop := whileHeld(ctx, w.Lost)
	defer stop()
	return analysis.Run(held, analysis.Options{Policy: policy, Samplers: samplers, Abort: w.Abort, Start: w.Start, Progress: w.Progress})
}

// PolicyKey names what an analysis evaluates, without credentials. It is empty where a is nil.
func (a *Analysis) PolicyKey() string { return Policy{Analysis: a}.Hash() }
