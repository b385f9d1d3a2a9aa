// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/drift"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// driftAttributes are those of slipway_release that are about live differences.
func driftAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"detect_drift": schema.BoolAttribute{
			MarkdownDescription: "Compare the live objects with the rendered ones in every refresh, and show the differences in `drift` and " +
				"as a warning. " +
				"It costs one request for each object. Default: `false`. Example: `true`.",
			Optional: true,
		},
		"correct_drift": schema.BoolAttribute{
			MarkdownDescription: "Correct drift: `drift` is planned to be empty, which shows as an update, and the apply writes " +
				"just the leaves that differ. " +
				"No revision is made and no hook runs. Includes `detect_drift`, and takes effect from the next plan on. Updates then also " +
				"correct custom resources, which Helm alone does not do. " +
				"Default: `false`. Example: `true`.",
			Optional: true,
		},
		"drift": schema.MapAttribute{
			MarkdownDescription: "What differs live from what was rendered, as of the last refresh with `detect_drift`: a map from " +
				"`apps/v1/Deployment/data-collection-service: spec.replicas` to " +
				"`5 → 3` (live → rendered). Of secrets it says only that they differ. What others added to the rendered fields is no drift. " +
				"Null when nothing differs.",
			Computed:    true,
			ElementType: types.StringType,
		},
	}
}

func driftIgnoreBlock() schema.ListNestedBlock {
	return schema.ListNestedBlock{
		MarkdownDescription: "Leaves of live objects that may differ because another owner sets them: they are neither drift nor " +
			"corrected. An update still writes what the chart renders there. " +
			"Replicas that a HorizontalPodAutoscaler sets, and `caBundle`s that a controller injects into webhooks, are always ignored.",
		NestedObject: schema.NestedBlockObject{
			Validators: []validator.Object{ignoreRule{}},
			Attributes: map[string]schema.Attribute{
				"kind": schema.StringAttribute{
					MarkdownDescription: "Kind of the objects. Default: all. Example: `\"Deployment\"`.",
					Optional:            true,
					Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
				},
				"name": schema.StringAttribute{
					MarkdownDescription: "Name of the objects; `*` matches any characters. Default: all. Example: `\"data-collection-*\"`.",
					Optional:            true,
					Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
				},
				"paths": schema.ListAttribute{
					MarkdownDescription: "Paths as `drift` shows them, or JSON pointers in which list elements go by their names; all below " +
						"them is ignored too. `*` matches one field or element, " +
						"`**` at the beginning for any number of them. Default: the whole object. Example: " +
						"`[\"spec.template.spec.containers[app].image\", \"/spec/replicas\"]`.",
					Optional:    true,
					ElementType: types.StringType,
					Validators:  []validator.List{listvalidator.SizeAtLeast(1)},
				},
			},
		},
	}
}

// driftRuleModel is one block "drift_ignore".
type driftRuleModel struct {
	Kind  types.String `tfsdk:"kind"`
	Name  types.String `tfsdk:"name"`
	Paths types.List   `tfsdk:"paths"`
}

var driftRuleTypes = map[string]attr.Type{
	"kind": types.StringType, "name": types.StringType, "paths": types.ListType{ElemType: types.StringType},
}

func (m driftRuleModel) rule(ctx context.Context) (object.IgnoreRule, diag.Diagnostics) {
	rule := object.IgnoreRule{Kind: m.Kind.ValueString(), Name: m.Name.ValueString()}
	var diags diag.Diagnostics
	if !m.Paths.IsNull() {
		diags = m.Paths.ElementsAs(ctx, &rule.Paths, false)
	}
	return rule, diags
}

// ignoreRule checks a block "drift_ignore" as a whole.
type ignoreRule struct{}

func (ignoreRule) Description(context.Context) string               { return "must name objects or paths" }
func (v ignoreRule) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateObject implements validator.Object.
func (ignoreRule) ValidateObject(ctx context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || !wholly(req.ConfigValue) {
		return
	}
	var model driftRuleModel
	reader{ctx: ctx, diags: &resp.Diagnostics}.object(req.ConfigValue, &model)
	rule, diags := model.rule(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := rule.Check(); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "A drift_ignore that cannot be meant",
			capitalized(err.Error())+".\n\nWrite paths as the attribute drift shows them, and name a kind, a name or paths.")
	}
}

// detectsDrift reports that live objects are to be compared.
func (m releaseModel) detectsDrift() bool {
	return m.DetectDrift.ValueBool() || m.CorrectDrift.ValueBool()
}

