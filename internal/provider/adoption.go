// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"sync"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// adoptions are the namespaces without an owner that this plan adopts. Terraform plans a slipway_environment before what refers to it, so
// that releases, splits, databases and imports of the same plan know whose the namespace is going to be. Nothing is written by it: in the
// apply, the labels of the namespace decide.
type adoptions struct {
	mu    sync.Mutex
	known map[adopted]environment.Handle
}

// adopted is a namespace, whatever the context is called that leads to it.
type adopted struct{ clusterUID, namespace string }

// add remembers that the plan adopts the handle's namespace, which its checks found to be free.
func (a *adoptions) add(clusterUID string, handle environment.Handle) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = map[adopted]environment.Handle{}
	}
	a.known[adopted{clusterUID, handle.Namespace}] = handle
}

func (a *adoptions) find(ctx context.Context, live *cluster.Cluster, namespace string) (environment.Handle, bool) {
	a.mu.Lock()
	none := len(a.known) == 0
	a.mu.Unlock()
	if none {
		return environment.Handle{}, false
	}
	uid, err := live.UID(ctx)
	if err != nil {
		return environment.Handle{}, false // What follows asks the same cluster, and reports it.
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	handle, found := a.known[adopted{uid, namespace}]
	return handle, found
}

// planned is a handle for checks in a plan: its namespace may be one that the same plan adopts for the same client and stage.
func (d *Data) planned(ctx context.Context, live *cluster.Cluster, handle environment.Handle) environment.Handle {
	adopter, found := d.adoptions.find(ctx, live, handle.Namespace)
	handle.Adopting = found && adopter.Client == handle.Client && adopter.Stage == handle.Stage
	return handle
}

// ownerForImport reads client and stage of a namespace from its labels, or from the environment that the same plan adopts it for.
func (d *Data) ownerForImport(ctx context.Context, live *cluster.Cluster, at environment.Handle) (environment.Handle, error) {
	found, err := environment.FromNamespace(ctx, live, at.Cluster, at.Namespace)
	unclaimed, ok := errors.AsType[*environment.NamespaceUnclaimedError](err)
	if !ok || unclaimed.Client != "" || unclaimed.Stage != "" {
		return found, err
	}
	adopter, planned := d.adoptions.find(ctx, live, at.Namespace)
	if !planned {
		return found, err
	}
	at.Client, at.Stage, at.Adopting = adopter.Client, adopter.Stage, true
	return at, nil
}
