// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/job"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// Create runs what the database does not have. On failure it returns no state; what was applied is recorded, and the next Create resumes.
func (r *MigrationResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan migrationModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	timeout, diags := plan.Timeouts.Create(ctx, job.DefaultTimeout)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("database_url_wo"), &plan.DatabaseURL)...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.ID = types.StringValue(r.data.newInstance())
	_, diags = r.apply(ctx, &plan, nil, timeout)
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Update runs what is pending. When that fails, the state says what was applied all the same.
func (r *MigrationResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state migrationModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := plan.Timeouts.Update(ctx, job.DefaultTimeout)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("database_url_wo"), &plan.DatabaseURL)...)
	if resp.Diagnostics.HasError() {
		return
	}
	result, diags := r.apply(ctx, &plan, &state, timeout)
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
		return
	}
	switch {
	case result == nil:
		return
	case !plan.Commands.IsNull() && !state.Commands.IsNull():
		resp.Diagnostics.Append(state.took(ctx, result.Progress)...)
	case result.Applied != nil:
		state.Applied, diags = types.MapValueFrom(ctx, types.StringType, result.Applied)
		resp.Diagnostics.Append(diags...)
		if state.Commands.IsNull() {
			state.Phases, diags = state.validated(ctx, result.Validated)
			resp.Diagnostics.Append(diags...)
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// apply does what Create and Update share, and makes a state of the plan. The result may be there with an error.
func (r *MigrationResource) apply(ctx context.Context, plan, state *migrationModel, timeout time.Duration) (*job.Result, diag.Diagnostics) {
	s, diags := plan.subject(ctx)
	options, d := plan.options(ctx)
	diags.Append(d...)
	if diags.HasError() {
		return nil, diags
	}
	handle := s.handle
	p, d := open(ctx, r.data, "apply", s)
	diags.Append(d...)
	if diags.HasError() {
		return nil, diags
	}
	options.InstanceID, options.Create, options.Timeout = plan.ID.ValueString(), state == nil, timeout
	if state != nil {
		options.Recorded, d = state.appliedFiles(ctx)
		diags.Append(d...)
	}
	options.MadeInThisRun = r.data.madeInThisRun
	options.ClusterUID = plan.ClusterUID.ValueString()
	options.DatabaseURL = plan.DatabaseURL.ValueString()
	options.Progress = p.say
	plan.DatabaseURL = types.StringNull()

	target := migrationIn(p)
	if !plan.Commands.IsNull() {
		return plan.applyCommands(ctx, target, options)
	}
	dir, err := job.Read(plan.Directory.ValueString(), plan.contract())
	if err != nil {
		diags.Append(errorDiagnostic("apply", plan.what(), handle, err))
		return nil, diags
	}
	files, d := types.MapValueFrom(ctx, types.StringType, job.Checksums(dir.Files))
	diags.Append(d...)
	if !plan.Files.IsUnknown() && !plan.Files.Equal(files) {
		diags.AddAttributeError(path.Root("directory"), "Cannot apply "+plan.what()+" in "+handle.Name(),
			"The files are not those of the plan any more.\n\nThey were changed after the plan was made, so that nobody has reviewed "+
				"them.\n\nPlan again.")
		return nil, diags
	}
	plan.Files = files
	_, d = plan.readChecks(ctx, dir)
	diags.Append(d...)
	checks, d := plan.checksums(ctx, dir)
	diags.Append(d...)
	if diags.HasError() {
		return nil, diags
	}
	if !plan.Checks.IsUnknown() && !plan.Checks.Equal(checks) {
		diags.AddError("Cannot apply "+plan.what()+" in "+handle.Name(),
			"The files of check and validate are not those of the plan any more.\n\n"+
				"They were changed after the plan was made, so that nobody has reviewed them.\n\nPlan again.")
		return nil, diags
	}
	plan.Checks = checks
	result, err := job.Apply(ctx, target, dir, options)
	diags.Append(plan.blockedOrFailed(handle, result, err)...)
	if !diags.HasError() {
		diags.Append(plan.finished(ctx, dir, result)...)
	}
	return result, diags
}

// blockedOrFailed says what became of an apply that did not run all.
func (m migrationModel) blockedOrFailed(handle environment.Handle, result *job.Result, err error) (diags diag.Diagnostics) {
	if err == nil && len(result.Blocked) > 0 && m.OnBlocked.ValueString() == blockedFails {
		err = job.NewBlockedError(m.Name.ValueString(), result.Blocked)
	}
	if err != nil {
		diags.Append(errorDiagnostic("apply", m.what(), handle, err))
		return diags
	}
	if len(result.Blocked) > 0 {
		diags.AddWarning("The "+m.what()+" in "+handle.Name()+" waits",
			"It was not run: an old version still runs, or could be rolled back to. A later plan runs it.\n\n- "+strings.Join(result.Blocked,
				"\n- "))
	}
	return diags
}

// finished turns a plan into a state. What was planned with a value keeps it; Read sees the rest.
func (m *migrationModel) finished(ctx context.Context, dir *job.Directory, result *job.Result) (diags diag.Diagnostics) {
	var d diag.Diagnostics
	m.ClusterUID = types.StringValue(result.ClusterUID)
	if m.Applied.IsUnknown() {
		applied := result.Applied
		if applied == nil {
			applied = map[string]string{}
		}
		m.Applied, d = types.MapValueFrom(ctx, types.StringType, applied)
		diags.Append(d...)
	}
	if m.Phases.IsUnknown() {
		m.Phases, d = m.validated(ctx, result.Validated)
		diags.Append(d...)
	}
	if m.BlockedBy.IsUnknown() {
		m.BlockedBy = stringsOrNull(result.Blocked)
	}
	if m.Pending.IsUnknown() {
		var names []string
		for _, file := range dir.Files {
			if _, ok := result.Applied[file.Name]; !ok {
				names = append(names, file.Name)
			}
		}
		if len(dir.Validate) > 0 && (len(names) > 0 || result.Validated != job.ValidateDigest(result.Applied, dir.Validate)) {
			names = append(names, string(job.PhaseValidate))
		}
		m.Pending = stringsOrNull(names)
	}
	if m.Findings.IsUnknown() {
		m.Findings = types.ListNull(types.StringType)
	}
	return diags
}

// Read takes over what the record in the namespace says. It asks no database and writes nothing.
func (r *MigrationResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state migrationModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	s, diags := state.subject(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p, diags := openToRead(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if p == nil {
		return
	}
	err := p.check(ctx)
	if err == nil {
		err = state.refresh(ctx, p, &resp.Diagnostics)
	}
	if p.read(ctx, resp, true, err) {
		resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	}
}

// migrationIn is the migration of that name in the place.
func migrationIn(p *place) job.Target {
	return job.Target{Cluster: p.live, Handle: p.subject.handle, Name: p.subject.name}
}

// refresh brings what the cluster knows into the state.
func (m *migrationModel) refresh(ctx context.Context, p *place, diags *diag.Diagnostics) error {
	target := migrationIn(p)
	seen, err := job.Observe(ctx, target)
	if err != nil {
		return err
	}
	if seen.InstanceID != "" && seen.InstanceID != m.ID.ValueString() {
		diags.Append(p.anotherOwner(p.record(), seen.InstanceID, m.ID.ValueString()))
		return nil
	}
	m.Recorded = types.BoolValue(seen.Recorded)
	var d diag.Diagnostics
	if !m.Commands.IsNull() {
		pending, d := m.refreshCommands(ctx, seen)
		diags.Append(d...)
		return m.refreshPending(ctx, target, pending, diags)
	}
	if seen.Applied != nil {
		m.Applied, d = types.MapValueFrom(ctx, types.StringType, seen.Applied)
		diags.Append(d...)
		m.Phases, d = m.validated(ctx, seen.Validated)
		diags.Append(d...)
	}
	applied, d := m.appliedFiles(ctx)
	diags.Append(d...)
	files := map[string]string{}
	diags.Append(m.Files.ElementsAs(ctx, &files, false)...)
	var pending []*sqlfile.File
	for name := range files {
		if _, ok := applied[name]; !ok {
			pending = append(pending, sqlfile.Parse(name, nil))
		}
	}
	sqlfile.Sort(pending)
	var names []string
	for _, file := range pending {
		names = append(names, file.Name)
	}
	if err := m.refreshPending(ctx, target, names, diags); err != nil {
		return err
	}
	due, d := m.validationDue(ctx, applied, len(names) > 0)
	diags.Append(d...)
	if due {
		m.Pending = stringsOrNull(append(names, string(job.PhaseValidate)))
	}
	return nil
}

// refreshPending puts what is pending into the state, if anything is, and what it waits for.
func (m *migrationModel) refreshPending(ctx context.Context, target job.Target, pending []string, diags *diag.Diagnostics) error {
	m.BlockedBy = types.ListNull(types.StringType)
	if len(pending) == 0 {
		return nil // what the last apply ran stays in the state: that it is over is no change
	}
	m.Pending = stringsOrNull(pending)
	gate, d := m.gate(ctx)
	diags.Append(d...)
	if gate == nil || d.HasError() {
		return nil
	}
	blocked, err := job.Blocked(ctx, target, *gate, time.Now())
	if err != nil {
		return err
	}
	m.BlockedBy = stringsOrNull(slices.Clip(blocked))
	return nil
}

// Delete forgets the migration. The data stays.
func (r *MigrationResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state migrationModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := state.Timeouts.Delete(ctx, job.DefaultTimeout)
	resp.Diagnostics.Append(diags...)
	s, diags := state.subject(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p, diags := openToRemove(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	forgotten, err := job.Remove(ctx, migrationIn(p), job.Options{
		InstanceID: state.ID.ValueString(), ClusterUID: state.ClusterUID.ValueString(), Timeout: timeout, Progress: p.say,
	})
	resp.Diagnostics.Append(p.removed(forgotten, anotherInstance, err)...)
}
