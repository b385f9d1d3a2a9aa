// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/bluegreen"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

type istioRouteModel struct {
	VirtualService  types.String `tfsdk:"virtual_service"`
	Route           types.String `tfsdk:"route"`
	DestinationRule types.String `tfsdk:"destination_rule"`
	Gateways        types.List   `tfsdk:"gateways"`
	Hosts           types.List   `tfsdk:"hosts"`
}

type httpRouteModel struct {
	Name         types.String `tfsdk:"name"`
	Rule         types.String `tfsdk:"rule"`
	BlueService  types.String `tfsdk:"blue_service"`
	GreenService types.String `tfsdk:"green_service"`
	Port         types.Int64  `tfsdk:"port"`
}

const routeText = " Instead of the Service's selector, which then has the pods of both colors. Adding, changing or removing the " +
	"block replaces the resource. Adding it takes the label out of the selector, so that both colors get requests until the route " +
	"exists: add it while one color runs, or one version on both. On destroy the route stays as it is."

// istioRouteBlock and httpRouteBlock name the route that is switched instead of the selector.
func istioRouteBlock() schema.ListNestedBlock {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			MarkdownDescription: description, Optional: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		}
	}
	list := func(description string) schema.ListAttribute {
		return schema.ListAttribute{MarkdownDescription: description, Optional: true, ElementType: types.StringType}
	}
	return schema.ListNestedBlock{
		MarkdownDescription: "Switches a route of an Istio VirtualService." + routeText,
		Validators:          []validator.List{listvalidator.SizeAtMost(1), listvalidator.ConflictsWith(path.MatchRoot("http_route"))},
		PlanModifiers:       []planmodifier.List{listplanmodifier.RequiresReplace()},
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"virtual_service": text("Name of the VirtualService. Default: the name of the Service. Example: `\"data-collection\"`."),
			"route": text("Name of one route in a VirtualService that others own; only this route is changed. Default: the " +
				"VirtualService is made by this resource. Example: `\"primary\"`."),
			"destination_rule": text("Name of the DestinationRule that gets the subsets `blue` and `green`. Default: the name of the " +
				"Service. Example: `\"data-collection\"`."),
			"gateways": list("Gateways of a VirtualService that this resource makes. Default: the mesh. Example: " +
				"`[\"istio-system/public\", \"mesh\"]`."),
			"hosts": list("Hosts in addition to the Service, of a VirtualService that this resource makes. Default: none. Example: " +
				"`[\"client-a.company.com\"]`."),
		}},
	}
}

func httpRouteBlock() schema.ListNestedBlock {
	service := func(color string) schema.StringAttribute {
		return schema.StringAttribute{
			MarkdownDescription: "Name of a Service that has only the pods of " + color + ". Example: `\"data-collection-" + color + "\"`.",
			Required:            true,
			Validators:          []validator.String{stringvalidator.RegexMatches(serviceNamePattern, "must be the name of a Service")},
		}
	}
	return schema.ListNestedBlock{
		MarkdownDescription: "Switches a rule of a Gateway API HTTPRoute." + routeText,
		Validators:          []validator.List{listvalidator.SizeAtMost(1)},
		PlanModifiers:       []planmodifier.List{listplanmodifier.RequiresReplace()},
		NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the HTTPRoute. Default: the name of the Service. Example: `\"data-collection\"`.",
				Optional:            true,
			},
			"rule": schema.StringAttribute{
				MarkdownDescription: "Name of one rule in an HTTPRoute that others own; only this rule is changed. Default: the HTTPRoute " +
					"is made by this resource, for requests of a mesh to the Service. Example: `\"primary\"`.",
				Optional: true,
			},
			"blue_service":  service(bluegreen.Blue),
			"green_service": service(bluegreen.Green),
			"port": schema.Int64Attribute{
				MarkdownDescription: "Port of these Services. Example: `80`.",
				Required:            true,
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
		}},
	}
}

// owner is for whom a route is switched.
func (m blueGreenModel) owner(handle environment.Handle, create bool) route.Owner {
	return route.Owner{Handle: handle, Name: m.Service.ValueString(), InstanceID: m.ID.ValueString(), TakeOver: create}
}

