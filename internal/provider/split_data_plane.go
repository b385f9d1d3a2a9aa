// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// dataPlaneAttribute says what divides the requests of a route, where the provider cannot see it.
func dataPlaneAttribute(use string) schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: "What divides the requests" + use + ": `\"sidecar\"`, `\"ambient\"` (a waypoint), `\"proxyless\"` (gRPC clients " +
			"that speak xDS) or `\"gateway\"`. With a value, the provider does not look for proxies. Without one, it looks for sidecars and " +
			"waypoints in the environment's namespace, unless the route is bound to gateways alone. If it finds none, requests go to the pods of " +
			"both tracks whatever the route says: the plan and the apply refuse to send more of them. Default: none. " +
			"Example: `\"proxyless\"`.",
		Optional: true,
		Validators: []validator.String{stringvalidator.OneOf(route.DataPlaneSidecar, route.DataPlaneAmbient, route.DataPlaneProxyless,
			route.DataPlaneGateway)},
	}
}

// checkDataPlane says whether a proxy divides the requests of a route: an error where more of them are to be sent, else a warning.
func checkDataPlane(ctx context.Context, verb, what string, handle environment.Handle, made route.Router, given types.String,
	raises bool,
) (diags diag.Diagnostics) {
	if !given.IsNull() {
		return nil
	}
	err := route.CheckProxies(ctx, made)
	if err == nil {
		return nil
	}
	missing := route.IsNoProxy(err)
	switch {
	case missing == nil:
		diags.AddWarning("The "+what+" in "+handle.Name()+" was not checked for proxies", detailOf(err))
	case raises && !missing.Partly:
		diags.Append(diag.WithPath(path.Root("data_plane"), errorDiagnostic(verb, what, handle, err)))
	default:
		diags.AddAttributeWarning(path.Root("data_plane"), "Not all requests of the "+what+" in "+handle.Name()+" are divided", detailOf(err))
	}
	return diags
}
