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
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment/namespace"
)

// ModifyPlan guards: the workspace, the identity, the cluster, the namespace's owner, and deletion. What it learns from the
// live cluster becomes errors and warnings; the planned values are a function of configuration and prior state, except
// that a permitted move to another cluster makes the ids unknown.
func (r *EnvironmentResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.data == nil {
		return // Validation without a configured provider.
	}
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(r.planDestroy(ctx, req)...)
		return
	}
	var plan environmentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	var state *environmentModel
	if !req.State.Raw.IsNull() {
		state = &environmentModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("drift"), types.ListNull(types.StringType))...)
	plan.Network = plan.adoptedNetwork(ctx, req.Config, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("network"), plan.Network)...)
	if resp.Diagnostics.HasError() {
		return
	}

	if eks, ok := plan.Cluster.Attributes()["eks"]; ok && !eks.IsNull() {
		resp.Diagnostics.Append(environmentDiagnostic("plan", environment.Handle{}, &cluster.UnsupportedError{What: "cluster.eks"}))
		return
	}
	handle, known, diags := plan.handle(ctx)
	resp.Diagnostics.Append(diags...)
	if known && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(guardPlanAt(path.Empty(), r.data, handle)...)
	}
	// A var-file of another client changes the identity too; the workspace is then the better explanation.
	if state != nil && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(sameEnvironment(plan, *state)...)
	}
	if !known || resp.Diagnostics.HasError() {
		return
	}
	r.planLive(ctx, req, resp, plan, state, handle)
}

// planLive asks the cluster what would be refused. A cluster that cannot be asked is a warning.
func (r *EnvironmentResource) planLive(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
	plan environmentModel, state *environmentModel, handle environment.Handle,
) {
	unchanged := state != nil && req.Plan.Raw.Equal(req.State.Raw)
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	switch {
	case isNotYetKnown(err), err != nil && unchanged: // Read has warned of the latter.
		return
	case err != nil:
		resp.Diagnostics.Append(environmentDiagnostic("plan", handle, err))
		return
	}
	options := namespace.EnsureOptions{}
	if state != nil {
		options = namespace.EnsureOptions{Update: true, InstanceID: state.ID.ValueString()}
		err = live.RequireUID(ctx, state.ClusterUID.ValueString())
		if mismatch, another := errors.AsType[*cluster.MismatchError](err); another && plan.AllowClusterMove.ValueString() == mismatch.Got {
			unchanged, options, err = false, namespace.EnsureOptions{}, nil
			for _, name := range []string{"id", "cluster_uid", "namespace_uid"} {
				resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(name), types.StringUnknown())...)
			}
			resp.Diagnostics.AddWarning(fmt.Sprintf("The environment %s moves to another cluster", handle.Name()),
				fmt.Sprintf("Its namespace is made in the cluster %s. What is in the cluster %s is forgotten, not destroyed: remove it "+
					"there when nobody needs it any more.", mismatch.Got, mismatch.Want))
		}
	}
	if err == nil && !unchanged {
		spec, known, diags := plan.spec(ctx)
		resp.Diagnostics.Append(diags...)
		if !known { // An environment without objects of its own: the namespace alone is checked.
			open := namespace.Network{Ingress: namespace.TrafficAllow, Egress: namespace.TrafficAllow}
			spec = namespace.Spec{Handle: handle, Adopt: plan.adopt(), Network: open}
		}
		var found namespace.Takeover
		if found, err = namespace.Preflight(ctx, live, spec, options); err == nil {
			r.planTakeover(ctx, resp, live, handle, found)
		}
	}
	switch {
	case err == nil:
	case cluster.IsTransient(err) && unchanged: // Read has warned.
	case cluster.IsTransient(err):
		resp.Diagnostics.AddWarning("The environment "+handle.Name()+" was not validated on the cluster",
			"Whether the namespace may be taken shows only in the apply, because the cluster could not be asked.\n\n"+detailOf(err))
	default:
		resp.Diagnostics.Append(environmentDiagnostic("plan", handle, err))
	}
}

