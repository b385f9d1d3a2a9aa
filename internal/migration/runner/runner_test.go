// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

var (
	server    *postgres.Server
	databases atomic.Int64
)

func TestMain(m *testing.M) {
	os.Exit(func() (code int) {
		var err error
		if server, err = postgres.Start(context.Background(), postgres.Options{}); err != nil {
			if !errors.Is(err, postgres.ErrNotInstalled) {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			server = nil
		}
		if server != nil {
			defer func() {
				if err := server.Remove(); err != nil {
					fmt.Fprintln(os.Stderr, err)
					code = 1
				}
			}()
		}
		return m.Run()
	}())
}

// database is a fresh database, with a table of customers in it.
type testDatabase struct {
	*testing.T
	name string
	log  safeBuffer
}

// safeBuffer takes the logs of several runners.
type safeBuffer struct {
	sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.text.String()
}

func newDatabase(t *testing.T) *testDatabase {
	t.Helper()
	if server == nil {
		t.Skip(postgres.ErrNotInstalled)
	}
	d := &testDatabase{T: t, name: fmt.Sprintf("d%d", databases.Add(1))}
	if _, err := server.Psql(t.Context(), "postgres", "CREATE DATABASE "+d.name); err != nil {
		t.Fatal(err)
	}
	d.sql("CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text); INSERT INTO customers (name) " +
		"SELECT 'c' || n FROM generate_series(1, 1000) n")
	return d
}

func (d *testDatabase) sql(sql string) string {
	d.Helper()
	out, err := server.Psql(d.Context(), d.name, sql)
	if err != nil {
		d.Fatal(err)
	}
	return out
}

func (d *testDatabase) want(sql, want string) {
	d.Helper()
	if got := d.sql(sql); got != want {
		d.Errorf("%s: got %q, want %q", sql, got, want)
	}
}

func (d *testDatabase) config(files ...*sqlfile.File) Config {
	return Config{
		DSN: server.URL(d.name), Files: files, LockTimeout: 200 * time.Millisecond, RunnerWait: 20 * time.Second,
		Log:   slog.New(slog.NewTextHandler(&d.log, nil)),
		pause: func(ctx context.Context, _ time.Duration) error { return pause(ctx, 20*time.Millisecond) },
	}
}

func (d *testDatabase) open(config Config) *Runner {
	d.Helper()
	r, err := Open(d.Context(), config)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() {
		if err := r.Close(); err != nil {
			d.Error(err)
		}
	})
	return r
}

func (d *testDatabase) up(files ...*sqlfile.File) (*Result, error) {
	d.Helper()
	return d.open(d.config(files...)).Up(d.Context())
}

func (d *testDatabase) mustUp(files ...*sqlfile.File) *Result {
	d.Helper()
	result, err := d.up(files...)
	if err != nil {
		d.Fatalf("%v\n%s", err, d.log.String())
	}
	return result
}

func file(name, sql string) *sqlfile.File { return sqlfile.Parse(name, []byte("-- +goose Up\n"+sql)) }

func alone(name, sql string) *sqlfile.File {
	return sqlfile.Parse(name, []byte("-- +goose NO TRANSACTION\n-- +goose Up\n"+sql))
}

func TestUp_AppliesPendingFilesInOrderAndOnlyOnce(t *testing.T) {
	d := newDatabase(t)
	one := file("00001_add.sql", "ALTER TABLE customers ADD COLUMN country text;\nALTER TABLE customers ADD COLUMN city text;\n")
	two := alone("00002_index.sql", "CREATE INDEX CONCURRENTLY customers_country ON customers (country);\nANALYZE customers;\n")

	result := d.mustUp(one, two)
	if result.From != 0 || result.To != 2 || len(result.Applied) != 2 || result.Left != 0 {
		t.Errorf("unexpected result %+v", result)
	}
	d.want("SELECT string_agg(version_id::text, ',' ORDER BY id) FROM goose_db_version", "0,1,2")
	d.want("SELECT string_agg(version || state || done, ',' ORDER BY version) FROM slipway_migration_ledger", "1applied2,2applied2")
	d.want("SELECT indisvalid FROM pg_index WHERE indexrelid = 'customers_country'::regclass", "t")

	if again := d.mustUp(one, two); len(again.Applied) != 0 || again.From != 2 || again.To != 2 {
		t.Errorf("the second run did something: %+v", again)
	}
}

