// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// holds opens a session that holds something until the function that it returns is called.
func (m *testMigration) holds(sql string) (unlock func()) {
	m.t.Helper()
	conn, err := pgx.Connect(m.t.Context(), m.server.URL("postgres"))
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := conn.Exec(m.t.Context(), sql); err != nil {
		m.t.Fatal(err)
	}
	closed := false
	unlock = func() {
		if !closed {
			closed = true
			if err := conn.Close(context.WithoutCancel(m.t.Context())); err != nil {
				m.t.Error(err)
			}
		}
	}
	m.t.Cleanup(unlock)
	return unlock
}

// whenWaiting runs something once, as soon as a statement of a migration waits for a lock.
func (m *testMigration) whenWaiting(do func(ctx context.Context, session string) error) (done chan error) {
	ctx, done := m.t.Context(), make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			waiting, err := m.server.Psql(ctx, "postgres",
				"SELECT pid FROM pg_stat_activity WHERE application_name = 'slipway-migrate' AND wait_event_type = 'Lock'")
			if err == nil && waiting != "" {
				done <- do(ctx, waiting)
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
		done <- ctx.Err()
	}()
	return done
}

// sessionEnded returns when the session that waited for a lock has ended, with the runner whose it was.
func (m *testMigration) sessionEnded(ctx context.Context, pid string) error {
	for {
		there, err := m.server.Psql(ctx, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE pid = "+pid)
		if err != nil || there == "0" {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// deletePods deletes the pods of the client. At once is what happens to those of a node that is lost: nobody asks them to end.
func (m *testMigration) deletePods(ctx context.Context, atOnce bool) error {
	options := metav1.DeleteOptions{}
	if atOnce {
		options.GracePeriodSeconds = new(int64(0))
	}
	pods := testKubernetes(m.t).CoreV1().Pods(m.namespace)
	list, err := pods.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(list.Items) != 1 {
		return fmt.Errorf("there are %d pods", len(list.Items))
	}
	return pods.Delete(ctx, list.Items[0].Name, options)
}

const (
	lockedAll   = "-- +goose Up\nCREATE TABLE locked (id bigint PRIMARY KEY);\nSELECT pg_advisory_xact_lock(1);\n"
	lockedAlone = "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE TABLE locked (id bigint PRIMARY KEY);\n" +
		"INSERT INTO locked VALUES (1);\nSELECT pg_advisory_xact_lock(1);\nCREATE INDEX CONCURRENTLY locked_id ON locked (id);\n"
)

// The Pod of a Job ends in the middle of a statement. Another one resumes, and nothing is done twice.
func TestMigration_ItsPodIsLost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("short mode: the program that drives the provider makes no difference to this")
	}
	for name, test := range map[string]struct {
		file   string
		atOnce bool
		ends   bool // what it waits for, at the same time
	}{
		"asked to end, in a transaction":          {lockedAll, false, false},
		"asked to end, when it ends by itself":    {lockedAll, false, true},
		"lost with its node, in a transaction":    {lockedAll, true, false},
		"lost with its node, without transaction": {lockedAlone, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newTestMigration(t)
			m.write(map[string]string{
				"00001_first.sql": "-- +goose Up\nCREATE TABLE first (id bigint PRIMARY KEY);\n", "00002_locked.sql": test.file,
			})
			unlock := m.holds("SELECT pg_advisory_lock(1)")
			lost := m.whenWaiting(func(ctx context.Context, session string) error {
				defer unlock()
				err := m.deletePods(ctx, test.atOnce)
				if err == nil && !test.ends {
					err = m.sessionEnded(ctx, session)
				}
				return err
			})
			m.run(resource.TestStep{
				Config: m.config(m.block(kindExpand, "lock_timeout = \"2m\"")),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(expandAddress, tfjsonpath.New("applied"), appliedKeys("00001_first.sql", "00002_locked.sql")),
				},
			})
			if err := <-lost; err != nil {
				t.Errorf("no pod was lost in the middle of its work: %v", err)
			}
			m.query("0,1,2", "SELECT string_agg(version_id::text, ',' ORDER BY id) FROM goose_db_version")
			if test.file == lockedAlone {
				m.query("1t",
					"SELECT count(*) || (SELECT left(indisvalid::text, 1) FROM pg_index WHERE indexrelid = 'locked_id'::regclass) FROM locked")
			}
		})
	}
}

