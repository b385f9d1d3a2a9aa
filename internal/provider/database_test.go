// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const databaseAddress = "slipway_database.this"

// testDatabase is a client with a server of its own and the variable with its administrator's password.
type testDatabase struct {
	*testMigration
	name, variable string
}

func newTestDatabase(t *testing.T) *testDatabase {
	t.Helper()
	m := newTestMigration(t)
	d := &testDatabase{
		testMigration: m,
		name:          m.client + "-prod-db",
		variable:      "PASSWORD_" + strings.ToUpper(strings.ReplaceAll(m.client, "-", "_")),
	}
	d.export(true)
	t.Cleanup(func() { d.export(false) })
	return d
}

// export sets or unsets the variable, whose name no other test has.
func (d *testDatabase) export(set bool) {
	d.t.Helper()
	err := os.Unsetenv(d.variable)
	if set {
		err = os.Setenv(d.variable, d.server.Password) //nolint:usetesting // The test runs in parallel with others.
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *testDatabase) database(extra string) string {
	return fmt.Sprintf(`
resource "slipway_database" "this" {
  environment = slipway_environment.this
  server      = { host = %q, port = %d, sslmode = "disable", admin_password_variable = %q }
  %s
}
`, d.server.Address, d.server.Port, d.variable, extra)
}

func (d *testDatabase) migrations() string {
	return fmt.Sprintf(`
resource "slipway_migration" "expand" {
  environment        = slipway_environment.this
  directory          = %q
  kind               = "expand"
  credentials_secret = { name = slipway_database.this.owner_secret, key = "DATABASE_URL" }
}
`, d.dir)
}

// login opens a session as a Secret says.
func (d *testDatabase) login(secret string) *pgx.Conn {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.secret(secret)["DATABASE_URL"])
	if err != nil {
		d.t.Fatalf("as %s: %v", secret, err)
	}
	return conn
}

func (d *testDatabase) secret(name string) map[string]string {
	d.t.Helper()
	live, err := testKubernetes(d.t).CoreV1().Secrets(d.namespace).Get(d.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		d.t.Fatal(err)
	}
	out := map[string]string{}
	for key, value := range live.Data {
		out[key] = string(value)
	}
	return out
}

// insert writes a record as the application.
func (d *testDatabase) insert() {
	d.t.Helper()
	conn := d.login(d.name + "-app")
	if _, err := conn.Exec(d.t.Context(), "INSERT INTO orders VALUES ((SELECT count(*) FROM orders))"); err != nil {
		d.t.Error(err)
	}
	if err := conn.Close(d.t.Context()); err != nil {
		d.t.Error(err)
	}
}

// hidden demands that no password is in the state.
type hidden struct{ d *testDatabase }

// CheckState implements statecheck.StateCheck.
func (h hidden) CheckState(_ context.Context, req statecheck.CheckStateRequest, resp *statecheck.CheckStateResponse) {
	text, err := json.Marshal(req.State)
	if err != nil {
		resp.Error = err
		return
	}
	for _, password := range []string{
		h.d.server.Password, h.d.secret(h.d.name + "-app")["DB_PASSWORD"], h.d.secret(h.d.name + "-owner")["DB_PASSWORD"],
	} {
		if password == "" || bytes.Contains(text, []byte(password)) {
			resp.Error = fmt.Errorf("a password is in the state, or there is none")
		}
	}
}