func TestUp_RollsATransactionalFileBackWithItsRecord(t *testing.T) {
	d := newDatabase(t)
	bad := file("00002_bad.sql", "ALTER TABLE customers ADD COLUMN a int;\nALTER TABLE customers\n    ADD COLUMN a int;\n")
	result, err := d.up(file("00001_ok.sql", "CREATE TABLE t (a int);\n"), bad, file("00003_later.sql", "CREATE TABLE u (a int);\n"))

	var failed *StatementError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v", err)
	}
	if failed.File != "00002_bad.sql" || failed.Index != 1 || failed.Of != 2 || failed.Code != "42701" || failed.Kept || failed.Line != 3 {
		t.Errorf("unexpected error %+v", failed)
	}
	if result.To != 1 || len(result.Applied) != 1 || result.Left != 2 {
		t.Errorf("unexpected result %+v", result)
	}
	d.want("SELECT count(*) FROM information_schema.columns WHERE table_name = 'customers'", "2")
	d.want("SELECT count(*) FROM slipway_migration_ledger WHERE version > 1", "0")

	d.mustUp(file("00001_ok.sql", "CREATE TABLE t (a int);\n"), file("00002_bad.sql", "ALTER TABLE customers ADD COLUMN a int;\n"),
		file("00003_later.sql", "CREATE TABLE u (a int);\n"))
	d.want("SELECT to_regclass('u') IS NOT NULL", "t")
}

func TestUp_ResumesAFileWithoutTransactionAtTheFailedStatement(t *testing.T) {
	d := newDatabase(t)
	const first = "CREATE INDEX CONCURRENTLY customers_name ON customers (name);\nINSERT INTO customers (name) VALUES ('new');\n"
	_, err := d.up(alone("00001_steps.sql", first+"SELECT 1 / 0;\n"))
	var failed *StatementError
	if !errors.As(err, &failed) || failed.Index != 2 || !failed.Kept || failed.Code != "22012" {
		t.Fatalf("got %+v", err)
	}
	d.want("SELECT state || done FROM slipway_migration_ledger", "started2")

	status, err := d.open(d.config(alone("00001_steps.sql", first+"SELECT 1 / 0;\n"))).Status(t.Context())
	if err != nil || status.Files[0].State != Started || status.Files[0].Done != 2 || status.Pending != 1 {
		t.Errorf("status %+v, %v", status, err)
	}

	result := d.mustUp(alone("00001_steps.sql", first+"SELECT 1 / 1;\n"))
	if result.Resumed != "00001_steps.sql" {
		t.Errorf("unexpected result %+v", result)
	}
	d.want("SELECT count(*) FROM customers WHERE name = 'new'", "1")
	d.want("SELECT state || done FROM slipway_migration_ledger", "applied3")
}

