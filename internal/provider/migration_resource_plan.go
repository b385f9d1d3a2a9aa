// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/job"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// ModifyPlan lists what is pending and lints it. The planned values are a function of configuration, state and the files; what the cluster
// knows came into the state by Read.
func (r *MigrationResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.data == nil {
		return // Validation without a configured provider.
	}
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(planDestroy[migrationModel](ctx, r.data, req)...)
		return
	}
	var plan migrationModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	var state *migrationModel
	if !req.State.Raw.IsNull() {
		state = &migrationModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if plan.Name.IsUnknown() && !plan.Kind.IsUnknown() {
		var configured types.String
		resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("name"), &configured)...)
		if configured.IsNull() {
			plan.Name = plan.Kind
		}
	}
	resp.Diagnostics.Append(r.plan(ctx, &plan, state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if state != nil && plan.Pending.IsNull() {
		// What the last apply ran stays in the state until it is read again; that it is over is no change.
		same := plan
		same.Pending, same.Findings = state.Pending, state.Findings
		resp.Diagnostics.Append(resp.Plan.Set(ctx, same)...)
		if resp.Diagnostics.HasError() || resp.Plan.Raw.Equal(req.State.Raw) {
			return
		}
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

func (r *MigrationResource) plan(ctx context.Context, plan, state *migrationModel) (diags diag.Diagnostics) {
	handle, known, diags := handleFrom(ctx, plan.Environment)
	if known && !diags.HasError() {
		diags.Append(guardPlan(r.data, handle)...)
	}
	if plan.contract() && plan.SafeAfter.IsNull() {
		diags.AddAttributeError(path.Root("safe_after"), "A contract migration needs safe_after",
			"It removes what old versions use, so that it must be known which versions are old.\n\n"+
				"Set safe_after to the first version of the application that works with the migrated schema.")
	}
	if !plan.contract() && !plan.SafeAfter.IsNull() {
		diags.AddAttributeError(path.Root("safe_after"), "safe_after is for contract migrations",
			"An expand migration works with all versions, and waits for none.\n\nRemove it, or set kind = \"contract\".")
	}
	if known && state != nil && !diags.HasError() {
		var d diag.Diagnostics
		state, d = r.planMove(ctx, plan, state, handle)
		diags.Append(d...)
	}
	if diags.HasError() {
		return diags
	}
	plan.Recorded = types.BoolValue(true)
	plan.Pending, plan.Findings = types.ListUnknown(types.StringType), types.ListUnknown(types.StringType)
	plan.BlockedBy, plan.Applied = types.ListUnknown(types.StringType), types.MapUnknown(types.StringType)
	plan.Checks = types.MapNull(types.StringType)
	if plan.hasChecks() {
		plan.Checks = types.MapUnknown(types.StringType)
	}
	plan.Files, plan.SchemaVersion, plan.Phases = types.MapUnknown(types.StringType), types.StringUnknown(), types.MapUnknown(types.StringType)
	if !plan.contract() {
		plan.BlockedBy = types.ListNull(types.StringType)
	}
	if plan.Directory.IsUnknown() || plan.Commands.IsUnknown() || plan.Kind.IsUnknown() {
		return diags
	}
	if !plan.Commands.IsNull() {
		diags.Append(plan.planCommands(ctx, state)...)
		diags.Append(plan.planWaiting(ctx, state, handle)...)
		return diags
	}
	plan.SchemaVersion = types.StringNull()
	if plan.Validate.IsNull() {
		plan.Phases = types.MapNull(types.StringType)
	}
	dir, err := job.Read(plan.Directory.ValueString(), plan.contract())
	if err != nil {
		diags.AddAttributeError(path.Root("directory"), "Cannot plan "+plan.what(), detailOf(err))
		return diags
	}
	if plan.contract() && len(dir.Files) == 0 && (state == nil || !plan.Directory.Equal(state.Directory) || len(state.Files.Elements()) > 0) {
		diags.AddAttributeWarning(path.Root("directory"), "The "+plan.what()+" has no files",
			"No file in "+plan.Directory.ValueString()+" says that it is for a contract migration, so that nothing is run.\n\n"+
				"Put the line -- slipway:kind contract into the files that remove what only old versions use.")
	}
	checksKnown, d := plan.readChecks(ctx, dir)
	diags.Append(d...)
	if diags.HasError() {
		return diags
	}
	if checksKnown {
		plan.Checks, d = plan.checksums(ctx, dir)
		diags.Append(d...)
	}
	files := job.Checksums(dir.Files)
	plan.Files, d = types.MapValueFrom(ctx, types.StringType, files)
	diags.Append(d...)
	pending, d := plan.planPending(ctx, dir, files, state)
	diags.Append(d...)
	if diags.HasError() {
		return diags
	}
	diags.Append(plan.planWaiting(ctx, state, handle)...)
	diags.Append(plan.planFindings(ctx, dir, pending)...)
	diags.Append(plan.parseChecks(ctx, dir)...)
	return diags
}

// planWaiting plans that nothing becomes of a contract migration that was seen blocked.
func (m *migrationModel) planWaiting(ctx context.Context, state *migrationModel, handle environment.Handle) (diags diag.Diagnostics) {
	if state == nil || !m.waits(*state) {
		return nil
	}
	m.BlockedBy, m.Applied, m.SchemaVersion, m.Phases = state.BlockedBy, state.Applied, state.SchemaVersion, state.Phases
	var reasons []string
	diags.Append(state.BlockedBy.ElementsAs(ctx, &reasons, false)...)
	diags.AddWarning("The "+m.what()+" in "+handle.Name()+" waits",
		"It is not run in this apply: an old version still runs, or could be rolled back to.\n\n- "+strings.Join(reasons, "\n- "))
	return diags
}

// waits reports that a contract migration was seen blocked, and that nothing has changed since that could open the gate.
func (m migrationModel) waits(state migrationModel) bool {
	return m.contract() && !state.BlockedBy.IsNull() && state.Recorded.ValueBool() && m.OnBlocked.ValueString() == blockedDefers &&
		m.sameGate(state) && m.Files.Equal(state.Files) && m.sameChecks(state) && m.Commands.Equal(state.Commands) &&
		(m.Commands.IsNull() || m.Image.Equal(state.Image))
}

// planPending plans what is pending and what is applied afterwards. For the linter, it returns what is taken for pending where
// that is unknown.
func (m *migrationModel) planPending(
	ctx context.Context, dir *job.Directory, files map[string]string, state *migrationModel,
) (pending []*job.File, diags diag.Diagnostics) {
	applied := map[string]string{}
	recorded := state != nil && !state.Applied.IsNull() // after an import without a record, the database alone knows
	if recorded {
		applied, diags = state.appliedFiles(ctx)
	} else if !m.Baseline.IsUnknown() {
		for _, file := range dir.Files {
			if file.Version <= m.Baseline.ValueInt64() {
				applied[file.Name] = file.Checksum
			}
		}
	}
	pending, err := job.Pending(dir.Files, applied)
	if err != nil {
		diags.AddAttributeError(path.Root("directory"), "Cannot plan "+m.what(), detailOf(err))
		return nil, diags
	}
	if !recorded {
		return pending, diags
	}
	if missing := missingFiles(files, applied); len(missing) > 0 {
		diags.AddAttributeWarning(path.Root("directory"), "Applied migrations are missing in the directory",
			fmt.Sprintf("They were applied, and their files are gone: %s.\n\nThe database stays as it is. A new database made from this "+
				"directory would lack them: put them back, unless this is an older version of the directory.", strings.Join(missing, ", ")))
	}
	var d diag.Diagnostics
	if wholly(m.Check) && wholly(m.Validate) {
		names, more := m.planValidate(ctx, dir, applied, pending, state)
		diags.Append(more...)
		m.Pending = stringsOrNull(names)
	}
	switch {
	case !state.Recorded.ValueBool():
	case len(pending) == 0:
		m.Applied, m.BlockedBy = state.Applied, types.ListNull(types.StringType)
	case !m.contract():
		after := maps.Clone(applied)
		maps.Copy(after, job.Checksums(pending))
		m.Applied, d = types.MapValueFrom(ctx, types.StringType, after)
		diags.Append(d...)
	}
	return pending, diags
}

// planFindings lints what is pending. Errors stop the plan.
func (m *migrationModel) planFindings(ctx context.Context, dir *job.Directory, pending []*job.File) diag.Diagnostics {
	m.Findings = types.ListNull(types.StringType)
	if len(pending) == 0 {
		return nil
	}
	options, known, diags := m.lintOptions(ctx)
	if !known || diags.HasError() {
		m.Findings = types.ListUnknown(types.StringType)
		return diags
	}
	var todo, history []*sqlfile.File
	waiting := map[string]bool{}
	for _, file := range pending {
		todo = append(todo, file.File)
		waiting[file.Name] = true
	}
	for _, file := range append(append([]*job.File{}, dir.Files...), dir.Others...) {
		if !waiting[file.Name] && file.Version < todo[len(todo)-1].Version {
			history = append(history, file.File)
		}
	}
	sqlfile.Sort(history)
	report, err := lint.Lint(ctx, history, todo, options)
	if err != nil {
		diags.AddAttributeError(path.Root("acknowledge"), "Cannot lint "+m.what(), capitalized(err.Error())+".")
		return diags
	}
	if found := report.Errors(); len(found) > 0 {
		var texts []string
		for _, finding := range found {
			texts = append(texts, findingText(finding))
		}
		diags.AddAttributeError(path.Root("directory"), fmt.Sprintf("Unsafe migrations: the linter found %d", len(found)),
			strings.Join(texts, "\n\n")+"\n\nNothing was run. Rewrite them in the safe form, or accept one with its reason: a comment "+
				"above the statement, -- slipway:allow RULE reason=\"…\", or an entry in acknowledge."+
				destroyInSpite(!m.ID.IsUnknown()))
		return diags
	}
	var texts []string
	for _, finding := range report.Findings {
		texts = append(texts, findingText(finding))
	}
	m.Findings = stringsOrNull(texts)
	return diags
}

// findingText is one finding for people.
func findingText(f lint.Finding) string {
	text := fmt.Sprintf("%s:%d: %s (%s, %s): %s", f.File, f.Line, f.Rule, f.Severity, f.Class, f.Reason)
	if f.Acknowledged != "" {
		return text + "\n  Acknowledged: " + f.Acknowledged
	}
	return text + "\n  Safe form: " + f.SafeForm + "\n  " + f.Page()
}
