// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

const historyAddress = "data.slipway_release_history.app"

func historyIs(at tfjsonpath.Path, want knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(historyAddress, at, want)
}

func TestReleaseHistory_ListsRevisionsNewestFirst(t *testing.T) {
	r := newTestRelease(t)
	revisions := tfjsonpath.New("revisions")
	history := func(body, name string, limit int) string {
		text := r.config(body) + fmt.Sprintf(`
data "slipway_release_history" "app" {
  environment = slipway_environment.this
  name        = %q
  depends_on  = [slipway_release.app]
`, name)
		if limit > 0 {
			text += fmt.Sprintf("  limit = %d\n", limit)
		}
		return text + "}\n"
	}
	const secret = `sensitive_values = { database = { password = "canary-history" } }
  `
	r.run(
		resource.TestStep{
			Config: history(secret+`version = "v1.1.1"`, "plain", 0),
			ConfigStateChecks: []statecheck.StateCheck{
				historyIs(revisions, knownvalue.ListSizeExact(1)),
				historyIs(revisions.AtSliceIndex(0), knownvalue.ObjectPartial(map[string]knownvalue.Check{
					"revision": knownvalue.Int64Exact(1), "version": knownvalue.StringExact("v1.1.1"), "kind": knownvalue.StringExact("install"),
					"outcome": knownvalue.StringExact("passed"), "current": knownvalue.Bool(true), "known_good": knownvalue.Bool(true),
					"status": knownvalue.StringExact("deployed"), "reason": knownvalue.Null(), "restored": knownvalue.Null(),
					"started": knownvalue.NotNull(), "finished": knownvalue.NotNull(),
				})),
			},
		},
		resource.TestStep{Config: history(secret+`version = "v1.2.0"`, "plain", 0)},
		resource.TestStep{
			Config: history(secret+`version = "v1.2.0"`, "plain", 1),
			ConfigStateChecks: []statecheck.StateCheck{
				historyIs(revisions, knownvalue.ListSizeExact(1)),
				historyIs(revisions.AtSliceIndex(0).AtMapKey("version"), knownvalue.StringExact("v1.2.0")),
				historyIs(revisions.AtSliceIndex(0).AtMapKey("kind"), knownvalue.StringExact("upgrade")),
			},
		},
		resource.TestStep{
			Config:            history(secret+`version = "v1.2.0"`, "is-not-there", 0),
			ConfigStateChecks: []statecheck.StateCheck{historyIs(revisions, knownvalue.ListSizeExact(0))},
		},
	)
}

func TestReleaseHistory_IsGuardedLikeResources(t *testing.T) {
	r := newTestRelease(t)
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: []resource.TestStep{{
		Config: testProvider(t, "client-b-prod") + fmt.Sprintf(`
data "slipway_release_history" "app" {
  environment = { client = %q, stage = "prod", cluster = { context = %q }, namespace = { name = %q } }
  name        = "plain"
}
`, r.client, testContext(t), r.namespace),
		ExpectError: errorText("must not touch client"),
	}}})
}

func TestDataHandle_HasEveryPartOfTheHandle(t *testing.T) {
	var resp datasource.SchemaResponse
	NewReleaseHistoryDataSource().Schema(context.Background(), datasource.SchemaRequest{}, &resp)
	of := resp.Schema.Attributes["environment"].GetType()
	if want := handleAttribute().GetType(); !of.Equal(want) {
		t.Errorf("the handle of data sources is %s, want %s", of, want)
	}
	if diags := resp.Schema.ValidateImplementation(context.Background()); diags.HasError() {
		t.Error(diags)
	}
}
