// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/bluegreen"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// Create makes the wanted color live. On failure it returns no state; the record in the namespace lets the next Create resume.
func (r *BlueGreenResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan blueGreenModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	analyses, diags := readBlueGreenAnalyses(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	timeout, diags := plan.Timeouts.Create(ctx, analyses.timeout())
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.ID = types.StringValue(r.data.newInstance())
	_, diags = r.apply(ctx, &plan, analyses, timeout, nil)
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
	analyses, diags := readBlueGreenAnalyses(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	timeout, diags := plan.Timeouts.Update(ctx, analyses.timeout())
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	result, diags := r.apply(ctx, &plan, analyses, timeout, &state)
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
func (r *BlueGreenResource) apply(
	ctx context.Context, plan *blueGreenModel, analyses blueGreenAnalyses, timeout time.Duration, state *blueGreenModel,
) (*bluegreen.Result, diag.Diagnostics) {
	s, diags := plan.subject(ctx)
	if diags.HasError() {
		return nil, diags
	}
	p, d := open(ctx, r.data, "apply", s)
	diags.Append(d...)
	if diags.HasError() {
		return nil, diags
	}
	create := state == nil
	target, d := plan.target(ctx, p.live, s.handle, create)
	diags.Append(d...)
	if diags.HasError() {
		return nil, diags
	}
	if diags.Append(plan.checkProxies(ctx, "apply", p.live, s.handle, state)...); diags.HasError() {
		return nil, diags
	}
	result, err := bluegreen.Apply(ctx, target, plan.spec(analyses, p.live, s.handle, p.say), bluegreen.Options{
		Claim:      record.Claim{InstanceID: plan.ID.ValueString(), Create: create, MadeInThisRun: r.data.madeInThisRun},
		ClusterUID: plan.ClusterUID.ValueString(),
		Planned:    state.planned(*plan), Timeout: timeout, Progress: p.say,
	})
	if err != nil {
		diags.Append(s.failedEach("apply", err)...)
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

// Read sees which color is live. It writes nothing.
func (r *BlueGreenResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state blueGreenModel
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
	target, diags := state.target(ctx, p.live, s.handle, true)
	resp.Diagnostics.Append(diags...)
	var seen *bluegreen.Observed
	err := p.check(ctx)
	if err == nil {
		seen, err = bluegreen.Observe(ctx, target, state.keep(), time.Now())
	}
	_, noService := errors.AsType[*pods.ServiceMissingError](err)
	if noService {
		err = nil
	}
	if !p.read(ctx, resp, !noService, err) {
		return
	}
	if seen.Recorded && seen.InstanceID != state.ID.ValueString() {
		resp.Diagnostics.Append(p.anotherOwner(p.record(), seen.InstanceID, state.ID.ValueString()))
		return
	}
	state.observe(seen)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// observe brings what the cluster says into the state.
func (m *blueGreenModel) observe(seen *bluegreen.Observed) {
	m.Active = types.StringValue(seen.Active)
	m.ScaleDown = types.StringNull()
	m.Verification, m.Quarantined = stringOrNull(seen.Verification), stringOrNull(seen.Quarantined)
	if seen.ScaleDown {
		m.ScaleDown = types.StringValue(bluegreen.Opposite(seen.Active))
	}
}

// Delete leaves the traffic where it is, and removes the preview Service and the record.
func (r *BlueGreenResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state blueGreenModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := state.Timeouts.Delete(ctx, blueGreenTimeout)
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
	target, diags := state.target(ctx, p.live, s.handle, false)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	forgotten, err := bluegreen.Remove(ctx, target, bluegreen.Options{
		Claim: record.Claim{InstanceID: state.ID.ValueString()}, ClusterUID: state.ClusterUID.ValueString(), Timeout: timeout, Progress: p.say,
	})
	resp.Diagnostics.Append(p.removed(forgotten, anotherInstance, err)...)
}

// ImportState imports "<context>/<namespace>/<service>", parsed from the right, because a context may contain slashes.
func (r *BlueGreenResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	s, diags := importForm{noun: blueGreenNoun, last: "service", example: "data-collection-service"}.parse(req.ID)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	model := blueGreenModel{
		Service: types.StringValue(s.name), PreviewService: types.StringValue(s.name + previewSuffix),
		Label:     types.StringValue(bluegreen.DefaultLabel),
		BlueValue: types.StringValue(bluegreen.Blue), GreenValue: types.StringValue(bluegreen.Green),
		PlannedSteps:    types.ListNull(types.StringType),
		PreviewAnalysis: types.ListNull(analysisBlock().NestedObject.Type()), Analysis: types.ListNull(analysisBlock().NestedObject.Type()),
		Istio: types.ListNull(istioRouteBlock().NestedObject.Type()), HTTPRoute: types.ListNull(httpRouteBlock().NestedObject.Type()),
		Timeouts: nullTimeouts(),
	}
	p, uid, diags := openToImport(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	handle := p.subject.handle
	target, diags := model.target(ctx, p.live, handle, true)
	resp.Diagnostics.Append(diags...)
	seen, err := bluegreen.Observe(ctx, target, nil, time.Now())
	if err != nil {
		resp.Diagnostics.Append(pathless(p.subject.failed("import", err)))
		return
	}
	model.ID = types.StringValue(uuid.NewString())
	if seen.Recorded {
		model.ID = types.StringValue(seen.InstanceID)
	}
	model.Environment, model.ClusterUID = handleValue(handle), types.StringValue(uid)
	model.observe(seen)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}
