// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"errors"

	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Preflight reports at plan what Ensure would refuse: a namespace that may not be taken, or an object in it of another
// owner. A spec of which only the handle is known is enough for the first. What it cannot ask is an error as from
// cluster.Classify. Of a namespace that exists and may be taken, it says what Ensure finds there.
func Preflight(ctx context.Context, c *cluster.Cluster, spec Spec, options EnsureOptions) (Takeover, error) {
	client, err := c.Dynamic()
	if err != nil {
		return Takeover{}, err
	}
	namespace, err := getNamespace(ctx, c, client, spec.Handle)
	if _, missing := errors.AsType[*environment.NamespaceMissingError](err); missing {
		return Takeover{}, nil
	}
	if err != nil {
		return Takeover{}, err
	}
	if err := checkTake(spec, namespace, options); err != nil {
		return Takeover{}, err
	}
	if err := checkObjects(ctx, c, client, spec); err != nil {
		return Takeover{}, err
	}
	return takeover(ctx, c, client, spec, namespace)
}

// checkObjects refuses what Ensure would refuse when it comes to the objects in the namespace.
func checkObjects(ctx context.Context, c *cluster.Cluster, client dynamic.Interface, spec Spec) error {
	if account := spec.ServiceAccount; account != nil {
		live, err := get(ctx, c, client, spec.Handle.Namespace, serviceAccounts, account.Name)
		if err != nil {
			return err
		}
		if err := spec.mayTakeAccount(live); err != nil {
			return err
		}
	}
	all, err := spec.wanted()
	if err != nil {
		return err
	}
	for _, want := range all {
		live, err := get(ctx, c, client, spec.Handle.Namespace, want.resource, want.name)
		if err != nil {
			return err
		}
		if err := want.mayReplace(spec.Handle, live); err != nil {
			return err
		}
	}
	return nil
}
