// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/canary"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// canaryModel is slipway_canary.
type canaryModel struct {
	ID          types.String   `tfsdk:"id"`
	Environment types.Object   `tfsdk:"environment"`
	Name        types.String   `tfsdk:"name"`
	Weight      types.Int64    `tfsdk:"weight"`
	Headers     types.Map      `tfsdk:"headers"`
	Quarantine  types.String   `tfsdk:"quarantine"`
	RetryToken  types.String   `tfsdk:"retry_token"`
	DataPlane   types.String   `tfsdk:"data_plane"`
	Istio       types.List     `tfsdk:"istio"`
	GatewayAPI  types.List     `tfsdk:"gateway_api"`
	Stable      types.List     `tfsdk:"stable"`
	Canary      types.List     `tfsdk:"canary"`
	Step        types.List     `tfsdk:"step"`
	Analysis    types.List     `tfsdk:"analysis"`
	Timeouts    timeouts.Value `tfsdk:"timeouts"`

	AllowClusterMove types.String `tfsdk:"allow_cluster_move"`

	ClusterUID   types.String `tfsdk:"cluster_uid"`
	PlannedSteps types.List   `tfsdk:"planned_steps"`
	Drift        types.List   `tfsdk:"drift"`
	Verification types.String `tfsdk:"verification"`
	Quarantined  types.String `tfsdk:"quarantined"`
}

type canaryIstioModel struct {
	Host            types.String `tfsdk:"host"`
	VirtualService  types.String `tfsdk:"virtual_service"`
	Route           types.String `tfsdk:"route"`
	DestinationRule types.String `tfsdk:"destination_rule"`
	Gateways        types.List   `tfsdk:"gateways"`
	Hosts           types.List   `tfsdk:"hosts"`
}

type canaryGatewayModel struct {
	HTTPRoute types.String `tfsdk:"http_route"`
	Rule      types.String `tfsdk:"rule"`
	RuleIndex types.Int64  `tfsdk:"rule_index"`
	Hostnames types.List   `tfsdk:"hostnames"`
	Parent    types.List   `tfsdk:"parent"`
}

type canaryParentModel struct {
	Kind        types.String `tfsdk:"kind"`
	Name        types.String `tfsdk:"name"`
	Namespace   types.String `tfsdk:"namespace"`
	Port        types.Int64  `tfsdk:"port"`
	SectionName types.String `tfsdk:"section_name"`
}

type canaryTrackModel struct {
	Labels  types.Map    `tfsdk:"labels"`
	Subset  types.String `tfsdk:"subset"`
	Service types.String `tfsdk:"service"`
	Port    types.Int64  `tfsdk:"port"`
}

type canaryStepModel struct {
	Weight types.Int64  `tfsdk:"weight"`
	Pause  types.String `tfsdk:"pause"`
}

const canaryNoun = "canary split"

func (m canaryModel) what() string { return canaryNoun + " " + m.Name.ValueString() }

func (m canaryModel) subject(ctx context.Context) (subject, diag.Diagnostics) {
	return subjectIn(ctx, m.Environment, canaryNoun, "name", m.Name, m.ClusterUID)
}

// route is where traffic is divided.
func (m canaryModel) route(r *blockReader) (out route.Config) {
	stable, canary := m.track(r, m.Stable), m.track(r, m.Canary)
	if i, ok := block[canaryIstioModel](r, m.Istio); ok {
		out.Istio = &route.IstioConfig{
			Host: r.text(i.Host, ""), VirtualService: r.text(i.VirtualService, ""), Route: r.text(i.Route, ""),
			DestinationRule: r.text(i.DestinationRule, ""),
			Gateways:        r.strings(i.Gateways), Hosts: r.strings(i.Hosts), Stable: stable, Canary: canary,
		}
	}
	if g, ok := block[canaryGatewayModel](r, m.GatewayAPI); ok {
		config := &route.GatewayConfig{
			HTTPRoute: r.text(g.HTTPRoute, ""),
			Rule:      r.text(g.Rule, ""),
			Hostnames: r.strings(g.Hostnames),
			Stable:    stable,
			Canary:    canary,
		}
		if !g.RuleIndex.IsNull() {
			at := r.number(g.RuleIndex, 0)
			config.RuleIndex = &at
		}
		for _, p := range blocks[canaryParentModel](r, g.Parent) {
			config.Parents = append(config.Parents, route.Parent{
				Kind: r.text(p.Kind, ""), Name: r.text(p.Name, ""), Namespace: r.text(p.Namespace, ""), Port: port(r.number(p.Port, 0)),
				SectionName: r.text(p.SectionName, ""),
			})
		}
		out.Gateway = config
	}
	return out
}

