// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wasilibs/go-pgquery/parser"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// shapes are statements as deep as one likes.
var shapes = map[string]func(n int) string{
	"sum":           func(n int) string { return "SELECT 1" + strings.Repeat(" + 1", n) },
	"concatenation": func(n int) string { return "SELECT 'a'" + strings.Repeat(" || 'a'", n) },
	"functions":     func(n int) string { return "SELECT " + strings.Repeat("f(", n) + "1" + strings.Repeat(")", n) },
	"not":           func(n int) string { return "SELECT " + strings.Repeat("NOT ", n) + "true" },
	"is":            func(n int) string { return "SELECT a" + strings.Repeat(" IS NULL", n) },
	"case": func(n int) string {
		return "SELECT " + strings.Repeat("CASE WHEN true THEN ", n) + "1" + strings.Repeat(" END", n)
	},
	"case in else": func(n int) string {
		return "SELECT " + strings.Repeat("CASE WHEN true THEN 1 ELSE ", n) + "1" + strings.Repeat(" END", n)
	},
	"sub-queries": func(n int) string { return "SELECT " + strings.Repeat("(SELECT ", n) + "1" + strings.Repeat(")", n) },
	"sub-selects": func(n int) string {
		return strings.Repeat("SELECT * FROM (", n) + "SELECT 1" + strings.Repeat(") a", n)
	},
	"common table": func(n int) string {
		return strings.Repeat("WITH a AS (", n) + "SELECT 1" + strings.Repeat(") SELECT 1", n)
	},
	"exists": func(n int) string {
		return "SELECT 1" + strings.Repeat(" WHERE EXISTS (SELECT 1", n) + strings.Repeat(")", n)
	},
	"in": func(n int) string {
		return "SELECT 1 WHERE a" + strings.Repeat(" IN (SELECT 1 WHERE a", n) + strings.Repeat(")", n)
	},
	"union":    func(n int) string { return "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", n) },
	"join":     func(n int) string { return "SELECT * FROM a" + strings.Repeat(" JOIN a ON true", n) },
	"casts":    func(n int) string { return "SELECT 1" + strings.Repeat("::int", n) },
	"brackets": func(n int) string { return "SELECT " + strings.Repeat("ARRAY[", n) + "1" + strings.Repeat("]", n) },
	"rows":     func(n int) string { return "SELECT " + strings.Repeat("ROW(", n) + "1" + strings.Repeat(")", n) },
	"check": func(n int) string {
		return "ALTER TABLE a ADD CONSTRAINT b CHECK (0 < c" + strings.Repeat(" + c", n) + ") NOT VALID"
	},
	"and in or": func(n int) string {
		return "SELECT 1 WHERE " + strings.Repeat("(a AND (b OR ", n) + "c" + strings.Repeat("))", n)
	},
	"json": func(n int) string { return "SELECT a" + strings.Repeat(" -> 'a'", n) },
	"if": func(n int) string {
		return "DO $$ BEGIN " + strings.Repeat("IF true THEN ", n) + "NULL; " + strings.Repeat("END IF; ", n) + "END $$"
	},
	"blocks": func(n int) string {
		return "DO $$ " + strings.Repeat("BEGIN ", n) + "NULL; " + strings.Repeat("END; ", n-1) + "END $$"
	},
	"loops": func(n int) string {
		return "DO $$ BEGIN " + strings.Repeat("LOOP ", n) + "NULL; " + strings.Repeat("END LOOP; ", n) + "END $$"
	},
	"sum in a block": func(n int) string { return "DO $$ BEGIN PERFORM 1" + strings.Repeat(" + 1", n) + "; END $$" },
}

// deepestAllowed is the largest n for which the shape is given to the parser.
func deepestAllowed(shape func(int) string) int {
	n := 1
	for tooMuch(shape(n+1)) == nil && n < 5000 {
		n++
	}
	return n
}