// ignoreRules are the blocks "drift_ignore".
func (m releaseModel) ignoreRules(ctx context.Context) (rules []object.IgnoreRule, diags diag.Diagnostics) {
	var models []driftRuleModel
	if !m.DriftIgnore.IsNull() && !m.DriftIgnore.IsUnknown() {
		diags = m.DriftIgnore.ElementsAs(ctx, &models, false)
	}
	for _, model := range models {
		rule, d := model.rule(ctx)
		diags.Append(d...)
		rules = append(rules, rule)
	}
	return rules, diags
}

// warnOfUnusedRules warns of blocks drift_ignore that apply to no object: a misspelled kind or name ignores nothing.
func (c change) warnOfUnusedRules(ctx context.Context, resp *resource.ModifyPlanResponse, next *render.Result) {
	if next.VolatileSet != "" || !wholly(c.plan.DriftIgnore) {
		return
	}
	rules, diags := c.plan.ignoreRules(ctx)
	resp.Diagnostics.Append(diags...)
	for i, rule := range rules {
		used := false
		for key := range next.Objects {
			used = used || rule.CoversObject(key)
		}
		if !used {
			resp.Diagnostics.AddAttributeWarning(path.Root("drift_ignore").AtListIndex(i), "A drift_ignore has no effect",
				fmt.Sprintf("drift_ignore[%d]: the chart renders no object of kind = %q and name = %q.\n\nCorrect kind and name; both are "+
					"compared with upper and lower case. An empty one matches all.", i, rule.Kind, rule.Name))
		}
	}
}

// readDrift compares what is live where that was asked for and there is one deployed revision to compare with: what is half done,
// or made by others, is repaired by the next apply anyway.
func (r *ReleaseResource) readDrift(
	ctx context.Context, resp *resource.ReadResponse, state releaseModel, target release.Target, seen *release.Observation,
) {
	settledHere := state.detectsDrift() && seen.Record != nil && seen.Record.InstanceID == state.ID.ValueString() &&
		!seen.Outside() && seen.Revision == seen.Deployed
	value := types.MapNull(types.StringType)
	if settledHere {
		found, diags := driftOf(ctx, state, target, seen)
		resp.Diagnostics.Append(diags...)
		if found == nil {
			return
		}
		value = driftValue(found.Found)
		warnOfDrift(&resp.Diagnostics, state, found)
	}
	if !value.Equal(state.Drift) {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("drift"), value)...)
	}
}

// driftOf is nil if the cluster does not answer; the state then keeps what was seen before.
func driftOf(
	ctx context.Context, state releaseModel, target release.Target, seen *release.Observation,
) (*drift.Differences, diag.Diagnostics) {
	rules, diags := state.ignoreRules(ctx)
	options := drift.Options{Revision: seen.Deployed, SecretPaths: seen.Record.SecretPaths, Ignore: rules}
	if seen.Record.Digest == state.ManifestDigest.ValueString() {
		rendered, err := knownObjects(state.Objects)
		if err != nil {
			diags.AddError("Cannot read the objects in the state", err.Error())
		}
		options.Rendered = rendered
	}
	if diags.HasError() {
		return nil, diags
	}
	found, err := drift.Find(ctx, target, options)
	if err != nil {
		diags.AddWarning("Drift of release "+target.Name+" could not be read",
			"The state keeps what was seen before.\n\n"+detailOf(err))
		return nil, diags
	}
	return found, diags
}

func warnOfDrift(diags *diag.Diagnostics, state releaseModel, found *drift.Differences) {
	name := state.Name.ValueString()
	var lines, lasting []string
	for _, d := range found.Found {
		if lines = append(lines, driftKey(d)+" "+d.Text); d.Lasting {
			lasting = append(lasting, driftKey(d)+" "+d.Text)
		}
	}
	switch {
	case len(lines) > 0 && !state.CorrectDrift.ValueBool():
		diags.AddWarning("Release "+name+" is not live as it was rendered",
			strings.Join(lines, "\n")+"\n\nLive → rendered. Nothing is planned for it: set correct_drift = true to have it corrected, "+
				"take it into the values, or ignore it by a block drift_ignore.")
	case len(lasting) > 0:
		diags.AddWarning("Objects of release "+name+" are not its own any more",
			strings.Join(lasting, "\n")+"\n\nThey are left alone. Take them out of the chart, or have their new owner give them back.")
	}
	if len(found.Skipped) > 0 {
		diags.AddWarning("Drift of release "+name+" was read only in part", strings.Join(found.Skipped, "\n"))
	}
}

func driftKey(d drift.Difference) string {
	if d.Path == "" {
		return string(d.Object)
	}
	return string(d.Object) + ": " + d.Path
}