func (m canaryModel) track(r *blockReader, list types.List) route.Track {
	t, _ := block[canaryTrackModel](r, list)
	return route.Track{
		Labels:  r.stringMap(t.Labels),
		Subset:  r.text(t.Subset, ""),
		Service: r.text(t.Service, ""),
		Port:    port(r.number(t.Port, 0)),
	}
}

// headers are in a fixed order.
func (m canaryModel) headers(r *blockReader) (out []route.HeaderMatch) {
	all := r.stringMap(m.Headers)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, route.HeaderMatch{Name: name, Value: all[name]})
	}
	return out
}

func (m canaryModel) steps(r *blockReader) (out []canary.Step) {
	for _, s := range blocks[canaryStepModel](r, m.Step) {
		out = append(out, canary.Step{Weight: r.number(s.Weight, 0), Pause: r.duration(s.Pause, 0, 0)})
	}
	return out
}

// canaryWanted is what the configuration asks for.
type canaryWanted struct {
	route    route.Config
	split    route.Split
	steps    []canary.Step
	analysis *verify.Analysis
	// known is false while a part of the way is not known yet, routed that of the route.
	known, routed bool
}

// wanted reads the model. The analysis comes from the configuration, since plan and state have no write-only arguments.
func (m canaryModel) wanted(ctx context.Context, from attributeGetter) (out canaryWanted, diags diag.Diagnostics) {
	var list types.List
	diags.Append(from.GetAttribute(ctx, path.Root("analysis"), &list)...)
	if diags.HasError() {
		return out, diags
	}
	where := &blockReader{ctx: ctx}
	out.route = m.route(where)
	out.routed = !where.unknown
	way := &blockReader{ctx: ctx}
	out.split, out.steps, out.analysis = route.Split{Weight: way.number(m.Weight, 0), Headers: m.headers(way)}, m.steps(way),
		readCanaryAnalysis(way, list)
	out.known = !way.unknown
	diags.Append(where.diags...)
	diags.Append(way.diags...)
	return out, diags
}

// canaryTimeout is how long a traffic shift may take without its pauses and analyses where the configuration says nothing.
const canaryTimeout = 10 * time.Minute

// waits is how long pauses and analyses of all steps take at most.
func (w canaryWanted) waits() (total time.Duration) {
	stages := len(w.steps) + 1
	for _, s := range w.steps {
		total += s.Pause
	}
	if w.analysis != nil {
		total += time.Duration(stages) * w.analysis.Policy.Longest()
	}
	return total
}

// way says in words what an apply does that begins at a split.
func (w canaryWanted) way(from route.Split) (lines []string) {
	raises := w.split.Raises(from)
	for _, h := range w.split.Headers {
		if !slices.Contains(from.Headers, h) {
			lines = append(lines, fmt.Sprintf("requests with %s: %s go to the canary", h.Name, h.Value))
		}
	}
	for _, h := range from.Headers {
		if !slices.Contains(w.split.Headers, h) {
			lines = append(lines, fmt.Sprintf("requests with %s: %s are divided as all others", h.Name, h.Value))
		}
	}
	at := from.Weight
	for _, s := range canary.PlannedSteps(from.Weight, w.split.Weight, w.steps) {
		line := fmt.Sprintf("%d%% → %d%% of the requests to the canary", at, s.Weight)
		if at == s.Weight {
			line = fmt.Sprintf("%d%% of the requests to the canary, as before", at)
		}
		if raises && s.Pause > 0 {
			line += ", pause " + shortDuration(s.Pause)
		}
		if raises && w.analysis != nil {
			line += ", analyzed for " + shortDuration(w.analysis.Policy.Duration)
		}
		lines, at = append(lines, line), s.Weight
	}
	return lines
}

// spec is what package canary is asked for.
func (m canaryModel) spec(w canaryWanted, live *cluster.Cluster, handle environment.Handle, say func(string)) canary.Spec {
	quarantine, err := time.ParseDuration(m.Quarantine.ValueString())
	if err != nil { // null
		quarantine = canary.DefaultQuarantine
	}
	out := canary.Spec{
		Weight: w.split.Weight, Headers: w.split.Headers, Steps: w.steps, RetryToken: m.RetryToken.ValueString(), Quarantine: quarantine,
		Policy: w.analysis.PolicyKey(),
	}
	if a := w.analysis; a != nil {
		target := release.Target{Cluster: live, Handle: handle, Name: m.Name.ValueString()}
		out.Analyze = func(ctx context.Context, w canary.Watched) (analysis.Verdict, error) {
			verdict, _, err := a.Watch(ctx, verify.Watched{
				Target: target, Pods: w.Pods, Weight: w.Split.Weight, HeaderRouted: len(w.Split.Headers) > 0,
				Lost: w.Lost, Start: w.Since, Abort: w.Abort, Progress: say,
			})
			return verdict, err
		}
	}
	return out
}

