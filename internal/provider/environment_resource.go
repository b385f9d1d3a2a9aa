// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment/namespace"
)

var (
	_ resource.ResourceWithConfigure   = (*EnvironmentResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*EnvironmentResource)(nil)
	_ resource.ResourceWithImportState = (*EnvironmentResource)(nil)

	_ resource.ResourceWithValidateConfig = (*EnvironmentResource)(nil)
)

// NewEnvironmentResource is the constructor that the provider registers.
func NewEnvironmentResource() resource.Resource { return &EnvironmentResource{} }

// EnvironmentResource is slipway_environment: one client in one stage, as a namespace with what belongs to it.
type EnvironmentResource struct {
	data *Data
}

// How long an operation may take where timeouts says nothing.
const (
	defaultEnvironmentTimeout       = 5 * time.Minute
	defaultEnvironmentDeleteTimeout = 10 * time.Minute
)

// Metadata names the resource type.
func (r *EnvironmentResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_environment"
}

// Configure takes the connections that all resources share.
func (r *EnvironmentResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig warns of a quota that refuses pods.
func (r *EnvironmentResource) ValidateConfig(
	ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse,
) {
	var quota, limits types.Object
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("resource_quota"), &quota)...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("limit_range"), &limits)...)
	if resp.Diagnostics.HasError() || quota.IsNull() || !wholly(quota) || !wholly(limits) {
		return
	}
	read := reader{ctx: ctx, diags: &resp.Diagnostics}
	var hard quotaModel
	read.object(quota, &hard)
	missing := namespace.Undefaulted(read.strings(hard.Hard), read.limitRange(limits))
	if len(missing) > 0 && !resp.Diagnostics.HasError() {
		resp.Diagnostics.AddAttributeWarning(path.Root("resource_quota"), "The quota refuses pods that do not say what they need",
			fmt.Sprintf("The quota counts %[1]s, and limit_range gives no default. Kubernetes refuses each pod with a container that does "+
				"not set %[1]s, also the pods of hooks and migrations.\n\nSet limit_range = { default_request = { … } }, or default for "+
				"limits, unless every container sets it.", strings.Join(missing, " and ")))
	}
}