func TestTooMuch_LetsThroughOnlyWhatTheParserCanStand(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			n := deepestAllowed(shape)
			if n < 15 || n > 2*maxDepth {
				t.Fatalf("%d levels are let through", n)
			}
			// Some more, so that there is room between what is parsed and what the parser can handle.
			n += n / 4
			sql := shape(n)
			text, err := parseWith(parser.ParseToJSON, sql)
			if err != nil || !strings.Contains(text, "stmts") {
				t.Fatalf("with %d levels: %v", n, err)
			}
			if strings.HasPrefix(sql, "DO ") {
				if _, err := parseWith(parser.ParsePlPgSqlToJSON, sql); err != nil {
					t.Fatalf("with %d levels: %v", n, err)
				}
			}
			// A parser that wrote over its own memory no longer knows these.
			for _, sql := range []string{"SELECT 1::int", "DO $$ DECLARE a int; BEGIN IF true THEN NULL; END IF; END $$"} {
				if _, err := parseWith(parser.ParseToJSON, sql); err != nil {
					t.Errorf("after %d levels, %s: %v", n, sql, err)
				}
			}
			if _, err := parseWith(parser.ParsePlPgSqlToJSON, "DO $$ DECLARE a int; BEGIN IF true THEN NULL; END IF; END $$"); err != nil {
				t.Errorf("after %d levels: %v", n, err)
			}
		})
	}
}

func TestTooMuch_LetsThroughWhatIsLongButFlat(t *testing.T) {
	for name, sql := range map[string]string{
		"values":  "INSERT INTO a VALUES (1, 'x' || 'y', -1)" + strings.Repeat(", (1, 'x' || 'y', -1)", 5000),
		"or":      "SELECT 1 WHERE a = 1" + strings.Repeat(" OR a = 1", 2000),
		"columns": "CREATE TABLE a (b int" + strings.Repeat(", c numeric(10, 2) NOT NULL DEFAULT -1 CHECK (c > -2)", 500) + ")",
		"alter":   "ALTER TABLE a ADD b int" + strings.Repeat(", ADD c int CHECK (c <> 0 AND c <> 1)", 500),
		"list":    "SELECT 1 WHERE a IN (1" + strings.Repeat(", -1", 5000) + ")",
		"block":   "DO $$ BEGIN " + strings.Repeat("IF a THEN UPDATE b SET c = c + 1 WHERE d = 1; ELSIF b THEN NULL; END IF; ", 500) + "END $$",
		"caseend": "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN " + strings.Repeat("a := CASE WHEN b THEN 1 ELSE 2 "+
			"END; FOR i IN 1..2 LOOP NULL; END LOOP; CASE a WHEN 1 THEN NULL; END CASE; ", 500) + "END $$",
		"exists": "DO $$ BEGIN " + strings.Repeat("CREATE TABLE IF NOT EXISTS a (b int); ", 500) + "END $$",
	} {
		if err := tooMuch(sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLint_DoesNotGiveTheParserWhatItCannotStand gave, before, a goroutine and a processor to a parser that never ended.
func TestLint_DoesNotGiveTheParserWhatItCannotStand(t *testing.T) {
	for name, sql := range map[string]string{
		"sum":   "-- +goose Up\nUPDATE a SET b = 1\n" + strings.Repeat(" + 1", 2000) + " WHERE id = 1;\n",
		"block": "-- +goose Up\n-- +goose StatementBegin\n" + shapes["if"](2000) + ";\n-- +goose StatementEnd\n",
		"text": "-- +goose Up\n-- +goose StatementBegin\nDO $$ BEGIN EXECUTE 'SELECT 1" + strings.Repeat(" + 1", 2000) +
			"'; END $$;\n-- +goose StatementEnd\n",
		"long": "-- +goose Up\nSELECT '" + strings.Repeat("a", maxLength) + "';\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := startParser(); err != nil {
				t.Fatal(err)
			}
			started := time.Now()
			report, err := Lint(t.Context(), nil, []*sqlfile.File{sqlfile.Parse("00001_a.sql", []byte(sql+"ALTER TABLE b DROP COLUMN c;\n"))},
				Options{})
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(started); took >= parseLimit {
				t.Errorf("it took %s: the parser was called", took)
			}
			rules := map[string]bool{}
			for _, finding := range report.Findings {
				rules[finding.Rule] = true
			}
			if !rules["not-analyzed"] || !rules["drop-column"] {
				t.Errorf("got %+v", report.Findings)
			}
		})
	}
	var failed *syntaxError
	if _, _, err := parse(shapes["sum"](2000)); !errors.As(err, &failed) || failed.offset <= 0 {
		t.Errorf("got %v", err)
	}
}
