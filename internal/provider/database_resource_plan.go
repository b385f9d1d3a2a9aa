// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/database"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// ModifyPlan guards: the workspace, the identity, the cluster, the owner of what exists, and deletion. What the server says becomes errors
// and warnings; the planned values are a function of configuration and prior state.
func (r *DatabaseResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.data == nil {
		return // Validation without a configured provider.
	}
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(r.planDestroy(ctx, req)...)
		return
	}
	var plan clientDatabaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	var state *clientDatabaseModel
	if !req.State.Raw.IsNull() {
		state = &clientDatabaseModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	var written types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("admin_password_wo"), &written)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(plan.derive(ctx)...)
	plan.Drift = types.ListNull(types.StringType)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	handle, known, diags := handleFrom(ctx, plan.Environment)
	resp.Diagnostics.Append(diags...)
	if known && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(guardPlan(r.data, handle)...)
	}
	if state != nil && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(sameDatabase(ctx, plan, *state)...)
	}
	if !known || resp.Diagnostics.HasError() {
		return
	}
	spec, whole, diags := plan.spec(ctx)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(coordinates(plan, handle)...)
	if state != nil && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(r.planMove(ctx, &plan, *state, handle, resp)...)
	}
	unchanged := state != nil && plan.sameOnServer(*state)
	if resp.Diagnostics.HasError() || !whole || unchanged {
		return
	}
	if plan.AppSecret.Equal(plan.OwnerSecret) || plan.AppRole.Equal(plan.OwnerRole) {
		resp.Diagnostics.AddAttributeError(path.Root("app_secret"), "One name for two things",
			"The owner and the application need a role and a Secret each, or the application could change the schema.\n\nGive them different names.")
		return
	}
	resp.Diagnostics.Append(r.planLive(ctx, plan, state, spec, written)...)
}

// coordinates refuses what contradicts itself.
func coordinates(plan clientDatabaseModel, handle environment.Handle) (diags diag.Diagnostics) {
	at := handle.Database
	if at != nil && at.Name != plan.Name.ValueString() && !plan.Name.IsUnknown() {
		diags.AddAttributeError(path.Root("name"), "Two names for one database",
			fmt.Sprintf("environment.database.name is %q, and name is %q.\n\nThe environment says where its database is. Make them "+
				"equal, or leave name out.", at.Name, plan.Name.ValueString()))
	}
	if host, ok := plan.Server.Attributes()["host"]; at == nil && ok && host.IsNull() {
		diags.AddAttributeError(path.Root("server").AtName("host"), "It is not said where the server is",
			"Neither server.host nor environment.database is set.\n\nSet server = { host = … }, or database = { host = …, name = … } in "+
				"the slipway_environment.")
	}
	return diags
}

// planMove compares the cluster with the recorded one. Another one is an error unless the configuration allows to move to just that one.
func (r *DatabaseResource) planMove(
	ctx context.Context, plan *clientDatabaseModel, state clientDatabaseModel, handle environment.Handle,
	resp *resource.ModifyPlanResponse,
) (diags diag.Diagnostics) {
	mismatch, moves, diags := movesTo(ctx, r.data, handle, plan.what(), state.ClusterUID, plan.AllowClusterMove)
	if !moves {
		return diags
	}
	plan.ClusterUID = types.StringValue(mismatch.Got)
	diags.Append(resp.Plan.SetAttribute(ctx, path.Root("cluster_uid"), plan.ClusterUID)...)
	diags.AddWarning("The "+plan.what()+" moves to another cluster",
		fmt.Sprintf("Its Secrets are made in the cluster %s, with new passwords: what still runs in the cluster %s can open no new "+
			"connections. The database stays where it is.", mismatch.Got, mismatch.Want))
	return diags
}

