// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// Environment is what smoke tests, the acceptance gate and the analysis work with.
type Environment struct {
	Target ownership.Release
	// Op is the operation in which the revision was made.
	Op      *operation.Operation
	Graces  rollout.Graces
	Secrets *redact.Secrets
	// Release is the revision that is verified, as Helm's storage has it: its tests, the selectors of its workloads. It is only read.
	Release *helmrelease.Release
	// Version of the application, empty where it is not known.
	Version string
}

// runCheck makes one smoke test, or asks the acceptance gate. Nil means that it passed. The error is a *CheckFailure where it did
// not, or could not be made (Refused is false then), also when the check's own timeout has passed. When ctx has ended or the
// Lease is lost, the error is the cause, and nothing follows for the version. What a check leaves in the cluster is removed by the
// next one: of a Job nothing is left as far as the cluster can be reached, of the chart's tests what their deletion policy keeps.
func runCheck(ctx context.Context, env Environment, stage string, check Check) error {
	run, err := env.beginCheck(ctx, stage, check)
	if err != nil {
		return err
	}
	defer run.cancel()
	env.Op.Doing(fmt.Sprintf("making the %s %s", stage, check.Name))
	switch {
	case check.HelmTest != nil:
		err = helmTests{run}.do()
	case check.HTTP != nil:
		err = askHTTP(run)
	case check.Job != nil:
		err = jobRun{run}.do()
	default:
		err = run.notMade("it has neither a helm_test nor an http nor a job block")
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the %s %s was interrupted: %w", stage, check.Name, context.Cause(ctx))
	}
	if lost := env.Op.Lost(); lost != nil {
		return lost
	}
	var failure *CheckFailure
	if errors.As(err, &failure) {
		return failure
	}
	return run.notMade(explain.Library(err))
}

// checkRun is one check while it runs. Its time is a part of the operation's.
type checkRun struct {
	env   Environment
	stage string
	check Check

	// caller is the operation's context; ctx ends with it, or with the check's own timeout.
	caller context.Context
	ctx    context.Context
	cancel context.CancelFunc
	waiter *rollout.Waiter
	kube   *helmkube.Client
}

func (e Environment) beginCheck(ctx context.Context, stage string, check Check) (*checkRun, error) {
	r := &checkRun{env: e, stage: stage, check: check, caller: ctx}
	objects, err := e.Target.Cluster.Dynamic()
	if err != nil {
		return nil, err
	}
	r.waiter = &rollout.Waiter{
		Release: e.Target.Name, Namespace: e.Target.Handle.Namespace,
		Kubernetes: e.Op.Reads, Dynamic: objects, Classify: e.Target.Cluster.Classify, Valid: e.Op.Lost,
		Graces: e.Graces, Redact: e.Secrets.Text, Say: e.Op.Paced, Doing: e.Op.Doing,
	}
	r.ctx, r.cancel = context.WithTimeoutCause(ctx, check.timeout(), operation.ErrDeadline)
	if r.kube, err = r.client(r.ctx, operation.WhileItRuns); err != nil {
		r.cancel()
		return nil, err
	}
	return r, nil
}

// client is Helm's way to the cluster for a part of the check that ends with ctx.
func (r *checkRun) client(ctx context.Context, writes operation.Writes) (*helmkube.Client, error) {
	return helmkube.New(helmkube.Options{
		Context: ctx, Target: r.env.Target, Config: r.env.Op.Config(writes),
		Waiter: r.waiter, Ended: func() error { return r.endOf(ctx) }, Redact: r.env.Secrets.Text, Doing: r.env.Op.Doing,
	})
}

// endOf returns why what ends with ctx must stop, nil while it may go on.
func (r *checkRun) endOf(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return r.env.Op.Lost()
}

// notMade is a failure that says nothing about the version.
func (r *checkRun) notMade(problem string) *CheckFailure {
	return &CheckFailure{Stage: r.stage, Check: r.check.Name, Problem: r.env.Secrets.Text(problem)}
}

// refused is a failure of the version.
func (r *checkRun) refused(problem string) *CheckFailure {
	f := r.notMade(problem)
	f.Refused = true
	return f
}

// explainPods turns the end of a wait for the pods of a check into what it says about the version. Only a program that ran can refuse
// it; one that could not be started, or was taken off its node, says nothing.
func (r *checkRun) explainPods(what string, err error, infos []*resource.Info) error {
	if r.caller.Err() != nil {
		return err // It was interrupted, which runCheck says.
	}
	var (
		notReady *rollout.NotReadyError
		denied   *helmkube.RefusedError
	)
	failure := r.kube.Failure()
	if failure == nil {
		failure = err
	}
	switch {
	case errors.As(failure, &notReady):
		out := r.notMade(notReady.Cause)
		out.Refused = !notReady.Hindered() && r.waiter.Ran(r.caller, infos)
		out.Log = reportLines(notReady.Reports)
		return out
	case errors.As(failure, &denied):
		return r.notMade("the API server refused it: " + denied.Error())
	case errors.Is(failure, operation.ErrDeadline):
		out := r.notMade(fmt.Sprintf("%s was not done after %s", what, r.check.timeout()))
		out.Log = reportLines(r.waiter.Pending)
		if out.Refused = r.waiter.Ran(r.caller, infos); !out.Refused {
			out.Problem = r.env.Secrets.Text(fmt.Sprintf("%s was not begun within %s%s", what, r.check.timeout(), firstObserved(r.waiter.Pending)))
		}
		return out
	}
	return err
}

func firstObserved(reports []rollout.ObjectReport) string {
	for _, report := range reports {
		if report.Observed != "" {
			return ": " + report.Observed
		}
	}
	return ""
}

// reportLines are the details of reports: containers, events, last lines of logs.
func reportLines(reports []rollout.ObjectReport) []string {
	var lines []string
	for _, report := range reports {
		for _, detail := range report.Details {
			lines = append(lines, strings.Split(detail, "\n")...)
		}
	}
	return lines
}

// masked takes secrets out of what people will read: a probe may show what a service answered.
func (e Environment) masked(verdict analysis.Verdict) analysis.Verdict {
	verdict.Reason = e.Secrets.Text(verdict.Reason)
	if verdict.Trigger != nil {
		trigger := *verdict.Trigger
		trigger.Samples = slices.Clone(trigger.Samples)
		for i := range trigger.Samples {
			trigger.Samples[i].Evidence = e.Secrets.Text(trigger.Samples[i].Evidence)
		}
		verdict.Trigger = &trigger
	}
	return verdict
}