// planTakeover shows what the environment takes over, and tells the rest of the plan whose the namespace is going to be.
func (r *EnvironmentResource) planTakeover(
	ctx context.Context, resp *resource.ModifyPlanResponse, live *cluster.Cluster, handle environment.Handle, found namespace.Takeover,
) {
	if found.Unclaimed {
		if uid, err := live.UID(ctx); err == nil {
			r.data.adoptions.add(uid, handle)
		}
		runs := "Nothing runs in it."
		if len(found.Workloads) > 0 {
			runs = "In it run:\n" + strings.Join(found.Workloads, "\n")
		}
		resp.Diagnostics.AddWarning("The environment "+handle.Name()+" takes over namespace "+handle.Namespace,
			"The namespace exists, and belongs to no client. "+runs+"\n\nThe apply labels the namespace. It does not touch what runs in it, "+
				"and never deletes the namespace.")
	}
	if len(found.Effects) > 0 {
		resp.Diagnostics.AddWarning("The environment "+handle.Name()+" changes things for pods that run in namespace "+handle.Namespace,
			strings.Join(found.Effects, "\n\n"))
	}
}

// sameEnvironment refuses another identity: a replacement would destroy the namespace, and all that is in it, before any
// dependent hears of it.
func sameEnvironment(plan, state environmentModel) (diags diag.Diagnostics) {
	refuse := func(at path.Path, what string, was, is attr.Value) {
		if !differs(was, is) {
			return
		}
		diags.AddAttributeError(at,
			fmt.Sprintf("Cannot change the %s of the environment %s/%s", what, state.Client.ValueString(), state.Stage.ValueString()),
			fmt.Sprintf("Client, stage and namespace name are the identity of an environment. Changing one would destroy the namespace "+
				"with all that is in it.\n\n"+
				"The %s is %s in the state and %s in the configuration.\n\n"+
				"Put the old value back. For another environment, use its own workspace and var-file, or add a second resource; to give this one up, "+
				"destroy it first (if this error is in the way: terraform destroy -refresh=false, in its own workspace).", what, was, is))
	}
	refuse(path.Root("client"), "client", state.Client, plan.Client)
	refuse(path.Root("stage"), "stage", state.Stage, plan.Stage)
	refuse(path.Root("namespace").AtName("name"), "namespace", state.Namespace.Attributes()["name"], plan.Namespace.Attributes()["name"])
	return diags
}

// planDestroy guards the removal with what is in the state. Protection does not hold back an object that would only be
// forgotten, because another instance manages the namespace by now: no configuration could ever lift it.
func (r *EnvironmentResource) planDestroy(ctx context.Context, req resource.ModifyPlanRequest) diag.Diagnostics {
	var state environmentModel
	diags := req.State.Get(ctx, &state)
	if diags.HasError() {
		return diags
	}
	handle, _, d := state.handle(ctx)
	diags.Append(d...)
	if diags.HasError() {
		return diags
	}
	diags.Append(guardDestroy(r.data, handle)...)
	if diags.HasError() {
		return diags
	}
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	if err == nil {
		err = live.RequireUID(ctx, state.ClusterUID.ValueString())
	}
	if _, another := errors.AsType[*cluster.MismatchError](err); another {
		diags.Append(pathless(environmentDiagnostic("remove", handle, err)))
		return diags
	}
	if !state.DeletionProtection.ValueBool() {
		return diags
	}
	managed := true
	if err == nil {
		if found, merr := namespace.Managed(ctx, live, handle, state.ID.ValueString(), state.NamespaceUID.ValueString()); merr == nil {
			managed = found
		}
	}
	if managed {
		diags.Append(environmentDiagnostic("remove", handle, &namespace.ProtectedError{Namespace: handle.Namespace}))
	}
	return diags
}
