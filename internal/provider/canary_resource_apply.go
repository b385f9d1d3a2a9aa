// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/canary"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
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
	_, diags = r.apply(ctx, &plan, wanted, canaryRun{timeout: timeout, create: true})
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
	adopt, diags := adoptedObject(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	planned, diags := state.planned(ctx, plan, wanted.route)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	result, diags := r.apply(ctx, &plan, wanted, canaryRun{timeout: timeout, adopt: adopt, planned: planned})
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
		if adopt != "" {
			resp.Diagnostics.Append(keepAdopted(ctx, resp.Private, "")...)
		}
		return
	}
	if result != nil && result.Split != nil {
		state.divided(*result.Split)
		resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	}
}

// canaryRun is what Create and Update do differently.
type canaryRun struct {
	timeout time.Duration
	create  bool
	// adopt is the UID of an object that was imported.
	adopt string
	// planned is what the plan saw, nil where it saw nothing.
	planned *canary.Planned
}

// planned is what a plan made from this state saw of the route that the configuration gives; nil where the plan moves it to another cluster.
func (m canaryModel) planned(ctx context.Context, plan canaryModel, config route.Config) (*canary.Planned, diag.Diagnostics) {
	if !plan.ClusterUID.Equal(m.ClusterUID) {
		return nil, nil
	}
	reader := &blockReader{ctx: ctx}
	out := &canary.Planned{
		Split: route.Split{Weight: reader.number(m.Weight, 0), Headers: m.headers(reader)}, Changed: reader.strings(m.Drift),
		Rewritten: !reflect.DeepEqual(m.route(reader), config),
	}
	return out, reader.diags
}

// apply does what Create and Update share.
func (r *CanaryResource) apply(ctx context.Context, plan *canaryModel, wanted canaryWanted, run canaryRun) (*canary.Result, diag.Diagnostics) {
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
	target := canary.Target{Cluster: live, Handle: handle, Name: plan.Name.ValueString(), Route: wanted.route, Adopt: run.adopt}
	result, err := canary.Apply(ctx, target, plan.spec(wanted, live, handle, say), canary.Options{
		InstanceID: plan.ID.ValueString(), TakeOver: run.create, ClusterUID: plan.ClusterUID.ValueString(), Planned: run.planned, Timeout: run.timeout, Progress: say,
	})
	if err != nil {
		for _, d := range blueGreenDiagnostics(plan.what(), handle, err) {
			diags.Append(atRouter(d, err, wanted.route))
		}
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
	config := state.route(reader)
	resp.Diagnostics.Append(reader.diags...)
	adopt, diags := adoptedObject(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
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
	var seen *canary.Observed
	if err == nil {
		seen, err = canary.Observe(ctx, canary.Target{Cluster: live, Handle: handle, Name: state.Name.ValueString(), Route: config, Adopt: adopt}, state.ID.ValueString(), time.Now())
	}
	_, namespaceGone := errors.AsType[*environment.NamespaceMissingError](err)
	_, kindGone := errors.AsType[*route.KindMissingError](err)
	_, routeGone := errors.AsType[*route.MissingError](err)
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
	adopt, diags := adoptedObject(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
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
		forgotten, err = canary.Remove(ctx, canary.Target{Cluster: live, Handle: handle, Name: state.Name.ValueString(), Route: route, Adopt: adopt}, canary.Options{
			InstanceID: state.ID.ValueString(), ClusterUID: state.ClusterUID.ValueString(), Timeout: timeout, Progress: progress(ctx, handle, state.Name.ValueString()),
		})
	}
	if err != nil {
		resp.Diagnostics.Append(blueGreenDiagnostics(state.what(), handle, err)...)
		return
	}
	if forgotten {
		why := "Its record carries another instance id than this resource, so another state manages it now."
		if adopt != "" {
			why = "It was imported, and never taken over by an apply, or another state manages it now."
		}
		resp.Diagnostics.AddWarning("The "+state.what()+" was left alone", why+" It was only forgotten here.")
	}
}
