// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// session is another session on the database, which ends with the test.
func (d *testDatabase) session() *pgx.Conn {
	d.Helper()
	conn, err := pgx.Connect(d.Context(), server.URL(d.name))
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			d.Error(err)
		}
	})
	return conn
}

func (d *testDatabase) exec(conn *pgx.Conn, sql string) {
	d.Helper()
	if _, err := conn.Exec(d.Context(), sql); err != nil {
		d.Fatal(err)
	}
}

// eventually waits until a query gives a value.
func (d *testDatabase) eventually(sql, want string) {
	d.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := d.sql(sql)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			d.Fatalf("%s: still %q, want %q", sql, got, want)
		}
	}
}

// attempts waits until the runner has waited for a lock so many times: each attempt begins its statement anew.
func (d *testDatabase) attempts(wanted int) error {
	watch, err := pgx.Connect(d.Context(), server.URL(d.name))
	if err != nil {
		return err
	}
	seen := map[time.Time]bool{}
	for deadline := time.Now().Add(20 * time.Second); len(seen) < wanted; time.Sleep(10 * time.Millisecond) {
		var began *time.Time
		err := watch.QueryRow(d.Context(),
			"SELECT max(query_start) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&began)
		switch {
		case err != nil:
			return errors.Join(err, watch.Close(d.Context()))
		case began != nil:
			seen[*began] = true
		case time.Now().After(deadline):
			return errors.Join(fmt.Errorf("%d of %d attempts waited for the lock", len(seen), wanted), watch.Close(d.Context()))
		}
	}
	return watch.Close(d.Context())
}

func commit(session *pgx.Conn) error {
	_, err := session.Exec(context.Background(), "COMMIT")
	return err
}

func TestUp_GivesWayToALockAndRetries(t *testing.T) {
	for name, change := range map[string]*sqlfile.File{
		"in a transaction":      file("00001_add.sql", "CREATE TABLE t (a int);\nALTER TABLE customers ADD COLUMN country text;\n"),
		"without a transaction": alone("00001_add.sql", "CREATE TABLE t (a int);\nALTER TABLE customers ADD COLUMN country text;\n"),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t)
			other := d.session()
			d.exec(other, "BEGIN; SELECT * FROM customers LIMIT 1")
			released := make(chan error, 1)
			go func() {
				// The lock is kept until a second attempt waits for it: however slow the machine is, there was one retry.
				released <- errors.Join(d.attempts(2), commit(other))
			}()
			result := d.mustUp(change)
			if err := <-released; err != nil {
				t.Error(err)
			}
			if result.Retries == 0 {
				t.Error("it did not have to try again")
			}
			d.want("SELECT count(*) FROM information_schema.columns WHERE column_name = 'country'", "1")
		})
	}
}

func TestUp_GivesUpOnALockThatIsNotReleased(t *testing.T) {
	d := newDatabase(t)
	d.exec(d.session(), "BEGIN; SELECT * FROM customers LIMIT 1")
	config := d.config(file("00001_add.sql", "CREATE TABLE t (a int);\nALTER TABLE customers ADD COLUMN country text;\n"))
	config.LockRetries = 2
	result, err := d.open(config).Up(t.Context())
	var failed *StatementError
	if !errors.As(err, &failed) || failed.Code != "55P03" || failed.Index != 1 || result.Retries != 2 {
		t.Errorf("got %v, %+v", err, result)
	}
	d.want("SELECT to_regclass('t') IS NULL", "t")
}