func TestUp_RefusesAFileWhoseFinishedStatementsWereEdited(t *testing.T) {
	d := newDatabase(t)
	if _, err := d.up(alone("00001_steps.sql", "CREATE TABLE a (b int);\nSELECT 1 / 0;\n")); err == nil {
		t.Fatal("no error")
	}
	_, err := d.up(alone("00001_steps.sql", "CREATE TABLE a (b bigint);\nSELECT 1;\n"))
	var wrong *LedgerError
	if !errors.As(err, &wrong) || len(wrong.Edited) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestUp_RefusesFilesThatDoNotFitTheRecord(t *testing.T) {
	d := newDatabase(t)
	one, three := file("00001_a.sql", "CREATE TABLE a (b int);\n"), file("00003_c.sql", "CREATE TABLE c (b int);\n")
	d.mustUp(one, three)
	for name, test := range map[string]struct {
		files []*sqlfile.File
		want  LedgerError
	}{
		"edited": {
			[]*sqlfile.File{file("00001_a.sql", "CREATE TABLE a (b bigint);\n"), three},
			LedgerError{Edited: []string{"00001_a.sql"}},
		},
		"missing": {[]*sqlfile.File{three}, LedgerError{Missing: []string{"00001_a.sql"}}},
		"out of order": {
			[]*sqlfile.File{one, file("00002_b.sql", "CREATE TABLE b (b int);\n"), three},
			LedgerError{OutOfOrder: []string{"00002_b.sql"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := d.up(test.files...)
			var wrong *LedgerError
			if !errors.As(err, &wrong) || fmt.Sprint(*wrong) != fmt.Sprint(test.want) {
				t.Errorf("got %v", err)
			}
			if NewReport("up", nil, err).Outcome != Refused {
				t.Error("it is not refused")
			}
		})
	}
	t.Run("missing but in the manifest", func(t *testing.T) {
		config := d.config(three)
		config.Known = map[int64]string{1: one.Checksum}
		if _, err := d.open(config).Up(t.Context()); err != nil {
			t.Error(err)
		}
		config.Known = map[int64]string{1: "sha256:other"}
		if _, err := d.open(config).Up(t.Context()); err == nil {
			t.Error("an edited file is not seen in the manifest")
		}
	})
	t.Run("out of order on purpose", func(t *testing.T) {
		config := d.config(one, file("00002_b.sql", "CREATE TABLE b (b int);\n"), three)
		config.AllowOutOfOrder = true
		if _, err := d.open(config).Up(t.Context()); err != nil {
			t.Error(err)
		}
	})
	d.want("SELECT to_regclass('b') IS NOT NULL", "t")
}

func TestUp_TakesOverWhatGooseApplied(t *testing.T) {
	d := newDatabase(t)
	d.sql(`CREATE TABLE goose_db_version (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, version_id bigint NOT NULL,
		is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
		INSERT INTO goose_db_version (version_id, is_applied, tstamp) VALUES (0, true, '2026-01-01'), (1, true, '2026-01-02'),
		(2, true, '2026-01-03'), (2, false, '2026-01-04');
		CREATE TABLE a (b int)`)
	one := file("00001_a.sql", "CREATE TABLE a (b int);\n")
	result := d.mustUp(one, file("00002_b.sql", "CREATE TABLE b (b int);\n"))
	if result.From != 1 || result.To != 2 {
		t.Errorf("unexpected result %+v", result)
	}
	d.want("SELECT string_agg(version || state, ',' ORDER BY version) FROM slipway_migration_ledger", "1adopted,2applied")
	if _, err := d.up(file("00001_a.sql", "CREATE TABLE a (c int);\n"), file("00002_b.sql", "CREATE TABLE b (b int);\n")); err == nil {
		t.Error("an edit of a file that was taken over is not seen")
	}
}

func TestUp_ItsTablesAreWrittenByItsOwnerAlone(t *testing.T) {
	for _, tc := range []struct {
		name     string
		baseline int64
	}{{"first file", 0}, {"baseline", 1}} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDatabase(t)
			app := d.name + "_app"
			d.sql("CREATE ROLE " + app + " LOGIN; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO " + app + ", PUBLIC; " +
				"ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO " + app)
			d.Cleanup(func() {
				if _, err := server.Psql(context.WithoutCancel(t.Context()), d.name, "DROP OWNED BY "+app+"; DROP ROLE "+app); err != nil {
					t.Error(err)
				}
			})
			config := d.config(file("00001_a.sql", "CREATE TABLE a (b int);\n"), file("00002_c.sql", "CREATE TABLE c (b int);\n"))
			config.Baseline = tc.baseline
			if _, err := d.open(config).Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			as := "SET ROLE " + app + "; "
			for _, table := range []string{"goose_db_version", "slipway_migration_ledger"} {
				d.sql(as + "SELECT count(*) FROM " + table)
				for _, sql := range []string{"DELETE FROM " + table, "TRUNCATE " + table, "INSERT INTO " + table + " DEFAULT VALUES"} {
					if _, err := server.Psql(t.Context(), d.name, as+sql); err == nil || !strings.Contains(err.Error(), "permission denied") {
						t.Errorf("another role may %s: %v", sql, err)
					}
				}
			}
			if _, err := server.Psql(t.Context(), d.name, as+"SELECT nextval('goose_db_version_id_seq')"); err == nil {
				t.Error("another role may use goose's sequence")
			}
			d.sql(as + "INSERT INTO c VALUES (1)") // what a migration made is the application's to use

			// What is granted on purpose stays.
			d.sql("GRANT INSERT ON goose_db_version TO " + app)
			config.Files = append(config.Files, file("00003_d.sql", "CREATE TABLE d (b int);\n"))
			if _, err := d.open(config).Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			d.want("SELECT has_table_privilege('"+app+"', 'goose_db_version', 'INSERT')", "t")
		})
	}
}

