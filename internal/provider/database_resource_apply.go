// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/database"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment/namespace"
)

const defaultDatabaseTimeout = 5 * time.Minute

// Create makes the database, or takes over what an earlier Create of the same client and stage left. On failure it returns no state: a
// state that comes with an error is tainted, and the next apply would drop the database.
func (r *DatabaseResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan clientDatabaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	timeout, diags := plan.Timeouts.Create(ctx, defaultDatabaseTimeout)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("admin_password_wo"), &plan.AdminPassword)...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.ID = types.StringValue(r.data.newInstance())
	resp.Diagnostics.Append(r.ensure(ctx, &plan, "create", database.Options{Create: true, Timeout: timeout})...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Update puts the database to what is planned. When it fails, the state stays what it was, and the next plan shows the same difference.
func (r *DatabaseResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state clientDatabaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := plan.Timeouts.Update(ctx, defaultDatabaseTimeout)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("admin_password_wo"), &plan.AdminPassword)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if plan.sameOnServer(state) { // nothing on the server depends on it
		plan.AdminPassword = types.StringNull()
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
		return
	}
	resp.Diagnostics.Append(r.ensure(ctx, &plan, "update", database.Options{ClusterUID: plan.ClusterUID.ValueString(), Timeout: timeout})...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// sameOnServer reports that nothing differs but what only the state keeps: so the protection can be lifted without the server.
func (m clientDatabaseModel) sameOnServer(state clientDatabaseModel) bool {
	return m.Environment.Equal(state.Environment) && m.ClusterUID.Equal(state.ClusterUID) && m.Server.Equal(state.Server) &&
		m.OwnerSecret.Equal(state.OwnerSecret) && m.AppSecret.Equal(state.AppSecret) &&
		m.Pods.Equal(state.Pods) && m.ConnectionLimit.Equal(state.ConnectionLimit) && m.Extensions.Equal(state.Extensions) &&
		m.PasswordVersion.Equal(state.PasswordVersion) && m.Adopt.Equal(state.Adopt) && m.Drift.Equal(state.Drift)
}

// ensure does what Create and Update share, and makes a state of the plan.
func (r *DatabaseResource) ensure(ctx context.Context, plan *clientDatabaseModel, verb string, options database.Options) diag.Diagnostics {
	written := plan.AdminPassword
	plan.AdminPassword = types.StringNull()
	spec, known, diags := plan.spec(ctx)
	if diags.HasError() {
		return diags
	}
	if !known {
		diags.AddError("Cannot "+verb+" "+plan.what(), "Some of its values are still unknown in the apply. This is a bug in the provider.")
		return diags
	}
	s, d := plan.subject(ctx)
	diags.Append(d...)
	if diags.HasError() {
		return diags
	}
	p, d := open(ctx, r.data, verb, s)
	diags.Append(d...)
	if diags.HasError() {
		return diags
	}
	fail := func(err error) diag.Diagnostics {
		diags.Append(s.failed(verb, err))
		return diags
	}
	var err error
	if options.AdminPassword, err = plan.adminPassword(ctx, p.live, spec.Handle.Namespace, written); err != nil {
		return fail(err)
	}
	if options.AdminPassword == "" {
		return fail(plan.noPassword(ctx, spec, false))
	}
	options.InstanceID = plan.ID.ValueString()
	options.MadeInThisRun = r.data.madeInThisRun
	options.Progress = p.say
	uid, err := database.Ensure(ctx, p.live, spec, options)
	if err != nil {
		return fail(err)
	}
	plan.ClusterUID = types.StringValue(uid)
	return diags
}

// Read looks at the database with the owner's credentials, which are in the namespace. The resource leaves the state only when the server
// lets us in and has no such database; a server that cannot be asked keeps the prior state, with a warning.
func (r *DatabaseResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state clientDatabaseModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	spec, _, diags := state.spec(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	s, diags := state.subject(ctx)
	resp.Diagnostics.Append(diags...)
	p, diags := openToRead(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if p == nil {
		return
	}
	password, err := state.adminPassword(ctx, p.live, spec.Handle.Namespace, types.StringNull())
	var seen *database.Observation
	if err == nil {
		seen, err = database.Observe(ctx, p.live, spec, password)
	}
	if database.IsTransient(err) {
		resp.Diagnostics.AddWarning(fmt.Sprintf("The state of %s in %s may be out of date", s.what(), s.handle.Name()),
			"The server could not be asked, so the state keeps what was last seen.\n\n"+detailOf(err))
		return
	}
	if !p.read(ctx, resp, err == nil && !seen.Missing, err) {
		return
	}
	if got, want := seen.InstanceID, state.ID.ValueString(); got != "" && got != want {
		resp.Diagnostics.Append(p.anotherOwner("Its comment on the server", got, want))
		return
	}
	if seen.Seen {
		state.ConnectionLimit = types.Int64Value(seen.ConnectionLimit)
		if !state.Extensions.IsNull() {
			state.Extensions = stringsOrNull(seen.Extensions)
		}
	}
	state.Drift = stringsOrNull(seen.Drift)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Delete drops the database, unless it is protected, used, or managed by another instance by now.
func (r *DatabaseResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state clientDatabaseModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := state.Timeouts.Delete(ctx, defaultDatabaseTimeout)
	resp.Diagnostics.Append(diags...)
	spec, _, diags := state.spec(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	s, diags := state.subject(ctx)
	resp.Diagnostics.Append(diags...)
	if state.DeletionProtection.ValueBool() { // taint and -replace come here without a plan of destroy
		resp.Diagnostics.Append(guardDestroy(r.data, spec.Handle)...)
		resp.Diagnostics.Append(s.notRemoved(&database.ProtectedError{Database: spec.Name})...)
		return
	}
	p, diags := openToRemove(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	password, err := state.adminPassword(ctx, p.live, spec.Handle.Namespace, types.StringNull())
	if err == nil && password == "" {
		err = state.noPassword(ctx, spec, true)
	}
	forgotten := false
	if err == nil {
		forgotten, err = database.Remove(ctx, p.live, spec, database.Options{
			InstanceID: state.ID.ValueString(), ClusterUID: state.ClusterUID.ValueString(), AdminPassword: password, Timeout: timeout,
			Progress: p.say,
		})
	}
	resp.Diagnostics.Append(p.removed(forgotten,
		"Its comment on the server carries another instance id than this resource, so another state manages it now.", err)...)
}

// ImportState imports "<context>/<namespace>/<database>", parsed from the right, because a context may contain slashes.
func (r *DatabaseResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	rest, name, ok := cutLast(req.ID)
	contextName, within, ok2 := cutLast(rest)
	if !ok || !ok2 || name == "" || contextName == "" || within == "" {
		resp.Diagnostics.AddError("Cannot import database "+req.ID,
			"The import id is not of the form <context>/<namespace>/<database>, for example "+
				"client-a-prod/data-collection-client-a/client-a-prod-db.")
		return
	}
	coordinate := cluster.Coordinate{Context: contextName}
	fail := func(err error) {
		resp.Diagnostics.Append(pathless(diagnostic(path.Empty(), "import", "database "+req.ID, environment.Handle{}, err)))
	}
	live, err := r.data.Connections.Cluster(ctx, coordinate)
	var home *namespace.Found
	if err == nil {
		home, err = namespace.Find(ctx, live, coordinate, within)
	}
	if err != nil {
		fail(err)
		return
	}
	for _, refusal := range guardPlanAt(path.Empty(), r.data, home.Spec.Handle) {
		resp.Diagnostics.Append(pathless(refusal))
	}
	if resp.Diagnostics.HasError() {
		return
	}
	found, err := database.Find(ctx, live, home.Spec.Handle, name)
	if err != nil {
		fail(err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, databaseFrom(found, home.ClusterUID))...)
}
