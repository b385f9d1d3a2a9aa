// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

type oneCluster struct{}

func (oneCluster) Description(context.Context) string {
	return "must name the cluster by context or by eks"
}

func (v oneCluster) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateObject refuses what names no cluster, or two. Terraform drops misspelled keys of an object silently, so an
// object that says nothing is often a typing error.
func (oneCluster) ValidateObject(_ context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	attributes := req.ConfigValue.Attributes()
	name, ok := attributes["context"].(types.String)
	eks, ok2 := attributes["eks"].(types.Object)
	if !ok || !ok2 || name.IsUnknown() || eks.IsUnknown() {
		return
	}
	if (name.ValueString() == "") != eks.IsNull() {
		return
	}
	err := &cluster.NoCoordinateError{Both: !eks.IsNull()}
	resp.Diagnostics.AddAttributeError(req.Path, "Not exactly one cluster is named", detailOf(err))
}