func TestUp_TwoRunnersApplyEachFileOnce(t *testing.T) {
	d := newDatabase(t)
	files := []*sqlfile.File{
		alone("00001_slow.sql",
			"INSERT INTO customers (name) VALUES ('once');\nSELECT pg_sleep(1);\nCREATE INDEX CONCURRENTLY customers_name ON customers (name);\n"),
		file("00002_more.sql", "INSERT INTO customers (name) VALUES ('twice');\n"),
	}
	var group sync.WaitGroup
	results := make([]*Result, 3)
	for i := range results {
		r := d.open(d.config(files...))
		group.Go(func() {
			var err error
			if results[i], err = r.Up(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	applied := 0
	for _, result := range results {
		applied += len(result.Applied)
	}
	if applied != 2 {
		t.Errorf("%d files were applied, want 2", applied)
	}
	d.want("SELECT count(*) FROM customers WHERE name IN ('once', 'twice')", "2")
	d.want("SELECT string_agg(version_id::text, ',' ORDER BY id) FROM goose_db_version", "0,1,2")
}

func TestUp_ReportsTheHolderOfTheLock(t *testing.T) {
	d := newDatabase(t)
	other := d.session()
	d.exec(other, fmt.Sprintf("SET application_name = 'another'; SELECT pg_advisory_lock(%d)", int64(lockID)))
	config := d.config(file("00001_a.sql", "CREATE TABLE a (b int);\n"))
	config.RunnerWait = 100 * time.Millisecond
	_, err := d.open(config).Up(t.Context())
	var busy *BusyError
	if !errors.As(err, &busy) || !strings.Contains(busy.Holder, "another") {
		t.Errorf("got %v", err)
	}
	if report := NewReport("up", nil, err); report.Outcome != Busy || !report.Outcome.Retry() {
		t.Errorf("unexpected report %+v", report)
	}
}

func TestUp_ReplacesTheIndexOfAFailedBuild(t *testing.T) {
	d := newDatabase(t)
	d.sql("INSERT INTO customers (name) VALUES ('same'), ('same')")
	change := alone("00001_unique.sql", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS customers_name ON public.customers (name);\n")
	if _, err := d.up(change); err == nil {
		t.Fatal("no error")
	}
	d.want("SELECT indisvalid FROM pg_index WHERE indexrelid = 'customers_name'::regclass", "f")
	list, err := d.open(d.config(change)).InvalidIndexes(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "customers_name" || list[0].Building {
		t.Errorf("invalid indexes %+v, %v", list, err)
	}
	d.sql("DELETE FROM customers WHERE name = 'same'")
	d.mustUp(change)
	d.want("SELECT indisvalid FROM pg_index WHERE indexrelid = 'customers_name'::regclass", "t")
}

func TestUp_LeavesAnIndexAloneThatAnotherSessionBuilds(t *testing.T) {
	d := newDatabase(t)
	blocker, builder := d.session(), d.session()
	d.exec(blocker, "BEGIN; UPDATE customers SET name = name WHERE id = 1")
	built := make(chan error, 1)
	go func() {
		_, err := builder.Exec(t.Context(), "CREATE INDEX CONCURRENTLY customers_name ON customers (name)")
		built <- err
	}()
	d.eventually("SELECT count(*) FROM pg_stat_progress_create_index WHERE datname = current_database()", "1")
	_, err := d.up(alone("00001_index.sql", "CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_name ON customers (name);\n"))
	if err == nil || !strings.Contains(err.Error(), "being built") {
		t.Errorf("got %v", err)
	}
	d.exec(blocker, "COMMIT")
	if err := <-built; err != nil {
		t.Error(err)
	}
	d.want("SELECT indisvalid FROM pg_index WHERE indexrelid = 'customers_name'::regclass", "t")
}

func TestUp_StopsWhenItIsCanceledAndResumesLater(t *testing.T) {
	d := newDatabase(t)
	slow := file("00002_slow.sql", "CREATE TABLE b (a int);\nSELECT pg_sleep(30);\n")
	ctx, cancel := context.WithCancel(t.Context())
	r := d.open(d.config(file("00001_a.sql", "CREATE TABLE a (b int);\n"), slow))
	go func() {
		d.eventually("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%' AND "+
			"state = 'active'", "1")
		cancel()
	}()
	started := time.Now()
	result, err := r.Up(ctx)
	if err == nil || time.Since(started) > 20*time.Second || result.To != 1 {
		t.Fatalf("got %v after %s, %+v", err, time.Since(started), result)
	}
	if report := NewReport("up", result, err); report.Outcome != Interrupted {
		t.Errorf("the outcome is %s: %v", report.Outcome, err)
	}
	d.want("SELECT to_regclass('b') IS NULL", "t")
	d.eventually("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "0")
}

func TestUp_StopsWhenItsLockIsLost(t *testing.T) {
	d := newDatabase(t)
	r := d.open(d.config(file("00001_slow.sql", "SELECT pg_sleep(60);\n")))
	go func() {
		d.eventually("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%' AND "+
			"state = 'active'", "1")
		d.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
	}()
	started := time.Now()
	_, err := r.Up(t.Context())
	if !errors.Is(err, errLockLost) || time.Since(started) > 30*time.Second {
		t.Errorf("got %v after %s", err, time.Since(started))
	}
	d.want("SELECT count(*) FROM goose_db_version WHERE version_id = 1", "0")
}

// TestUp_CanBeKilledAtAnyStep kills the process at different times, and asks that another run completes the work, each
// statement once.
func TestUp_CanBeKilledAtAnyStep(t *testing.T) {
	if testing.Short() {
		t.Skip("it kills processes for some seconds")
	}
	d := newDatabase(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "slipway-migrate")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../../cmd/slipway-migrate")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	migrations := filepath.Join(dir, "migrations")
	if err := os.Mkdir(migrations, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"00001_add.sql": "-- +goose Up\nALTER TABLE customers ADD COLUMN country text;\nSELECT pg_sleep(0.2);\n",
		"00002_index.sql": "-- +goose NO TRANSACTION\n-- +goose Up\nINSERT INTO customers (name) VALUES ('once');\n" +
			"SELECT pg_sleep(0.2);\nCREATE INDEX CONCURRENTLY customers_name ON customers (name);\n" +
			"INSERT INTO customers (name) VALUES ('also once');\nDROP INDEX CONCURRENTLY customers_name;\n" +
			"CREATE INDEX CONCURRENTLY customers_country ON customers (country);\n",
		"00003_end.sql": "-- +goose Up\nSELECT pg_sleep(0.2);\nCREATE TABLE the_end (a int);\n",
	} {
		if err := os.WriteFile(filepath.Join(migrations, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(lifetime time.Duration) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), lifetime)
		defer cancel()
		command := exec.CommandContext(ctx, program, "up", migrations, "--report", filepath.Join(dir, "report"))
		command.Env = append(os.Environ(), "DATABASE_URL="+server.URL(d.name))
		return command.CombinedOutput() // the end of the context kills
	}
	kills := 0
	for lifetime := 30 * time.Millisecond; ; lifetime += 45 * time.Millisecond {
		out, err := run(lifetime)
		if err == nil {
			break
		}
		if kills++; kills > 60 {
			t.Fatalf("it does not come to its end: %v\n%s", err, out)
		}
	}
	t.Logf("killed %d times", kills)
	d.want("SELECT count(*) FROM customers WHERE name = 'once'", "1")
	d.want("SELECT count(*) FROM customers WHERE name = 'also once'", "1")
	d.want("SELECT string_agg(version_id::text, ',' ORDER BY id) FROM goose_db_version", "0,1,2,3")
	d.want("SELECT string_agg(state, ',') FROM slipway_migration_ledger", "applied,applied,applied")
	d.want("SELECT count(*) FROM pg_index WHERE NOT indisvalid", "0")
	d.want("SELECT to_regclass('customers_name') IS NULL AND to_regclass('customers_country') IS NOT NULL", "t")
	report, err := os.ReadFile(filepath.Join(dir, "report"))
	if err != nil || !strings.Contains(string(report), `"outcome":"done"`) {
		t.Errorf("report %s, %v", report, err)
	}
}

func TestProgram_EndsOnSIGTERMAndLogsIt(t *testing.T) {
	d, dir, program := newDatabase(t), t.TempDir(), buildProgram(t)
	command := startSlowFile(d, program, dir)
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := command.Wait()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 3 {
		t.Errorf("got %v, want exit code 3", err)
	}
	report, err := os.ReadFile(filepath.Join(dir, "report"))
	if err != nil || !strings.Contains(string(report), `"outcome":"interrupted"`) {
		t.Errorf("report %s, %v", report, err)
	}
	d.eventually("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'slipway-migrate'", "0")
	d.want("SELECT to_regclass('a') IS NULL", "t")
}

// Otherwise the next runner would wait for a statement whose result is no longer needed.
func TestProgram_ItsStatementEndsWithItWhenItIsKilled(t *testing.T) {
	d, dir, program := newDatabase(t), t.TempDir(), buildProgram(t)
	command := startSlowFile(d, program, dir)
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil {
		t.Error("it was not killed")
	}
	d.eventually("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'slipway-migrate'", "0")
}

func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "slipway-migrate")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../../cmd/slipway-migrate")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// startSlowFile returns when the server is at work on a statement that takes a minute.
func startSlowFile(d *testDatabase, program, dir string) *exec.Cmd {
	d.Helper()
	if err := os.WriteFile(filepath.Join(dir, "00001_slow.sql"), []byte("-- +goose Up\nCREATE TABLE a (b int);\nSELECT pg_sleep(60);\n"),
		0o600); err != nil {
		d.Fatal(err)
	}
	command := exec.CommandContext(d.Context(), program, "up", dir, "--report", filepath.Join(dir, "report"))
	command.Env = append(os.Environ(), "DATABASE_URL="+server.URL(d.name))
	if err := command.Start(); err != nil {
		d.Fatal(err)
	}
	d.eventually("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%' AND "+
		"state = 'active'", "1")
	return command
}
