// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
)

// checkEnvironment is what smoke tests, the acceptance gate and the bake work with. See operation.checks.
type checkEnvironment struct {
	target Target
	// lease is what mutations need beside a context that has not ended.
	lease    *cluster.Lease
	graces   graces
	secrets  *redact.Secrets
	progress *reporter
	// release is the revision that is judged, as Helm's storage has it: its tests, the selectors of its workloads. It is only read.
	release *helmrelease.Release
	// version of the application, empty where it is not known.
	version string
}

// checks makes the environment in which revision release is judged.
func (o *operation) checks(release *helmrelease.Release, version string) checkEnvironment {
	return checkEnvironment{
		target: o.target, lease: o.lease, graces: o.graces, secrets: o.secrets, progress: o.progress,
		release: release, version: version,
	}
}

// runCheck makes one smoke test, or asks the acceptance gate. Nil means that it passed. The error is a *CheckFailure where it did
// not, or could not be made (Refused is false then), also when the check's own timeout has passed. When ctx has ended or the
// Lease is lost, the error is the cause, and nothing follows for the version. What a check leaves in the cluster is removed by the
// next one: of a Job nothing is left as far as the cluster can be reached, of the chart's tests what their deletion policy keeps.
func runCheck(ctx context.Context, env checkEnvironment, stage string, check Check) error {
	run, err := env.beginCheck(ctx, stage, check)
	if err != nil {
		return err
	}
	defer run.cancel()
	run.doing(fmt.Sprintf("making the %s %s", stage, check.Name))
	switch {
	case check.HelmTest != nil:
		err = run.helmTests()
	case check.HTTP != nil:
		err = run.http()
	case check.Job != nil:
		err = run.job()
	default:
		err = run.notMade("it has neither a helm_test nor an http nor a job block")
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the %s %s was interrupted: %w", stage, check.Name, context.Cause(ctx))
	}
	if lost := env.lease.Valid(); lost != nil {
		return lost
	}
	var failure *CheckFailure
	if errors.As(err, &failure) {
		return failure
	}
	return run.notMade(explain.Library(err))
}

// checkRun is one check while it runs: an operation of its own, whose time is the check's.
type checkRun struct {
	*operation
	env   checkEnvironment
	stage string
	check Check
}

func (e checkEnvironment) beginCheck(ctx context.Context, stage string, check Check) (*checkRun, error) {
	o, err := e.begin(ctx, check.timeout())
	if err != nil {
		return nil, err
	}
	return &checkRun{operation: o, env: e, stage: stage, check: check}, nil
}

// begin makes an operation under the Lease that is held already. It is not to be finished, only canceled.
func (e checkEnvironment) begin(ctx context.Context, timeout time.Duration) (*operation, error) {
	o := &operation{
		target: e.target, timeout: timeout, graces: e.graces, caller: ctx, lease: e.lease, secrets: e.secrets, progress: e.progress,
	}
	var err error
	if o.reads, err = e.target.Cluster.Kubernetes(); err != nil {
		return nil, err
	}
	if o.objects, err = e.target.Cluster.Dynamic(); err != nil {
		return nil, err
	}
	o.autoscalers = autoscale.Live(o.reads)
	o.ctx, o.cancel = context.WithTimeoutCause(ctx, timeout, errDeadline)
	if o.clients, err = newClients(o.ctx, e.target.Cluster, e.lease); err != nil {
		o.cancel()
		return nil, err
	}
	getter := &restGetter{cluster: e.target.Cluster, config: o.clients.gated, namespace: e.target.Handle.Namespace}
	client := kube.New(getter)
	client.Namespace = e.target.Handle.Namespace
	o.kube = &ctxKube{op: o, client: client}
	return o, nil
}

// cleaning is an operation for what must be done although the check's time is over, or ctx has ended.
func (r *checkRun) cleaning() (*operation, error) {
	return r.env.begin(context.WithoutCancel(r.caller), cleanupTimeout)
}

// notMade is a failure that says nothing about the version.
func (r *checkRun) notMade(problem string) *CheckFailure {
	return &CheckFailure{Stage: r.stage, Check: r.check.Name, Problem: r.secrets.Text(problem)}
}

// refused is a failure of the version.
func (r *checkRun) refused(problem string) *CheckFailure {
	f := r.notMade(problem)
	f.Refused = true
	return f
}
