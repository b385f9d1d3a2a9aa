// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/bluegreen"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// blueGreenModel is slipway_blue_green.
type blueGreenModel struct {
	ID              types.String   `tfsdk:"id"`
	Environment     types.Object   `tfsdk:"environment"`
	Service         types.String   `tfsdk:"service"`
	PreviewService  types.String   `tfsdk:"preview_service"`
	Label           types.String   `tfsdk:"label"`
	BlueValue       types.String   `tfsdk:"blue_value"`
	GreenValue      types.String   `tfsdk:"green_value"`
	Active          types.String   `tfsdk:"active"`
	KeepPrevious    types.String   `tfsdk:"keep_previous"`
	Quarantine      types.String   `tfsdk:"quarantine"`
	RetryToken      types.String   `tfsdk:"retry_token"`
	DataPlane       types.String   `tfsdk:"data_plane"`
	PreviewAnalysis types.List     `tfsdk:"preview_analysis"`
	Analysis        types.List     `tfsdk:"analysis"`
	Istio           types.List     `tfsdk:"istio"`
	HTTPRoute       types.List     `tfsdk:"http_route"`
	Timeouts        timeouts.Value `tfsdk:"timeouts"`

	AllowClusterMove types.String `tfsdk:"allow_cluster_move"`

	ClusterUID   types.String `tfsdk:"cluster_uid"`
	PlannedSteps types.List   `tfsdk:"planned_steps"`
	Verification types.String `tfsdk:"verification"`
	Quarantined  types.String `tfsdk:"quarantined"`
	ScaleDown    types.String `tfsdk:"scale_down"`
}

const blueGreenNoun = "blue-green switch of Service"

func (m blueGreenModel) what() string { return blueGreenNoun + " " + m.Service.ValueString() }

func (m blueGreenModel) subject(ctx context.Context) (subject, diag.Diagnostics) {
	return subjectIn(ctx, m.Environment, blueGreenNoun, "service", m.Service, m.ClusterUID)
}

func (m blueGreenModel) target(
	ctx context.Context, live *cluster.Cluster, handle environment.Handle, create bool,
) (bluegreen.Target, diag.Diagnostics) {
	route, diags := m.route(ctx, live, m.owner(handle, create))
	return bluegreen.Target{
		Route: route, Cluster: live, Handle: handle, Service: m.Service.ValueString(), Preview: m.PreviewService.ValueString(),
		Label:  m.Label.ValueString(),
		Values: map[string]string{bluegreen.Blue: m.BlueValue.ValueString(), bluegreen.Green: m.GreenValue.ValueString()},
	}, diags
}

// keep is nil where the other color stays.
func (m blueGreenModel) keep() *time.Duration {
	d, err := time.ParseDuration(m.KeepPrevious.ValueString())
	if err != nil { // null, unknown, or refused by the schema
		return nil
	}
	return &d
}

// blueGreenAnalyses are the two analyses; nil where there is none.
type blueGreenAnalyses struct {
	before, after *verify.Analysis
	// known is false while a part is not known yet.
	known bool
}

// readBlueGreenAnalyses reads the analyses from the configuration, since plan and state have no write-only arguments.
func readBlueGreenAnalyses(ctx context.Context, from attributeGetter) (analyses blueGreenAnalyses, diags diag.Diagnostics) {
	var before, after types.List
	diags.Append(from.GetAttribute(ctx, path.Root("preview_analysis"), &before)...)
	diags.Append(from.GetAttribute(ctx, path.Root("analysis"), &after)...)
	if diags.HasError() {
		return analyses, diags
	}
	reader := &blockReader{ctx: ctx}
	analyses.before, analyses.after = readAnalysis(reader, before), readAnalysis(reader, after)
	analyses.known = !reader.unknown
	diags.Append(reader.diags...)
	return analyses, diags
}

// validate refuses analyses that make no sense.
func (j blueGreenAnalyses) validate() (diags diag.Diagnostics) {
	for _, problem := range splitAnalysis(j.before) {
		diags.Append(inBlock("preview_analysis", problem))
	}
	diags.Append(splitAnalysis(j.after)...)
	return diags
}

// inBlock moves a diagnostic to another block of the same shape.
func inBlock(name string, problem diag.Diagnostic) diag.Diagnostic {
	with, ok := problem.(diag.DiagnosticWithPath)
	if !ok {
		return problem
	}
	at := path.Root(name)
	for _, step := range with.Path().Steps()[1:] {
		switch step := step.(type) {
		case path.PathStepAttributeName:
			at = at.AtName(string(step))
		case path.PathStepElementKeyInt:
			at = at.AtListIndex(int(step))
		}
	}
	return diag.NewAttributeErrorDiagnostic(at, problem.Summary(), problem.Detail())
}

// longest is how long both analyses take at most.
func (j blueGreenAnalyses) longest() (total time.Duration) {
	for _, a := range []*verify.Analysis{j.before, j.after} {
		if a != nil {
			total += a.Policy.Longest()
		}
	}
	return total
}