// driftValue is the attribute "drift".
func driftValue(found []drift.Difference) types.Map {
	if len(found) == 0 {
		return types.MapNull(types.StringType)
	}
	elements := make(map[string]attr.Value, len(found))
	for _, d := range found {
		elements[driftKey(d)] = types.StringValue(d.Text)
	}
	return types.MapValueMust(types.StringType, elements)
}

// planDrift plans the attribute "drift" of a release whose content does not change. It is a function of the state: what Read saw is
// planned to go where it is corrected.
func (m releaseModel) planDrift(state releaseModel, planned map[string]attr.Value) {
	if !m.detectsDrift() {
		planned["drift"] = types.MapNull(types.StringType)
		return
	}
	planned["drift"] = state.Drift
	if !m.CorrectDrift.ValueBool() {
		return
	}
	left, lines := map[string]attr.Value{}, []string{}
	for key, text := range driftTexts(state.Drift) {
		if drift.IsLasting(text) {
			left[key] = types.StringValue(text)
			continue
		}
		name, leaf, whole := strings.Cut(key, ": ")
		line := object.Key(name).Short() + " " + text + ": it is made again"
		if whole {
			line = fmt.Sprintf("%s: %s %s is corrected", object.Key(name).Short(), leaf, text)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return
	}
	planned["change_summary"] = stringsOrNull(sorted(lines))
	planned["drift"] = types.MapNull(types.StringType)
	if len(left) > 0 {
		planned["drift"] = types.MapValueMust(types.StringType, left)
	}
}

func driftTexts(m types.Map) map[string]string {
	out := map[string]string{}
	for key, v := range m.Elements() {
		if text, ok := v.(types.String); ok {
			out[key] = text.ValueString()
		}
	}
	return out
}

// sameButDrift reports that a plan differs from the state only in what is about drift, so that nothing is rendered or installed.
func (m releaseModel) sameButDrift(state releaseModel) bool {
	apart := []string{"Drift", "DetectDrift", "CorrectDrift", "DriftIgnore", "ChangeSummary", "ValuesWO"}
	plan, prior := reflect.ValueOf(m), reflect.ValueOf(state)
	for i := range plan.NumField() {
		if slices.Contains(apart, plan.Type().Field(i).Name) {
			continue
		}
		one, ok := plan.Field(i).Interface().(attr.Value)
		other, ok2 := prior.Field(i).Interface().(attr.Value)
		if !ok || !ok2 || !one.Equal(other) {
			return false
		}
	}
	return true
}

// correctDrift restores what the plan shows as restored. It reports whether that went well. Where the content changes it does
// nothing: the upgrade writes what is wanted, and pods need not start twice.
func (r *ReleaseResource) correctDrift(ctx context.Context, diags *diag.Diagnostics, plan, state releaseModel, timeout time.Duration) bool {
	if !plan.CorrectDrift.ValueBool() || plan.Drift.Equal(state.Drift) || !plan.sameInputs(ctx, state) || !settled(state) {
		return true
	}
	s, d := plan.subject(ctx)
	diags.Append(d...)
	s.noun = "drift of release"
	rules, d := plan.ignoreRules(ctx)
	diags.Append(d...)
	rendered, err := knownObjects(state.Objects)
	if err != nil {
		diags.AddError("Cannot read the objects in the state", err.Error())
	}
	if diags.HasError() {
		return false
	}
	p, d := open(ctx, r.data, "correct", s)
	diags.Append(d...)
	if diags.HasError() {
		return false
	}
	done, err := release.Correct(ctx, releaseIn(p), release.CorrectOptions{
		InstanceID: state.ID.ValueString(), ClusterUID: state.ClusterUID.ValueString(), Rendered: rendered, Ignore: rules,
		Timeout: timeout, Progress: p.say,
	})
	if done != nil {
		warnOfUnplanned(diags, s.handle, state, done)
	}
	if err != nil {
		diags.Append(s.failed("correct", err))
		return false
	}
	return true
}

// warnOfUnplanned says what changed between the plan and the apply and was restored as well.
func warnOfUnplanned(diags *diag.Diagnostics, handle environment.Handle, state releaseModel, done *release.Correction) {
	planned := driftTexts(state.Drift)
	var lines []string
	for _, d := range done.Corrected {
		if _, shown := planned[driftKey(d)]; !shown {
			lines = append(lines, driftKey(d)+" "+d.Text)
		}
	}
	if len(lines) > 0 {
		diags.AddWarning(fmt.Sprintf("More drift of release %s in %s was corrected than planned", state.Name.ValueString(), handle.Name()),
			strings.Join(lines, "\n")+"\n\nIt was changed in the cluster after the plan.")
	}
}
