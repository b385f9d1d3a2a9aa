// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// numberPrecision is the precision, in bits, with which Terraform reads numbers; one with less compares unequal to it.
const numberPrecision = 512

// dynamicToGo turns a value of Terraform into map[string]any, []any, string, bool, int64 (integral numbers), json.Number
// (integral ones beyond that), float64 and nil. known is false where some leaf is unknown; the result is then nil.
// Sets are refused, since their order is none that a chart could rely on; the diagnostic names the path.
func dynamicToGo(ctx context.Context, v attr.Value) (out any, known bool, diags diag.Diagnostics) {
	out, known, err := toGo(ctx, "", v)
	if err != nil {
		diags.AddError("Value cannot be used", err.Error()+".")
		return nil, false, diags
	}
	if !known {
		return nil, false, diags
	}
	return out, true, diags
}

const setReason = "is a set. A set has no order, and a chart's values have no sets: write a list, or tolist(…) around it"

// valueError is a value that has no counterpart in a chart's values. Its text has no full stop, which Terraform adds to
// errors of functions.
type valueError struct {
	path   string
	reason string
}

func (e *valueError) Error() string {
	if e.path == "" {
		return "The value " + e.reason
	}
	return fmt.Sprintf("The value of %s %s", e.path, e.reason)
}

// toGo converts the value at a path. It continues past an unknown leaf, so that a set is refused in any case.
func toGo(ctx context.Context, at string, v attr.Value) (out any, known bool, err error) {
	if dynamic, ok := v.(basetypes.DynamicValue); ok && !dynamic.IsNull() && !dynamic.IsUnknown() {
		return toGo(ctx, at, dynamic.UnderlyingValue())
	}
	switch {
	case v == nil || v.IsNull():
		return nil, true, nil
	case v.IsUnknown():
		return nil, false, nil
	}
	switch v := v.(type) {
	case basetypes.StringValue:
		return v.ValueString(), true, nil
	case basetypes.BoolValue:
		return v.ValueBool(), true, nil
	case basetypes.NumberValue:
		return numberToGo(v.ValueBigFloat()), true, nil
	case basetypes.Int64Value:
		return v.ValueInt64(), true, nil
	case basetypes.Float64Value:
		return numberToGo(big.NewFloat(v.ValueFloat64())), true, nil
	case basetypes.ObjectValue:
		return mapToGo(ctx, at, v.Attributes())
	case basetypes.MapValue:
		return mapToGo(ctx, at, v.Elements())
	case basetypes.TupleValue:
		return listToGo(ctx, at, v.Elements())
	case basetypes.ListValue:
		return listToGo(ctx, at, v.Elements())
	case basetypes.SetValue:
		return nil, false, &valueError{at, setReason}
	}
	return nil, false, &valueError{at, fmt.Sprintf("is of type %s, which a chart's values do not have", v.Type(ctx))}
}

func mapToGo(ctx context.Context, at string, elements map[string]attr.Value) (any, bool, error) {
	out := make(map[string]any, len(elements))
	allKnown := true
	for _, name := range slices.Sorted(maps.Keys(elements)) {
		value, known, err := toGo(ctx, joinKey(at, name), elements[name])
		if err != nil {
			return nil, false, err
		}
		allKnown = allKnown && known
		out[name] = value
	}
	return out, allKnown, nil
}

func listToGo(ctx context.Context, at string, elements []attr.Value) (any, bool, error) {
	out := make([]any, len(elements))
	allKnown := true
	for i, element := range elements {
		value, known, err := toGo(ctx, fmt.Sprintf("%s[%d]", at, i), element)
		if err != nil {
			return nil, false, err
		}
		allKnown = allKnown && known
		out[i] = value
	}
	return out, allKnown, nil
}

func joinKey(at, name string) string {
	switch {
	case strings.ContainsAny(name, ".[]\" ") || name == "":
		return at + "[" + strconv.Quote(name) + "]"
	case at == "":
		return name
	}
	return at + "." + name
}

// numberToGo keeps integral numbers integral: a template prints 1000000 then, and not 1e+06.
func numberToGo(f *big.Float) any {
	if f.IsInt() {
		if n, accuracy := f.Int64(); accuracy == big.Exact {
			return n
		}
		n, _ := f.Int(nil)
		return json.Number(n.String())
	}
	out, _ := f.Float64()
	if out == 0 || math.IsInf(out, 0) {
		return json.Number(f.Text('g', -1)) // beyond what float64 holds
	}
	return out
}

// kindOf names the kind of a value that dynamicToGo returned.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "a bool"
	}
	return "a number"
}

// goToDynamic turns plain Go data into a dynamic value of objects and tuples, as literals in a configuration are. The
// error names the path of what has no counterpart.
func goToDynamic(v any) (types.Dynamic, error) {
	value, err := toTerraform("", v)
	if err != nil {
		return types.DynamicNull(), err
	}
	return types.DynamicValue(value), nil
}

func toTerraform(at string, v any) (attr.Value, error) {
	switch v := v.(type) {
	case nil:
		return types.DynamicNull(), nil
	case string:
		return types.StringValue(v), nil
	case bool:
		return types.BoolValue(v), nil
	case map[string]any:
		elements := make(map[string]attr.Value, len(v))
		for name, below := range v {
			value, err := toTerraform(joinKey(at, name), below)
			if err != nil {
				return nil, err
			}
			elements[name] = value
		}
		return objectOf(elements), nil
	case []any:
		elements := make([]attr.Value, len(v))
		for i, below := range v {
			value, err := toTerraform(fmt.Sprintf("%s[%d]", at, i), below)
			if err != nil {
				return nil, err
			}
			elements[i] = value
		}
		return tupleOf(elements), nil
	}
	// Numbers of any type, by way of their decimal text.
	text, err := object.Canonical(v)
	if err != nil {
		return nil, &valueError{at, fmt.Sprintf("cannot be passed to Terraform: %v", err)}
	}
	number, _, err := big.ParseFloat(text, 10, numberPrecision, big.ToNearestEven)
	if err != nil {
		return nil, &valueError{at, fmt.Sprintf("is a %T, which Terraform does not have", v)}
	}
	return types.NumberValue(number), nil
}

// objectOf and tupleOf make containers that have the types of what is in them.
func objectOf(elements map[string]attr.Value) basetypes.ObjectValue {
	kinds := make(map[string]attr.Type, len(elements))
	for name, value := range elements {
		kinds[name] = value.Type(context.Background())
	}
	return types.ObjectValueMust(kinds, elements)
}

func tupleOf(elements []attr.Value) basetypes.TupleValue {
	kinds := make([]attr.Type, len(elements))
	for i, value := range elements {
		kinds[i] = value.Type(context.Background())
	}
	return types.TupleValueMust(kinds, elements)
}

// dynamicEqual reports that two dynamic values say the same: equal canonical JSON, so that a tuple equals the list with
// the same elements. Null equals null only; a value with an unknown in it equals nothing.
func dynamicEqual(ctx context.Context, a, b types.Dynamic) bool {
	left, knownLeft, diagsLeft := dynamicToGo(ctx, a)
	right, knownRight, diagsRight := dynamicToGo(ctx, b)
	if !knownLeft || !knownRight || diagsLeft.HasError() || diagsRight.HasError() {
		return false
	}
	leftText, errLeft := object.Canonical(left)
	rightText, errRight := object.Canonical(right)
	return errLeft == nil && errRight == nil && leftText == rightText
}
