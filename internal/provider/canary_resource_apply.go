// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/canary"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// Create divides the traffic, beginning at the weights that there are. On failure it returns no state; the record in the namespace lets the
// next Create resumes.
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
	plan.ID = types.StringValue(r.data.newInstance())
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

// planned is what a plan made from this state saw of the route that the configuration gives; nil where the plan moves it to
// another cluster.
func (m canaryModel) planned(ctx context.Context, plan canaryModel, config route.Config) (*canary.Planned, diag.Diagnostics) {
	if !plan.ClusterUID.Equal(m.ClusterUID) {
		return nil, nil
	}
	reader := &blockReader{ctx: ctx}
	out := &canary.Planned{
		Split: route.Split{Weight: reader.number(m.Weight, 0), Headers: m.headers(reader)}, Drift: reader.strings(m.Drift),
		Rewritten: !reflect.DeepEqual(m.route(reader), config),
	}
	return out, reader.diags
}

// apply does what Create and Update share.
func (r *CanaryResource) apply(
	ctx context.Context, plan *canaryModel, wanted canaryWanted, run canaryRun,
) (*canary.Result, diag.Diagnostics) {
	s, diags := plan.subject(ctx)
	if diags.HasError() {
		return nil, diags
	}
	p, d := open(ctx, r.data, "apply", s)
	diags.Append(d...)
	if diags.HasError() {
		return nil, diags
	}
	if diags.Append(r.checkProxies(ctx, plan, wanted, run, p)...); diags.HasError() {
		return nil, diags
	}
	result, err := canary.Apply(ctx, canaryIn(p, wanted.route, run.adopt), plan.spec(wanted, p.live, s.handle, p.say), canary.Options{
		Claim:      record.Claim{InstanceID: plan.ID.ValueString(), Create: run.create, MadeInThisRun: r.data.madeInThisRun},
		ClusterUID: plan.ClusterUID.ValueString(),
		Planned:    run.planned, Timeout: run.timeout, Progress: p.say,
	})
	if err != nil {
		for _, d := range s.failedEach("apply", err) {
			diags.Append(atRouter(d, err, wanted.route))
		}
		return result, diags
	}
	plan.ClusterUID = types.StringValue(result.ClusterUID)
	return result, diags
}

// checkProxies looks for the proxies that the plan could not see, because the namespace or its pods did not exist.
func (r *CanaryResource) checkProxies(
	ctx context.Context, plan *canaryModel, wanted canaryWanted, run canaryRun, p *place,
) diag.Diagnostics {
	from := route.Split{}
	if run.planned != nil {
		from = run.planned.Split
	}
	if !wanted.split.Raises(from) {
		return nil
	}
	handle := p.subject.handle
	owner := route.Owner{Handle: handle, Name: plan.Name.ValueString(), TakeOver: true, Adopt: run.adopt}
	router, err := wanted.route.Router(p.live, nil, owner)
	if err != nil {
		return nil //nolint:nilerr // The apply says so.
	}
	return checkDataPlane(ctx, "apply", plan.what(), handle, router, plan.DataPlane, true)
}

// Read sees which weights are in effect. It writes nothing.
func (r *CanaryResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state canaryModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	s, diags := state.subject(ctx)
	resp.Diagnostics.Append(diags...)
	reader := &blockReader{ctx: ctx}
	config := state.route(reader)
	resp.Diagnostics.Append(reader.diags...)
	adopt, diags := adoptedObject(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p, diags := openToRead(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if p == nil {
		return
	}
	seen := &canary.Observed{}
	err := p.check(ctx)
	if err == nil {
		seen, err = canary.Observe(ctx, canaryIn(p, config, adopt), state.ID.ValueString(), time.Now())
	}
	_, noKind := errors.AsType[*route.KindMissingError](err)
	_, noRoute := errors.AsType[*route.MissingError](err)
	if noKind || noRoute {
		seen, err = &canary.Observed{}, nil
	}
	if !p.read(ctx, resp, err == nil && (seen.Route.Exists || seen.Recorded), err) {
		return
	}
	if !seen.Route.Exists {
		seen.Route.Drift = append(seen.Route.Drift, "the route does not exist any more")
	}
	if seen.Recorded && seen.RecordInstance != state.ID.ValueString() {
		resp.Diagnostics.Append(p.anotherOwner(p.record(), seen.RecordInstance, state.ID.ValueString()))
		return
	}
	state.observe(seen)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// canaryIn is the canary split of that name in the place.
func canaryIn(p *place, config route.Config, adopt string) canary.Target {
	return canary.Target{Cluster: p.live, Handle: p.subject.handle, Name: p.subject.name, Route: config, Adopt: adopt}
}

// Delete sends all requests to the stable track, and removes what is ours.
func (r *CanaryResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state canaryModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	timeout, diags := state.Timeouts.Delete(ctx, canaryTimeout)
	resp.Diagnostics.Append(diags...)
	s, diags := state.subject(ctx)
	resp.Diagnostics.Append(diags...)
	reader := &blockReader{ctx: ctx}
	config := state.route(reader)
	resp.Diagnostics.Append(reader.diags...)
	adopt, diags := adoptedObject(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p, diags := openToRemove(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	forgotten, err := canary.Remove(ctx, canaryIn(p, config, adopt), canary.Options{
		Claim: record.Claim{InstanceID: state.ID.ValueString()}, ClusterUID: state.ClusterUID.ValueString(), Timeout: timeout, Progress: p.say,
	})
	why := anotherInstance
	if adopt != "" {
		why = "It was imported, and never taken over by an apply, or another state manages it now."
	}
	resp.Diagnostics.Append(p.removed(forgotten, why, err)...)
}