// observe brings what the cluster says into the state.
func (m *canaryModel) observe(seen *canary.Observed) {
	m.divided(seen.Route.Split)
	m.Verification, m.Quarantined = stringOrNull(seen.Verification), stringOrNull(seen.Quarantined)
	m.Drift = stringsOrNull(seen.Route.Drift)
}

// divided is what a route does. Of two values of one header a map can hold none, so that it holds both as one: it differs from
// any configuration.
func (m *canaryModel) divided(split route.Split) {
	m.Weight = types.Int64Value(int64(split.Weight))
	values := map[string]attr.Value{}
	for _, h := range split.Headers {
		text := h.Value
		if before, ok := values[h.Name].(types.String); ok {
			text = before.ValueString() + " or " + text
		}
		values[h.Name] = types.StringValue(text)
	}
	if len(values) == 0 && len(m.Headers.Elements()) == 0 {
		return // null and empty say the same
	}
	m.Headers = types.MapValueMust(types.StringType, values)
}

// setRoute writes the blocks that a route is given by.
func (m *canaryModel) setRoute(ctx context.Context, config route.Config) (diags diag.Diagnostics) {
	object := func(name string) attr.Type {
		nested, _ := canaryBlocks()[name].(schema.ListNestedBlock)
		return nested.NestedObject.Type()
	}
	list := func(name string, value any) types.List {
		out, d := types.ListValueFrom(ctx, object(name), value)
		diags.Append(d...)
		return out
	}
	whole := func(n int32) types.Int64 {
		if n == 0 {
			return types.Int64Null()
		}
		return types.Int64Value(int64(n))
	}
	track := func(t route.Track) []canaryTrackModel {
		out := canaryTrackModel{
			Labels:  types.MapNull(types.StringType),
			Subset:  stringOrNull(t.Subset),
			Service: stringOrNull(t.Service),
			Port:    whole(t.Port),
		}
		if len(t.Labels) > 0 {
			labels, d := types.MapValueFrom(ctx, types.StringType, t.Labels)
			diags.Append(d...)
			out.Labels = labels
		}
		return []canaryTrackModel{out}
	}
	m.Istio, m.GatewayAPI = list("istio", []canaryIstioModel{}), list("gateway_api", []canaryGatewayModel{})
	var stable, canary route.Track
	if i := config.Istio; i != nil {
		stable, canary = i.Stable, i.Canary
		m.Istio = list("istio", []canaryIstioModel{{
			Host: types.StringValue(i.Host), VirtualService: stringOrNull(i.VirtualService), Route: stringOrNull(i.Route),
			DestinationRule: stringOrNull(i.DestinationRule),
			Gateways:        stringsOrNull(i.Gateways), Hosts: stringsOrNull(i.Hosts),
		}})
	}
	if g := config.Gateway; g != nil {
		stable, canary = g.Stable, g.Canary
		nested, _ := canaryGatewayBlock().NestedObject.Blocks["parent"].(schema.ListNestedBlock)
		parents := []canaryParentModel{}
		for _, p := range g.Parents {
			parents = append(parents, canaryParentModel{
				Kind: types.StringValue(p.Kind), Name: types.StringValue(p.Name), Namespace: stringOrNull(p.Namespace), Port: whole(p.Port),
				SectionName: stringOrNull(p.SectionName),
			})
		}
		attached, d := types.ListValueFrom(ctx, nested.NestedObject.Type(), parents)
		diags.Append(d...)
		at := types.Int64Null()
		if g.RuleIndex != nil {
			at = types.Int64Value(int64(*g.RuleIndex))
		}
		m.GatewayAPI = list("gateway_api", []canaryGatewayModel{{
			HTTPRoute: stringOrNull(g.HTTPRoute), Rule: stringOrNull(g.Rule), RuleIndex: at, Hostnames: stringsOrNull(g.Hostnames), Parent: attached,
		}})
	}
	m.Stable, m.Canary = list("stable", track(stable)), list("canary", track(canary))
	return diags
}
