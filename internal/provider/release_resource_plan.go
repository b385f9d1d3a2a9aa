// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// privateCapabilities is the key in private state of the cluster's capabilities as Read saw them last. It is there only for
// charts that ask for them, and makes the plan of an update a function of the state instead of the live cluster.
const privateCapabilities = "capabilities"

// ModifyPlan plans a release: a pure function of configuration, prior state, chart and values files. What it learns from the
// live cluster (the dry run) becomes errors and warnings, never planned values, because Terraform runs it again during the
// apply and compares.
func (r *ReleaseResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	r.modifyPlan(ctx, req, req.Private, resp)
}

func (r *ReleaseResource) modifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, private privateReader, resp *resource.ModifyPlanResponse,
) {
	if r.data == nil {
		return // validation without a configured provider
	}
	if req.Plan.Raw.IsNull() {
		resp.Diagnostics.Append(planDestroy[releaseModel](ctx, r.data, req)...)
		return
	}
	var plan releaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	var writeOnly types.Dynamic
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("values_wo"), &writeOnly)...)
	var configured types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("name"), &configured)...)
	var state *releaseModel
	if !req.State.Raw.IsNull() {
		state = &releaseModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}

	verification, diags := configuredVerification(ctx, req.Config, plan.Timeouts)
	resp.Diagnostics.Append(diags...)
	handle, handleKnown, diags := handleFrom(ctx, plan.Environment)
	resp.Diagnostics.Append(diags...)
	if handleKnown && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(guardPlan(r.data, handle)...)
	}
	source, sourceKnown, diags := plan.source(ctx)
	resp.Diagnostics.Append(diags...)
	l, layersKnown, diags := plan.layers(ctx, writeOnly)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() || !sourceKnown {
		return
	}

	c, err := r.data.Charts.Get(ctx, source, plan.recordedDigest(source, state))
	if err != nil {
		resp.Diagnostics.Append(chartDiagnostic(err))
		return
	}
	if plan.Name.IsUnknown() && configured.IsNull() {
		if !releaseNamePattern.MatchString(c.Name) {
			resp.Diagnostics.AddAttributeError(path.Root("chart"), "The chart's name cannot be the release's name",
				fmt.Sprintf("The chart is called %q, and a release %s.\n\nSet name.", c.Name, releaseNameRule))
			return
		}
		plan.Name = types.StringValue(c.Name)
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("name"), plan.Name)...)
	}
	chartDigest, chartVersion := types.StringValue(c.Digest), types.StringValue(c.Version)
	plan.setPlanned(ctx, resp, map[string]attr.Value{"chart_digest": chartDigest, "chart_version": chartVersion})
	plan.ChartDigest, plan.ChartVersion = chartDigest, chartVersion
	if !layersKnown || !handleKnown || resp.Diagnostics.HasError() {
		return
	}
	valuesDigest := types.StringValue(l.digest)
	plan.setPlanned(ctx, resp, map[string]attr.Value{"values_digest": valuesDigest})
	plan.ValuesDigest = valuesDigest
	if plan.Name.IsUnknown() {
		return // most charts write it into every object
	}

	if state != nil && r.movesToAnotherCluster(ctx, resp, plan, *state, handle) {
		state = nil // for the other cluster this is a first install
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if state != nil && plan.sameInputs(ctx, *state) && settled(*state) && sameIdentity(ctx, plan.Environment, state.Environment) {
		keepPrior(ctx, resp, plan, *state)
		return
	}
	if onlyAsked(ctx) {
		return // see server
	}
	resp.Diagnostics.Append(valuesDiagnostics(c, l)...)
	if resp.Diagnostics.HasError() {
		return
	}
	taking, known, diags := plan.taking(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	r.planChange(
		ctx,
		private,
		resp,
		change{plan: plan, state: state, handle: handle, spec: plan.spec(c, source, l), verification: verification,
			taking: taking, takes: takeovers{unseen: !known}},
	)
}

// movesToAnotherCluster compares the cluster with the recorded one. Another one is an error unless the configuration allows to
// move to just that one. A cluster that cannot be asked moves nothing; Read has warned of it.
func (r *ReleaseResource) movesToAnotherCluster(
	ctx context.Context, resp *resource.ModifyPlanResponse, plan, state releaseModel, handle environment.Handle,
) bool {
	mismatch, moves, diags := movesTo(ctx, r.data, handle, "release "+plan.Name.ValueString(), state.ClusterUID, plan.AllowClusterMove)
	resp.Diagnostics.Append(diags...)
	if !moves {
		return false
	}
	plan.setPlanned(ctx, resp, map[string]attr.Value{"id": types.StringUnknown(), "cluster_uid": types.StringUnknown()})
	resp.Diagnostics.AddWarning("Release "+plan.Name.ValueString()+" moves to another cluster",
		fmt.Sprintf("It is installed in the cluster %s. What is in the cluster %s is forgotten, not removed.", mismatch.Got, mismatch.Want))
	return true
}

// settled reports that the last operation ended well, with a verdict where one was due, and nobody else made a revision since.
func settled(state releaseModel) bool {
	return state.Status.ValueString() == statusDeployed &&
		(state.Verification.IsNull() || state.Verification.ValueString() == verificationVerified)
}

// keepPrior plans nothing: every computed attribute as it is, and values in the spelling of the state, because Terraform
// takes a tuple that became a list for a change although the JSON is the same.
func keepPrior(ctx context.Context, resp *resource.ModifyPlanResponse, plan, state releaseModel) {
	kept := map[string]attr.Value{
		"revision":        state.Revision,
		"status":          state.Status,
		"manifest_digest": state.ManifestDigest,
		"objects":         state.Objects,
		"change_summary":  state.ChangeSummary,
		"findings":        state.Findings,
		"known_good":      state.KnownGood,
		"quarantined":     types.StringNull(),
	}
	kept["custom_resource_definitions"] = state.Definitions
	plan.planDrift(state, kept)
	if plan.sameVerification(state) { // with another one it is verified, or could be rolled back, in another way
		kept["verification"], kept["rollback_ready"] = state.Verification, state.RollbackReady
	}
	if dynamicEqual(ctx, plan.Values, state.Values) {
		kept["values"] = state.Values
	}
	if dynamicEqual(ctx, plan.SensitiveValues, state.SensitiveValues) {
		kept["sensitive_values"] = state.SensitiveValues
	}
	plan.setPlanned(ctx, resp, kept)
}

// change is what a plan is about. state is nil for a release that is created.
type change struct {
	plan         releaseModel
	state        *releaseModel
	handle       environment.Handle
	spec         release.Spec
	verification verificationReading
	facts        releaseFacts
	// taking says which running objects are taken over, takes those that the plan found, and seen what a create found of the release.
	taking ownership.Taking
	takes  takeovers
	seen   *release.Observation
}

// planChange renders, shows reviewers what changes, and runs it dry on the API server.
func (r *ReleaseResource) planChange(ctx context.Context, private privateReader, resp *resource.ModifyPlanResponse, c change) {
	plan, state, handle := c.plan, c.state, c.handle
	live, unreachable := r.data.Connections.Cluster(ctx, handle.Cluster)
	if unreachable != nil && !isNotYetKnown(unreachable) {
		// A context that does not exist, or no coordinate: nothing can be applied with it.
		resp.Diagnostics.Append(errorDiagnostic("plan", "release "+plan.Name.ValueString(), handle, unreachable))
		return
	}
	options := render.Options{
		ReleaseName: plan.Name.ValueString(),
		Namespace:   handle.Namespace,
		Install:     state == nil,
		Revision:    1,
	}
	var capabilities *cluster.Capabilities
	if state == nil {
		options.CapabilitiesMayChange, options.OperationMayChange = true, true
	} else {
		options.Revision = int(state.Revision.ValueInt64()) + 1
		recorded, err := recordedCapabilities(ctx, private)
		if err != nil {
			resp.Diagnostics.Append(err...)
			return
		}
		capabilities = recorded
		options.CapabilitiesMayChange = recorded == nil
		facts, err := recordedFacts(ctx, private)
		resp.Diagnostics.Append(err...)
		c.facts = facts
	}
	if capabilities == nil && unreachable == nil {
		found, err := live.Capabilities(ctx)
		if err != nil {
			unreachable = err
		} else {
			capabilities = &found
		}
	}
	options.Capabilities = capabilities

	next, err := render.Chart(ctx, c.spec, options)
	if err != nil {
		resp.Diagnostics.Append(errorDiagnostic("render", "release "+plan.Name.ValueString(), handle, err))
		return
	}
	var previous map[object.Key]string
	if state != nil {
		previous, err = knownObjects(state.Objects)
		if err != nil {
			resp.Diagnostics.AddError("Cannot read the objects in the state", err.Error())
			return
		}
	}
	target := release.Target{Cluster: live, Handle: handle, Name: plan.Name.ValueString()}
	if unreachable == nil {
		target.Handle = r.data.planned(ctx, live, handle)
	}
	c.findTakeovers(ctx, resp, target, previous, next, unreachable)
	definitions, lines := c.planDefinitions(resp)
	summary, quarantined := append(c.summarize(ctx, previous, next), lines...), c.quarantined(next)
	if text := quarantined.ValueString(); text != "" {
		summary = append([]string{"refused by the apply: " + text}, summary...)
		resp.Diagnostics.AddWarning("Release "+plan.Name.ValueString()+" in "+handle.Name()+" is quarantined",
			"The apply refuses this content: "+text+".\n\nChange the version, the chart, the values or the verification, or set retry_token to "+
				"another text to deploy the same content again.")
	}
	shown := stringsOrNull(summary)
	if quarantined.IsUnknown() || c.takes.unseen {
		shown = types.ListUnknown(types.StringType) // it begins with the quarantine or with what is taken over, or not
	}
	planned := map[string]attr.Value{
		"status":         types.StringValue(statusDeployed),
		"revision":       types.Int64Unknown(),
		"objects":        objectsValue(next.Objects, next.Volatile),
		"drift":          types.MapNull(types.StringType),
		"change_summary": shown,
		"findings":       stringsOrNull(findingLines(render.Review(next))),
		"quarantined":    quarantined,
		"known_good":     types.StringUnknown(),
		"verification":   knownAfter(!c.verification.known || c.verification.verifies()),
		"rollback_ready": knownAfter(!c.verification.known || c.verification.Rollback != nil),
	}
	if !c.checkVerification(resp, next) {
		return
	}
	c.warnOfUnusedRules(ctx, resp, next)
	planned["custom_resource_definitions"] = definitions
	planned["manifest_digest"] = types.StringValue(next.Digest)
	if len(next.Volatile) > 0 {
		planned["manifest_digest"] = types.StringUnknown()
	}
	if next.VolatileSet != "" {
		planned["objects"] = types.MapUnknown(types.StringType)
		planned["manifest_digest"] = types.StringUnknown()
	}
	plan.setPlanned(ctx, resp, planned)

	if unreachable != nil {
		resp.Diagnostics.Append(notValidated(plan.Name.ValueString(), unreachable))
		return
	}
	if c.seen != nil {
		warnOfAnother(resp, target, c.seen, c.key(next), c.verification.RetryToken)
	}
	c.askAhead(ctx, resp, target, next)
	c.reviewConnections(ctx, resp, target, next)
	r.tryDefinitions(ctx, &resp.Diagnostics, target, c)
	c.try(ctx, resp, target, previous, next)
}

// knownAfter is a value that shows in the apply, or null where there will be none.
func knownAfter(some bool) types.String {
	if some {
		return types.StringUnknown()
	}
	return types.StringNull()
}

// recordedCapabilities reads what Read left in private state; nil where it left nothing.
func recordedCapabilities(ctx context.Context, private privateReader) (*cluster.Capabilities, diag.Diagnostics) {
	raw, diags := private.GetKey(ctx, privateCapabilities)
	if diags.HasError() || len(raw) == 0 {
		return nil, diags
	}
	var c cluster.Capabilities
	if err := json.Unmarshal(raw, &c); err != nil {
		diags.AddError("Cannot read the private state of the release", fmt.Sprintf("The recorded capabilities are no JSON: %s.", err))
		return nil, diags
	}
	return &c, nil
}

// setPlanned sets single attributes; rewriting the whole plan would strip sensitivity from nested values. What is planned so
// already is left alone, because each set traverses the whole plan.
func (m releaseModel) setPlanned(ctx context.Context, resp *resource.ModifyPlanResponse, planned map[string]attr.Value) {
	proposed := m.attributes()
	for name, value := range planned {
		if !value.Equal(proposed[name]) {
			resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(name), value)...)
		}
	}
}
