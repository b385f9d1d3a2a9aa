// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

func migrations(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestLint_ReportsFindingsByItsExitCode(t *testing.T) {
	safe := migrations(t, map[string]string{"00001_a.sql": "-- +goose Up\nALTER TABLE a ADD COLUMN b int;\n"})
	warned := migrations(t, map[string]string{"00001_a.sql": "-- +goose Up\nALTER TABLE a ALTER COLUMN b DROP NOT NULL;\n"})
	unsafe := migrations(t, map[string]string{
		"00001_a.sql": "-- +goose Up\nALTER TABLE a ADD COLUMN b int;\n",
		"00002_b.sql": "-- +goose Up\n\nALTER TABLE a DROP COLUMN c;\n",
	})
	const fine = "-- +goose Up\nALTER TABLE a ADD COLUMN b int;\n"
	plain := migrations(t, map[string]string{"00001_a.sql": "ALTER TABLE a ADD COLUMN b int;\n"})
	unnumbered := migrations(t, map[string]string{"first.sql": fine})
	acknowledged := migrations(t, map[string]string{"first.sql": "-- slipway:allow-file file-format reason=\"x\"\n" + fine})
	mixed := migrations(t, map[string]string{"00001_a.sql": "ALTER TABLE a ADD COLUMN b int;\n", "00002_b.sql": fine})
	double := migrations(t, map[string]string{"2_a.sql": fine, "2_b.sql": fine})
	below := t.TempDir()
	if err := os.Mkdir(filepath.Join(below, "1_a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(below, "1_a", "1_a.sql"), []byte(fine), 0o600); err != nil {
		t.Fatal(err)
	}
	large := migrations(t, map[string]string{"00001_a.sql": fine + strings.Repeat("-- more\n", sqlfile.MaxSize/8)})
	unfinished := migrations(t, map[string]string{"00001_a.sql": "-- +goose Up\nALTER TABLE a ADD COLUMN b int\n"})
	for name, test := range map[string]struct {
		args []string
		code int
		out  string
	}{
		"safe":                {[]string{"lint", safe}, exitDone, "0 errors"},
		"warnings":            {[]string{"lint", warned}, exitDone, "1 warning"},
		"unsafe":              {[]string{"lint", unsafe}, exitFailed, "00002_b.sql:3: error: drop-column (a.c)"},
		"no annotation":       {[]string{"lint", plain}, exitFailed, "00001_a.sql:1: error: file-format"},
		"another tool":        {[]string{"lint", plain, "--any-tool"}, exitDone, "0 errors"},
		"no number":           {[]string{"lint", unnumbered}, exitFailed, "first.sql:1: error: file-format"},
		"acknowledged":        {[]string{"lint", acknowledged}, exitFailed, "1 error"},
		"applied, unnumbered": {[]string{"lint", mixed, "--applied", "1"}, exitFailed, "1 error"},
		"two of one number":   {[]string{"lint", double}, exitFailed, "2_b.sql:1: error: duplicate-version"},
		"applied twice":       {[]string{"lint", double, "--applied", "2"}, exitFailed, "duplicate-version"},
		"below":               {[]string{"lint", below}, exitFailed, "in a directory of its own"},
		"too large":           {[]string{"lint", large}, exitFailed, "at most"},
		"no semicolon":        {[]string{"lint", unfinished}, exitFailed, "1 error"},
		"applied":             {[]string{"lint", unsafe, "--applied", "2"}, exitDone, "0 files"},
		"contract":            {[]string{"lint", "--kind", "contract", unsafe}, exitDone, "0 errors"},
		"a file":              {[]string{"lint", filepath.Join(unsafe, "00002_b.sql"), "--format=text"}, exitFailed, "drop-column"},
		"no directory":        {[]string{"lint"}, exitUsage, ""},
		"not there":           {[]string{"lint", filepath.Join(safe, "nowhere")}, exitUsage, ""},
		"empty":               {[]string{"lint", t.TempDir()}, exitUsage, ""},
		"unknown format":      {[]string{"lint", safe, "--format", "xml"}, exitUsage, ""},
		"unknown option":      {[]string{"lint", safe, "--frmat", "text"}, exitUsage, ""},
		"unknown PostgreSQL":  {[]string{"lint", safe, "--postgres", "9"}, exitUsage, ""},
		"rules":               {[]string{"lint", "--rules"}, exitDone, "drop-column"},
		"no command":          {nil, exitUsage, ""},
		"unknown command":     {[]string{"down"}, exitUsage, ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := call(t, test.args...)
			if code != test.code || !strings.Contains(stdout, test.out) {
				t.Errorf("exit code %d, want %d\n%s%s", code, test.code, stdout, stderr)
			}
		})
	}
}

func TestLint_WritesJSON(t *testing.T) {
	dir := migrations(t, map[string]string{"00001_a.sql": "-- +goose Up\nCREATE INDEX a_b ON a (b);\n"})
	_, stdout, _ := call(t, "lint", dir, "--format", "json", "--postgres", "16", "--small-table", "x,y", "--small-table", "z")
	var report lint.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Findings) != 1 {
		t.Fatalf("got %+v", report)
	}
	found := report.Findings[0]
	if found.File != "00001_a.sql" || found.Line != 2 || found.Rule != "index-blocks-writes" || found.Severity != lint.Error ||
		found.Reason == "" || found.SafeForm == "" {
		t.Errorf("got %+v", found)
	}
}

