// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

var _ function.Function = (*valuesYAMLFunction)(nil)

// valuesYAMLFunction writes values as YAML in one fixed form.
type valuesYAMLFunction struct{}

// NewValuesYAMLFunction makes the function values_yaml. It needs no configured provider.
func NewValuesYAMLFunction() function.Function { return &valuesYAMLFunction{} }

func (*valuesYAMLFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "values_yaml"
}

func (*valuesYAMLFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Writes chart values as YAML",
		MarkdownDescription: "Writes values as YAML in one fixed form: sorted keys, and quotes around every text that a reader of " +
			"YAML 1.1 or 1.2 could take for something " +
			"else (`on`, `0123`, `1e3`, `2001-01-01`), so that Helm reads what was written. Terraform's `yamlencode` " +
			"quotes every key and every text.",
		Parameters: []function.Parameter{function.DynamicParameter{
			Name:                "values",
			MarkdownDescription: "An object or map of values. Sets are refused, since values have an order.",
		}},
		Return: function.StringReturn{},
	}
}

func (*valuesYAMLFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var given types.Dynamic
	if resp.Error = req.Arguments.Get(ctx, &given); resp.Error != nil {
		return
	}
	data, _, err := toGo(ctx, "", given)
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, err.Error())
		return
	}
	table, ok := data.(map[string]any)
	if !ok {
		resp.Error = function.NewArgumentFuncError(0, "Values must be an object or a map, such as { image = { tag = \"v1.2.0\" } }")
		return
	}
	text, err := values.YAML(table)
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, capitalized(err.Error()))
		return
	}
	resp.Error = resp.Result.Set(ctx, string(text))
}