// Another user deletes the Job while it runs: the apply says so, and the next one resumes.
func TestMigration_ItsJobIsDeleted(t *testing.T) {
	if testing.Short() {
		t.Skip("short mode: the program that drives the provider makes no difference to this")
	}
	t.Parallel()
	m := newTestMigration(t)
	m.write(map[string]string{"00001_first.sql": "-- +goose Up\nCREATE TABLE first (id bigint PRIMARY KEY);\n", "00002_locked.sql": lockedAll})
	unlock := m.holds("SELECT pg_advisory_lock(1)")
	deleted := m.whenWaiting(func(ctx context.Context, _ string) error {
		background := metav1.DeletePropagationBackground
		return testKubernetes(t).BatchV1().Jobs(m.namespace).DeleteCollection(ctx, metav1.DeleteOptions{PropagationPolicy: &background},
			metav1.ListOptions{})
	})
	config := m.config(m.block(kindExpand, "lock_timeout = \"2m\""))
	m.run(
		resource.TestStep{Config: config, ExpectError: errorText("another user or program deleted the Job while it ran")},
		resource.TestStep{
			PreConfig: func() {
				if err := <-deleted; err != nil {
					t.Error(err)
				}
				m.query("f", "SELECT to_regclass('locked') IS NOT NULL")
				unlock()
			},
			Config: config,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(expandAddress, tfjsonpath.New("applied"), appliedKeys("00001_first.sql", "00002_locked.sql")),
			},
		},
		resource.TestStep{ // it has removed its own Job, as a TTL would: that is no drift
			PreConfig: m.nothingLeft, Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
	)
}

// Another session holds a lock on a table: the migration gives way, again and again, and the user sees it. When it is free, the next
// apply resumes.
func TestMigration_ReportsALockOfAnotherSession(t *testing.T) {
	if testing.Short() {
		t.Skip("short mode: the program that drives the provider makes no difference to this")
	}
	t.Parallel()
	m := newTestMigration(t)
	m.query("CREATE TABLE", "CREATE TABLE orders (id bigint PRIMARY KEY)")
	m.write(map[string]string{"00002_note.sql": "-- +goose Up\nALTER TABLE orders ADD COLUMN note text;\n"})
	unlock := m.holds("BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE")
	block := func(timeout string) string {
		return m.config(m.block(kindExpand, fmt.Sprintf("lock_timeout = \"100ms\"\n timeouts = { create = %q }\n", timeout)))
	}
	m.run(
		resource.TestStep{Config: block("15s"), ExpectError: errorText("a lock was not to be had; trying again")},
		resource.TestStep{
			PreConfig: unlock, Config: block("2m"),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(expandAddress, tfjsonpath.New("applied"), appliedKeys("00002_note.sql")),
			},
		},
	)
}

func TestMigration_ResumesInAFileWithoutTransaction(t *testing.T) {
	t.Parallel()
	m := newTestMigration(t)
	file := func(second string) map[string]string {
		return map[string]string{"00001_many.sql": "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE TABLE one (id bigint PRIMARY KEY);\n" +
			second + "CREATE INDEX CONCURRENTLY one_id ON one (id);\n"}
	}
	m.write(file("INSERT INTO nowhere VALUES (1);\n"))
	config := m.config(m.block(kindExpand, direct))
	m.run(
		resource.TestStep{Config: config, ExpectError: errorText("00001_many.sql:4 (statement 2 of 3)")},
		resource.TestStep{
			PreConfig: func() {
				m.query("t", "SELECT to_regclass('one') IS NOT NULL")
				m.write(file("INSERT INTO one VALUES (1);\n"))
			},
			Config: config, // which would fail at CREATE TABLE, were it not known that it is done
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(expandAddress, tfjsonpath.New("applied"), appliedKeys("00001_many.sql")),
			},
		},
	)
	m.query("1t", "SELECT count(*) || (SELECT left(indisvalid::text, 1) FROM pg_index WHERE indexrelid = 'one_id'::regclass) FROM one")
}

