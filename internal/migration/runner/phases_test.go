// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

func sqlOf(name, text string) []*sqlfile.File {
	return []*sqlfile.File{sqlfile.Parse(name, []byte(text))}
}

// phaseOf is the phase that did not pass, with the check that does not hold.
func phaseOf(t *testing.T, err error) (Phase, *CheckError) {
	t.Helper()
	phase, ok := errors.AsType[*PhaseError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	failed, ok := errors.AsType[*CheckError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	return phase.Phase, failed
}

func TestMigrate_RunsNothingWhenACheckFails(t *testing.T) {
	d := newDatabase(t)
	config := d.config(file("00001_a.sql", "CREATE TABLE a (id int);\n"))
	result, err := d.open(config).Migrate(t.Context(), sqlOf("before.sql", "SELECT true;\n\nSELECT count(*) = 0 FROM customers;\n"), nil)
	phase, failed := phaseOf(t, err)
	if phase != PhaseCheck || failed.File != "before.sql" || failed.Line != 3 || !strings.Contains(failed.Statement, "FROM customers") ||
		!strings.Contains(failed.Reason, "false") {
		t.Errorf("got %s: %+v", phase, failed)
	}
	report := NewReport("up", result, err)
	if report.Outcome != Failed || report.Phase != PhaseCheck || report.Left != 1 || report.Count != 0 || report.Failure.Line != 3 {
		t.Errorf("got %+v", report)
	}
	d.want("SELECT to_regclass('a') IS NULL AND to_regclass('goose_db_version') IS NULL", "t")
}

func TestMigrate_KeepsAppliedFilesWhenAValidationFails(t *testing.T) {
	d := newDatabase(t)
	config := d.config(file("00001_a.sql", "CREATE TABLE a (id int);\n"))
	// It holds before the migration and not after it: a second run must not ask again.
	before := sqlOf("before.sql", "SELECT to_regclass('a') IS NULL;\n")
	result, err := d.open(config).Migrate(t.Context(), before, sqlOf("after.sql", "SELECT to_regclass('b') IS NOT NULL;\n"))
	if phase, failed := phaseOf(t, err); phase != PhaseValidate || failed.File != "after.sql" || failed.Line != 1 {
		t.Errorf("got %s: %+v", phase, failed)
	}
	if report := NewReport("up", result, err); report.Phase != PhaseValidate || report.Left != 0 ||
		!slices.Equal(report.Applied, []string{"00001_a.sql"}) {
		t.Errorf("got %+v", report)
	}
	d.want("SELECT to_regclass('a') IS NOT NULL", "t")
	if _, err := d.open(config).Migrate(t.Context(), before, sqlOf("after.sql", "SELECT to_regclass('a') IS NOT NULL;\n")); err != nil {
		t.Errorf("with a validation that holds: %v", err)
	}
}

func TestMigrate_ChecksNothingWhereABaselineLeavesNothing(t *testing.T) {
	d := newDatabase(t)
	never := sqlOf("before.sql", "SELECT false;\n")
	files := []*sqlfile.File{file("00001_a.sql", "CREATE TABLE a (id int);\n")}
	config := d.config(files...)
	config.Baseline = 1
	if _, err := d.open(config).Migrate(t.Context(), never, nil); err != nil {
		t.Error(err)
	}
	config = d.config(append(files, file("00002_b.sql", "CREATE TABLE b (id int);\n"))...)
	config.Baseline = 2 // of no account: something is recorded
	_, err := d.open(config).Migrate(t.Context(), never, nil)
	if phase, _ := phaseOf(t, err); phase != PhaseCheck {
		t.Errorf("got %s", phase)
	}
}

func TestCheck_OnlyReads(t *testing.T) {
	d := newDatabase(t)
	d.sql("CREATE TABLE numbered (id serial)")
	r := d.open(d.config())
	for _, sql := range []string{
		"DELETE FROM customers RETURNING true",
		"WITH gone AS (DELETE FROM customers RETURNING true) SELECT true FROM gone",
		"CREATE TABLE made AS SELECT true",
		"SELECT nextval(pg_get_serial_sequence('numbered', 'id')) > 0",
		"SELECT set_config('transaction_read_only', 'off', true) = 'off'",
	} {
		err := r.Check(t.Context(), sqlOf("check.sql", sql))
		if failed, ok := errors.AsType[*CheckError](err); !ok || !strings.Contains(failed.Reason, "read") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	// A statement has a transaction of its own, which the next one does not inherit.
	err := r.Check(t.Context(), sqlOf("check.sql", "SET TRANSACTION READ WRITE; DELETE FROM customers RETURNING true"))
	if _, ok := errors.AsType[*CheckError](err); !ok {
		t.Errorf("got %v", err)
	}
	d.want("SELECT count(*) FROM customers", "1000")
}

func TestCheck_ASessionThatIsLostMayBeTriedAgain(t *testing.T) {
	d := newDatabase(t)
	err := d.open(d.config()).Check(t.Context(), sqlOf("check.sql", "SELECT pg_terminate_backend(pg_backend_pid())"))
	if report := NewReport("check", nil, err); !report.Outcome.Retry() {
		t.Errorf("got %v: %+v", err, report)
	}
}
