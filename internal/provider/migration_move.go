// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// planMove refuses another cluster than the recorded one, or plans the move to it. The state that it returns is the one to plan from: in
// another cluster, the record is still to be written.
func (r *MigrationResource) planMove(
	ctx context.Context, plan, state *migrationModel, handle environment.Handle,
) (*migrationModel, diag.Diagnostics) {
	if state.ClusterUID.ValueString() == "" || !sameIdentity(ctx, plan.Environment, state.Environment) {
		return state, nil
	}
	mismatch, moves, diags := movesTo(ctx, r.data, handle, plan.what(), state.ClusterUID, plan.AllowClusterMove)
	if !moves {
		return state, diags
	}
	moved := *state
	moved.Recorded = types.BoolValue(false)
	plan.ClusterUID = types.StringValue(mismatch.Got)
	diags.AddWarning("The "+plan.what()+" moves to another cluster",
		fmt.Sprintf("The database is asked what is applied, and the record is made in the cluster %s. What is in the cluster %s is forgotten.",
			mismatch.Got, mismatch.Want))
	return &moved, diags
}