// A database whose schema is there already, and a contract migration that waits until the release has been good for long enough.
func TestMigration_BaselineAndSoak(t *testing.T) {
	t.Parallel()
	m := newTestMigration(t)
	m.query("CREATE TABLE", "CREATE TABLE orders (id bigint PRIMARY KEY, legacy text)")
	m.write(map[string]string{
		"00001_orders.sql": createOrders,
		"00002_more.sql":   "-- +goose Up\nCREATE TABLE more (id bigint PRIMARY KEY);\n",
		"00009_drop.sql":   dropLegacy,
	})
	const contract = "slipway_migration.contract"
	config := func(soak string) string {
		return m.config(m.block(kindExpand, direct+"baseline = 1\n"),
			m.block(kindContract, direct+fmt.Sprintf("safe_after = \"v1.1.0\"\n soak = %q\n depends_on = [slipway_migration.expand]\n", soak)))
	}
	m.run(
		resource.TestStep{Config: m.config()},
		resource.TestStep{
			PreConfig: func() {
				record := m.releaseRecord(fmt.Sprintf(`[{"version":"v1.1.0","at":%q}]`, time.Now().UTC().Format(time.RFC3339)))
				if _, err := testKubernetes(t).CoreV1().ConfigMaps(m.namespace).Create(t.Context(), record, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config("24h"),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(expandAddress, tfjsonpath.New("applied"), appliedKeys("00001_orders.sql", "00002_more.sql")),
				statecheck.ExpectKnownValue(contract, tfjsonpath.New("blocked_by").AtSliceIndex(0), knownvalue.StringFunc(func(text string) error {
					if !strings.HasPrefix(text, "release app has to hold until") {
						return fmt.Errorf("it waits for something else: %s", text)
					}
					return nil
				})),
			},
		},
		resource.TestStep{
			PreConfig: func() {
				m.query("1baseline,2applied", "SELECT string_agg(version || state, ',' ORDER BY version) FROM slipway_migration_ledger")
			},
			Config: config("1ms"),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(contract, tfjsonpath.New("applied"), appliedKeys("00009_drop.sql")),
			},
		},
		resource.TestStep{ // the record is lost while the gate is closed: what was applied is not forgotten, nor the annotation for rollbacks
			PreConfig: func() {
				maps := testKubernetes(t).CoreV1().ConfigMaps(m.namespace)
				if err := maps.Delete(t.Context(), "slipway-migration-contract", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				if _, err := maps.Update(t.Context(), m.releaseRecord(`[{"version":"v1.0.0"}]`), metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config("1ms"),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(contract, tfjsonpath.New("applied"), appliedKeys("00009_drop.sql")),
				statecheck.ExpectKnownValue(contract, tfjsonpath.New("blocked_by"), knownvalue.Null()),
			},
		},
		resource.TestStep{
			PreConfig: func() {
				record, err := testKubernetes(t).CoreV1().ConfigMaps(m.namespace).Get(t.Context(), "slipway-migration-contract", metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if record.Annotations["slipway.dev/irreversible-since"] == "" || record.Annotations["slipway.dev/irreversible-safe-after"] != "v1.1.0" {
					t.Error("the annotation for rollbacks is not there again")
				}
			},
			Config: config("1ms"), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
	)
	m.query("0", "SELECT count(*) FROM information_schema.columns WHERE column_name = 'legacy'")
}

// A contract migration runs nothing where no file is for it.
func TestMigration_ContractTakesContractFilesOnly(t *testing.T) {
	t.Parallel()
	m := newTestMigration(t)
	m.write(map[string]string{"00001_orders.sql": createOrders})
	const contract = "slipway_migration.contract"
	config := m.config(m.block(kindContract, direct+"safe_after = \"v1.1.0\"\n"))
	m.run(
		resource.TestStep{Config: config, ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue(contract, tfjsonpath.New("files"), appliedKeys()),
			statecheck.ExpectKnownValue(contract, tfjsonpath.New("applied"), appliedKeys()),
		}},
		resource.TestStep{Config: config, PlanOnly: true},
	)
	m.query("f", "SELECT to_regclass('orders') IS NOT NULL")
}
