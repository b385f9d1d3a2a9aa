// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"strings"
	"testing"
)

func TestMasker_HidesSecretsInTheFormsInWhichProgramsPrintThem(t *testing.T) {
	const url = "postgres://migrator:p%40ss%2Fword@db.example.internal/orders"
	m := &masker{}
	m.add(url + "\n")
	m.add("first line\nsecond-secret")
	m.add("no")
	m.add("")
	for _, text := range []string{
		"connecting to " + url, "password=p@ss/word", "the raw p%40ss%2Fword", "line second-secret.", "cEBzcy93b3Jk",
		"pre" + "postgres%3A%2F%2Fmigrator%3Ap%2540ss%252Fword%40db.example.internal%2Forders",
	} {
		got := m.text(text)
		if !strings.Contains(got, "(secret)") || strings.Contains(got, "ss/word") || strings.Contains(got, "40ss") ||
			strings.Contains(got, "second-secret") {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if got := m.text("no error"); got != "no error" {
		t.Errorf("a value of two letters is masked: %q", got)
	}
}

// Programs print the parts of a connection string as they understood them, and not the string.
func TestMasker_FindsThePasswordInEachFormOfAConnectionString(t *testing.T) {
	t.Parallel()
	for value, password := range map[string]string{
		`postgres://owner:s3cr3t-4711@db:5432/app`:                           "s3cr3t-4711",
		`postgres://owner:s3%2Fcr%40t@db/app`:                                "s3/cr@t",
		`host=db user=owner password=s3cr3t-4711 dbname=app`:                 "s3cr3t-4711",
		`host=db password = 's3cr3t \'4711\'' dbname=app`:                    "s3cr3t '4711'",
		`postgres://db/app?user=owner&password=s3cr3t%204711`:                "s3cr3t 4711",
		`jdbc:postgresql://db:5432/app?user=owner&password=s3cr3t-4711`:      "s3cr3t-4711",
		`jdbc:postgresql://owner:s3cr3t-4711@db/app`:                         "s3cr3t-4711",
		"PGUSER=owner\nPGPASSWORD=\"s3cr3t-4711\"\n":                         "s3cr3t-4711",
		`jdbc:sqlserver://db:1433;databaseName=app;user=o;password=s3cr3t-4`: "s3cr3t-4",
	} {
		m := &masker{}
		m.add(value)
		if got := m.text("connecting as owner with >" + password + "<"); strings.Contains(got, password) {
			t.Errorf("with %q: %s", value, got)
		}
	}
}
