// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/bluegreen"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// Create makes the wanted color live. On failure it returns no state; the record in the namespace lets the next Create go on.
func (r *BlueGreenResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan blueGreenModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	judges, diags := readBlueGreenJudges(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	timeout, diags := plan.Timeouts.Create(ctx, judges.timeout())
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.ID = types.StringValue(uuid.NewString())
	_, diags = r.apply(ctx, &plan, judges, timeout, nil)
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	}
}

// Update switches, or does what is left to do. When that fails, the state says which color is live all the same.
func (r *BlueGreenResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state blueGreenModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	judges, diags := readBlueGreenJudges(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	timeout, diags := plan.Timeouts.Update(ctx, judges.timeout())
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	result, diags := r.apply(ctx, &plan, judges, timeout, &state)
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
		return
	}
	if result != nil && result.Active != "" {
		state.Active = types.StringValue(result.Active)
		resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	}
}

// apply does what Create and Update share; a Create has no state.
func (r *BlueGreenResource) apply(ctx context.Context, plan *blueGreenModel, judges blueGreenJudges, timeout time.Duration, state *blueGreenModel) (*bluegreen.Result, diag.Diagnostics) {
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
	create := state == nil
	target, d := plan.target(ctx, live, handle, create)
	diags.Append(d...)
	if diags.HasError() {
		return nil, diags
	}
	say := progress(ctx, handle, plan.Service.ValueString())
	result, err := bluegreen.Apply(ctx, target, plan.spec(judges, live, handle, say), bluegreen.Options{
		InstanceID: plan.ID.ValueString(), TakeOver: create, ClusterUID: plan.ClusterUID.ValueString(), Planned: state.planned(*plan), Timeout: timeout, Progress: say,
	})
	if err != nil {
		diags.Append(blueGreenDiagnostics(plan.what(), handle, err)...)
		return result, diags
	}
	plan.ClusterUID = types.StringValue(result.ClusterUID)
	return result, diags
}

// planned is the live color that a plan made from this state saw where the plan looks for it; nil where it is looked for elsewhere.
func (m *blueGreenModel) planned(plan blueGreenModel) *string {
	if m == nil || !plan.ClusterUID.Equal(m.ClusterUID) || !plan.Istio.Equal(m.Istio) || !plan.HTTPRoute.Equal(m.HTTPRoute) {
		return nil
	}
	return m.Active.ValueStringPointer()
}

// blueGreenDiagnostics are one for each error: why a color failed and why it could not be taken back are two things.
func blueGreenDiagnostics(what string, handle environment.Handle, err error) (diags diag.Diagnostics) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the outermost error is meant
		for _, each := range joined.Unwrap() {
			diags.Append(blueGreenDiagnostics(what, handle, each)...)
		}
		return diags
	}
	return diag.Diagnostics{errorDiagnostic("apply", what, handle, err)}
}

// Read sees which color is live. It writes nothing.
func (r *BlueGreenResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state blueGreenModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	handle, _, diags := handleFrom(ctx, state.Environment)
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
	var seen *bluegreen.Observed
	if err == nil {
		var target bluegreen.Target
		target, diags = state.target(ctx, live, handle, true)
		resp.Diagnostics.Append(diags...)
		seen, err = bluegreen.Observe(ctx, target, state.keep(), time.Now())
	}
	_, namespaceGone := errors.AsType[*environment.NamespaceMissingError](err)
	_, serviceGone := errors.AsType[*pods.ServiceMissingError](err)
	switch {
	case namespaceGone || serviceGone:
		resp.State.RemoveResource(ctx)
	case err != nil:
		resp.Diagnostics.Append(readDiagnostic(state.what(), handle, err))
	default:
		resp.Diagnostics.Append(state.observe(seen, handle)...)
		resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
	}
}

