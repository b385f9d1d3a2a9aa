// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// GetProviderSchema adds to the framework's answer which blocks must be there. The framework cannot express that, and only its
// validators know it: documentation, editors and Terraform's own check would call such a block optional.
func (s *server) GetProviderSchema(
	ctx context.Context, req *tfprotov6.GetProviderSchemaRequest,
) (*tfprotov6.GetProviderSchemaResponse, error) {
	resp, err := s.ProviderServer.GetProviderSchema(ctx, req)
	if err != nil || resp == nil {
		return resp, err
	}
	for _, create := range s.provider.Resources(ctx) {
		r := create()
		var named resource.MetadataResponse
		r.Metadata(ctx, resource.MetadataRequest{ProviderTypeName: "slipway"}, &named)
		var described resource.SchemaResponse
		r.Schema(ctx, resource.SchemaRequest{}, &described)
		if shown := resp.ResourceSchemas[named.TypeName]; shown != nil && shown.Block != nil {
			requireBlocks(ctx, shown.Block, described.Schema.Blocks)
		}
	}
	return resp, nil
}

func requireBlocks(ctx context.Context, shown *tfprotov6.SchemaBlock, blocks map[string]schema.Block) {
	for _, block := range shown.BlockTypes {
		list, ok := blocks[block.TypeName].(schema.ListNestedBlock)
		if !ok {
			continue
		}
		required := listvalidator.IsRequired().Description(ctx)
		if slices.ContainsFunc(list.Validators, func(v validator.List) bool { return v.Description(ctx) == required }) {
			block.MinItems = 1
		}
		requireBlocks(ctx, block.Block, list.NestedObject.Blocks)
	}
}
