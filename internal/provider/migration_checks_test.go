// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testChecks are files of check and validate, next to the migrations.
type testChecks struct {
	*testMigration
	checks string
}

func newTestChecks(t *testing.T) *testChecks {
	t.Helper()
	return &testChecks{testMigration: newTestMigration(t), checks: t.TempDir()}
}

func (c *testChecks) writeCheck(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.checks, name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// both are the arguments with before.sql and after.sql.
func (c *testChecks) both() string {
	return fmt.Sprintf("check = [%q]\n validate = [%q]\n", filepath.Join(c.checks, "before.sql"), filepath.Join(c.checks, "after.sql"))
}

func plansPending(address string, want knownvalue.Check) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectKnownValue(address, tfjsonpath.New("pending"), want)}}
}

func validatedState(address string, files ...string) []statecheck.StateCheck {
	return []statecheck.StateCheck{
		statecheck.ExpectKnownValue(address, tfjsonpath.New("applied"), appliedKeys(files...)),
		statecheck.ExpectKnownValue(address, tfjsonpath.New("phases"), appliedKeys("validate")),
	}
}

func TestMigration_ChecksBeforeAndValidatesAfterInAJob(t *testing.T) {
	t.Parallel()
	c := newTestChecks(t)
	c.write(map[string]string{"00001_orders.sql": createOrders})
	c.writeCheck("before.sql", "SELECT true;\nSELECT count(*) > 0 FROM pg_database WHERE datname = 'missing';\n")
	c.writeCheck("after.sql", "SELECT to_regclass('orders') IS NOT NULL;\n")
	config := c.config(c.block(kindExpand, c.both()))
	empty := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	c.run(
		resource.TestStep{ // line, statement and answer; nothing was run
			Config:      config,
			ExpectError: errorText("none of them was run"),
		},
		resource.TestStep{
			PreConfig: func() {
				c.nothingLeft()
				c.query("t", "SELECT to_regclass('orders') IS NULL")
				c.writeCheck("before.sql", "CREATE TABLE made AS SELECT true;\n")
			},
			Config:      config,
			ExpectError: errorText("checks may only read"),
		},
		resource.TestStep{
			PreConfig: func() {
				c.query("t", "SELECT to_regclass('made') IS NULL AND to_regclass('orders') IS NULL")
				c.writeCheck("before.sql", "SELECT to_regclass('made') IS NULL;\n")
			},
			Config:            config,
			ConfigStateChecks: validatedState(expandAddress, "00001_orders.sql"),
		},
		resource.TestStep{Config: config, ConfigPlanChecks: empty},
		resource.TestStep{ // what is applied is recorded, although the validation does not hold
			PreConfig: func() {
				c.write(map[string]string{"00002_index.sql": indexOrders})
				c.writeCheck("after.sql", "SELECT true;\n\nSELECT to_regclass('elsewhere') IS NOT NULL;\n")
			},
			Config:           config,
			ConfigPlanChecks: plansPending(expandAddress, listOf("00002_index.sql", "validate")),
			ExpectError:      errorText("All migrations are applied and recorded, but their validation did not succeed"),
		},
		resource.TestStep{ // the validation alone is left: a check that does not hold any more is not asked
			PreConfig: func() {
				c.nothingLeft()
				c.query("t", "SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_legacy'::regclass")
			},
			Config:           config,
			ConfigPlanChecks: plansPending(expandAddress, listOf("validate")),
			ExpectError:      errorText("after.sql:3: SELECT to_regclass('elsewhere') IS NOT NULL row 1 is not true but [false]"),
		},
		resource.TestStep{
			PreConfig: func() {
				c.writeCheck("before.sql", "SELECT false;\n")
				c.writeCheck("after.sql", "SELECT to_regclass('orders_legacy') IS NOT NULL;\n")
			},
			Config:            config,
			ConfigPlanChecks:  plansPending(expandAddress, listOf("validate")),
			ConfigStateChecks: validatedState(expandAddress, "00001_orders.sql", "00002_index.sql"),
		},
		resource.TestStep{Config: config, ConfigPlanChecks: empty},
		resource.TestStep{ // what is no SQL stops the plan, where it would run
			PreConfig:   func() { c.writeCheck("after.sql", "SELECT true;\nSELEKT true;\n") },
			Config:      config,
			PlanOnly:    true,
			ExpectError: errorText("line 2: PostgreSQL's grammar does not accept the statement"),
		},
	)
}