// TestSampleMigrations_AreSafeAndRun applies the sample service's migrations and lints each in the light of those before.
func TestSampleMigrations_AreSafeAndRun(t *testing.T) {
	const dir = "../../examples/data-collection/migrations"
	for _, applied := range []string{"-1", "1", "2"} {
		if code, stdout, _ := call(t, "lint", dir, "--applied="+applied); code != exitDone || !strings.Contains(stdout, "0 errors, 0 warnings") {
			t.Errorf("after %s: exit code %d\n%s", applied, code, stdout)
		}
	}
	server := postgres.ForTest(t)
	t.Setenv("DATABASE_URL", server.URL("postgres"))
	reportFile := filepath.Join(t.TempDir(), "report")
	if code, _, stderr := call(t, "up", dir, "--report", reportFile); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	content, err := os.ReadFile(reportFile)
	if err != nil {
		t.Fatal(err)
	}
	var report runner.Report
	if err := json.Unmarshal(content, &report); err != nil {
		t.Fatal(err)
	}
	if report.Outcome != runner.Done || report.To != 3 || report.Count != 3 {
		t.Errorf("got %s", content)
	}
	code, stdout, _ := call(t, "status", dir, "--report", reportFile)
	var status runner.Status
	if err := json.Unmarshal([]byte(stdout), &status); err != nil || code != exitDone || status.Pending != 0 || status.Current != 3 ||
		len(status.Files) != 3 {
		t.Errorf("exit code %d, %v\n%s", code, err, stdout)
	}

	checks := migrations(t, map[string]string{"after.sql": "SELECT to_regclass('records') IS NOT NULL;\nSELECT count(*) = 0 FROM " +
		"information_schema.columns WHERE table_name = 'records' AND column_name = 'format';\n"})
	if code, _, stderr := call(t, "check", checks, "--report", reportFile); code != exitDone {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	failing := migrations(t, map[string]string{"after.sql": "SELECT true;\n\nSELECT false;\n"})
	if code, _, stderr := call(t, "check", failing, "--report", reportFile); code != exitFailed || !strings.Contains(stderr, "after.sql:3") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

func TestUp_ReportsByItsExitCodeWhetherARetryHelps(t *testing.T) {
	dir := migrations(t, map[string]string{"00001_a.sql": "-- +goose Up\nSELECT 1 / 0;\n"})
	reportFile := filepath.Join(t.TempDir(), "report")
	t.Setenv("DATABASE_URL", "")
	if code, _, _ := call(t, "up", dir); code != exitUsage {
		t.Errorf("without a connection string: exit code %d", code)
	}
	t.Setenv("DATABASE_URL", "postgres://user:canary-secret@127.0.0.1:1/x?connect_timeout=2")
	code, stdout, stderr := call(t, "up", dir, "--report", reportFile)
	if code != exitRetry {
		t.Errorf("without a server: exit code %d\n%s", code, stderr)
	}
	t.Setenv("DATABASE_URL", "postgres://user:canary-secret@%zz/x")
	_, moreOut, moreErr := call(t, "up", dir, "--report", reportFile)
	if strings.Contains(stdout+stderr+moreOut+moreErr, "canary-secret") {
		t.Errorf("the password is shown:\n%s%s", stderr, moreErr)
	}
	server := postgres.ForTest(t)
	dsn := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(dsn, []byte(server.URL("postgres")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "up", dir, "--dsn-file", dsn, "--report", reportFile); code != exitFailed ||
		strings.Contains(stderr, server.Password) {
		t.Errorf("with a statement that fails: exit code %d\n%s", code, stderr)
	}
}
