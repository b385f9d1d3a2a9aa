// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

func TestRelease_NameThatIsNotKnownYet(t *testing.T) {
	r := newTestRelease(t)
	config := func(name string) string {
		return r.config(`name = terraform_data.name.output`) + "\nresource \"terraform_data\" \"name\" {\n  input = \"" + name + "\"\n}\n"
	}
	unknown := plans(
		plancheck.ExpectUnknownValue(testReleaseAddress, tfjsonpath.New("name")),
		plancheck.ExpectUnknownValue(testReleaseAddress, tfjsonpath.New("objects")),
	)
	named := func(name string) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectKnownValue(testReleaseAddress, tfjsonpath.New("name"), knownvalue.StringExact(name))}
	}
	r.run(
		resource.TestStep{Config: config("first"), ConfigPlanChecks: unknown, ConfigStateChecks: named("first")},
		resource.TestStep{Config: config("second"), ConfigPlanChecks: unknown, ConfigStateChecks: named("second")},
		resource.TestStep{Config: config("second"), ConfigPlanChecks: plans(plancheck.ExpectEmptyPlan())},
	)
}

// Most charts name their objects after the release, so that a name that Kubernetes does not take has to show in the plan.
func TestRelease_ChartNameThatIsNoReleaseName(t *testing.T) {
	r := newTestRelease(t)
	r.writeChart("my_Chart.v2")
	r.run(
		resource.TestStep{Config: r.config(``), PlanOnly: true, ExpectError: regexp.MustCompile(`my_Chart\.v2[\s\S]*Set\s+name`)},
		resource.TestStep{Config: r.config(`name = "fixed"`)},
	)
}

func TestRelease_ChangeOfSensitiveValuesAloneIsShown(t *testing.T) {
	r := newTestRelease(t)
	r.run(
		resource.TestStep{Config: r.config(`sensitive_values = { database = { password = "first" } }`)},
		resource.TestStep{
			Config:           r.config(`sensitive_values = { database = { password = "second" } }`),
			ConfigPlanChecks: plans(says("sensitive_values changed (sensitive value)")),
		},
	)
}
