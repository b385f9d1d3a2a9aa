// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// TestVolatility_IsThatOfPostgreSQL compares the lists of functions with the catalog of a real server.
func TestVolatility_IsThatOfPostgreSQL(t *testing.T) {
	server := postgres.ForTest(t)
	rows, err := server.Psql(t.Context(), "postgres", "SELECT proname, string_agg(DISTINCT provolatile::text, '') FROM pg_proc GROUP BY 1")
	if err != nil {
		t.Fatal(err)
	}
	known := 0
	for row := range strings.SplitSeq(rows, "\n") {
		name, volatility, _ := strings.Cut(row, "|")
		switch {
		case volatileFunctions[name]:
			known++
			// txid_current and its like are STABLE in name; currval and its like are volatile.
			if !strings.Contains(volatility, "v") && !slices.Contains([]string{"txid_current", "pg_current_xact_id"}, name) {
				t.Errorf("%s is not volatile but %q", name, volatility)
			}
		case steadyFunctions[name]:
			known++
			if strings.Contains(volatility, "v") {
				t.Errorf("%s is volatile", name)
			}
		}
	}
	if known < 60 {
		t.Errorf("only %d functions of the lists are in the server", known)
	}
}

// TestChange_IsFreeWhereAndOnlyWherePostgreSQLKeepsTheTable changes columns of a real table, and looks whether their
// storage is another one afterwards, or was read.
func TestChange_IsFreeWhereAndOnlyWherePostgreSQLKeepsTheTable(t *testing.T) {
	server := postgres.ForTest(t)
	changes := [][2]string{
		{"varchar(10)", "varchar(20)"}, {"varchar(20)", "varchar(10)"}, {"varchar(10)", "text"}, {"text", "varchar"}, {"text", "varchar(10)"},
		{"varchar", "text"}, {"integer", "bigint"}, {"bigint", "integer"}, {"smallint", "integer"}, {"numeric(10,2)", "numeric(12,2)"},
		{"numeric(10,2)", "numeric"}, {"numeric", "numeric(10,2)"}, {"numeric(10,2)", "numeric(12,4)"}, {"numeric(12,2)", "numeric(10,2)"},
		{"timestamp(3)", "timestamp(6)"}, {"timestamp(3)", "timestamp"}, {"timestamp", "timestamp(3)"}, {"timestamptz(0)", "timestamptz(3)"},
		{"cidr", "inet"}, {"inet", "text"}, {"json", "jsonb"}, {"jsonb", "text"}, {"char(10)", "varchar(10)"}, {"char(10)", "text"},
		{"bit varying(5)", "bit varying(9)"}, {"bit varying(9)", "bit varying(5)"}, {"date", "timestamp"}, {"real", "double precision"},
		{"integer[]", "bigint[]"}, {"text", "text"}, {"integer", "integer"}, {"time(3)", "time(6)"}, {"uuid", "text"}, {"boolean", "text"},
	}
	var script strings.Builder
	for i, change := range changes {
		fmt.Fprintf(&script, `CREATE TABLE t%[1]d (c %[2]s); INSERT INTO t%[1]d VALUES (NULL);
			DO $$ DECLARE before oid; BEGIN
				SELECT relfilenode INTO before FROM pg_class WHERE relname = 't%[1]d';
				ALTER TABLE t%[1]d ALTER COLUMN c TYPE %[3]s;
				INSERT INTO seen SELECT %[1]d, relfilenode = before FROM pg_class WHERE relname = 't%[1]d';
			END $$;`, i, change[0], change[1])
	}
	seen, err := server.Psql(t.Context(), "postgres",
		"CREATE TABLE seen (i int, kept boolean);"+script.String()+"SELECT i, kept FROM seen ORDER BY i")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(seen, "\n")
	for i, change := range changes {
		from, to := parseType(t, change[0]), parseType(t, change[1])
		free := from.change(to) == free
		kept := slices.Contains(lines, fmt.Sprintf("%d|t", i))
		if free != kept {
			t.Errorf("from %s to %s: free %v, but PostgreSQL keeps the table: %v", change[0], change[1], free, kept)
		}
	}
}

func parseType(t *testing.T, name string) columnType {
	t.Helper()
	_, tree, err := parse("CREATE TABLE t (c " + name + ")")
	if err != nil {
		t.Fatal(err)
	}
	return typeOf(tree.each("tableElts")[0].node.child("typeName"))
}

