// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

var _ datasource.DataSourceWithConfigure = (*ValuesDataSource)(nil)

// NewValuesDataSource is the constructor that the provider registers.
func NewValuesDataSource() datasource.DataSource { return &ValuesDataSource{} }

// ValuesDataSource is data.slipway_values: the finished values of one environment of a fleet.
type ValuesDataSource struct {
	data *Data
}

// Metadata names the data source type.
func (d *ValuesDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_values"
}

// Configure takes the loader of charts.
func (d *ValuesDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// Schema describes data.slipway_values.
func (d *ValuesDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The finished values of one environment of a fleet: its layers laid over each other by the fleet's " +
			"rules, checked against the chart. " +
			"The same as `slipway generate` writes. It reads files only. A missing required key, a locked key that a layer sets, a key " +
			"that the chart does not have, " +
			"or a literal that looks like a secret is an error, which names file and line.",
		Attributes: map[string]schema.Attribute{
			"directory": fleetDirectoryAttribute(),
			"client":    schema.StringAttribute{MarkdownDescription: "Name of the client. Example: `\"client-a\"`.", Required: true},
			"stage":     schema.StringAttribute{MarkdownDescription: "Stage. Example: `\"prod\"`.", Required: true},
			"values": schema.DynamicAttribute{
				MarkdownDescription: "The values, for `values` of `slipway_release`. They hold no null.",
				Computed:            true,
			},
			"yaml": schema.StringAttribute{
				MarkdownDescription: "The values as YAML, in the form of the generated file.",
				Computed:            true,
			},
			"sources": schema.MapAttribute{
				MarkdownDescription: "Where each value comes from: dotted path to layer, file and line, for example `autoscaling.maxReplicas` to " +
					"`client-stage clients/client-f/values-prod.yaml:2`. The function `explain_value` reports what a value overrode.",
				Computed: true, ElementType: types.StringType,
			},
		},
	}
}

type valuesModel struct {
	Directory types.String      `tfsdk:"directory"`
	Client    types.String      `tfsdk:"client"`
	Stage     types.String      `tfsdk:"stage"`
	Values    types.Dynamic     `tfsdk:"values"`
	YAML      types.String      `tfsdk:"yaml"`
	Sources   map[string]string `tfsdk:"sources"`
}

// Read makes the values.
func (d *ValuesDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model valuesModel
	for name, into := range map[string]*types.String{"directory": &model.Directory, "client": &model.Client, "stage": &model.Stage} {
		resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root(name), into)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	charts := chart.NewLoader("", nil)
	if d.data != nil {
		charts = d.data.Charts
	}
	summary := fmt.Sprintf("Cannot make the values of %s/%s", model.Client.ValueString(), model.Stage.ValueString())
	described, resolved, err := resolveEnvironment(ctx, charts, model.Directory.ValueString(), model.Client.ValueString(),
		model.Stage.ValueString())
	if err != nil {
		resp.Diagnostics.AddError(summary, detailOf(err))
		return
	}
	for _, finding := range resolved.Findings {
		detail := fmt.Sprintf("%s\n\n%s", ended(finding.Text), finding.Origin)
		switch finding.Severity {
		case fleet.SeverityError:
			resp.Diagnostics.AddError(summary, detail)
		case fleet.SeverityWarning:
			resp.Diagnostics.AddWarning(fmt.Sprintf("Values of %s", resolved.Name()), detail)
		}
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if model.Values, err = goToDynamic(resolved.Values.Map()); err != nil {
		resp.Diagnostics.AddError(summary, capitalized(err.Error())+".")
		return
	}
	model.YAML = types.StringValue(string(described.YAML(resolved)))
	model.Sources = map[string]string{}
	resolved.Values.Walk(func(at []string, leaf *values.Node) bool {
		origin := leaf.Origin()
		model.Sources[values.JoinPath(at)] = origin.Layer + " " + origin.String()
		return true
	})
	resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
}
