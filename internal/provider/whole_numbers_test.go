// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// withFractions is a value of that type that has 0.1 in each whole-number attribute, and the paths of these attributes. Everything
// else is null.
func withFractions(t *testing.T, typ attr.Type, at string) (tftypes.Value, []string) {
	t.Helper()
	of := typ.TerraformType(t.Context())
	switch typ := typ.(type) {
	case basetypes.Int64Typable:
		return tftypes.NewValue(of, 0.1), []string{at}
	case attr.TypeWithAttributeTypes:
		values, paths := map[string]tftypes.Value{}, []string(nil)
		for name, attribute := range typ.AttributeTypes() {
			value, found := withFractions(t, attribute, strings.TrimPrefix(at+"."+name, "."))
			values[name], paths = value, append(paths, found...)
		}
		if len(paths) > 0 {
			return tftypes.NewValue(of, values), paths
		}
	case attr.TypeWithElementType:
		if of.Is(tftypes.Map{}) {
			if value, paths := withFractions(t, typ.ElementType(), at+`["a"]`); len(paths) > 0 {
				return tftypes.NewValue(of, map[string]tftypes.Value{"a": value}), paths
			}
			break
		}
		step := "[0]"
		if of.Is(tftypes.Set{}) {
			step = "[…]"
		}
		if value, paths := withFractions(t, typ.ElementType(), at+step); len(paths) > 0 {
			return tftypes.NewValue(of, []tftypes.Value{value}), paths
		}
	}
	return tftypes.NewValue(of, nil), nil
}

func TestServer_RefusesAFractionInEachWholeNumberAttribute(t *testing.T) {
	s := planServer(t)
	types := schemaTypesOf(t.Context(), s.provider)
	known := 0
	check := func(name string, typ attr.Type, validate func(*tfprotov6.DynamicValue) ([]*tfprotov6.Diagnostic, error)) {
		value, want := withFractions(t, typ, "")
		known += len(want)
		config, err := tfprotov6.NewDynamicValue(typ.TerraformType(t.Context()), value)
		if err != nil {
			t.Fatal(err)
		}
		diags, err := validate(&config)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range diags {
			if d.Severity != tfprotov6.DiagnosticSeverityError || len(want) == 0 {
				continue
			}
			if d.Summary != "Not a whole number" || !strings.Contains(d.Detail, "is 0.1. ") || !strings.Contains(d.Detail, "rite") {
				t.Errorf("%s: %s: %s", name, d.Summary, d.Detail)
			}
			got = append(got, attributeText(d.Attribute))
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: errors for %q, whole numbers are %q", name, got, want)
		}
	}
	check("provider", types.provider, func(c *tfprotov6.DynamicValue) ([]*tfprotov6.Diagnostic, error) {
		resp, err := s.ValidateProviderConfig(t.Context(), &tfprotov6.ValidateProviderConfigRequest{Config: c})
		return resp.Diagnostics, err
	})
	for _, name := range slices.Sorted(maps.Keys(types.resources)) {
		check(name, types.resources[name], func(c *tfprotov6.DynamicValue) ([]*tfprotov6.Diagnostic, error) {
			resp, err := s.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: name, Config: c})
			return resp.Diagnostics, err
		})
	}
	for _, name := range slices.Sorted(maps.Keys(types.dataTypes)) {
		check(name, types.dataTypes[name], func(c *tfprotov6.DynamicValue) ([]*tfprotov6.Diagnostic, error) {
			resp, err := s.ValidateDataResourceConfig(t.Context(), &tfprotov6.ValidateDataResourceConfigRequest{TypeName: name, Config: c})
			return resp.Diagnostics, err
		})
	}
	if len(types.resources) != 6 || len(types.dataTypes) != 3 || known < 20 {
		t.Errorf("%d resources, %d data sources and %d whole numbers were checked", len(types.resources), len(types.dataTypes), known)
	}
}

func TestFractions_NameTheValueAndTheCure(t *testing.T) {
	typ := basetypes.ObjectType{AttrTypes: map[string]attr.Type{"weight": basetypes.Int64Type{}}}
	of := typ.TerraformType(t.Context())
	for _, c := range []struct {
		number any
		want   string
	}{
		{10, ""},
		{0.1, "weight is 0.1. It is a whole number of percent: write 10 for a share of 0.1."},
		{2.5, "weight is 2.5. Write a whole number."},
		{1e30, "weight is 1e+30, which is too large for a whole number of 64 bits. Write a smaller one."},
		{-1e30, "weight is -1e+30, which is too small for a whole number of 64 bits. Write a larger one."},
	} {
		value := tftypes.NewValue(of, map[string]tftypes.Value{"weight": tftypes.NewValue(tftypes.Number, c.number)})
		got := ""
		for _, d := range fractionsIn(typ, value, tftypes.NewAttributePath()) {
			got += d.Detail
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.number, got, c.want)
		}
	}
}
