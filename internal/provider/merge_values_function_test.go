// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// needTerraform skips a test where there is none; plugin-testing would fetch one.
func needTerraform(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err != nil && os.Getenv("TF_ACC_TERRAFORM_PATH") == "" {
		t.Skip("there is no terraform on PATH, and TF_ACC_TERRAFORM_PATH is not set")
	}
}

// mergeValues calls the function as Terraform does.
func mergeValues(t *testing.T, layers ...attr.Value) (types.Dynamic, *function.FuncError) {
	t.Helper()
	elements := make([]attr.Value, len(layers))
	kinds := make([]attr.Type, len(layers))
	for i, layer := range layers {
		dynamic, ok := layer.(types.Dynamic)
		if !ok {
			dynamic = types.DynamicValue(layer)
		}
		elements[i], kinds[i] = dynamic, types.DynamicType
	}
	request := function.RunRequest{Arguments: function.NewArgumentsData([]attr.Value{types.TupleValueMust(kinds, elements)})}
	response := function.RunResponse{Result: function.NewResultData(types.DynamicUnknown())}
	NewMergeValuesFunction().Run(t.Context(), request, &response)
	result, ok := response.Result.Value().(types.Dynamic)
	if !ok {
		t.Fatalf("the result is a %T", response.Result.Value())
	}
	return result, response.Error
}