// istioRoute reads the block; ok is false where there is none, or where it is not known yet.
func (m blueGreenModel) istioRoute(ctx context.Context, owner route.Owner) (config route.IstioConfig, ok bool, diags diag.Diagnostics) {
	reader := &blockReader{ctx: ctx}
	b, there := block[istioRouteModel](reader, m.Istio)
	if !there || reader.unknown {
		return config, false, reader.diags
	}
	label := m.Label.ValueString()
	config = route.IstioConfig{
		Owner: owner, Host: m.Service.ValueString(), VirtualService: reader.text(b.VirtualService, ""), Route: reader.text(b.Route, ""),
		DestinationRule: reader.text(b.DestinationRule, ""), Gateways: reader.strings(b.Gateways), Hosts: reader.strings(b.Hosts),
		Stable: route.Track{Labels: map[string]string{label: m.BlueValue.ValueString()}, Subset: bluegreen.Blue},
		Canary: route.Track{Labels: map[string]string{label: m.GreenValue.ValueString()}, Subset: bluegreen.Green},
	}
	return config, !reader.unknown && !m.Service.IsUnknown() && !m.Label.IsUnknown() && !m.BlueValue.IsUnknown() &&
		!m.GreenValue.IsUnknown(), reader.diags
}

func (m blueGreenModel) httpRoute(ctx context.Context, owner route.Owner) (config route.GatewayConfig, ok bool, diags diag.Diagnostics) {
	reader := &blockReader{ctx: ctx}
	b, there := block[httpRouteModel](reader, m.HTTPRoute)
	if !there || reader.unknown {
		return config, false, reader.diags
	}
	port := int32(b.Port.ValueInt64()) //nolint:gosec // the schema demands a port's number
	config = route.GatewayConfig{
		Owner: owner, HTTPRoute: reader.text(b.Name, ""), Rule: reader.text(b.Rule, ""),
		Stable: route.Track{Service: reader.text(b.BlueService, ""), Port: port},
		Canary: route.Track{Service: reader.text(b.GreenService, ""), Port: port},
	}
	if config.Rule == "" {
		config.Parents = []route.Parent{{Kind: "Service", Name: m.Service.ValueString()}}
	}
	return config, !reader.unknown && !b.Port.IsUnknown() && !m.Service.IsUnknown(), reader.diags
}

// route makes the router of the route that is switched; nil where the selector is.
func (m blueGreenModel) route(
	ctx context.Context, live *cluster.Cluster, owner route.Owner,
) (func(dynamic.Interface) (route.Router, error), diag.Diagnostics) {
	istio, ok, diags := m.istioRoute(ctx, owner)
	if ok {
		return func(client dynamic.Interface) (route.Router, error) { return route.NewIstio(live, client, istio) }, diags
	}
	gateway, ok, d := m.httpRoute(ctx, owner)
	diags.Append(d...)
	if ok {
		return func(client dynamic.Interface) (route.Router, error) {
			return route.NewGateway(live, client, gateway)
		}, diags
	}
	return nil, diags
}

// checkRoute says at plan what an API server or a proxy would refuse.
func (m blueGreenModel) checkRoute(ctx context.Context, handle environment.Handle) diag.Diagnostics {
	block := "istio"
	var problems []route.Problem
	istio, ok, diags := m.istioRoute(ctx, m.owner(handle, false))
	if ok {
		problems = istio.Validate()
	}
	gateway, ok, d := m.httpRoute(ctx, m.owner(handle, false))
	diags.Append(d...)
	if ok {
		block, problems = "http_route", gateway.Validate()
		for field, track := range map[string]route.Track{"blue_service": gateway.Stable, "green_service": gateway.Canary} {
			if gateway.Rule == "" && track.Service == m.Service.ValueString() {
				problems = append(problems, route.Problem{
					Field: field,
					Text:  fmt.Sprintf("%s is the live Service, which has the pods of both colors; each color needs a Service of its own.", track.Service),
				})
			}
		}
	}
	for _, problem := range problems {
		diags.AddAttributeError(path.Root(block), "The route cannot be switched like this", problem.Field+": "+problem.Text)
	}
	return diags
}

// checkProxies says whether the route that is switched reaches a proxy: an error where another color is to become live by it.
func (m blueGreenModel) checkProxies(
	ctx context.Context, verb string, live *cluster.Cluster, handle environment.Handle, state *blueGreenModel,
) diag.Diagnostics {
	if !m.DataPlane.IsNull() || m.Active.IsUnknown() {
		return nil
	}
	makes, diags := m.route(ctx, live, m.owner(handle, true))
	if makes == nil || diags.HasError() {
		return nil
	}
	router, err := makes(nil)
	if err != nil {
		return nil //nolint:nilerr // The apply says so.
	}
	switches := state == nil || !m.Active.Equal(state.Active)
	return checkDataPlane(ctx, verb, m.what(), handle, router, m.DataPlane, switches)
}
