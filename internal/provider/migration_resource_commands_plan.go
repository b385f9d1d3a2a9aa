// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/job"
)

// planCommands plans the phases of a tool that are pending, and what holds afterwards.
func (m *migrationModel) planCommands(ctx context.Context, state *migrationModel) diag.Diagnostics {
	m.Files, m.Findings = types.MapNull(types.StringType), types.ListNull(types.StringType)
	commands, known, diags := m.commands(ctx)
	if !known || diags.HasError() {
		return diags
	}
	now, recorded := job.Progress{}, false
	if state != nil {
		var d diag.Diagnostics
		now, d = state.progress(ctx)
		diags.Append(d...)
		recorded = state.Recorded.ValueBool() && !state.Commands.IsNull()
	}
	pending, err := commands.Pending(now)
	if err != nil {
		diags.AddAttributeError(path.Root("commands").AtName("version"), "Cannot plan "+m.what(), detailOf(err))
		return diags
	}
	then := commands.Progress(now)
	if recorded {
		m.Pending = stringsOrNull(phaseNames(pending))
	}
	switch {
	case recorded && len(pending) == 0:
		diags.Append(m.took(ctx, now)...)
		m.BlockedBy = types.ListNull(types.StringType)
	case m.contract(): // the gate may be closed
	default:
		diags.Append(m.took(ctx, then)...)
		if !recorded || then.Images == nil {
			m.Applied = types.MapUnknown(types.StringType)
		}
	}
	return diags
}

// refreshCommands brings what is recorded of the phases into the state.
func (m *migrationModel) refreshCommands(ctx context.Context, seen *job.State) (pending []string, diags diag.Diagnostics) {
	if seen.Progress != nil {
		diags = m.took(ctx, *seen.Progress)
	}
	commands, known, d := m.commands(ctx)
	diags.Append(d...)
	now, d := m.progress(ctx)
	diags.Append(d...)
	if !known || diags.HasError() {
		return nil, diags
	}
	phases, err := commands.Pending(now)
	if err != nil {
		return nil, diags // the plan says so
	}
	return phaseNames(phases), diags
}

// applyCommands runs the phases that are pending, and makes a state of the plan. The result may be there with an error.
func (m *migrationModel) applyCommands(ctx context.Context, target job.Target, options job.Options) (*job.Result, diag.Diagnostics) {
	commands, _, diags := m.commands(ctx)
	if diags.HasError() {
		return nil, diags
	}
	result, err := job.ApplyCommands(ctx, target, commands, options)
	diags.Append(m.blockedOrFailed(target.Handle, result, err)...)
	if diags.HasError() {
		return result, diags
	}
	m.ClusterUID = types.StringValue(result.ClusterUID)
	planned := *m
	diags.Append(m.took(ctx, result.Progress)...)
	// What was planned with a value keeps it; Read sees the rest.
	if !planned.Applied.IsUnknown() {
		m.Applied = planned.Applied
	}
	if !planned.SchemaVersion.IsUnknown() {
		m.SchemaVersion = planned.SchemaVersion
	}
	if !planned.Phases.IsUnknown() {
		m.Phases = planned.Phases
	}
	if m.BlockedBy.IsUnknown() {
		m.BlockedBy = stringsOrNull(result.Blocked)
	}
	if m.Pending.IsUnknown() {
		pending, err := commands.Pending(result.Progress)
		if err != nil {
			diags.Append(errorDiagnostic("apply", m.what(), target.Handle, err))
			return result, diags
		}
		m.Pending = stringsOrNull(phaseNames(pending))
	}
	// They were unknown where a part of the commands was.
	m.Files, m.Findings = types.MapNull(types.StringType), types.ListNull(types.StringType)
	return result, diags
}
