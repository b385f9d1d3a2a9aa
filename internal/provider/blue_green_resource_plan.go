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

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
)

// ModifyPlan guards the plan and says what the apply will do in addition to the switch itself. Its values are a function of
// configuration and state; what the cluster knows came into the state by Read.
func (r *BlueGreenResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.data == nil {
		return // Validation without a configured provider.
	}
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(planDestroy[blueGreenModel](ctx, r.data, req)...)
		return
	}
	var plan blueGreenModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	analyses, diags := readBlueGreenAnalyses(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	var state *blueGreenModel
	if !req.State.Raw.IsNull() {
		state = &blueGreenModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	var preview types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("preview_service"), &preview)...)
	if preview.IsNull() && !plan.Service.IsUnknown() {
		plan.PreviewService = types.StringValue(plan.Service.ValueString() + previewSuffix)
	}
	resp.Diagnostics.Append(r.plan(ctx, &plan, state, analyses)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

func (r *BlueGreenResource) plan(ctx context.Context, plan, state *blueGreenModel, analyses blueGreenAnalyses) diag.Diagnostics {
	handle, known, diags := handleFrom(ctx, plan.Environment)
	if known && !diags.HasError() {
		diags.Append(guardPlan(r.data, handle)...)
	}
	if !plan.PreviewService.IsUnknown() && plan.PreviewService.Equal(plan.Service) {
		diags.AddAttributeError(path.Root("preview_service"), "The preview Service is the live one",
			"The color that is not live would be behind the Service that clients call.\n\nChoose another name.")
	}
	if !plan.BlueValue.IsUnknown() && plan.BlueValue.Equal(plan.GreenValue) {
		diags.AddAttributeError(path.Root("green_value"), "Both colors have the same pods",
			fmt.Sprintf("The label %s would have the value %q on the pods of both.\n\nGive each color a value of its own.", plan.Label.ValueString(),
				plan.BlueValue.ValueString()))
	}
	diags.Append(analyses.validate()...)
	diags.Append(plan.checkRoute(ctx, handle)...)
	if !plan.DataPlane.IsNull() && !plan.DataPlane.IsUnknown() && len(plan.Istio.Elements())+len(plan.HTTPRoute.Elements()) == 0 &&
		!plan.Istio.IsUnknown() && !plan.HTTPRoute.IsUnknown() {
		diags.AddAttributeError(path.Root("data_plane"), "data_plane is about a route",
			fmt.Sprintf("It is %q, and there is neither a block istio nor a block http_route: the Service's selector is switched, which needs no "+
				"proxy.\n\nLeave it out.", plan.DataPlane.ValueString()))
	}
	if analyses.known {
		diags.Append(plan.checkTimeouts(ctx, state, analyses)...)
	}
	if diags.HasError() {
		return diags
	}
	plan.describe(state, analyses)
	if live, err := r.data.Connections.Cluster(ctx, handle.Cluster); known && err == nil {
		diags.Append(plan.checkProxies(ctx, "plan", live, handle, state)...)
	}
	if state == nil || diags.HasError() {
		return diags
	}
	if known && sameIdentity(ctx, plan.Environment, state.Environment) && state.ClusterUID.ValueString() != "" {
		mismatch, moves, d := movesTo(ctx, r.data, handle, plan.what(), state.ClusterUID, plan.AllowClusterMove)
		diags.Append(d...)
		if moves {
			plan.ClusterUID = types.StringValue(mismatch.Got)
			plan.describe(nil, analyses)
			diags.AddWarning("The "+plan.what()+" moves to another cluster",
				fmt.Sprintf("Which color is live there is not known to the plan; %s is made live in the cluster %s. What is in the cluster "+
					"%s is forgotten, not removed.", plan.Active.ValueString(), mismatch.Got, mismatch.Want))
			return diags
		}
	}
	if known && analyses.known && !plan.Active.IsUnknown() && !plan.Active.Equal(state.Active) {
		diags.Append(r.askAhead(ctx, plan, handle, analyses)...)
	}
	if blocked := state.Quarantined.ValueString(); blocked != "" && !plan.Active.Equal(state.Active) {
		diags.AddWarning("The "+plan.what()+" in "+handle.Name()+" may be refused", fmt.Sprintf("A color is quarantined: %s.\n\n"+
			"The apply switches to it only if its pods, the analysis or retry_token change, else it fails before it switches.", blocked))
	}
	return diags
}

// askAhead validates the queries of the analyses before anything is switched.
func (r *BlueGreenResource) askAhead(
	ctx context.Context, plan *blueGreenModel, handle environment.Handle, analyses blueGreenAnalyses,
) (diags diag.Diagnostics) {
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	if err != nil { // Read has said so.
		return nil
	}
	target := release.Target{Cluster: live, Handle: handle, Name: plan.Service.ValueString()}
	if analyses.before != nil {
		for _, problem := range preflightQueries(ctx, analyses.before, target, "", plan.what()) {
			diags.Append(inBlock("preview_analysis", problem))
		}
	}
	if analyses.after != nil {
		diags.Append(preflightQueries(ctx, analyses.after, target, "", plan.what())...)
	}
	return diags
}

// checkTimeouts refuses a timeout in which the analyses cannot come to an end.
func (m blueGreenModel) checkTimeouts(ctx context.Context, state *blueGreenModel, analyses blueGreenAnalyses) diag.Diagnostics {
	name, read := "create", m.Timeouts.Create
	if state != nil {
		name, read = "update", m.Timeouts.Update
	}
	timeout, diags := read(ctx, analyses.timeout())
	if longest := analyses.longest(); !diags.HasError() && longest > 0 && timeout <= longest {
		diags.AddAttributeError(path.Root("timeouts"), "The analyses take longer than the timeout",
			fmt.Sprintf("Together they take up to %s, and the timeout for %s is %s: a switch would always be rolled back.\n\n"+
				"Make the analyses shorter, or the timeout longer.",
				shortDuration(longest.Round(time.Second)), name, shortDuration(timeout)))
	}
	return diags
}
