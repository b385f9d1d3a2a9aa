// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// defaultReleaseTimeout is how long an operation on a release may take where timeouts says nothing.
const defaultReleaseTimeout = 5 * time.Minute

// Create installs the release, or takes over what an earlier Create of the same release left at whatever step it was. On
// failure it returns no state: a state that comes with an error is tainted, and the next apply would destroy the release.
func (r *ReleaseResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan releaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	var writeOnly types.Dynamic
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("values_wo"), &writeOnly)...)
	timeout, diags := plan.Timeouts.Create(ctx, defaultReleaseTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	verification, diags := configuredVerification(ctx, req.Config, plan.Timeouts)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	done, diags := r.apply(ctx, plan, writeOnly,
		release.ApplyOptions{InstanceID: r.data.newInstance(), Timeout: timeout, Verification: verification.Policy})
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(r.keepCapabilities(ctx, resp.Private, done.target.Handle, done.outcome.Rendering)...)
	resp.Diagnostics.Append(done.keepFacts(ctx, resp.Private)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan.applied(done))...)
}

// Update upgrades the release. When that fails, the state says what is really there, so that the next plan shows what is missing.
func (r *ReleaseResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state releaseModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	var writeOnly types.Dynamic
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("values_wo"), &writeOnly)...)
	timeout, diags := plan.Timeouts.Update(ctx, defaultReleaseTimeout)
	resp.Diagnostics.Append(diags...)
	verification, diags := configuredVerification(ctx, req.Config, plan.Timeouts)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	options := release.ApplyOptions{
		InstanceID:   state.ID.ValueString(),
		ClusterUID:   state.ClusterUID.ValueString(),
		Timeout:      timeout,
		Verification: verification.Policy,
	}
	if plan.ClusterUID.IsUnknown() { // the plan moves the release to another cluster, where it is installed anew
		options.InstanceID, options.ClusterUID = r.data.newInstance(), ""
	}
	if !r.correctDrift(ctx, &resp.Diagnostics, plan, state, timeout) {
		return
	}
	if plan.sameButDrift(state) {
		plan.ValuesWO = types.DynamicNull()
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
		return
	}
	done, diags := r.apply(ctx, plan, writeOnly, options)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		if done.outcome != nil && done.outcome.Revision != 0 {
			resp.Diagnostics.Append(done.keepFacts(ctx, resp.Private)...)
			resp.Diagnostics.Append(resp.State.Set(ctx, state.afterFailure(plan, done))...)
		}
		return
	}
	resp.Diagnostics.Append(r.keepCapabilities(ctx, resp.Private, done.target.Handle, done.outcome.Rendering)...)
	resp.Diagnostics.Append(done.keepFacts(ctx, resp.Private)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan.applied(done))...)
}

// apply does what Create and Update share. The outcome may be there with an error.
func (r *ReleaseResource) apply(ctx context.Context, plan releaseModel, writeOnly types.Dynamic, options release.ApplyOptions) (
	result done, diags diag.Diagnostics,
) {
	s, diags := plan.subject(ctx)
	if diags.HasError() {
		return result, diags
	}
	diags.Append(guardPlan(r.data, s.handle)...)
	source, _, d := plan.source(ctx)
	diags.Append(d...)
	l, known, d := plan.layers(ctx, writeOnly)
	diags.Append(d...)
	if diags.HasError() {
		return result, diags
	}
	verb := "install"
	if options.ClusterUID != "" {
		verb = "upgrade"
	}
	if !known {
		diags.AddError("Cannot "+verb+" "+s.what(), "Some of its values are still unknown in the apply. This is a bug in the provider.")
		return result, diags
	}
	c, err := r.data.Charts.Get(ctx, source, plan.ChartDigest.ValueString())
	if err != nil {
		diags.Append(chartDiagnostic(err))
		return result, diags
	}
	p, d := open(ctx, r.data, verb, s)
	diags.Append(d...)
	if diags.HasError() {
		return result, diags
	}
	options.Planned, err = knownObjects(plan.Objects)
	if err != nil {
		diags.AddError("Cannot read the planned objects", err.Error())
		return result, diags
	}
	options.PlannedChartDigest = plan.ChartDigest.ValueString()
	options.MadeInThisRun = r.data.madeInThisRun
	options.FailOnPending = plan.OnPending.ValueString() == "fail"
	options.MaxHistory = int(plan.MaxHistory.ValueInt64())
	options.Progress = p.say
	options.CorrectDrift = plan.CorrectDrift.ValueBool()
	options.IgnoreDrift, d = plan.ignoreRules(ctx)
	diags.Append(d...)
	options.Taking, _, d = plan.taking(ctx)
	diags.Append(d...)
	spec := plan.spec(c, source, l)
	definitions, err := render.Definitions(spec)
	if err != nil {
		diags.AddError("Cannot read the CustomResourceDefinitions of chart "+c.Name, capitalized(err.Error())+".\n\nFix the chart.")
	}
	if diags.HasError() {
		return result, diags
	}
	result.definitions = definitionsValue(definitions)

	result.target = releaseIn(p)
	result.outcome, err = release.Apply(ctx, result.target, spec, options)
	if result.outcome != nil {
		for _, recovered := range result.outcome.Recovered {
			diags.AddWarning("Release "+plan.Name.ValueString()+" was found half done", recovered)
		}
		if len(result.outcome.Unserved) > 0 {
			diags.AddWarning("Release "+plan.Name.ValueString()+" has Services without an endpoint", strings.Join(result.outcome.Unserved, "\n"))
		}
		if unchecked := result.outcome.Unchecked; unchecked != "" {
			diags.AddWarning("Release "+plan.Name.ValueString()+" was accepted without all its checks", unchecked+
				"\n\nSee that the metrics have data; on_inconclusive = \"hold\" or \"rollback\" does not accept such a version.")
		}
	}
	if err != nil {
		diags.Append(s.failed(verb, err))
	}
	diags.Append(result.lookAgain(ctx, options.Verification.Rollback != nil)...)
	return result, diags
}