// planLive asks the cluster and the server what would be refused. Where they cannot be asked, a warning says so.
func (r *DatabaseResource) planLive(
	ctx context.Context, plan clientDatabaseModel, state *clientDatabaseModel, spec database.Spec, written types.String,
) (diags diag.Diagnostics) {
	live, err := r.data.Connections.Cluster(ctx, spec.Handle.Cluster)
	if isNotYetKnown(err) {
		return nil
	}
	if err != nil {
		diags.Append(errorDiagnostic("plan", plan.what(), spec.Handle, err))
		return diags
	}
	options := database.Options{Create: true}
	if state != nil {
		options = database.Options{InstanceID: state.ID.ValueString()}
	}
	untried := func(err error) {
		diags.AddWarning("The "+plan.what()+" in "+spec.Handle.Name()+" was not validated on the server",
			"Whether it may be made or changed shows only in the apply.\n\n"+detailOf(err))
	}
	if written.IsUnknown() {
		return diags // an ephemeral value that is there in the apply
	}
	options.AdminPassword, err = plan.adminPassword(ctx, live, spec.Handle.Namespace, written)
	switch {
	case err != nil:
		untried(err)
		return diags
	case options.AdminPassword == "":
		untried(plan.noPassword(ctx, spec, false))
		return diags
	}
	err = database.Preflight(ctx, spec, options)
	var taken []string
	if err == nil && plan.Adopt.ValueBool() && state == nil {
		taken, err = database.Takeover(ctx, live, spec, options.AdminPassword)
	}
	if len(taken) > 0 {
		diags.AddWarning("The "+plan.what()+" in "+spec.Handle.Name()+" takes over what is on the server", strings.Join(taken, "\n"))
	}
	switch {
	case err == nil:
	case database.IsTransient(err), cluster.IsTransient(err):
		untried(err)
	default:
		diags.Append(errorDiagnostic("plan", plan.what(), spec.Handle, err))
	}
	return diags
}

// sameDatabase refuses another identity: a replacement would drop the client's data.
func sameDatabase(ctx context.Context, plan, state clientDatabaseModel) (diags diag.Diagnostics) {
	refuse := func(at path.Path, what string, was, is attr.Value) {
		if differs(was, is) {
			diags.AddAttributeError(at, fmt.Sprintf("Cannot change the %s of %s", what, state.what()),
				fmt.Sprintf("It was %s in the state and is %s in the configuration. Another one would be another, empty database.\n\n"+
					"Put the old value back. For another database, add a second resource; to give this one up, destroy it first (if this error "+
					"is in the way: terraform destroy -refresh=false).", was, is))
		}
	}
	refuse(path.Root("name"), "name", state.Name, plan.Name)
	refuse(path.Root("owner_role"), "owner role", state.OwnerRole, plan.OwnerRole)
	refuse(path.Root("app_role"), "application's role", state.AppRole, plan.AppRole)
	if !sameIdentity(ctx, plan.Environment, state.Environment) && state.DeletionProtection.ValueBool() {
		diags.AddAttributeError(path.Root("environment"), "Cannot move "+state.what()+" to another environment",
			detailOf(&database.ProtectedError{Database: state.Name.ValueString()}))
	}
	return diags
}

// planDestroy guards the removal with what is in the state.
func (r *DatabaseResource) planDestroy(ctx context.Context, req resource.ModifyPlanRequest) diag.Diagnostics {
	var state clientDatabaseModel
	diags := req.State.Get(ctx, &state)
	if diags.HasError() {
		return diags
	}
	spec, _, d := state.spec(ctx)
	diags.Append(d...)
	if diags.HasError() {
		return diags
	}
	diags.Append(guardDestroy(r.data, spec.Handle)...)
	if diags.HasError() {
		return diags
	}
	fail := func(err error) {
		diags.Append(pathless(errorDiagnostic("remove", state.what(), spec.Handle, err)))
	}
	if state.DeletionProtection.ValueBool() {
		fail(&database.ProtectedError{Database: spec.Name})
		return diags
	}
	live, err := r.data.Connections.Cluster(ctx, spec.Handle.Cluster)
	if err != nil {
		return diags // the destroy says it
	}
	if err := live.RequireUID(ctx, state.ClusterUID.ValueString()); err != nil {
		if _, another := errors.AsType[*cluster.MismatchError](err); another {
			fail(err)
		}
		return diags
	}
	password, err := state.adminPassword(ctx, live, spec.Handle.Namespace, types.StringNull())
	switch {
	case err != nil && cluster.IsTransient(err):
	case err != nil:
		fail(err)
	case password == "":
		fail(state.noPassword(ctx, spec, true))
	}
	return diags
}
