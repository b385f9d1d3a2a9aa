// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

func goose(name, sql string) *sqlfile.File { return sqlfile.Parse(name, []byte("-- +goose Up\n"+sql)) }

func analyze(t *testing.T, options lint.Options, files ...*sqlfile.File) *lint.Report {
	t.Helper()
	report, err := lint.Lint(t.Context(), nil, files, options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestLint_AcknowledgementsOfTheConfigurationApplyUntilTheirLastDay(t *testing.T) {
	drop := goose("00001_drop.sql", "ALTER TABLE users DROP COLUMN a;\nALTER TABLE users DROP COLUMN b;\n")
	until := time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		ack    lint.Acknowledgement
		now    time.Time
		errors int
		unused bool
	}{
		"all":          {lint.Acknowledgement{Rule: "drop-column", Reason: "never read"}, until, 0, false},
		"one object":   {lint.Acknowledgement{Rule: "drop-column", Object: "users.a", Reason: "never read"}, until, 1, false},
		"this file":    {lint.Acknowledgement{Rule: "drop-column", File: "00001_drop.sql", Reason: "never read"}, until, 0, false},
		"another file": {lint.Acknowledgement{Rule: "drop-column", File: "00002_drop.sql", Reason: "never read"}, until, 2, true},
		"another rule": {lint.Acknowledgement{Rule: "drop-table", Reason: "never read"}, until, 2, true},
		"on the last day": {
			lint.Acknowledgement{Rule: "drop-column", Reason: "x", Until: until}, until.Add(23*time.Hour + 59*time.Minute), 0,
			false,
		},
		"a day later": {lint.Acknowledgement{Rule: "drop-column", Reason: "x", Until: until}, until.Add(24 * time.Hour), 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			report := analyze(t, lint.Options{Acknowledgements: []lint.Acknowledgement{test.ack}, Now: test.now}, drop)
			if len(report.Errors()) != test.errors {
				t.Errorf("%d errors, want %d: %+v", len(report.Errors()), test.errors, report.Findings)
			}
			if unused := len(report.Warnings()) > 0; unused != test.unused {
				t.Errorf("warnings %+v", report.Warnings())
			}
			if test.errors == 2 && !test.unused && !strings.Contains(report.Errors()[0].Reason, "expired on 2027-03-31") {
				t.Errorf("the expiry is not named: %s", report.Errors()[0].Reason)
			}
		})
	}
}

func TestLint_ContractAllowsWhatOnlyOldVersionsUse(t *testing.T) {
	file := goose("00001_contract.sql",
		"ALTER TABLE users DROP COLUMN a;\nDROP TABLE old;\nDROP VIEW v;\nALTER TABLE users ALTER COLUMN b SET NOT NULL;\n")
	report := analyze(t, lint.Options{Contract: true}, file)
	if got := ruleNames(report.Errors()); len(got) != 1 || got[0] != "not-null-scans" {
		t.Errorf("got %v", got)
	}
}

func TestLint_RefusesOptionsThatMeanNothing(t *testing.T) {
	for name, options := range map[string]lint.Options{
		"old":       {Postgres: 9},
		"new":       {Postgres: 99},
		"rule":      {Acknowledgements: []lint.Acknowledgement{{Rule: "nothing", Reason: "x"}}},
		"no reason": {Acknowledgements: []lint.Acknowledgement{{Rule: "drop-column", Reason: " "}}},
	} {
		_, err := lint.Lint(t.Context(), nil, []*sqlfile.File{goose("00001_a.sql", "SELECT 1;\n")}, options)
		var wrong *lint.OptionsError
		if !errors.As(err, &wrong) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLint_ReadsNothingWhereNothingIsPending(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // whatever it started would see this
	history := []*sqlfile.File{goose("00001_a.sql", "CREATE TABLE a (b int);\n")}
	report, err := lint.Lint(ctx, history, nil, lint.Options{})
	if err != nil || len(report.Findings) != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := lint.Lint(ctx, history, history, lint.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLint_NamesTheLineOfEachFinding(t *testing.T) {
	report := analyze(t, lint.Options{}, goose("00001_a.sql", `
-- a comment
ALTER TABLE users
    ADD COLUMN ok text,
    ADD COLUMN code uuid
        DEFAULT gen_random_uuid();

-- +goose StatementBegin
DO $$
BEGIN

    DELETE FROM sessions;
END
$$;
-- +goose StatementEnd
ALTER TABLE orders ADD CONSTRAINT a CHECK (b > 0) NOT VALID,
    ADD CONSTRAINT c NOT NULL d;
ALTER TABL x;
`))
	want := map[string]int{"default-rewrites": 7, "write-whole-table": 13, "backfill-under-lock": 13, "not-null-scans": 18, "not-analyzed": 19}
	for _, finding := range report.Errors() {
		if line, expected := want[finding.Rule]; !expected || line != finding.Line {
			t.Errorf("%s in line %d, want %d", finding.Rule, finding.Line, line)
		}
		delete(want, finding.Rule)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}

func TestRules_AreNamedOnceAndComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, rule := range lint.Rules() {
		if seen[rule.ID] || rule.Title == "" || rule.Class == "" || rule.Severity == "" {
			t.Errorf("rule %+v", rule)
		}
		seen[rule.ID] = true
	}
}

// FuzzLint looks for files that make the linter fail.
func FuzzLint(f *testing.F) {
	for _, seed := range []string{
		"ALTER TABLE a ADD COLUMN b int, ADD CONSTRAINT c NOT NULL d NOT VALID;", "DO $$ BEGIN EXECUTE format('x %I', 1); END $$;",
		"MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE;", "CREATE SCHEMA a CREATE TABLE b (c int);",
		"ALTER TABLE a ADD b int GENERATED ALWAYS AS (1);",
		"REVOKE ALL ON ALL TABLES IN SCHEMA a FROM b;", "DROP OPERATOR + (int, int);", "ALTER EXTENSION a ADD TABLE b;", "COMMIT; BEGIN;",
	} {
		f.Add(seed)
	}
	// The parser's start takes longer than the fuzzer waits for one input.
	if _, err := lint.Lint(f.Context(), nil, []*sqlfile.File{goose("00001_a.sql", "SELECT 1;\n")}, lint.Options{}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		for _, content := range []string{
			sql, "-- +goose Up\n" + sql,
			"-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\n" + sql + "\n-- +goose StatementEnd\n",
		} {
			if _, err := lint.Lint(t.Context(), nil, []*sqlfile.File{sqlfile.Parse("00001_a.sql", []byte(content))}, lint.Options{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
