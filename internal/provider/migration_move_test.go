// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

func TestMigrationAndDatabase_MoveToAnotherClusterOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	d := newTestDatabase(t)
	d.write(map[string]string{"00001_orders.sql": createOrders})
	api := newTestAPI(t)
	allowed := fmt.Sprintf("allow_cluster_move = %q\n", fakeUID)
	config := func(database, migration string) string {
		return api.provider(d.client+"-prod") + environmentBlock(d.client, "proxied", fmt.Sprintf("{ name = %q }", d.namespace),
			unprotected+allowed) +
			d.database("deletion_protection = false\n"+database) + d.block(kindExpand, direct+"depends_on = [slipway_database.this]\n"+migration)
	}
	moved := func(address string) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, tfjsonpath.New("cluster_uid"), knownvalue.StringExact(fakeUID))
	}
	d.run(
		resource.TestStep{Config: config("", "")},
		resource.TestStep{
			PreConfig: func() { api.another.Store(true) }, Config: config("", allowed), ExpectError: errorText("Cannot plan database " + d.name),
		},
		resource.TestStep{Config: config(allowed, ""), ExpectError: errorText("Cannot plan migration expand")},
		resource.TestStep{
			Config: config(allowed, allowed),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(databaseAddress, plancheck.ResourceActionUpdate),
				plancheck.ExpectResourceAction(expandAddress, plancheck.ResourceActionUpdate),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				moved(databaseAddress), moved(expandAddress),
				statecheck.ExpectKnownValue(expandAddress, tfjsonpath.New("applied"), appliedKeys("00001_orders.sql")),
			},
		},
		resource.TestStep{Config: config(allowed, allowed), PlanOnly: true},
	)
	d.query("1", "SELECT count(*) FROM goose_db_version WHERE version_id = 1")
}
