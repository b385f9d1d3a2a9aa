// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// bigFloat reads a number with the precision that Terraform has.
func bigFloat(t *testing.T, text string) *big.Float {
	t.Helper()
	f, _, err := big.ParseFloat(text, 10, numberPrecision, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func number(t *testing.T, text string) attr.Value {
	t.Helper()
	return types.NumberValue(bigFloat(t, text))
}

func mapOf(elements map[string]string) attr.Value {
	values := map[string]attr.Value{}
	for name, text := range elements {
		values[name] = types.StringValue(text)
	}
	return types.MapValueMust(types.StringType, values)
}

func TestDynamicToGo_KeepsWhatTerraformMeans(t *testing.T) {
	tests := map[string]struct {
		value attr.Value
		want  any
	}{
		"string":       {types.StringValue("x"), "x"},
		"boolean":      {types.BoolValue(false), false},
		"integer":      {number(t, "1000000"), int64(1000000)},
		"whole":        {number(t, "1.0"), int64(1)},
		"fraction":     {number(t, "0.1"), 0.1},
		"beyond int64": {number(t, "12345678901234567890"), json.Number("12345678901234567890")},
		"tiny":         {number(t, "1e-400"), json.Number("1e-400")},
		"null":         {types.StringNull(), nil},
		"null dynamic": {types.DynamicNull(), nil},
		"nested dynamic": {types.DynamicValue(objectOf(map[string]attr.Value{
			"a": types.DynamicValue(types.StringValue("x")), "b": types.DynamicNull(),
		})),
			map[string]any{"a": "x", "b": nil}},
		"map":   {mapOf(map[string]string{"a": "1"}), map[string]any{"a": "1"}},
		"tuple": {tupleOf([]attr.Value{types.StringValue("x"), number(t, "2")}), []any{"x", int64(2)}},
		"list":  {types.ListValueMust(types.StringType, []attr.Value{types.StringValue("x")}), []any{"x"}},
		"empty": {objectOf(map[string]attr.Value{"m": objectOf(nil), "l": tupleOf(nil)}), map[string]any{"m": map[string]any{}, "l": []any{}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, known, diags := dynamicToGo(t.Context(), test.value)
			if !known || diags.HasError() || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %#v, %v, %v, want %#v", got, known, diags, test.want)
			}
		})
	}
}

func TestDynamicToGo_ReportsUnknownValues(t *testing.T) {
	for name, value := range map[string]attr.Value{
		"the value":       types.DynamicUnknown(),
		"a leaf":          objectOf(map[string]attr.Value{"a": tupleOf([]attr.Value{types.StringUnknown()}), "b": types.StringValue("x")}),
		"a dynamic leaf":  objectOf(map[string]attr.Value{"a": types.DynamicUnknown()}),
		"an unknown list": objectOf(map[string]attr.Value{"a": types.ListUnknown(types.StringType)}),
	} {
		if got, known, diags := dynamicToGo(t.Context(), value); got != nil || known || diags.HasError() {
			t.Errorf("%s: got %v, %v, %v", name, got, known, diags)
		}
	}
}

func TestDynamicToGo_RefusesSetsAndNamesThem(t *testing.T) {
	set := types.SetValueMust(types.StringType, []attr.Value{types.StringValue("x")})
	value := objectOf(map[string]attr.Value{
		"a": types.StringUnknown(), "hosts": objectOf(map[string]attr.Value{"example.com/x": tupleOf([]attr.Value{set})}),
	})
	_, known, diags := dynamicToGo(t.Context(), value)
	if known || !diags.HasError() {
		t.Fatalf("got %v, %v", known, diags)
	}
	if got := diags[0].Detail(); !strings.HasPrefix(got, `The value of hosts["example.com/x"][0] is a set.`) {
		t.Errorf("got %q", got)
	}
}

func TestGoToDynamic_ComesBackAsItWas(t *testing.T) {
	want := map[string]any{
		"text": "x", "yes": true, "none": nil, "count": int64(7), "half": 0.5, "tenth": 0.1, "big": json.Number("12345678901234567890"),
		"list": []any{"a", int64(1), nil, map[string]any{}}, "map": map[string]any{"deep": []any{}},
	}
	dynamic, err := goToDynamic(want)
	if err != nil {
		t.Fatal(err)
	}
	got, known, diags := dynamicToGo(t.Context(), dynamic)
	if !known || diags.HasError() || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v\nwant %#v", got, want)
	}
	if _, err := dynamic.ToTerraformValue(t.Context()); err != nil {
		t.Errorf("Terraform does not take it: %v", err)
	}
	// 0.1 as written in a configuration, and 0.1 that went through Go, are one number.
	tenth, err := goToDynamic(0.1)
	if err != nil {
		t.Fatal(err)
	}
	if !tenth.UnderlyingValue().Equal(number(t, "0.1")) {
		t.Error("0.1 is another number after the way through Go")
	}
}

func TestGoToDynamic_RefusesWhatTerraformDoesNotHave(t *testing.T) {
	_, err := goToDynamic(map[string]any{"a": []any{make(chan int)}})
	if err == nil || !strings.HasPrefix(err.Error(), "The value of a[0] cannot be passed to Terraform") {
		t.Errorf("got %v", err)
	}
}

func TestDynamicEqual_ComparesContent(t *testing.T) {
	tuple := types.DynamicValue(tupleOf([]attr.Value{types.StringValue("x")}))
	list := types.DynamicValue(types.ListValueMust(types.StringType, []attr.Value{types.StringValue("x")}))
	object := types.DynamicValue(objectOf(map[string]attr.Value{"a": types.StringValue("1")}))
	withNull := types.DynamicValue(objectOf(map[string]attr.Value{"a": types.StringValue("1"), "b": types.DynamicNull()}))
	integer := types.DynamicValue(objectOf(map[string]attr.Value{"a": number(t, "1")}))
	unknown := types.DynamicValue(objectOf(map[string]attr.Value{"a": types.StringUnknown()}))
	tests := map[string]struct {
		a, b types.Dynamic
		want bool
	}{
		"tuple and list":      {tuple, list, true},
		"object and map":      {object, types.DynamicValue(mapOf(map[string]string{"a": "1"})), true},
		"text and number":     {object, integer, false},
		"a null more":         {object, withNull, false},
		"null and null":       {types.DynamicNull(), types.DynamicNull(), true},
		"null and empty":      {types.DynamicNull(), types.DynamicValue(objectOf(nil)), false},
		"unknown and itself":  {unknown, unknown, false},
		"unknown and unknown": {types.DynamicUnknown(), types.DynamicUnknown(), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := dynamicEqual(context.Background(), test.a, test.b); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