// blueGreenTimeout is how long a switch may take without its analyses where the configuration says nothing.
const blueGreenTimeout = 10 * time.Minute

func (j blueGreenAnalyses) timeout() time.Duration { return blueGreenTimeout + j.longest() }

// analyze runs an analysis, nil where there is none.
func (m blueGreenModel) analyze(
	a *verify.Analysis, live *cluster.Cluster, handle environment.Handle, say func(string),
) bluegreen.Analyze {
	if a == nil {
		return nil
	}
	target := release.Target{Cluster: live, Handle: handle, Name: m.Service.ValueString()}
	return func(ctx context.Context, w bluegreen.Watched) (analysis.Verdict, error) {
		verdict, _, err := a.Watch(ctx, verify.Watched{
			Target: target, Pods: w.Pods, Lost: w.Lost, Start: w.Since, Abort: w.Abort, Progress: say,
		})
		return verdict, err
	}
}

// spec is what package bluegreen is asked for.
func (m blueGreenModel) spec(
	analyses blueGreenAnalyses, live *cluster.Cluster, handle environment.Handle, say func(string),
) bluegreen.Spec {
	quarantine, err := time.ParseDuration(m.Quarantine.ValueString())
	if err != nil { // null
		quarantine = bluegreen.DefaultQuarantine
	}
	return bluegreen.Spec{
		Active: m.Active.ValueString(), Keep: m.keep(), RetryToken: m.RetryToken.ValueString(), Quarantine: quarantine,
		Before: m.analyze(analyses.before, live, handle, say), After: m.analyze(analyses.after, live, handle, say),
		Policy: analyses.before.PolicyKey() + analyses.after.PolicyKey(),
	}
}

// describe plans the computed attributes: what the apply does, and what stays as it was read. They are a function of the
// configuration and the state. A Create has no state; the plan does not know which color is live then.
func (m *blueGreenModel) describe(state *blueGreenModel, analyses blueGreenAnalyses) {
	m.Verification, m.Quarantined, m.ScaleDown = types.StringNull(), types.StringNull(), types.StringNull()
	if state != nil && m.Active.Equal(state.Active) {
		m.Quarantined = state.Quarantined
	}
	switch {
	case m.Active.IsUnknown() || !analyses.known:
		m.PlannedSteps = types.ListUnknown(types.StringType)
	case state != nil && m.rests(*state):
		m.PlannedSteps = state.PlannedSteps
	default:
		m.PlannedSteps = stringsOrNull(m.steps(state, analyses))
	}
}

// rests reports whether the apply has nothing to do with pods, Service and route.
func (m *blueGreenModel) rests(state blueGreenModel) bool {
	return m.Active.Equal(state.Active) && m.KeepPrevious.Equal(state.KeepPrevious) && state.Verification.IsNull() && state.ScaleDown.IsNull()
}

// steps are the steps of the apply, in order.
func (m *blueGreenModel) steps(state *blueGreenModel, analyses blueGreenAnalyses) (lines []string) {
	active, previous := m.Active.ValueString(), bluegreen.Opposite(m.Active.ValueString())
	switches := state == nil || !m.Active.Equal(state.Active)
	if state != nil {
		if left := state.Verification.ValueString(); left != "" {
			lines = append(lines, "first what an interrupted run has left: "+left)
		}
		if blocked := state.Quarantined.ValueString(); blocked != "" && switches {
			lines = append(lines, "blocked unless the pods, the analysis or retry_token change: "+blocked)
		}
	}
	keep := m.keep()
	if !switches {
		switch {
		case !state.ScaleDown.IsNull():
			lines = append(lines, "scale "+state.ScaleDown.ValueString()+" to zero: keep_previous is over")
		case keep != nil && !m.KeepPrevious.Equal(state.KeepPrevious):
			lines = append(lines, fmt.Sprintf("scale %s to zero if the switch away from it was more than %s ago", previous, shortDuration(*keep)))
		}
		return lines
	}
	lines = append(lines, fmt.Sprintf("wait until the pods of %s are ready", active))
	if analyses.before != nil {
		lines = append(lines, fmt.Sprintf("analyze %s on Service %s for %s, unless the same pods were live before without failing",
			active, m.PreviewService.ValueString(), shortDuration(analyses.before.Policy.Duration)))
	}
	if state == nil {
		lines = append(lines, fmt.Sprintf("switch Service %s to %s, unless it is live already", m.Service.ValueString(), active))
	} else {
		lines = append(lines, fmt.Sprintf("switch Service %s: %s → %s", m.Service.ValueString(), orNone(state.Active), active))
	}
	if analyses.after != nil {
		lines = append(lines,
			fmt.Sprintf("analyze %s on Service %s for %s", active, m.Service.ValueString(), shortDuration(analyses.after.Policy.Duration)))
	}
	if keep != nil {
		lines = append(lines, fmt.Sprintf("keep %s scaled for %s; the first apply after that scales it to zero", previous, shortDuration(*keep)))
	}
	return lines
}
