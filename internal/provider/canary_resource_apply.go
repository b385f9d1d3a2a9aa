// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic"
)

// Create divides the traffic, beginning at the weights that there are. On failure it returns no state; the record in the namespace lets the
// next Create go on.
func (r *CanaryResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan canaryModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	wanted, diags := plan.wanted(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	timeout, diags := plan.Timeouts.Create(ctx, canaryTimeout+wanted.waits())
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.ID = types.StringValue(uuid.NewString())
	_, diags = r.apply(ctx, &plan, wanted, timeout, true)
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Update moves traffic, or does what is left to do. When that fails, the state says which weights are in effect all the same.
func (r *CanaryResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state canaryModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	wanted, diags := plan.wanted(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	timeout, diags := plan.Timeouts.Update(ctx, canaryTimeout+wanted.waits())
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	result, diags := r.apply(ctx, &plan, wanted, timeout, false)
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
		return
	}
	if result != nil && result.Split != nil {
		state.divided(*result.Split)
		resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	}
}

// apply does what Create and Update share.
func (r *CanaryResource) apply(ctx context.Context, plan *canaryModel, wanted canaryWanted, timeout time.Duration, create bool) (*traffic.CanaryResult, diag.Diagnostics) {
	handle, _, diags := handleFrom(ctx, plan.Environment)
	if diags.HasError() {
		return nil, diags
	}
	diags.Append(guardPlan(r.data, handle)...)
	if diags.HasError() {
		return nil, diags
	}
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	if err != nil {
		diags.Append(errorDiagnostic("apply", plan.what(), handle, err))
		return nil, diags
	}
	say := progress(ctx, handle, plan.Name.ValueString())
	target := traffic.CanaryTarget{Cluster: live, Handle: handle, Name: plan.Name.ValueString(), Route: wanted.route}
	result, err := traffic.ApplyCanary(ctx, target, plan.spec(wanted, live, handle, say), traffic.CanaryOptions{
		InstanceID: plan.ID.ValueString(), TakeOver: create, ClusterUID: plan.ClusterUID.ValueString(), Timeout: timeout, Progress: say,
	})
	if err != nil {
		diags.Append(blueGreenDiagnostics(plan.what(), handle, err)...)
		return result, diags
	}
	plan.ClusterUID = types.StringValue(result.ClusterUID)
	return result, diags
}

// Read sees which weights are in effect. It writes nothing.
func (r *CanaryResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state canaryModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	handle, _, diags := handleFrom(ctx, state.Environment)
	resp.Diagnostics.Append(diags...)
	reader := &blockReader{ctx: ctx}
	route := state.route(reader)
	resp.Diagnostics.Append(reader.diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	if err != nil {
		resp.Diagnostics.Append(staleDiagnostic(state.what(), handle, err))
		return
	}
	err = verifyCluster(ctx, live, state.ClusterUID.ValueString())
	if _, another := errors.AsType[*cluster.MismatchError](err); another {
		return // the plan says so
	}
	if err == nil {
		_, err = environment.Check(ctx, live, handle)
	}
	var seen *traffic.ObservedCanary
	if err == nil {
		seen, err = traffic.ObserveCanary(ctx, traffic.CanaryTarget{Cluster: live, Handle: handle, Name: state.Name.ValueString(), Route: route}, state.ID.ValueString(), time.Now())
	}
	_, namespaceGone := errors.AsType[*environment.NamespaceMissingError](err)
	_, kindGone := errors.AsType[*traffic.KindMissingError](err)
	_, routeGone := errors.AsType[*traffic.RouteMissingError](err)
	switch {
	case namespaceGone || kindGone || routeGone || err == nil && !seen.Exists && !seen.Recorded:
		resp.State.RemoveResource(ctx)
	case err != nil:
		resp.Diagnostics.Append(readDiagnostic(state.what(), handle, err))
	default:
		if !seen.Exists {
			seen.Changed = append(seen.Changed, "the route does not exist any more")
		}
		resp.Diagnostics.Append(state.observe(seen, handle)...)
		resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	}
}

// Delete sends all requests to the stable side, and removes what is ours.
func (r *CanaryResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state canaryModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	timeout, diags := state.Timeouts.Delete(ctx, canaryTimeout)
	resp.Diagnostics.Append(diags...)
	handle, _, diags := handleFrom(ctx, state.Environment)
	resp.Diagnostics.Append(diags...)
	reader := &blockReader{ctx: ctx}
	route := state.route(reader)
	resp.Diagnostics.Append(reader.diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(guardDestroy(r.data, handle)...)
	if resp.Diagnostics.HasError() {
		return
	}
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	forgotten := false
	if err == nil {
		forgotten, err = traffic.RemoveCanary(ctx, traffic.CanaryTarget{Cluster: live, Handle: handle, Name: state.Name.ValueString(), Route: route}, traffic.CanaryOptions{
			InstanceID: state.ID.ValueString(), ClusterUID: state.ClusterUID.ValueString(), Timeout: timeout, Progress: progress(ctx, handle, state.Name.ValueString()),
		})
	}
	if err != nil {
		resp.Diagnostics.Append(blueGreenDiagnostics(state.what(), handle, err)...)
		return
	}
	if forgotten {
		resp.Diagnostics.AddWarning("The "+state.what()+" was left alone", "Its record carries another instance id than this resource, so another state manages it now. It was only forgotten here.")
	}
}

// ImportState imports "<context>/<namespace>/<name>", parsed from the right, because a context may contain slashes. Where the traffic is divided is
// on the record.
func (r *CanaryResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	rest, name, ok := cutLast(req.ID)
	contextName, namespace, ok2 := cutLast(rest)
	if !ok || !ok2 || contextName == "" || namespace == "" || name == "" {
		resp.Diagnostics.AddError("Cannot import canary split "+req.ID,
			fmt.Sprintf("The import id %q is not of the form <context>/<namespace>/<name>, for example client-a-prod/data-collection-client-a/data-collection.", req.ID))
		return
	}
	coordinate := cluster.Coordinate{Context: contextName}
	steps, _ := canaryBlocks()["step"].(schema.ListNestedBlock)
	model := canaryModel{
		Name: types.StringValue(name), Headers: types.MapNull(types.StringType),
		Step: types.ListNull(steps.NestedObject.Type()), Analysis: types.ListNull(analysisBlock().NestedObject.Type()),
		Timeouts: timeouts.Value{Object: types.ObjectNull(map[string]attr.Type{"create": types.StringType, "update": types.StringType, "delete": types.StringType})},
	}
	handle := environment.Handle{Cluster: coordinate, Namespace: namespace}
	live, err := r.data.Connections.Cluster(ctx, coordinate)
	if err == nil {
		handle, err = environment.FromNamespace(ctx, live, coordinate, namespace)
	}
	if err == nil {
		resp.Diagnostics.Append(guardPlan(r.data, handle)...)
		if resp.Diagnostics.HasError() {
			return
		}
	}
	var target traffic.CanaryTarget
	var instance, uid string
	var seen *traffic.ObservedCanary
	if err == nil {
		target, instance, err = traffic.FindCanary(ctx, live, handle, name)
	}
	if err == nil {
		seen, err = traffic.ObserveCanary(ctx, target, instance, time.Now())
	}
	if err == nil {
		uid, err = live.UID(ctx)
	}
	if err != nil {
		resp.Diagnostics.Append(pathless(errorDiagnostic("import", model.what(), handle, err)))
		return
	}
	model.ID, model.Environment, model.ClusterUID = types.StringValue(instance), handleValue(handle), types.StringValue(uid)
	resp.Diagnostics.Append(model.setRoute(ctx, target.Route)...)
	resp.Diagnostics.Append(model.observe(seen, handle)...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}