// observe brings what the cluster says into the state.
func (m *blueGreenModel) observe(seen *bluegreen.Observed, handle environment.Handle) (diags diag.Diagnostics) {
	if seen.Recorded && seen.InstanceID != m.ID.ValueString() {
		diags.AddWarning("The "+m.what()+" has another owner now", fmt.Sprintf("The record in namespace %s carries another instance id: another resource or Terraform state has taken it over.\n\n"+
			"Remove it from the state that should not have it. A change of it from here is refused, and a destroy only forgets it.", handle.Namespace))
		return diags
	}
	m.Active = types.StringValue(seen.Active)
	m.PlannedSteps, m.ScaleDown = types.ListNull(types.StringType), types.StringNull()
	m.Verification, m.Quarantined = stringOrNull(seen.Verification), stringOrNull(seen.Quarantined)
	if seen.ScaleDown {
		m.ScaleDown = types.StringValue(bluegreen.Opposite(seen.Active))
	}
	return diags
}

// Delete leaves the traffic where it is, and removes the preview Service and the record.
func (r *BlueGreenResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state blueGreenModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := state.Timeouts.Delete(ctx, blueGreenTimeout)
	resp.Diagnostics.Append(diags...)
	handle, _, diags := handleFrom(ctx, state.Environment)
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
		target, d := state.target(ctx, live, handle, false)
		resp.Diagnostics.Append(d...)
		forgotten, err = bluegreen.Forget(ctx, target, bluegreen.Options{
			InstanceID: state.ID.ValueString(), ClusterUID: state.ClusterUID.ValueString(), Timeout: timeout,
			Progress: progress(ctx, handle, state.Service.ValueString()),
		})
	}
	if err != nil {
		resp.Diagnostics.Append(errorDiagnostic("forget", state.what(), handle, err))
		return
	}
	if forgotten {
		resp.Diagnostics.AddWarning("The "+state.what()+" was left alone", "Its record carries another instance id than this resource, so another state manages it now. It was only forgotten here.")
	}
}

// ImportState imports "<context>/<namespace>/<service>", parsed from the right, because a context may contain slashes.
func (r *BlueGreenResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	rest, service, ok := cutLast(req.ID)
	contextName, namespace, ok2 := cutLast(rest)
	if !ok || !ok2 || contextName == "" || namespace == "" || service == "" {
		resp.Diagnostics.AddError("Cannot import blue-green switch "+req.ID,
			fmt.Sprintf("The import id %q is not of the form <context>/<namespace>/<service>, for example client-a-prod/data-collection-client-a/data-collection-service.", req.ID))
		return
	}
	coordinate := cluster.Coordinate{Context: contextName}
	model := blueGreenModel{
		Service: types.StringValue(service), PreviewService: types.StringValue(service + previewSuffix), Label: types.StringValue(bluegreen.DefaultLabel),
		BlueValue: types.StringValue(bluegreen.Blue), GreenValue: types.StringValue(bluegreen.Green),
		PreviewAnalysis: types.ListNull(analysisBlock().NestedObject.Type()), Analysis: types.ListNull(analysisBlock().NestedObject.Type()),
		Istio: types.ListNull(istioRouteBlock().NestedObject.Type()), HTTPRoute: types.ListNull(httpRouteBlock().NestedObject.Type()),
		Timeouts: nullTimeouts(),
	}
	handle := environment.Handle{Cluster: coordinate, Namespace: namespace}
	var seen *bluegreen.Observed
	live, err := r.data.Connections.Cluster(ctx, coordinate)
	if err == nil {
		handle, err = environment.FromNamespace(ctx, live, coordinate, namespace)
	}
	if err == nil {
		resp.Diagnostics.Append(guardPlan(r.data, handle)...)
		if resp.Diagnostics.HasError() {
			return
		}
		target, d := model.target(ctx, live, handle, true)
		resp.Diagnostics.Append(d...)
		seen, err = bluegreen.Observe(ctx, target, nil, time.Now())
	}
	var uid string
	if err == nil {
		uid, err = live.UID(ctx)
	}
	if err != nil {
		resp.Diagnostics.Append(pathless(errorDiagnostic("import", model.what(), handle, err)))
		return
	}
	model.ID = types.StringValue(uuid.NewString())
	if seen.Recorded {
		model.ID = types.StringValue(seen.InstanceID)
	}
	model.Environment, model.ClusterUID = handleValue(handle), types.StringValue(uid)
	resp.Diagnostics.Append(model.observe(seen, handle)...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}
