// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package ownership

import (
	"context"
	"fmt"
	"sync"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// Guard refuses objects in namespaces of other clients and stages. It reads each namespace once, so it is made anew for each operation.
type Guard struct {
	release Release

	mu   sync.Mutex
	seen map[string]environment.Handle
}

// NewGuard makes the guard of a release.
func NewGuard(release Release) *Guard {
	return &Guard{release: release, seen: map[string]environment.Handle{}}
}

// Check refuses to write an object in the namespace of another client or stage. Namespaces that are nobody's are allowed: charts put
// monitoring objects there. So are those that may not be read, in which the cluster's own rights decide. Errors: *Error, those of
// cluster.Classify.
func (g *Guard) Check(ctx context.Context, key object.Key, namespace string) error {
	return g.check(ctx, fmt.Sprintf("Object %s is", key), "written", namespace)
}

// CheckRead is Check for objects that a template reads, for example "secrets".
func (g *Guard) CheckRead(ctx context.Context, resource, namespace string) error {
	return g.check(ctx, fmt.Sprintf("A template of the chart reads %s", resource), "read", namespace)
}

func (g *Guard) check(ctx context.Context, what, done, namespace string) error {
	if namespace == "" || namespace == g.release.Handle.Namespace {
		return nil
	}
	owner, err := g.owner(ctx, namespace)
	switch {
	case cluster.LacksRight(err):
		return nil
	case err != nil:
		return err
	case owner.Client == "" && owner.Stage == "", owner.Client == g.release.Handle.Client && owner.Stage == g.release.Handle.Stage:
		return nil
	}
	return &Error{
		Release: g.release.Name, Namespace: g.release.Handle.Namespace,
		Reason: fmt.Sprintf("%s in namespace %s, which belongs to client %q, stage %q. It was not %s.", what, namespace, owner.Client,
			owner.Stage, done),
		Advice: fmt.Sprintf("Correct the value or the template that sets its namespace. What %s needs is deployed by the workspace %s.",
			owner.Client, owner.Workspace()),
	}
}

func (g *Guard) owner(ctx context.Context, namespace string) (environment.Handle, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if owner, known := g.seen[namespace]; known {
		return owner, nil
	}
	client, stage, err := environment.Owner(ctx, g.release.Cluster, namespace)
	if err != nil {
		return environment.Handle{}, err
	}
	owner := environment.Handle{Client: client, Stage: stage}
	g.seen[namespace] = owner
	return owner, nil
}
