// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

var _ function.Function = (*mergeValuesFunction)(nil)

// mergeValuesFunction merges chart values as Helm merges values files.
type mergeValuesFunction struct{}

// NewMergeValuesFunction makes the function merge_values. It needs no configured provider.
func NewMergeValuesFunction() function.Function { return &mergeValuesFunction{} }

func (*mergeValuesFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "merge_values"
}

func (*mergeValuesFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Merges chart values with Helm's rules",
		MarkdownDescription: "Merges objects of chart values as `helm -f first.yaml -f second.yaml` merges files: later arguments win, " +
			"objects are merged key by key, and lists and scalars are replaced as a whole.\n\n" +
			"A `null` inside an argument stays in the result, where it removes the chart's own default. An argument that is `null` as a " +
			"whole (for instance `yamldecode` of an empty file) is skipped, but OpenTofu does not call functions with such arguments and " +
			"returns `null`: " +
			"write `var.extra == null ? {} : var.extra` where it is used. Values that are not known yet stay unknown, leaf by leaf. " +
			"If any argument holds a sensitive value, Terraform marks the whole result as sensitive: pass secrets to `sensitive_values` or " +
			"`values_wo` of `slipway_release` instead of merging them here.\n\n" +
			"Terraform's `merge` differs: it replaces nested objects as a whole. Terraform's `yamldecode` reads some scalars otherwise than " +
			"Helm does (`0123`, `2001-01-01`, `1_000`): to use a file as it is, give it in `values_files` of `slipway_release`.",
		VariadicParameter: function.DynamicParameter{
			Name: "layers",
			MarkdownDescription: "Objects or maps of values, in the order in which they are laid over each other. Sets are refused, " +
				"since values have an order.",
			AllowNullValue:     true,
			AllowUnknownValues: true,
		},
		Return: function.DynamicReturn{},
	}
}

func (*mergeValuesFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var layers []types.Dynamic
	if resp.Error = req.Arguments.Get(ctx, &layers); resp.Error != nil {
		return
	}
	out := layerTree{}
	unknown := false
	for i, layer := range layers {
		node, err := newLayerNode(ctx, "", layer)
		if err != nil {
			resp.Error = function.NewArgumentFuncError(int64(i), err.Error())
			return
		}
		switch node := node.(type) {
		case nil:
		case layerTree:
			out.lay(node)
		default:
			if value, ok := node.(attr.Value); ok && mayBeObject(value) {
				// What this layer holds decides about every key: continue only to find mistakes in the others.
				unknown = true
				continue
			}
			resp.Error = function.NewArgumentFuncError(int64(i),
				"A layer of values must be an object or a map, such as { image = { tag = \"v1.2.0\" } }")
			return
		}
	}
	if unknown {
		resp.Error = resp.Result.Set(ctx, types.DynamicUnknown())
		return
	}
	resp.Error = resp.Result.Set(ctx, types.DynamicValue(out.object()))
}

// layerTree is an object that is being merged: its values are layerTrees and attr.Values, the latter for all that is
// replaced as a whole.
type layerTree map[string]any

// newLayerNode takes a value apart into layerTree (objects and maps), attr.Value (all else) or nil (a null layer).
func newLayerNode(ctx context.Context, at string, v attr.Value) (any, error) {
	if dynamic, ok := v.(basetypes.DynamicValue); ok && !dynamic.IsNull() && !dynamic.IsUnknown() {
		return newLayerNode(ctx, at, dynamic.UnderlyingValue())
	}
	if v == nil || v.IsNull() {
		if at == "" {
			return nil, nil
		}
		return types.DynamicNull(), nil
	}
	if v.IsUnknown() {
		if _, isSet := v.(basetypes.SetValue); isSet {
			return nil, &valueError{at, setReason}
		}
		return v, nil
	}
	var elements map[string]attr.Value
	switch v := v.(type) {
	case basetypes.ObjectValue:
		elements = v.Attributes()
	case basetypes.MapValue:
		elements = v.Elements()
	default:
		// Refuses sets at any depth.
		_, _, err := toGo(ctx, at, v)
		return v, err
	}
	out := make(layerTree, len(elements))
	for name, element := range elements {
		node, err := newLayerNode(ctx, joinKey(at, name), element)
		if err != nil {
			return nil, err
		}
		out[name] = node
	}
	return out, nil
}

// lay puts a layer over the tree, with Helm's rules. Where an unknown value meets an object, the result is unknown, since
// what is known in the end may be an object to be merged.
func (t layerTree) lay(layer layerTree) {
	for name, above := range layer {
		below, exists := t[name]
		belowTree, belowIsTree := below.(layerTree)
		belowValue, _ := below.(attr.Value)
		aboveTree, aboveIsTree := above.(layerTree)
		aboveValue, _ := above.(attr.Value)
		switch {
		case belowIsTree && aboveIsTree:
			belowTree.lay(aboveTree)
		case aboveIsTree && exists && mayBeObject(belowValue):
			t[name] = types.DynamicUnknown()
		case aboveIsTree:
			copied := layerTree{}
			copied.lay(aboveTree)
			t[name] = copied
		case mayBeObject(aboveValue) && exists:
			t[name] = types.DynamicUnknown()
		default:
			t[name] = above
		}
	}
}

func (t layerTree) object() basetypes.ObjectValue {
	elements := make(map[string]attr.Value, len(t))
	for name, node := range t {
		switch node := node.(type) {
		case layerTree:
			elements[name] = node.object()
		case attr.Value:
			elements[name] = node
		}
	}
	return objectOf(elements)
}

// mayBeObject reports an unknown value that can turn out to be an object or map.
func mayBeObject(v attr.Value) bool {
	if v == nil || !v.IsUnknown() {
		return false
	}
	switch v.(type) {
	case basetypes.DynamicValue, basetypes.ObjectValue, basetypes.MapValue:
		return true
	}
	return false
}
