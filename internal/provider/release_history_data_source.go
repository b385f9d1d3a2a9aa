// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
)

var _ datasource.DataSourceWithConfigure = (*ReleaseHistoryDataSource)(nil)

// NewReleaseHistoryDataSource is the constructor that the provider registers.
func NewReleaseHistoryDataSource() datasource.DataSource { return &ReleaseHistoryDataSource{} }

// ReleaseHistoryDataSource is data.slipway_release_history: the revisions of one release and what became of them.
type ReleaseHistoryDataSource struct {
	data *Data
}

// Metadata names the data source type.
func (d *ReleaseHistoryDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_release_history"
}

// Configure takes the connections that all resources share.
func (d *ReleaseHistoryDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// Schema describes data.slipway_release_history.
func (d *ReleaseHistoryDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The revisions of a Helm release and what became of them: which version, whether it was an upgrade or a " +
			"rollback, whether it passed, " +
			"and why not. It is read from Helm's records and Slipway's own in the namespace, with two requests, and holds no secret.",
		Attributes: map[string]schema.Attribute{
			"environment": dataHandleAttribute(),
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the Helm release. Example: `\"data-collection-service\"`.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.RegexMatches(releaseNamePattern, releaseNameRule)},
			},
			"limit": schema.Int64Attribute{
				MarkdownDescription: "How many revisions to give, the newest ones. Default: all that are kept. Example: `5`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.AtLeast(1)},
			},
			"revisions": schema.ListNestedAttribute{
				MarkdownDescription: "The revisions, newest first; empty where there is no such release.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"revision": schema.Int64Attribute{MarkdownDescription: "Number of the revision.", Computed: true},
					"current":  schema.BoolAttribute{MarkdownDescription: "Whether it is the deployed one.", Computed: true},
					"known_good": schema.BoolAttribute{
						MarkdownDescription: "Whether it is one of those that a rollback may go back to.", Computed: true,
					},
					"status":  text("Helm's status (`deployed`, `superseded`, `failed`, …). Null where Helm's record of it is not kept any more."),
					"version": text("Version of the application. Null where it was made outside Slipway or no version was given."),
					"kind": text("`install`, `upgrade` or `rollback`; bringing an earlier known-good version back is a rollback too. Null " +
						"where Slipway has no record of it."),
					"outcome": text("`passed`, `failed`, `rolled back`, `inconclusive`, `unverified` or `canceled`. Null where Slipway has no " +
						"record of it."),
					"stage":    text("Where it failed: `rollout`, `smoke test`, `analysis`, `acceptance` or `manual abort`. Null where it did not."),
					"reason":   text("Why it failed, what it restored, or why it was accepted without all its checks. Null otherwise."),
					"started":  text("When it was begun, as RFC 3339 in UTC."),
					"finished": text("When it had its outcome. Null while it has none."),
					"restored": schema.Int64Attribute{
						MarkdownDescription: "The revision with which a rollback replaced this one. Null where none did.", Computed: true,
					},
					"restored_version": text("Version of the application in that revision."),
				}},
			},
		},
	}
}

// releaseHistoryModel is data.slipway_release_history as Terraform sees it.
type releaseHistoryModel struct {
	Environment types.Object `tfsdk:"environment"`
	Name        types.String `tfsdk:"name"`
	Limit       types.Int64  `tfsdk:"limit"`
	Revisions   types.List   `tfsdk:"revisions"`
}

var historyEntryTypes = map[string]attr.Type{
	"revision": types.Int64Type, "current": types.BoolType, "known_good": types.BoolType, "status": types.StringType,
	"version": types.StringType,
	"kind":    types.StringType, "outcome": types.StringType, "stage": types.StringType, "reason": types.StringType,
	"started": types.StringType, "finished": types.StringType, "restored": types.Int64Type, "restored_version": types.StringType,
}

// Read asks the cluster.
func (d *ReleaseHistoryDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model releaseHistoryModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	handle, known, diags := handleFrom(ctx, model.Environment)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() || !known {
		return
	}
	resp.Diagnostics.Append(guardPlan(d.data, handle)...)
	if resp.Diagnostics.HasError() {
		return
	}
	what := "the history of release " + model.Name.ValueString()
	live, err := d.data.Connections.Cluster(ctx, handle.Cluster)
	if err != nil {
		resp.Diagnostics.Append(errorDiagnostic("read", what, handle, err))
		return
	}
	entries, err := release.History(ctx, release.Target{Cluster: live, Handle: handle, Name: model.Name.ValueString()},
		int(model.Limit.ValueInt64()))
	if err != nil {
		resp.Diagnostics.Append(errorDiagnostic("read", what, handle, err))
		return
	}
	values := make([]attr.Value, len(entries))
	for i, e := range entries {
		values[i] = historyEntry(e)
	}
	model.Revisions = types.ListValueMust(types.ObjectType{AttrTypes: historyEntryTypes}, values)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func historyEntry(e release.HistoryEntry) attr.Value {
	at := func(t time.Time) types.String {
		if t.IsZero() {
			return types.StringNull()
		}
		return types.StringValue(t.UTC().Format(time.RFC3339))
	}
	restored := types.Int64Null()
	if e.Restored != 0 {
		restored = types.Int64Value(int64(e.Restored))
	}
	return types.ObjectValueMust(historyEntryTypes, map[string]attr.Value{
		"revision": types.Int64Value(int64(e.Revision)), "current": types.BoolValue(e.Current), "known_good": types.BoolValue(e.KnownGood),
		"status": stringOrNull(e.Status), "version": stringOrNull(e.Version), "kind": stringOrNull(e.Kind), "outcome": stringOrNull(e.Outcome),
		"stage": stringOrNull(e.Stage), "reason": stringOrNull(e.Reason), "started": at(e.Started), "finished": at(e.Finished),
		"restored": restored, "restored_version": stringOrNull(e.RestoredVersion),
	})
}
