// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/canary"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// ValidateConfig refuses what Istio or the Gateway API would refuse, and steps and analyses that make no sense.
func (r *CanaryResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config canaryModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	wanted, diags := config.wanted(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(splitAnalysis(wanted.analysis)...)
	headers := config.givenHeaders()
	problems := route.ValidateHeaders("headers", headers)
	if wanted.known {
		problems = append(problems, canary.ValidateSteps(wanted.steps)...)
	}
	if wanted.routed && !config.Name.IsUnknown() {
		if (wanted.route.Istio == nil) == (wanted.route.Gateway == nil) {
			resp.Diagnostics.AddError("A split needs one router", "There must be exactly one of the blocks istio and gateway_api.")
			return
		}
		problems = append(problems, canary.Target{Name: config.Name.ValueString(), Route: wanted.route}.Validate()...)
	}
	for _, p := range problems {
		at, text := problemAt(p, headers, wanted.route)
		resp.Diagnostics.AddAttributeError(at, "The "+config.what()+" cannot be made like this", text)
	}
}

// ModifyPlan guards the plan and says which weights the apply goes through. Its values are a function of configuration and state; what the
// cluster knows came into the state by Read.
func (r *CanaryResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if r.data == nil {
		return // Validation without a configured provider.
	}
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(planDestroy[canaryModel](ctx, r.data, req)...)
		return
	}
	var plan canaryModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	var state *canaryModel
	if !req.State.Raw.IsNull() {
		state = &canaryModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	wanted, diags := plan.wanted(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	adopt, diags := adoptedObject(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if state != nil {
		replaced, diags := plan.routesElsewhere(ctx, *state, wanted)
		resp.Diagnostics.Append(diags...)
		resp.RequiresReplace = append(resp.RequiresReplace, replaced...)
		if len(replaced) > 0 || !plan.Name.Equal(state.Name) {
			resp.Diagnostics.AddWarning("The "+state.what()+" is replaced",
				"Between the old route and the new one, which takes about two seconds or until the new tracks have ready pods, requests go "+
					"to all pods of the Service, those of both tracks.\n\n"+
					"If the canary's version must not answer them, remove its release first.")
		}
	}
	resp.Diagnostics.Append(r.plan(ctx, &plan, state, wanted, adopt)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

func (r *CanaryResource) plan(ctx context.Context, plan, state *canaryModel, wanted canaryWanted, adopt string) diag.Diagnostics {
	handle, known, diags := handleFrom(ctx, plan.Environment)
	if known && !diags.HasError() {
		diags.Append(guardPlan(r.data, handle)...)
	}
	if wanted.known {
		diags.Append(plan.checkTimeouts(ctx, state, wanted)...)
	}
	if diags.HasError() {
		return diags
	}
	if known && state != nil {
		moved, d := r.planMove(ctx, plan, state, handle)
		diags.Append(d...)
		if diags.HasError() {
			return diags
		}
		state = moved
	}
	from := route.Split{}
	if state != nil {
		reader := &blockReader{ctx: ctx}
		from = route.Split{Weight: reader.number(state.Weight, 0), Headers: state.headers(reader)}
		diags.Append(reader.diags...)
	}
	plan.describe(state, wanted, from)
	if blocked := plan.blocked(state, wanted, from); blocked != "" {
		diags.AddWarning("The "+plan.what()+" in "+handle.Name()+" may be refused",
			fmt.Sprintf("The canary is quarantined: %s.\n\nThe apply sends it more requests only if its pods, the analysis or "+
				"retry_token change, else it fails before it changes anything.", blocked))
	}
	if known && wanted.routed && !plan.Name.IsUnknown() && (state == nil || !plan.PlannedSteps.IsNull()) {
		diags.Append(r.look(ctx, plan, state, handle, wanted, adopt)...)
		if wanted.known && wanted.split.Raises(from) && !diags.HasError() {
			diags.Append(r.askAhead(ctx, plan, handle, wanted.analysis)...)
		}
		if wanted.known && !wanted.split.Equal(route.Split{}) && !diags.HasError() {
			diags.Append(r.lookForProxies(ctx, plan, handle, wanted, adopt, wanted.split.Raises(from))...)
		}
	}
	return diags
}

// routesElsewhere are the blocks that make another route of it than the one in the state: then all requests first go to the
// stable track of the old one, by a replacement. The same route written in another way is none.
func (m canaryModel) routesElsewhere(ctx context.Context, state canaryModel, wanted canaryWanted) (at path.Paths, diags diag.Diagnostics) {
	reader := &blockReader{ctx: ctx}
	before := state.route(reader)
	diags.Append(reader.diags...)
	handle, _, d := handleFrom(ctx, state.Environment)
	diags.Append(d...)
	if diags.HasError() || wanted.routed && wanted.route.Same(before, state.Name.ValueString(), handle.Namespace) {
		return nil, diags
	}
	for name, both := range map[string][2]types.List{
		"istio": {m.Istio, state.Istio}, "gateway_api": {m.GatewayAPI, state.GatewayAPI}, "stable": {m.Stable, state.Stable},
		"canary": {m.Canary, state.Canary},
	} {
		if !both[0].Equal(both[1]) {
			at = append(at, path.Root(name))
		}
	}
	return at, diags
}

// planMove refuses another cluster than the recorded one, or plans the move to it. The state that it returns is the one to plan
// from: in another cluster, nothing is divided yet.
func (r *CanaryResource) planMove(
	ctx context.Context, plan, state *canaryModel, handle environment.Handle,
) (*canaryModel, diag.Diagnostics) {
	if state.ClusterUID.ValueString() == "" || !sameIdentity(ctx, plan.Environment, state.Environment) {
		return state, nil
	}
	mismatch, moves, diags := movesTo(ctx, r.data, handle, plan.what(), state.ClusterUID, plan.AllowClusterMove)
	if !moves {
		return state, diags
	}
	moved := *state
	moved.ClusterUID = types.StringValue(mismatch.Got)
	moved.Weight, moved.Headers = types.Int64Value(0), types.MapNull(types.StringType)
	moved.PlannedSteps, moved.Drift = types.ListNull(types.StringType), types.ListNull(types.StringType)
	moved.Verification, moved.Quarantined = types.StringNull(), types.StringNull()
	plan.ClusterUID = moved.ClusterUID
	diags.AddWarning("The "+plan.what()+" moves to another cluster",
		fmt.Sprintf("Requests are divided in the cluster %s, beginning at the weight that they have there. The route in the cluster "+
			"%s is forgotten, not removed.", mismatch.Got, mismatch.Want))
	return &moved, diags
}

// describe plans what the apply does.
func (m *canaryModel) describe(state *canaryModel, wanted canaryWanted, from route.Split) {
	m.Verification, m.Drift = types.StringNull(), types.ListNull(types.StringType)
	m.Quarantined = types.StringNull()
	if state != nil && !wanted.split.Raises(from) {
		m.Quarantined = state.Quarantined
	}
	switch {
	case !wanted.known:
		m.PlannedSteps = types.ListUnknown(types.StringType)
	case state != nil && wanted.split.Equal(from) && state.Verification.IsNull() && state.Drift.IsNull():
		m.PlannedSteps = state.PlannedSteps
	default:
		lines := wanted.way(from)
		if state != nil && !state.Verification.IsNull() {
			lines = append([]string{"first what an interrupted run has left: " + state.Verification.ValueString()}, lines...)
		}
		if blocked := m.blocked(state, wanted, from); blocked != "" {
			lines = append([]string{"blocked unless the pods, the analysis or retry_token change: " + blocked}, lines...)
		}
		m.PlannedSteps = stringsOrNull(lines)
	}
}

// blocked is why more requests may be refused, empty where they are not.
func (m *canaryModel) blocked(state *canaryModel, wanted canaryWanted, from route.Split) string {
	if state == nil || !wanted.known || !wanted.split.Raises(from) || !m.RetryToken.Equal(state.RetryToken) {
		return ""
	}
	return state.Quarantined.ValueString()
}

// look finds at plan what would fail in the apply: kinds that the cluster does not have, routes that cannot be divided. A cluster
// that cannot be reached was reported by Read.
func (r *CanaryResource) look(
	ctx context.Context, plan, state *canaryModel, handle environment.Handle, wanted canaryWanted, adopt string,
) (diags diag.Diagnostics) {
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	instance := ""
	if state != nil {
		instance = state.ID.ValueString()
		if err == nil && sameIdentity(ctx, plan.Environment, state.Environment) {
			err = live.RequireUID(ctx, state.ClusterUID.ValueString())
		}
	}
	if err == nil {
		target := canary.Target{Cluster: live, Handle: handle, Name: plan.Name.ValueString(), Route: wanted.route, Adopt: adopt}
		if problems := target.Validate(); len(problems) > 0 {
			err = &route.InvalidError{Object: plan.what(), Problems: problems}
		} else {
			_, err = canary.Observe(ctx, target, instance, time.Now())
			var router route.Router
			if err == nil {
				router, err = wanted.route.Router(live, nil, route.Owner{Handle: handle, Name: target.Name, TakeOver: true, Adopt: adopt})
			}
			if err == nil && state == nil {
				err = route.CheckRivals(ctx, router)
			}
			if err == nil && wanted.known {
				err = route.CheckHeaders(ctx, router, wanted.split.Headers)
			}
		}
	}
	if refusesPlan(err) {
		diags.Append(atRouter(errorDiagnostic("plan", plan.what(), handle, err), err, wanted.route))
	}
	return diags
}

// lookForProxies says whether the route divides anything.
func (r *CanaryResource) lookForProxies(
	ctx context.Context, plan *canaryModel, handle environment.Handle, wanted canaryWanted, adopt string, raises bool,
) diag.Diagnostics {
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	if err != nil || plan.DataPlane.IsUnknown() { // Read has said so.
		return nil
	}
	router, err := wanted.route.Router(live, nil, route.Owner{Handle: handle, Name: plan.Name.ValueString(), TakeOver: true, Adopt: adopt})
	if err != nil {
		return nil //nolint:nilerr // look has said so.
	}
	return checkDataPlane(ctx, "plan", plan.what(), handle, router, plan.DataPlane, raises)
}

// askAhead validates the queries of the analysis before a request goes to the canary.
func (r *CanaryResource) askAhead(ctx context.Context, plan *canaryModel, handle environment.Handle, a *verify.Analysis) diag.Diagnostics {
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	if a == nil || err != nil { // Read has said so.
		return nil
	}
	return preflightQueries(ctx, a, release.Target{Cluster: live, Handle: handle, Name: plan.Name.ValueString()}, "", plan.what())
}

// refusesPlan reports an error that the same apply cannot fix.
func refusesPlan(err error) bool {
	if _, ok := errors.AsType[*cluster.MismatchError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*route.KindMissingError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*route.AmbiguousError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*route.ShapeError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*route.HeaderClashError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*route.InvalidError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*route.RivalError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*route.SubsetError](err); ok {
		return true
	}
	_, ok := errors.AsType[*route.ForeignError](err)
	return ok
}

// checkTimeouts refuses a timeout in which the steps cannot come to an end.
func (m canaryModel) checkTimeouts(ctx context.Context, state *canaryModel, wanted canaryWanted) diag.Diagnostics {
	name, read := "create", m.Timeouts.Create
	if state != nil {
		name, read = "update", m.Timeouts.Update
	}
	waits := wanted.waits()
	timeout, diags := read(ctx, canaryTimeout+waits)
	if !diags.HasError() && waits > 0 && timeout <= waits {
		diags.AddAttributeError(path.Root("timeouts"), "The steps take longer than the timeout",
			fmt.Sprintf("With their analyses they take up to %s, and the timeout for %s is %s: the old weights would always be "+
				"restored.\n\nMake the analyses shorter, or the timeout longer.",
				shortDuration(waits.Round(time.Second)), name, shortDuration(timeout)))
	}
	return diags
}