// Read looks at the release with two requests. It leaves the state only when the release is certainly gone; a cluster that
// cannot be asked keeps the prior state, with a warning.
func (r *ReleaseResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	r.read(ctx, req, resp.Private, resp)
}

func (r *ReleaseResource) read(ctx context.Context, req resource.ReadRequest, private privateState, resp *resource.ReadResponse) {
	var state releaseModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
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
	observation, err := release.Observe(ctx, releaseIn(p))
	if !p.read(ctx, resp, err == nil && observation.Revision != 0, err) {
		return
	}
	if record := observation.Record; record != nil && record.InstanceID != state.ID.ValueString() {
		resp.Diagnostics.Append(p.anotherOwner(p.record(), record.InstanceID, state.ID.ValueString()))
	}
	if observation.Proven, err = release.Proven(ctx, releaseIn(p), observation); err != nil {
		resp.Diagnostics.Append(p.subject.notRead(err))
		return
	}
	status := observation.Status
	imported := observation.Record == nil && state.ValuesDigest.IsNull() // What another program made is no change of what Slipway made.
	if observation.Outside() && status == statusDeployed && !imported {
		status = statusModified
	}
	prior := state.attributes()
	for name, value := range map[string]attr.Value{
		"revision":    types.Int64Value(int64(observation.Revision)),
		"status":      types.StringValue(status),
		"quarantined": types.StringNull(),
	} {
		if !value.Equal(prior[name]) {
			resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
		}
	}
	for name, value := range seenValues(observation) {
		if !value.Equal(prior[name]) {
			resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
		}
	}
	resp.Diagnostics.Append(keepFacts(ctx, private, factsOf(observation, time.Now()))...)
	r.readDrift(ctx, resp, state, releaseIn(p), observation)
	r.refreshCapabilities(ctx, private, resp, s.handle)
}

// releaseIn is the release of that name in the place.
func releaseIn(p *place) release.Target {
	return release.Target{Cluster: p.live, Handle: p.subject.handle, Name: p.subject.name}
}

// Delete uninstalls the release, unless what is there under its name carries another instance id.
func (r *ReleaseResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state releaseModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := state.Timeouts.Delete(ctx, defaultReleaseTimeout)
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
	forgotten, err := release.Remove(ctx, releaseIn(p), release.RemoveOptions{
		InstanceID: state.ID.ValueString(),
		ClusterUID: state.ClusterUID.ValueString(),
		Timeout:    timeout,
		Progress:   p.say,
		Routed: func(ctx context.Context, pods []map[string]string) ([]string, error) {
			uses, err := route.To(ctx, p.live, s.handle, pods)
			words := make([]string, 0, len(uses))
			for _, use := range uses {
				words = append(words, use.String())
			}
			return words, err
		},
	})
	resp.Diagnostics.Append(p.removed(forgotten, anotherInstance, err)...)
}

// keepCapabilities remembers the cluster's capabilities in private state for charts that ask for them.
func (r *ReleaseResource) keepCapabilities(
	ctx context.Context, private privateWriter, handle environment.Handle, rendering *render.Result,
) diag.Diagnostics {
	if !rendering.DependsOnCapabilities {
		return private.SetKey(ctx, privateCapabilities, nil)
	}
	return r.writeCapabilities(ctx, private, handle)
}

// refreshCapabilities does the same in Read; a cluster that does not answer keeps what was remembered.
func (r *ReleaseResource) refreshCapabilities(
	ctx context.Context, private privateState, resp *resource.ReadResponse, handle environment.Handle,
) {
	raw, diags := private.GetKey(ctx, privateCapabilities)
	resp.Diagnostics.Append(diags...)
	if len(raw) == 0 || resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(r.writeCapabilities(ctx, private, handle)...)
}

func (r *ReleaseResource) writeCapabilities(
	ctx context.Context, private privateWriter, handle environment.Handle,
) (diags diag.Diagnostics) {
	live, err := r.data.Connections.Cluster(ctx, handle.Cluster)
	if err == nil {
		capabilities, cerr := live.Capabilities(ctx)
		if cerr == nil {
			raw, jerr := json.Marshal(capabilities)
			if jerr == nil {
				return private.SetKey(ctx, privateCapabilities, raw)
			}
			cerr = jerr
		}
		err = cerr
	}
	diags.AddWarning("The capabilities of the cluster could not be read",
		"The next plan shows objects that depend on them as known after apply, because: "+err.Error())
	return diags
}
