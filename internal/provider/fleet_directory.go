// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
)

func fleetDirectoryAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: "Folder of `fleet.yaml`, relative to the working directory. Example: `\"${path.root}/clients\"`.",
		Required:            true,
	}
}

// resolveEnvironment reads what belongs to one client only, however many there are.
func resolveEnvironment(ctx context.Context, charts *chart.Loader, directory, client, stage string) (*fleet.Fleet, *fleet.Resolved, error) {
	described, err := fleet.ReadClient(ctx, directory, client)
	if err != nil {
		return nil, nil, err
	}
	e := described.Find(client, stage)
	if e == nil {
		return nil, nil, fleet.ErrNoEnvironment(described, client, stage)
	}
	if err := described.LoadChart(ctx, charts); err != nil {
		return nil, nil, err
	}
	resolved, err := described.Resolve(e)
	return described, resolved, err
}
