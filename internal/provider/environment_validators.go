// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment/namespace"
)

// What Kubernetes would refuse only in the apply is refused by these validators in the plan.
type (
	metadataKey struct{}
	labelKey    struct{}
	labelValue  struct{}
	quantity    struct{}
	cidr        struct{}

	risingLimits struct{}
	// clientNamespace is more than a name: a namespace that a client may have.
	clientNamespace struct{}
	// resourceName asks problem what is wrong with a key, an empty answer being nothing.
	resourceName struct{ problem func(name string) string }
)

func (metadataKey) Description(context.Context) string {
	return "must be a label or annotation key that is not Slipway's own"
}
func (v metadataKey) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (metadataKey) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	key := req.ConfigValue.ValueString()
	if namespace.Reserved(key) {
		resp.Diagnostics.AddAttributeError(req.Path, "Reserved key",
			fmt.Sprintf("%q is set by Slipway or Kubernetes itself.\n\nChoose another key; for Pod Security use pod_security.", key))
		return
	}
	labelKey{}.ValidateString(ctx, req, resp)
}

func (labelKey) Description(context.Context) string               { return "must be a label key" }
func (v labelKey) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (labelKey) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	key := req.ConfigValue.ValueString()
	if problems := validation.IsQualifiedName(strings.ToLower(key)); len(problems) > 0 {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid key", fmt.Sprintf("%q: %s.", key, strings.Join(problems, "; ")))
	}
}

func (labelValue) Description(context.Context) string               { return "must be a label value" }
func (v labelValue) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (labelValue) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsUnknown() {
		return
	}
	if problems := validation.IsValidLabelValue(req.ConfigValue.ValueString()); len(problems) > 0 {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid label value",
			fmt.Sprintf("%q: %s.", req.ConfigValue.ValueString(), strings.Join(problems, "; ")))
	}
}

func (quantity) Description(context.Context) string               { return "must be a Kubernetes quantity" }
func (v quantity) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (quantity) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsUnknown() && !namespace.ValidQuantity(req.ConfigValue.ValueString()) {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid quantity",
			fmt.Sprintf("%q is no Kubernetes quantity. Examples: \"500m\", \"2\", \"4Gi\".", req.ConfigValue.ValueString()))
	}
}

func (cidr) Description(context.Context) string               { return "must be a network in CIDR notation" }
func (v cidr) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (cidr) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsUnknown() && !namespace.ValidCIDR(req.ConfigValue.ValueString()) {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid network",
			fmt.Sprintf("%q is no network in CIDR notation. Example: \"10.0.0.0/16\".", req.ConfigValue.ValueString()))
	}
}

func (clientNamespace) Description(context.Context) string {
	return "must not be a namespace of Kubernetes itself"
}
func (v clientNamespace) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (clientNamespace) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if name := req.ConfigValue.ValueString(); environment.SystemNamespace(name) {
		resp.Diagnostics.AddAttributeError(req.Path, "Namespace of Kubernetes itself",
			fmt.Sprintf("%q begins with kube-, which Kubernetes reserves for its own namespaces: an environment there would cut the "+
				"cluster's components off.\n\nChoose another name.", name))
	}
}

func (resourceName) Description(context.Context) string {
	return "must be a resource that Kubernetes knows"
}
func (v resourceName) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v resourceName) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if problem := v.problem(req.ConfigValue.ValueString()); problem != "" {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid resource", fmt.Sprintf("%q %s.", req.ConfigValue.ValueString(), problem))
	}
}

func (risingLimits) Description(context.Context) string {
	return "must rise from min over default_request and default to max"
}
func (v risingLimits) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (risingLimits) ValidateObject(ctx context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || !wholly(req.ConfigValue) {
		return
	}
	limits := reader{ctx: ctx, diags: &resp.Diagnostics}.limitRange(req.ConfigValue)
	for _, problem := range limits.Problems() {
		resp.Diagnostics.AddAttributeError(req.Path, "Limits that contradict each other",
			"In limit_range, "+problem+". Kubernetes refuses that.\n\nRaise the one or lower the other.")
	}
}