// TestRules_MatchPostgreSQL runs statements on a real table and compares what the linter says of them with whether
// the server rewrites the table or reads it as a whole.
func TestRules_MatchPostgreSQL(t *testing.T) {
	server := postgres.ForTest(t)
	for sql, heavy := range map[string]bool{
		"ALTER TABLE big ADD COLUMN a int":                                                                         false,
		"ALTER TABLE big ADD COLUMN a int NOT NULL DEFAULT 5":                                                      false,
		"ALTER TABLE big ADD COLUMN a timestamptz DEFAULT now()":                                                   false,
		"ALTER TABLE big ADD COLUMN a timestamptz DEFAULT clock_timestamp()":                                       true,
		"ALTER TABLE big ADD COLUMN a uuid DEFAULT gen_random_uuid()":                                              true,
		"ALTER TABLE big ADD COLUMN a serial":                                                                      true,
		"ALTER TABLE big ADD COLUMN a int GENERATED ALWAYS AS IDENTITY":                                            true,
		"ALTER TABLE big ADD COLUMN a int GENERATED ALWAYS AS (id * 2) STORED":                                     true,
		"ALTER TABLE big ADD COLUMN a int CHECK (a > 0)":                                                           true,
		"ALTER TABLE big ADD COLUMN a int UNIQUE":                                                                  true,
		"ALTER TABLE big ADD CONSTRAINT c CHECK (id > 0)":                                                          true,
		"ALTER TABLE big ADD CONSTRAINT c CHECK (id > 0) NOT VALID":                                                false,
		"ALTER TABLE big ADD CONSTRAINT c FOREIGN KEY (other) REFERENCES others (id)":                              true,
		"ALTER TABLE big ADD CONSTRAINT c FOREIGN KEY (other) REFERENCES others (id) NOT VALID":                    false,
		"ALTER TABLE big ALTER COLUMN name SET NOT NULL":                                                           true,
		"ALTER TABLE big ALTER COLUMN name DROP NOT NULL":                                                          false,
		"ALTER TABLE big ALTER COLUMN name SET DEFAULT gen_random_uuid()::text":                                    false,
		"ALTER TABLE big ALTER COLUMN id TYPE bigint":                                                              true,
		"SET timezone = 'UTC'; ALTER TABLE big ALTER COLUMN at TYPE timestamptz":                                   false,
		"SET timezone = 'Europe/Berlin'; ALTER TABLE big ALTER COLUMN at TYPE timestamptz":                         true,
		"ALTER TABLE big SET (fillfactor = 70)":                                                                    false,
		"ALTER TABLE big SET UNLOGGED":                                                                             true,
		"ALTER TABLE big ALTER COLUMN name SET STORAGE EXTERNAL":                                                   false,
		"CREATE TRIGGER t BEFORE UPDATE ON big FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()": false,
		"CREATE INDEX big_name ON big (name)":                                                                      true,
	} {
		database := fmt.Sprintf("d%d", len(sql)*1000+int(sql[len(sql)-2]))
		if _, err := server.Psql(t.Context(), "postgres", "CREATE DATABASE "+database); err != nil {
			t.Fatal(err)
		}
		prepare := `CREATE TABLE others (id int PRIMARY KEY); CREATE TABLE big (id int, other int, name text, at timestamp);
			INSERT INTO big SELECT n, NULL, 'n' || n, '2027-01-01' FROM generate_series(1, 2000) n; ANALYZE big;
			CREATE TABLE seen (file oid, scans bigint, reads bigint);`
		if _, err := server.Psql(t.Context(), database, prepare); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Psql(t.Context(), database,
			"SELECT pg_stat_reset(); INSERT INTO seen SELECT relfilenode FROM pg_class WHERE relname = 'big'"); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Psql(t.Context(), database, sql); err != nil {
			t.Fatal(err)
		}
		out, err := server.Psql(t.Context(), database,
			"SELECT pg_sleep(0.3); SELECT (relfilenode <> file) OR pg_stat_get_numscans(c.oid) > 0 FROM pg_class c, seen WHERE relname = 'big'")
		if err != nil {
			t.Fatal(err)
		}
		did := strings.HasSuffix(out, "t")
		if did != heavy {
			t.Errorf("%s: PostgreSQL reads or writes the whole table: %v, the test expects %v", sql, did, heavy)
		}
		if reported := locksReported(t, sql); reported != heavy {
			t.Errorf("%s: the linter reports heavy: %v, PostgreSQL: %v", sql, reported, heavy)
		}
	}
}

// locksReported reports whether the linter finds an error of the class of locks.
func locksReported(t *testing.T, sql string) bool {
	t.Helper()
	report, err := Lint(t.Context(), nil, []*sqlfile.File{sqlfile.Parse("00001_x.sql", []byte("-- +goose Up\n"+sql+";\n"))}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(report.Errors(), func(f Finding) bool { return f.Class == Locks })
}