func TestDatabase_LivesFromCreateToDestroy(t *testing.T) {
	t.Parallel()
	d := newTestDatabase(t)
	d.write(map[string]string{"00001_orders.sql": createOrders, "00002_index.sql": indexOrders})
	database := d.database(`extensions = ["pgcrypto"]`)
	action := func(a plancheck.ResourceActionType) resource.ConfigPlanChecks {
		return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(databaseAddress, a)}}
	}
	noDrift := []statecheck.StateCheck{hidden{d}, statecheck.ExpectKnownValue(databaseAddress, tfjsonpath.New("drift"), knownvalue.Null())}
	changed := d.database("extensions = [\"pgcrypto\"]\n connection_limit = 20\n password_version = 2")
	unprotectedDatabase := d.database("extensions = [\"pgcrypto\"]\n connection_limit = 20\n password_version = 2\n" +
		" deletion_protection = false")
	before := ""
	d.run(
		resource.TestStep{
			Config:            d.config(database, d.migrations()),
			ConfigStateChecks: noDrift,
		},
		resource.TestStep{ // the plan needs no password of the administrator
			PreConfig:        func() { d.insert(); d.export(false) },
			Config:           d.config(database, d.migrations()),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
		resource.TestStep{ // nor does a server that is away change the state
			PreConfig: func() {
				if err := d.server.Stop(); err != nil {
					t.Fatal(err)
				}
			},
			Config:           d.config(database, d.migrations()),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
		resource.TestStep{
			PreConfig: func() {
				if err := d.server.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				d.export(true)
				d.query("GRANT", fmt.Sprintf("GRANT CONNECT ON DATABASE %q TO PUBLIC", d.name))
			},
			Config:            d.config(database, d.migrations()),
			ConfigPlanChecks:  action(plancheck.ResourceActionUpdate),
			ConfigStateChecks: noDrift,
		},
		resource.TestStep{
			PreConfig:         func() { before = d.secret(d.name + "-app")["DB_PASSWORD"] },
			Config:            d.config(changed, d.migrations()),
			ConfigPlanChecks:  action(plancheck.ResourceActionUpdate),
			ConfigStateChecks: noDrift,
		},
		resource.TestStep{
			PreConfig: func() {
				if d.secret(d.name + "-app")["DB_PASSWORD"] == before {
					t.Error("the password is the old one")
				}
				d.insert()
				d.query("20", fmt.Sprintf("SELECT datconnlimit FROM pg_database WHERE datname = '%s'", d.name))
			},
			Config:       d.config(changed, d.migrations()),
			ResourceName: databaseAddress, ImportState: true, ImportStateVerify: true,
			ImportStateIdFunc:       func(*terraform.State) (string, error) { return testContext(t) + "/" + d.namespace + "/" + d.name, nil },
			ImportStateVerifyIgnore: []string{"server", "pods", "environment", "connection_limit"},
		},
		resource.TestStep{
			Config:      d.config(strings.Replace(changed, "extensions", "name = \"other\"\nextensions", 1), d.migrations()),
			PlanOnly:    true,
			ExpectError: errorText("Cannot change the name of database " + d.name),
		},
		resource.TestStep{
			Config:      d.config(),
			ExpectError: errorText("is protected against deletion"),
		},
		resource.TestStep{ // lifting the protection needs no server
			PreConfig:        func() { d.export(false) },
			Config:           d.config(unprotectedDatabase, d.migrations()),
			ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
		resource.TestStep{
			Config:      d.config(),
			ExpectError: errorText("The password of the administrator \"postgres\" is not known."),
		},
		resource.TestStep{
			PreConfig: func() { d.export(true) },
			Config:    d.config(),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(databaseAddress, plancheck.ResourceActionDestroy),
			}},
		},
	)
	d.query("0", fmt.Sprintf("SELECT (SELECT count(*) FROM pg_database WHERE datname = '%[1]s') + (SELECT count(*) FROM pg_roles "+
		"WHERE rolname LIKE '%[1]s%%')", d.name))
}

func TestDatabase_TakesItsPlaceFromTheEnvironmentAndThePasswordFromTheConfiguration(t *testing.T) {
	t.Parallel()
	d := newTestDatabase(t)
	d.name = "client-a-db"
	environment := environmentConfig(t, d.client, d.namespace,
		fmt.Sprintf("%s\n database = { host = %q, port = %d, name = %q }", unprotected, d.server.Address, d.server.Port, d.name))
	database := fmt.Sprintf(`
variable "password" {
  type      = string
  ephemeral = true
  default   = %q
}

resource "slipway_database" "this" {
  environment         = slipway_environment.this
  server              = { sslmode = "disable", admin_password_variable = %q }
  admin_password_wo   = var.password
  deletion_protection = false
  pods                = { host = "postgres.internal" }
}
`, d.server.Password, d.variable)
	d.run(
		resource.TestStep{
			PreConfig:         func() { d.export(false) },
			Config:            environment + database,
			ConfigStateChecks: []statecheck.StateCheck{hidden{d}},
		},
		resource.TestStep{
			PreConfig: func() {
				want := fmt.Sprintf("@postgres.internal:%d/client-a-db?sslmode=disable", d.server.Port)
				if url := d.secret("client-a-db-app")["DATABASE_URL"]; !strings.HasSuffix(url, want) {
					t.Error("the Secret names another place for pods")
				}
				// Another user drops it.
				d.query("DROP DATABASE", `DROP DATABASE "client-a-db"`)
			},
			Config: environment + database,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(databaseAddress, plancheck.ResourceActionCreate),
			}},
		},
		resource.TestStep{
			PreConfig: func() { d.export(true) },
			Config:    environment,
		},
	)
}

func TestDatabase_WhatCannotBeMadeStopsThePlan(t *testing.T) {
	t.Parallel()
	d := newTestDatabase(t)
	d.query("CREATE ROLE", fmt.Sprintf(`CREATE ROLE "%s-owner"`, d.name))
	d.query("COMMENT",
		fmt.Sprintf(`COMMENT ON ROLE "%s-owner" IS 'Managed by Slipway: {"client":"client-z","stage":"prod","database":"%[1]s"}'`, d.name))
	d.query("CREATE DATABASE", "CREATE DATABASE somebodys")
	refused := func(database, text string) resource.TestStep {
		return resource.TestStep{Config: d.config(database), PlanOnly: true, ExpectError: errorText(text)}
	}
	d.run(
		refused(d.database(""), `does not belong to `+d.client+`/prod`),
		refused(d.database("adopt = true"), `does not belong to `+d.client+`/prod`),
		refused(d.database(`name = "somebodys"`), `The database "somebodys" exists already.`),
		refused(d.database(`name = "Client A"`), `Not a name`),
		refused(d.database(`owner_role = "pg_owner"`), `Not a name`),
		refused(d.database("owner_secret = \"one\"\n app_secret = \"one\""), `One name for two things`),
		refused(strings.Replace(d.database(""), `"disable"`, `"prefer"`, 1), `value must be one of`),
		refused(strings.Replace(d.database(""), `sslmode = "disable"`, `ca_certificate = "no"`, 1), `Not a certificate`),
		refused(strings.Replace(d.database(""), fmt.Sprintf("host = %q, ", d.server.Address), "", 1), `It is not said where the server is`),
	)
}
