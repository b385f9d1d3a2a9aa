// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

func TestCheck_DistinguishesPassingFromFailingStatements(t *testing.T) {
	d := newDatabase(t)
	r := d.open(d.config())
	for sql, holds := range map[string]bool{
		"SELECT true": true,
		"SELECT count(*) = 1000 FROM customers; SELECT NOT EXISTS (SELECT FROM customers WHERE name IS NULL)": true,
		"SELECT count(*) FROM customers":                       true,
		"SELECT count(*) FROM customers WHERE name = 'nobody'": false,
		"SELECT name = 'c1' FROM customers":                    false,
		"SELECT true FROM customers WHERE id < 0":              false,
		"SELECT NULL::boolean":                                 false,
		"SELECT sum(id) FROM customers":                        true, // a numeric
		"SELECT 0.00":                                          false,
		"SELECT '1'::text":                                     false,
		"SELECT nothing FROM nowhere":                          false,
		"DELETE FROM customers RETURNING true":                 false,
		"SELECT 'NaN'::float8":                                 false,
		"SELECT 'NaN'::numeric":                                false,
		"-- nothing":                                           false, // it would check nothing
		"SELECT $1":                                            false, // and no connection that is lost
	} {
		err := r.Check(t.Context(), []*sqlfile.File{sqlfile.Parse("check.sql", []byte(sql))})
		var failed *CheckError
		if holds != (err == nil) || err != nil && !errors.As(err, &failed) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	d.want("SELECT count(*) FROM customers", "1000")
}

func TestReport_FitsATerminationMessage(t *testing.T) {
	result := &Result{From: 1, To: 500}
	for i := range 500 {
		result.Applied = append(result.Applied, fmt.Sprintf("%05d_a_change_with_a_long_name.sql", i))
	}
	long := strings.Repeat("ünïcödé \"\\\n", 2000)
	encoded, err := NewReport("up", result,
		&StatementError{File: "00501_bad.sql", Index: 3, Of: 9, Statement: long, Message: long, Code: "42601"}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(encoded) > ReportLimit {
		t.Errorf("the report has %d bytes", len(encoded))
	}
	var report Report
	if err := json.Unmarshal(encoded, &report); err != nil {
		t.Fatal(err)
	}
	if report.Count != 500 || report.To != 500 || report.Failure == nil || report.Failure.Code != "42601" || report.Failure.Statement != 4 {
		t.Errorf("the report lost what matters: %s", encoded)
	}
}

func TestOpen_RefusesFilesThatGooseCannotRun(t *testing.T) {
	for name, f := range map[string]*sqlfile.File{
		"plain":               sqlfile.Parse("00001_a.sql", []byte("SELECT 1;")),
		"without a number":    file("a.sql", "SELECT 1;\n"),
		"without a semicolon": file("00001_a.sql", "SELECT 1\n"),
	} {
		_, err := Open(t.Context(), Config{Files: []*sqlfile.File{f}})
		var wrong *FileError
		if !errors.As(err, &wrong) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	_, err := Open(t.Context(), Config{Files: []*sqlfile.File{file("00001_a.sql", "SELECT 1;\n"), file("00001_b.sql", "SELECT 1;\n")}})
	var wrong *FileError
	if !errors.As(err, &wrong) {
		t.Errorf("got %v", err)
	}
}
