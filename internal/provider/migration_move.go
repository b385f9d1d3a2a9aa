// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// movesTo compares the cluster that a context leads to with the recorded one. Another one is an error unless it is just the one that is
// allowed. A cluster that cannot be asked is no matter of the plan.
func movesTo(ctx context.Context, data *Data, handle environment.Handle, what string, recorded, allowed types.String) (mismatch *cluster.MismatchError, moves bool, diags diag.Diagnostics) {
	live, err := data.Connections.Cluster(ctx, handle.Cluster)
	if err == nil {
		err = verifyCluster(ctx, live, recorded.ValueString())
	}
	mismatch, another := errors.AsType[*cluster.MismatchError](err)
	switch {
	case !another:
		return nil, false, nil
	case allowed.ValueString() != mismatch.Got:
		diags.Append(errorDiagnostic("plan", what, handle, err))
		return mismatch, false, diags
	}
	return mismatch, true, nil
}

// planMove refuses another cluster than the recorded one, or plans the move to it. The state that it returns is the one to plan from: in
// another cluster, the record is still to be written.
func (r *MigrationResource) planMove(ctx context.Context, plan, state *migrationModel, handle environment.Handle) (*migrationModel, diag.Diagnostics) {
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
		fmt.Sprintf("The database is asked what is applied, and the record is made in the cluster %s. What is in the cluster %s is forgotten.", mismatch.Got, mismatch.Want))
	return &moved, diags
}
