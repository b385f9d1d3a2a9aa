// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// movesTo compares the cluster that a context leads to with the recorded one. Another one is an error unless it is just the one that is
// allowed. A cluster that cannot be asked is no matter of the plan.
func movesTo(
	ctx context.Context, data *Data, handle environment.Handle, what string, recorded, allowed types.String,
) (mismatch *cluster.MismatchError, moves bool, diags diag.Diagnostics) {
	live, err := data.Connections.Cluster(ctx, handle.Cluster)
	if err == nil {
		err = live.RequireUID(ctx, recorded.ValueString())
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

// uidPattern is the form of the UID of a cluster.
var uidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// clusterMoveAttribute is the attribute "allow_cluster_move". description says what happens to the resource when it moves.
func clusterMoveAttribute(description string) schema.StringAttribute {
	const example = "0a3f0d5e-6a1c-4e9e-9a55-3f6f0c1d2e3f"
	return schema.StringAttribute{
		MarkdownDescription: description + " Default: no move is allowed. Example: `\"" + example + "\"`.",
		Optional:            true,
		Validators:          []validator.String{stringvalidator.RegexMatches(uidPattern, "must be a UID, for example "+example)},
	}
}