func TestMergeValues_KeepsUnknownsWhereTheyMatter(t *testing.T) {
	type m = map[string]attr.Value
	x := types.StringValue("x")
	tests := map[string]struct {
		layers []attr.Value
		want   attr.Value
	}{
		"an unknown leaf stays": {
			[]attr.Value{objectOf(m{"a": types.StringUnknown(), "b": x})}, objectOf(m{"a": types.StringUnknown(), "b": x}),
		},
		"an unknown leaf over a leaf": {
			[]attr.Value{objectOf(m{"a": x}), objectOf(m{"a": types.StringUnknown()})}, objectOf(m{"a": types.StringUnknown()}),
		},
		"a leaf over an unknown leaf": {
			[]attr.Value{objectOf(m{"a": types.StringUnknown()}), objectOf(m{"a": x})}, objectOf(m{"a": x}),
		},
		"an object over an unknown text": {
			[]attr.Value{objectOf(m{"a": types.StringUnknown()}), objectOf(m{"a": objectOf(m{"b": x})})},
			objectOf(m{"a": objectOf(m{"b": x})}),
		},
		"an object over what may be an object": {
			[]attr.Value{objectOf(m{"a": types.DynamicUnknown(), "c": x}), objectOf(m{"a": objectOf(m{"b": x})})},
			objectOf(m{"a": types.DynamicUnknown(), "c": x}),
		},
		"an unknown map over an object": {
			[]attr.Value{objectOf(m{"a": objectOf(m{"b": x})}), objectOf(m{"a": types.MapUnknown(types.StringType)})},
			objectOf(m{"a": types.DynamicUnknown()}),
		},
		"a layer that is unknown as a whole": {[]attr.Value{objectOf(m{"a": x}), types.DynamicUnknown()}, nil},
		"a layer of unknown object type": {
			[]attr.Value{types.ObjectUnknown(map[string]attr.Type{"a": types.StringType}), objectOf(m{"a": x})}, nil,
		},
		"null layers are skipped": {
			[]attr.Value{types.DynamicNull(), objectOf(m{"a": x}), types.DynamicNull()}, objectOf(m{"a": x}),
		},
		"null inside stays": {
			[]attr.Value{objectOf(m{"a": x}), objectOf(m{"a": types.DynamicNull()})}, objectOf(m{"a": types.DynamicNull()}),
		},
		"a map is merged like an object": {
			[]attr.Value{objectOf(m{"a": mapOf(map[string]string{"b": "1", "c": "2"})}), objectOf(m{"a": objectOf(m{"c": x})})},
			objectOf(m{"a": objectOf(m{"b": types.StringValue("1"), "c": x})}),
		},
		"lists are replaced": {
			[]attr.Value{objectOf(m{"a": tupleOf([]attr.Value{x, x})}), objectOf(m{"a": tupleOf([]attr.Value{x})})},
			objectOf(m{"a": tupleOf([]attr.Value{x})}),
		},
		"no layers": {nil, objectOf(m{})},
		"an unknown inside a list": {
			[]attr.Value{objectOf(m{"a": tupleOf([]attr.Value{types.StringUnknown()})})},
			objectOf(m{"a": tupleOf([]attr.Value{types.StringUnknown()})}),
		},
		"a null typed as an object is no layer": {
			[]attr.Value{types.ObjectNull(map[string]attr.Type{"a": types.StringType}), objectOf(m{"a": x})}, objectOf(m{"a": x}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := mergeValues(t, test.layers...)
			if err != nil {
				t.Fatal(err)
			}
			want := types.DynamicUnknown()
			if test.want != nil {
				want = types.DynamicValue(test.want)
			}
			if !got.Equal(want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

func TestMergeValues_RefusesByArgument(t *testing.T) {
	x := types.StringValue("x")
	set := types.SetValueMust(types.StringType, []attr.Value{x})
	good := objectOf(map[string]attr.Value{"a": x})
	tests := map[string]struct {
		layers   []attr.Value
		argument int64
		want     string
	}{
		"a set": {
			[]attr.Value{good, objectOf(map[string]attr.Value{"hosts": objectOf(map[string]attr.Value{"names": set})})}, 1,
			"The value of hosts.names is a set.",
		},
		"a set in a list": {
			[]attr.Value{objectOf(map[string]attr.Value{"a": tupleOf([]attr.Value{set})})}, 0, "The value of a[0] is a set.",
		},
		"an unknown set": {
			[]attr.Value{objectOf(map[string]attr.Value{"a": types.SetUnknown(types.StringType)})}, 0, "The value of a is a set.",
		},
		"a set as layer":         {[]attr.Value{set}, 0, "The value is a set."},
		"a text":                 {[]attr.Value{good, good, x}, 2, "A layer of values must be an object or a map"},
		"a list":                 {[]attr.Value{tupleOf([]attr.Value{good})}, 0, "A layer of values must be an object or a map"},
		"a text after unknown":   {[]attr.Value{types.DynamicUnknown(), x}, 1, "A layer of values must be an object or a map"},
		"an unknown text":        {[]attr.Value{types.StringUnknown()}, 0, "A layer of values must be an object or a map"},
		"a number, among others": {[]attr.Value{number(t, "1"), good}, 0, "A layer of values must be an object or a map"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := mergeValues(t, test.layers...)
			if err == nil || err.FunctionArgument == nil || *err.FunctionArgument != test.argument || !strings.HasPrefix(err.Text, test.want) {
				t.Errorf("got %+v", err)
			}
		})
	}
}

func TestMergeValues_UnderTerraform(t *testing.T) {
	needTerraform(t)
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{
				Config:      `output "x" { value = provider::slipway::merge_values({}, { hosts = toset(["a"]) }) }`,
				ExpectError: regexp.MustCompile(`(?s)Invalid value for "layers" parameter:.*The value of hosts is\s+a\s+set`),
			},
			{
				Config:      `output "x" { value = provider::slipway::merge_values("text") }`,
				ExpectError: regexp.MustCompile(`(?s)A layer of\s+values\s+must\s+be\s+an\s+object`),
			},
			{
				Config: `
resource "terraform_data" "tag" {
  input = "v1.2.0"
}
output "values" {
  value = provider::slipway::merge_values(
    { image = { repository = "r", tag = "v1" }, ports = [1, 2], replicas = 2, big = 12345678901234567890, drop = { a = 1 } },
    { image = { tag = terraform_data.tag.output }, ports = [3], replicas = 1000000, drop = null },
    tomap({ extra = "x" }),
  )
}
output "none" {
  value = provider::slipway::merge_values()
}`,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectUnknownOutputValueAtPath("values", tfjsonpath.New("image").AtMapKey("tag")),
					plancheck.ExpectKnownOutputValueAtPath("values", tfjsonpath.New("image").AtMapKey("repository"), knownvalue.StringExact("r")),
					plancheck.ExpectKnownOutputValueAtPath("values", tfjsonpath.New("replicas"), knownvalue.Int64Exact(1000000)),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownOutputValue("values", knownvalue.ObjectExact(map[string]knownvalue.Check{
						"image": knownvalue.ObjectExact(map[string]knownvalue.Check{
							"repository": knownvalue.StringExact("r"), "tag": knownvalue.StringExact("v1.2.0"),
						}),
						"ports":    knownvalue.ListExact([]knownvalue.Check{knownvalue.Int64Exact(3)}),
						"replicas": knownvalue.Int64Exact(1000000),
						"big":      knownvalue.NumberExact(bigFloat(t, "12345678901234567890")),
						"drop":     knownvalue.Null(),
						"extra":    knownvalue.StringExact("x"),
					})),
					statecheck.ExpectKnownOutputValue("none", knownvalue.ObjectExact(map[string]knownvalue.Check{})),
				},
			},
		},
	})
}

// OpenTofu (seen with 1.12.6) does not call a function with a null in a variadic parameter, whatever the parameter allows; the
// documentation of the function says so.
func TestMergeValues_NullLayersUnderTerraform(t *testing.T) {
	needTerraform(t)
	if strings.Contains(os.Getenv("TF_ACC_PROVIDER_HOST"), "opentofu") {
		t.Skip("OpenTofu returns null for any null argument")
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{{
			Config: `output "values" { value = provider::slipway::merge_values({ a = 1 }, null, { b = 2 }) }`,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownOutputValue("values",
					knownvalue.ObjectExact(map[string]knownvalue.Check{"a": knownvalue.Int64Exact(1), "b": knownvalue.Int64Exact(2)})),
			},
		}},
	})
}
