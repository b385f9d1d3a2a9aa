// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"context"
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// Imported is a split as an import finds it.
type Imported struct {
	Target Target
	// Instance is the id on its record or its route, empty where it has none.
	Instance string
	// Left are the other routes of the object that send requests to the canary: they stay as they are.
	Left []string
}

// Find finds a split to be imported: by its record where Slipway made it, else by what the namespace has. It writes nothing. Errors: those
// of record.Read, route.Find and route.Router.Read, others as from cluster.Classify.
func Find(ctx context.Context, c *cluster.Cluster, handle environment.Handle, name string, source route.Source) (*Imported, error) {
	target := Target{Cluster: c, Handle: handle, Name: name}
	client, err := c.Kubernetes()
	if err != nil {
		return nil, err
	}
	recorded, err := record.Read[state](ctx, client, target.place())
	if err != nil {
		return nil, err
	}
	if recorded.Exists() && (recorded.Content.Route.Istio == nil) != (recorded.Content.Route.Gateway == nil) {
		if source != (route.Source{}) {
			return nil, route.ErrNotImportable(name, fmt.Sprintf("Its record, %s, says where it is divided.", target.place().Object()),
				"Leave out what follows the question mark in the import id.")
		}
		target.Route = recorded.Content.Route
		return &Imported{Target: target, Instance: recorded.InstanceID()}, nil
	}
	found, err := route.Find(ctx, c, target.owner(record.Claim{}), source)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, errUnknown(name, handle.Namespace)
	}
	target.Route, target.Adopt = found.Config, found.Adopt
	return &Imported{Target: target, Instance: found.Instance, Left: found.Left}, nil
}
