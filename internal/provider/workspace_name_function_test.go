// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

func TestWorkspaceName(t *testing.T) {
	tests := map[string]struct {
		client, stage string
		want          string
		argument      int64 // where want is empty
	}{
		"usual":               {"client-a", "prod", "client-a-prod", 0},
		"digits":              {"2nd", "stage2", "2nd-stage2", 0},
		"no client":           {"", "prod", "", 0},
		"a capital":           {"Client-a", "prod", "", 0},
		"a hyphen at the end": {"client-", "prod", "", 0},
		"a line feed":         {"client-a\n", "prod", "", 0},
		"no stage":            {"client-a", "", "", 1},
		"a hyphen in a stage": {"client-a", "pre-prod", "", 1},
		"both":                {"A", "B", "", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			request := function.RunRequest{
				Arguments: function.NewArgumentsData([]attr.Value{types.StringValue(test.client), types.StringValue(test.stage)}),
			}
			response := function.RunResponse{Result: function.NewResultData(types.StringUnknown())}
			NewWorkspaceNameFunction().Run(t.Context(), request, &response)
			if test.want == "" {
				if response.Error == nil || response.Error.FunctionArgument == nil || *response.Error.FunctionArgument != test.argument {
					t.Errorf("got %+v", response.Error)
				}
				return
			}
			if response.Error != nil || !response.Result.Value().Equal(types.StringValue(test.want)) {
				t.Errorf("got %v, %v", response.Result.Value(), response.Error)
			}
		})
	}
}

func TestWorkspaceName_UnderTerraform(t *testing.T) {
	needTerraform(t)
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{
				Config:      `output "x" { value = provider::slipway::workspace_name("client-a", "pre-prod") }`,
				ExpectError: regexp.MustCompile(`(?s)Invalid value for "stage" parameter: The stage is\s+"pre-prod"`),
			},
			{
				Config:      `output "x" { value = provider::slipway::workspace_name(null, "prod") }`,
				ExpectError: regexp.MustCompile(`(?s)Invalid value for "client" parameter: argument must not be null`),
			},
			{
				Config: `
resource "terraform_data" "stage" {
  input = "prod"
}
output "known" {
  value = provider::slipway::workspace_name("client-a", "prod")
}
output "later" {
  value = provider::slipway::workspace_name("client-a", terraform_data.stage.output)
}`,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectUnknownOutputValue("later")}},
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownOutputValue("known", knownvalue.StringExact("client-a-prod")),
					statecheck.ExpectKnownOutputValue("later", knownvalue.StringExact("client-a-prod")),
				},
			},
		},
	})
}