func TestMigration_ChecksFromTheProvidersProcess(t *testing.T) {
	t.Parallel()
	c := newTestChecks(t)
	c.write(map[string]string{"00001_orders.sql": createOrders})
	c.writeCheck("before.sql", "SELECT false;\n")
	c.writeCheck("after.sql", "SELECT to_regclass('elsewhere') IS NOT NULL;\n")
	config := c.config(c.block(kindExpand, direct+c.both()))
	c.run(
		resource.TestStep{Config: config, ExpectError: errorText("before.sql:1: SELECT false")},
		resource.TestStep{
			PreConfig: func() {
				c.query("t", "SELECT to_regclass('orders') IS NULL")
				c.writeCheck("before.sql", "SELECT true;\n")
			},
			Config: config, ExpectError: errorText("after.sql:1: SELECT to_regclass('elsewhere') IS NOT NULL"),
		},
		resource.TestStep{ // the record is there, so that nothing is run again
			PreConfig: func() {
				c.query("t", "SELECT to_regclass('orders') IS NOT NULL")
				c.writeCheck("before.sql", "SELECT false;\n")
				c.writeCheck("after.sql", "SELECT to_regclass('orders') IS NOT NULL;\n")
			},
			Config: config, ConfigStateChecks: validatedState(expandAddress, "00001_orders.sql"),
		},
		resource.TestStep{Config: config, PlanOnly: true},
		resource.TestStep{ // without them again, there are no phases
			Config: c.config(c.block(kindExpand, direct)),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(expandAddress, tfjsonpath.New("phases"), knownvalue.Null()),
				statecheck.ExpectKnownValue(expandAddress, tfjsonpath.New("checks"), knownvalue.Null()),
			},
		},
		resource.TestStep{Config: c.config(c.block(kindExpand, direct)), PlanOnly: true},
	)
}

// A contract migration that waits is not validated, and plans no change; a validation alone waits for no gate and is no step behind which
// there is no rollback.
func TestMigration_AValidationAloneWaitsForNoGate(t *testing.T) {
	t.Parallel()
	c := newTestChecks(t)
	c.query("CREATE TABLE", "CREATE TABLE orders (id bigint PRIMARY KEY, legacy text)")
	c.write(map[string]string{"00001_drop.sql": dropLegacy})
	const gone = "SELECT count(*) = 0 FROM information_schema.columns WHERE column_name = 'legacy';\n"
	c.writeCheck("before.sql", "SELECT true;\n")
	c.writeCheck("after.sql", gone)
	const address = "slipway_migration.contract"
	config := c.config(c.block(kindContract, direct+c.both()+"safe_after = \"v1.1.0\"\n"))
	since := func() string {
		record, err := testKubernetes(t).CoreV1().ConfigMaps(c.namespace).Get(t.Context(), "slipway-migration-contract", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return record.Annotations["slipway.dev/irreversible-since"]
	}
	annotated := ""
	c.run(
		resource.TestStep{Config: c.config()},
		resource.TestStep{
			PreConfig: func() { c.oldPod() },
			Config:    config,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("pending"), listOf("00001_drop.sql", "validate")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("blocked_by"), listOf("Pod/old is of version v1.0.0, before v1.1.0")),
			},
		},
		resource.TestStep{
			Config:           config,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
		resource.TestStep{
			PreConfig: func() {
				c.removeOldPod()
			},
			Config: config, ConfigStateChecks: validatedState(address, "00001_drop.sql"),
		},
		resource.TestStep{
			PreConfig: func() {
				if annotated = since(); annotated == "" {
					t.Error("the annotation for rollbacks is missing")
				}
				c.oldPod()
				c.writeCheck("after.sql", gone+"SELECT true;\n")
			},
			Config:            config,
			ConfigPlanChecks:  plansPending(address, listOf("validate")),
			ConfigStateChecks: validatedState(address, "00001_drop.sql"),
		},
		resource.TestStep{
			PreConfig: func() {
				if now := since(); now != annotated {
					t.Errorf("the annotation was set anew: %s, then %s", annotated, now)
				}
				c.removeOldPod()
			},
			Config: config, PlanOnly: true,
		},
	)
	c.query("0", "SELECT count(*) FROM information_schema.columns WHERE column_name = 'legacy'")
}

// oldPod is of a version that a contract migration waits for.
func (m *testMigration) oldPod() {
	m.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "old", Labels: map[string]string{labelAppVersion: "v1.0.0"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.company.com/nowhere:v1.0.0"}}},
	}
	if _, err := testKubernetes(m.t).CoreV1().Pods(m.namespace).Create(m.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *testMigration) removeOldPod() {
	m.t.Helper()
	if err := testKubernetes(m.t).CoreV1().Pods(m.namespace).Delete(m.t.Context(), "old",
		metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		m.t.Fatal(err)
	}
	m.gone("old")
}

func TestMigration_ChecksAreForSQLFiles(t *testing.T) {
	t.Parallel()
	client, namespace := testClient(t)
	c := &testMigration{t: t, client: client, namespace: namespace}
	block := func(argument string) string {
		return c.config(fmt.Sprintf(`
resource "slipway_migration" "expand" {
  environment = slipway_environment.this
  kind        = "expand"
  image       = "registry.company.com/tool:v1"
  %s          = ["a.sql"]
  commands    = { version = "v1", run = ["tool"] }
}
`, argument))
	}
	var steps []resource.TestStep
	for _, argument := range strings.Fields("check validate") {
		steps = append(steps, resource.TestStep{Config: block(argument), PlanOnly: true, ExpectError: errorText(argument + " is for SQL files")})
	}
	c.run(steps...)
}
