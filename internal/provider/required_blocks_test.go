// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

func TestServer_SaysWhichBlocksAreRequired(t *testing.T) {
	resp, err := planServer(t).GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var required []string
	var collect func(at string, block *tfprotov6.SchemaBlock)
	collect = func(at string, block *tfprotov6.SchemaBlock) {
		for _, nested := range block.BlockTypes {
			if nested.MinItems > 0 {
				required = append(required, at+nested.TypeName)
			}
			collect(at+nested.TypeName+".", nested.Block)
		}
	}
	for name, schema := range resp.ResourceSchemas {
		collect(name+".", schema.Block)
	}
	slices.Sort(required)
	if want := []string{"slipway_canary.canary", "slipway_canary.stable"}; !slices.Equal(required, want) {
		t.Errorf("required blocks are %q, want %q", required, want)
	}
}