// Create makes the namespace and its objects, or takes over what an earlier Create of the same client and stage left. On
// failure it returns no state: a state that comes with an error is tainted, and the next apply would destroy the environment.
func (r *EnvironmentResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan environmentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	timeout, diags := plan.Timeouts.Create(ctx, defaultEnvironmentTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	plan.ID = types.StringValue(r.data.newInstance())
	state, diags := r.ensure(ctx, plan, "create", timeout, namespace.EnsureOptions{InstanceID: plan.ID.ValueString()})
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update puts the environment's objects to what is planned. When it fails, the state stays what it was, and the next plan
// shows the same difference.
func (r *EnvironmentResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state environmentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := plan.Timeouts.Update(ctx, defaultEnvironmentTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	options := namespace.EnsureOptions{InstanceID: state.ID.ValueString(), ClusterUID: state.ClusterUID.ValueString(), Update: true}
	if plan.ID.IsUnknown() { // The client moves to another cluster: what is in the old one is forgotten.
		plan.ID = types.StringValue(r.data.newInstance())
		options = namespace.EnsureOptions{InstanceID: plan.ID.ValueString(), ClusterUID: plan.AllowClusterMove.ValueString()}
	}
	updated, diags := r.ensure(ctx, plan, "update", timeout, options)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, updated)...)
}

// ensure does what Create and Update share, and returns the new state.
func (r *EnvironmentResource) ensure(
	ctx context.Context, plan environmentModel, verb string, timeout time.Duration, options namespace.EnsureOptions,
) (
	environmentModel, diag.Diagnostics,
) {
	spec, known, diags := plan.spec(ctx)
	if diags.HasError() {
		return plan, diags
	}
	if !known {
		diags.AddError("Cannot "+verb+" the environment", "Some of its values are still unknown in the apply. This is a bug in the provider.")
		return plan, diags
	}
	p, d := open(ctx, r.data, verb, plan.subject(spec.Handle))
	diags.Append(d...)
	if diags.HasError() {
		return plan, diags
	}
	options.Timeout, options.Progress, options.MadeInThisRun = timeout, p.say, r.data.madeInThisRun
	ensured, err := namespace.Ensure(ctx, p.live, spec, options)
	if err != nil {
		diags.Append(p.subject.failed(verb, err))
		return plan, diags
	}
	plan.ClusterUID = types.StringValue(ensured.ClusterUID)
	plan.NamespaceUID = types.StringValue(ensured.NamespaceUID)
	plan.Drift = types.ListNull(types.StringType)
	return plan, diags
}

// Read looks at the namespace and its objects. The resource leaves the state only when the right cluster says that the
// namespace does not exist; a cluster that cannot be asked keeps the prior state, with a warning.
func (r *EnvironmentResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state environmentModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	spec, _, diags := state.spec(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p, diags := openToRead(ctx, r.data, state.subject(spec.Handle))
	resp.Diagnostics.Append(diags...)
	if p == nil {
		return
	}
	observation, err := namespace.Observe(ctx, p.live, spec, state.ID.ValueString())
	if !p.read(ctx, resp, true, err) {
		return
	}
	if got, want := observation.InstanceID, state.ID.ValueString(); got != "" && got != want {
		resp.Diagnostics.Append(p.anotherOwner("Namespace "+spec.Handle.Namespace, got, want))
		return
	}
	if observation.Terminating {
		resp.Diagnostics.AddWarning("The environment "+spec.Handle.Name()+" is going away",
			"Namespace "+spec.Handle.Namespace+" is being deleted, by another user or by an earlier run. Wait until it is gone and plan again: "+
				"the plan then makes the environment anew. `kubectl describe namespace "+spec.Handle.Namespace+"` says what it still waits for.")
		return
	}
	state, diags = state.observed(ctx, observation)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Delete removes the environment, unless it is protected or another instance manages it by now.
func (r *EnvironmentResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state environmentModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	timeout, diags := state.Timeouts.Delete(ctx, defaultEnvironmentDeleteTimeout)
	resp.Diagnostics.Append(diags...)
	handle, _, diags := state.handle(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p, diags := openToRemove(ctx, r.data, state.subject(handle))
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	forgotten, err := namespace.Remove(ctx, p.live, handle, namespace.RemoveOptions{
		InstanceID:   state.ID.ValueString(),
		ClusterUID:   state.ClusterUID.ValueString(),
		NamespaceUID: state.NamespaceUID.ValueString(),
		Protected:    state.DeletionProtection.ValueBool(),
		Timeout:      timeout,
		Progress:     p.say,
	})
	resp.Diagnostics.Append(p.removed(forgotten,
		"Its namespace carries another instance id than this resource, so another state manages it now.", err)...)
}

// ImportState imports "<context>/<namespace>", parsed from the right, because a context may contain slashes (those of EKS
// are ARNs). Client and stage come from the namespace's labels.
func (r *EnvironmentResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	contextName, name, ok := cutLast(req.ID)
	if !ok || contextName == "" || name == "" {
		resp.Diagnostics.AddError("Cannot import environment "+req.ID,
			"The import id is not of the form <context>/<namespace>, for example client-a-prod/data-collection-client-a.")
		return
	}
	coordinate := cluster.Coordinate{Context: contextName}
	handle := environment.Handle{Cluster: coordinate, Namespace: name}
	live, err := r.data.Connections.Cluster(ctx, coordinate)
	var found *namespace.Found
	if err == nil {
		found, err = namespace.Find(ctx, live, coordinate, name)
	}
	if err != nil {
		resp.Diagnostics.Append(pathless(diagnostic(path.Empty(), "import", "environment "+req.ID, handle, err)))
		return
	}
	for _, refusal := range guardPlanAt(path.Empty(), r.data, found.Spec.Handle) {
		resp.Diagnostics.Append(pathless(refusal))
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if found.InstanceID == "" {
		found.InstanceID = uuid.NewString() // The annotation was removed; the next apply puts this one there.
	}
	state, diags := environmentFrom(ctx, found)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// environmentDiagnostic has the coordinates at the resource's own attributes.
func environmentDiagnostic(verb string, handle environment.Handle, err error) diag.Diagnostic {
	return environmentModel{}.subject(handle).failed(verb, err)
}