func TestUp_DeclaresABaseline(t *testing.T) {
	d := newDatabase(t)
	config := d.config(file("00001_customers.sql", "CREATE TABLE customers (id int);\n"), file("00002_a.sql", "CREATE TABLE a (b int);\n"))
	config.Baseline = 1
	result, err := d.open(config).Up(t.Context())
	if err != nil || result.From != 1 || result.To != 2 {
		t.Fatalf("%+v, %v", result, err)
	}
	d.want("SELECT string_agg(version || state, ',' ORDER BY version) FROM slipway_migration_ledger", "1baseline,2applied")
	if again, err := d.open(config).Up(t.Context()); err != nil || len(again.Applied) != 0 {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestUp_DoesNotShowThePassword(t *testing.T) {
	d := newDatabase(t)
	_, err := d.up(file("00001_role.sql", "SELECT '"+server.Password+"' / 1;\n"))
	if err == nil {
		t.Fatal("no error")
	}
	encoded, encodeErr := NewReport("up", nil, err).Encode()
	if encodeErr != nil {
		t.Fatal(encodeErr)
	}
	_, _, advice := err.(*StatementError).Explain() //nolint:forcetypeassert // fails the test
	wrong := d.config()
	wrong.DSN = strings.Replace(wrong.DSN, server.Password, server.Password+"x", 1)
	_, refused := Open(t.Context(), wrong)
	for what, text := range map[string]string{
		"error":   err.Error(),
		"report":  string(encoded),
		"log":     d.log.String(),
		"advice":  advice,
		"refused": fmt.Sprint(refused),
	} {
		if strings.Contains(text, server.Password) {
			t.Errorf("the %s holds the password: %s", what, text)
		}
	}
	var connect *ConnectError
	if !errors.As(refused, &connect) {
		t.Errorf("got %v", refused)
	}
}

// Without sslmode there are two attempts, each of which fails for a reason of its own.
func TestOpen_ReportsWhyEachAttemptToConnectFailed(t *testing.T) {
	d := newDatabase(t)
	config := d.config()
	config.DSN = strings.Replace(config.DSN, server.Password, "wrong", 1)
	config.DSN = regexp.MustCompile(`[?&]sslmode=\w+`).ReplaceAllString(config.DSN, "")
	_, refused := Open(t.Context(), config)
	text := fmt.Sprint(refused)
	for _, part := range []string{"failed to connect", "server refused TLS connection", "password authentication failed"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in %s", part, text)
		}
	}
}
