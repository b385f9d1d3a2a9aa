// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// session is what one Apply, Correct or Remove works with: its operation, Helm, and the secrets that no text may show.
type session struct {
	target Target
	op     *operation.Operation
	waiter *rollout.Waiter
	// helm and kube are for one Helm action, see connect.
	helm *action.Configuration
	kube *helmkube.Client
	// storage lets tests make Helm's storage fail; nil leaves it.
	storage func(driver.Driver) driver.Driver
	secrets *redact.Secrets
}

// sessionOptions are what the callers of begin give.
type sessionOptions struct {
	clusterUID string
	timeout    time.Duration
	progress   func(string)
	// mayBeGone allows a namespace that does not exist.
	mayBeGone bool
	// graces and storage are for tests; nil stands for the usual ones.
	graces  *rollout.Graces
	storage func(driver.Driver) driver.Driver
}

// begin proves the place, takes the Lease and starts the clock. An interrupt before that is a *CanceledError; other errors are those of
// operation.Begin.
func begin(ctx context.Context, target Target, options sessionOptions) (*session, error) {
	op, err := operation.Begin(ctx, operation.Options{
		Cluster: target.Cluster, Handle: target.Handle, ClusterUID: options.clusterUID, Subject: "release " + target.Name,
		Timeout: options.timeout, Progress: options.progress, MayBeGone: options.mayBeGone,
	})
	if interrupted, ok := errors.AsType[*operation.InterruptedError](err); ok {
		return nil, &CanceledError{Release: target.Name, During: interrupted.During, Cause: err}
	}
	if err != nil {
		return nil, err
	}
	s := &session{target: target, op: op, storage: options.storage}
	objects, err := target.Cluster.Dynamic()
	if err != nil {
		return nil, errors.Join(err, op.Finish())
	}
	graces := rollout.DefaultGraces
	if options.graces != nil {
		graces = *options.graces
	}
	s.waiter = &rollout.Waiter{
		Release: target.Name, Namespace: target.Handle.Namespace,
		Kubernetes: op.Reads, Dynamic: objects, Classify: target.Cluster.Classify, Valid: op.Lost,
		Graces: graces, Redact: s.redact, Say: op.Paced, Doing: op.Doing,
	}
	return s, nil
}

// connect makes Helm anew for one action. Helm's configuration is never shared: Helm changes it while it runs, and the client keeps the
// first failure that it saw.
func (s *session) connect(capabilities *cluster.Capabilities) error {
	var err error
	s.kube, err = helmkube.New(helmkube.Options{
		Context: s.op.Context(), Cluster: s.target.Cluster, Config: s.op.Config(operation.WhileItRuns),
		Release: s.target.Name, Namespace: s.target.Handle.Namespace,
		Waiter: s.waiter, Ended: s.op.Ended, Redact: s.redact, Doing: s.op.Doing,
	})
	if err != nil {
		return err
	}
	s.helm = s.kube.Configuration(helmkube.NewStorage(s.op.Durable, s.target.Handle.Namespace, s.storage), render.HelmCapabilities(capabilities))
	return nil
}

// stored reads a revision from Helm's storage. Errors as from cluster.Classify.
func (s *session) stored(number int) (*helmrelease.Release, error) {
	stored, err := s.helm.Releases.Get(s.target.Name, number)
	if err != nil {
		return nil, s.target.Cluster.Classify(fmt.Errorf("reading revision %d of release %s: %w", number, s.target.Name, err))
	}
	return stored, nil
}

// redact takes secrets out of a text. Which ones there are is known only some time after the session has begun.
func (s *session) redact(text string) string { return s.redact(text) }

// canceled says that an interrupt ended the operation.
func (s *session) canceled(err error) error {
	var already *CanceledError
	if errors.As(err, &already) || isVerificationError(err) {
		return err
	}
	return &CanceledError{Release: s.target.Name, During: s.op.Now(), Cause: errors.New(s.redact(err.Error()))}
}

// checks makes the environment in which revision release is verified.
func (s *session) checks(release *helmrelease.Release, version string) verify.Environment {
	return verify.Environment{
		Target: s.target, Op: s.op, Graces: s.waiter.Graces, Secrets: s.secrets, Release: release, Version: version,
	}
}
