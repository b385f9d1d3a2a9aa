// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
)

// chartSource checks the attribute chart as a whole.
type chartSource struct{}

func (chartSource) Description(context.Context) string {
	return "must name a chart by path, or by repository, name and version"
}

func (v chartSource) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateObject refuses what names no chart, or two. Terraform drops misspelled attributes of an object silently, so an object
// that names no chart is often a typing error.
func (chartSource) ValidateObject(ctx context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	var m chartModel
	resp.Diagnostics.Append(req.ConfigValue.As(ctx, &m, basetypes.ObjectAsOptions{})...)
	if resp.Diagnostics.HasError() {
		return
	}
	if m.Path.IsNull() && m.Repository.IsNull() {
		resp.Diagnostics.AddAttributeError(req.Path, "The chart is missing",
			"chart has neither path nor repository. Terraform drops attributes of an object that the provider does not know, without a "+
				"message: check their spelling.\n\nWrite path, or repository with name and version.")
		return
	}
	if m.Path.IsUnknown() || m.Repository.IsUnknown() || m.Name.IsUnknown() || m.Version.IsUnknown() {
		return // the plan checks it
	}
	source := chart.Source{
		Path: m.Path.ValueString(), Repository: m.Repository.ValueString(), Name: m.Name.ValueString(), Version: m.Version.ValueString(),
	}
	// An empty text has its own error.
	if err := source.Validate(); err != nil && (source.Path != "" || source.Repository != "") {
		resp.Diagnostics.Append(chartDiagnostic(err))
	}
}
