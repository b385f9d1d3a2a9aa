// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
)

// ImportState imports "<context>/<namespace>/<name>", parsed from the right, because a context may contain slashes (those of EKS
// are ARNs). Client and stage come from the namespace's labels, chart and version from the record of the release. Public values are
// taken from Helm's record without those that were given as secret; where Slipway has no record of the release, values stay
// empty, since nothing shows which of them are secret.
func (r *ReleaseResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	s, diags := importForm{noun: "release", last: "release", example: "data-collection-service"}.parse(req.ID)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p, uid, diags := openToImport(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	imported, err := release.Import(ctx, releaseIn(p))
	if err == nil {
		imported.Observation.Proven, err = release.Proven(ctx, releaseIn(p), imported.Observation)
	}
	if err != nil {
		resp.Diagnostics.Append(p.subject.failed("import", err))
		return
	}
	state, diags := importedModel(p.subject.handle, s.name, uid, imported)
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	}
}

// chartValue is the attribute "chart" of a source.
func chartValue(source chart.Source) types.Object {
	return types.ObjectValueMust(chartAttributeTypes, map[string]attr.Value{
		"path": stringOrNull(source.Path), "repository": stringOrNull(source.Repository), "name": stringOrNull(source.Name),
		"version": stringOrNull(source.Version),
	})
}

// importedModel is the state after an import. What cannot be known (the configuration's own spelling) stays null, so that the
// next plan shows the configuration as an update; where it renders to what is installed, that update makes no revision.
func importedModel(handle environment.Handle, name, clusterUID string, imported *release.Imported) (releaseModel, diag.Diagnostics) {
	m := releaseModel{
		Environment:     handleValue(handle),
		Name:            types.StringValue(name),
		Chart:           chartValue(imported.Chart.Source),
		VersionPath:     types.StringValue(defaultVersionPath),
		ValuesFiles:     types.ListNull(types.StringType),
		Values:          types.DynamicNull(),
		SensitiveValues: types.DynamicNull(),
		ValuesWO:        types.DynamicNull(),
		ValuesWOVersion: types.Int64Null(),
		CRDs:            types.StringValue(defaultCRDs),
		OnPending:       types.StringValue(defaultOnPending),
		MaxHistory:      types.Int64Value(defaultMaxHistory),
		Timeouts:        nullTimeouts(),
		// Where a move is allowed is the configuration's to say.
		AllowClusterMove: types.StringNull(),
		LookupNamespaces: types.SetNull(types.StringType),

		TakeOwnership:     types.BoolNull(),
		TakeOwnershipFrom: types.ListNull(types.StringType),

		Analysis:   nullBlock("analysis"),
		SmokeTest:  nullBlock("smoke_test"),
		Acceptance: nullBlock("acceptance"),
		Rollback:   nullBlock("rollback"),

		DriftIgnore: types.ListNull(types.ObjectType{AttrTypes: driftRuleTypes}),
		Drift:       types.MapNull(types.StringType),
		Definitions: types.MapNull(types.StringType),

		ID:             types.StringValue(uuid.NewString()),
		Revision:       types.Int64Value(int64(imported.Observation.Revision)),
		Status:         types.StringValue(imported.Observation.Status),
		ClusterUID:     types.StringValue(clusterUID),
		ChartVersion:   types.StringValue(imported.Chart.Version),
		ChartDigest:    types.StringValue(imported.Chart.Digest),
		ValuesDigest:   types.StringNull(),
		ManifestDigest: types.StringValue(imported.Digest),
		Objects:        objectsValue(imported.Objects, nil),
		ChangeSummary:  types.ListNull(types.StringType),
		Findings:       types.ListNull(types.StringType),
		Verification:   verificationValue(imported.Observation),
		KnownGood:      knownGoodValue(imported.Observation),
		RollbackReady:  types.StringNull(), // Read says it
	}
	if imported.Version != "" {
		m.Version = types.StringValue(imported.Version)
	}
	if record := imported.Observation.Record; record != nil {
		m.ID = types.StringValue(record.InstanceID)
	}
	var diags diag.Diagnostics
	if len(imported.Values) > 0 {
		public, err := goToDynamic(imported.Values)
		if err != nil {
			diags.AddError("Cannot import the values of release "+name, err.Error())
			return m, diags
		}
		m.Values = public
	}
	return m, diags
}
