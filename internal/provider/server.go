// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/defaults"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// NewServer returns the constructor of a provider server in Terraform's protocol 6. version is the provider's own; changes counts the
// changes that the server makes.
func NewServer(version string, changes *Changes) func() tfprotov6.ProviderServer {
	return func() tfprotov6.ProviderServer {
		p := &Provider{version: version}
		return &server{ProviderServer: providerserver.NewProtocol6(p)(), provider: p, changes: changes}
	}
}

// server is the framework's server with a short way through reading and planning a release that stays as it is, which is what
// nearly all of a fleet is in nearly all plans. The framework traverses such a release value by value a dozen times to
// change nothing, and that cost more than everything that Slipway itself does for it.
type server struct {
	tfprotov6.ProviderServer
	provider *Provider
	changes  *Changes

	once    sync.Once
	release releaseShape

	typesOnce sync.Once
	types     schemaTypes
}

// releaseShape is what the schema of slipway_release says about its values.
type releaseShape struct {
	schema   schema.Schema
	typ      tftypes.Type
	defaults map[string]tftypes.Value // of the attributes that have one
}

// PlanResourceChange answers for a release that stays as it is, and leaves everything else to the framework.
func (s *server) PlanResourceChange(
	ctx context.Context, req *tfprotov6.PlanResourceChangeRequest,
) (*tfprotov6.PlanResourceChangeResponse, error) {
	if s.staysAsItIs(ctx, req) {
		return &tfprotov6.PlanResourceChangeResponse{PlannedState: req.PriorState, PlannedPrivate: req.PriorPrivate}, nil
	}
	return s.ProviderServer.PlanResourceChange(ctx, req)
}

// staysAsItIs reports that the framework's answer would be the prior state. Where Terraform proposes just that, and no default
// would set another value, the framework has nothing to do but to ask ModifyPlan: so this asks it directly, and is content
// only with a ModifyPlan that changes nothing and has nothing to say.
func (s *server) staysAsItIs(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) bool {
	data := s.provider.data.Load()
	if data == nil || req.TypeName != releaseType || req.PriorIdentity != nil ||
		req.PriorState == nil || req.ProposedNewState == nil || req.Config == nil ||
		len(req.PriorState.MsgPack) == 0 || !bytes.Equal(req.PriorState.MsgPack, req.ProposedNewState.MsgPack) {
		return false
	}
	shape := s.releaseShape(ctx)
	prior, err := req.PriorState.Unmarshal(shape.typ)
	if err != nil || prior.IsNull() {
		return false // the framework says what is wrong
	}
	config, err := req.Config.Unmarshal(shape.typ)
	if err != nil || shape.defaultDiffers(config, prior) {
		return false
	}

	var private storedPrivate
	if len(req.PriorPrivate) > 0 && json.Unmarshal(req.PriorPrivate, &private) != nil {
		return false
	}

	asked := &question{}
	resp := resource.ModifyPlanResponse{Plan: tfsdk.Plan{Raw: prior, Schema: shape.schema}}
	r := &ReleaseResource{data: data}
	r.modifyPlan(context.WithValue(ctx, questionKey{}, asked), resource.ModifyPlanRequest{
		Config: tfsdk.Config{Raw: config, Schema: shape.schema},
		State:  tfsdk.State{Raw: prior, Schema: shape.schema},
		Plan:   tfsdk.Plan{Raw: prior, Schema: shape.schema},
	}, private, &resp)
	return !asked.changes && len(resp.Diagnostics) == 0 && len(resp.RequiresReplace) == 0 && resp.Deferred == nil &&
		resp.Plan.Raw.Equal(prior)
}

// releaseType is the name of the resource type in Terraform.
const releaseType = "slipway_release"

// schemaTypes are collected once.
func (s *server) schemaTypes(ctx context.Context) schemaTypes {
	s.typesOnce.Do(func() { s.types = schemaTypesOf(ctx, s.provider) })
	return s.types
}

// releaseShape is made once.
func (s *server) releaseShape(ctx context.Context) releaseShape {
	s.once.Do(func() { s.release = shapeOf(ctx, NewReleaseResource()) })
	return s.release
}

func shapeOf(ctx context.Context, r resource.Resource) releaseShape {
	var resp resource.SchemaResponse
	r.Schema(ctx, resource.SchemaRequest{}, &resp)
	shape := releaseShape{schema: resp.Schema, typ: resp.Schema.Type().TerraformType(ctx), defaults: map[string]tftypes.Value{}}
	for name, attribute := range resp.Schema.Attributes {
		value := defaultOf(ctx, attribute)
		if value == nil {
			continue
		}
		if v, err := value.ToTerraformValue(ctx); err == nil {
			shape.defaults[name] = v
		}
	}
	return shape
}

// defaultOf is the value that an attribute of the schema's top level takes where the configuration has none; nil is no
// default. A test knows when a default is not seen here.
func defaultOf(ctx context.Context, attribute schema.Attribute) attr.Value {
	switch a := attribute.(type) {
	case schema.StringAttribute:
		if a.Default != nil {
			var resp defaults.StringResponse
			a.Default.DefaultString(ctx, defaults.StringRequest{}, &resp)
			return resp.PlanValue
		}
	case schema.Int64Attribute:
		if a.Default != nil {
			var resp defaults.Int64Response
			a.Default.DefaultInt64(ctx, defaults.Int64Request{}, &resp)
			return resp.PlanValue
		}
	case schema.BoolAttribute:
		if a.Default != nil {
			var resp defaults.BoolResponse
			a.Default.DefaultBool(ctx, defaults.BoolRequest{}, &resp)
			return resp.PlanValue
		}
	}
	return nil
}

// defaultDiffers reports that an attribute is no longer configured and its default is another value than the prior one, which
// Terraform proposes to keep.
func (s releaseShape) defaultDiffers(config, prior tftypes.Value) bool {
	var configured, kept map[string]tftypes.Value
	if config.As(&configured) != nil || prior.As(&kept) != nil {
		return true
	}
	for name, value := range s.defaults {
		if configured[name].IsNull() && !kept[name].Equal(value) {
			return true
		}
	}
	return false
}

// question is put to ModifyPlan in its context: it is to distinguish a release that stays as it is from one that changes, and to
// leave the work on a change (rendering, the dry run on the API server) to the plan that follows.
type question struct{ changes bool }

type questionKey struct{}

// onlyAsked answers the question, if it was put, with yes, the release changes.
func onlyAsked(ctx context.Context) bool {
	q, ok := ctx.Value(questionKey{}).(*question)
	if ok {
		q.changes = true
	}
	return ok
}
