// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic"
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
	PreviewAnalysis types.List     `tfsdk:"preview_analysis"`
	Analysis        types.List     `tfsdk:"analysis"`
	Istio           types.List     `tfsdk:"istio"`
	HTTPRoute       types.List     `tfsdk:"http_route"`
	Timeouts        timeouts.Value `tfsdk:"timeouts"`

	AllowClusterMove types.String `tfsdk:"allow_cluster_move"`

	ClusterUID   types.String `tfsdk:"cluster_uid"`
	Verification types.String `tfsdk:"verification"`
	Quarantined  types.String `tfsdk:"quarantined"`
	ScaleDown    types.String `tfsdk:"scale_down"`
}

func (m blueGreenModel) what() string {
	return "blue-green switch of Service " + m.Service.ValueString()
}

func (m blueGreenModel) target(ctx context.Context, live *cluster.Cluster, handle environment.Handle, create bool) (traffic.BlueGreenTarget, diag.Diagnostics) {
	route, diags := m.route(ctx, live, m.owner(handle, create))
	return traffic.BlueGreenTarget{
		Route: route, Cluster: live, Handle: handle, Service: m.Service.ValueString(), Preview: m.PreviewService.ValueString(), Label: m.Label.ValueString(),
		Values: map[string]string{traffic.Blue: m.BlueValue.ValueString(), traffic.Green: m.GreenValue.ValueString()},
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

// blueGreenJudges are the two analyses; nil where there is none.
type blueGreenJudges struct {
	before, after *release.Analysis
	// known is false while a part is not known yet.
	known bool
}

// readBlueGreenJudges reads the analyses from the configuration, since plan and state have no write-only arguments.
func readBlueGreenJudges(ctx context.Context, from attributeGetter) (judges blueGreenJudges, diags diag.Diagnostics) {
	var before, after types.List
	diags.Append(from.GetAttribute(ctx, path.Root("preview_analysis"), &before)...)
	diags.Append(from.GetAttribute(ctx, path.Root("analysis"), &after)...)
	if diags.HasError() {
		return judges, diags
	}
	reader := &blockReader{ctx: ctx}
	judges.before, judges.after = reader.analysis(before), reader.analysis(after)
	judges.known = !reader.unknown
	diags.Append(reader.diags...)
	return judges, diags
}

// validate refuses analyses that make no sense.
func (j blueGreenJudges) validate() (diags diag.Diagnostics) {
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
func (j blueGreenJudges) longest() (total time.Duration) {
	for _, a := range []*release.Analysis{j.before, j.after} {
		if a != nil {
			total += a.Policy.Longest()
		}
	}
	return total
}

// blueGreenTimeout is how long a switch may take without its analyses where the configuration says nothing.
const blueGreenTimeout = 10 * time.Minute

func (j blueGreenJudges) timeout() time.Duration { return blueGreenTimeout + j.longest() }

// judge makes a judge of an analysis, nil where there is none.
func (m blueGreenModel) judge(a *release.Analysis, live *cluster.Cluster, handle environment.Handle, say func(string)) traffic.Judge {
	if a == nil {
		return nil
	}
	target := release.Target{Cluster: live, Handle: handle, Name: m.Service.ValueString()}
	return func(ctx context.Context, pods analysis.PodLister, lease *cluster.Lease, since time.Time) (analysis.Verdict, []analysis.Sample, error) {
		return a.Watch(ctx, release.Watched{Target: target, Pods: pods, Lease: lease, Start: since, Progress: say})
	}
}

// spec is what package traffic is asked for.
func (m blueGreenModel) spec(judges blueGreenJudges, live *cluster.Cluster, handle environment.Handle, say func(string)) traffic.BlueGreenSpec {
	quarantine, err := time.ParseDuration(m.Quarantine.ValueString())
	if err != nil { // null
		quarantine = traffic.DefaultQuarantine
	}
	return traffic.BlueGreenSpec{
		Active: m.Active.ValueString(), Keep: m.keep(), Retry: m.RetryToken.ValueString(), Quarantine: quarantine,
		Before: m.judge(judges.before, live, handle, say), After: m.judge(judges.after, live, handle, say),
		Policy: judges.before.PolicyKey() + judges.after.PolicyKey(),
	}
}
