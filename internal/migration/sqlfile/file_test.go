// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import (
	"slices"
	"testing"
	"testing/fstest"
	"time"
)

func TestParse_FindsStatementsAndTheirLines(t *testing.T) {
	for name, test := range map[string]struct {
		sql  string
		want []string
		line []int
	}{
		"comments": {"-- a;\n/* b; /* c; */ */ SELECT 1; -- d\n\nSELECT 2", []string{"SELECT 1", "SELECT 2"}, []int{2, 4}},
		"texts": {
			"SELECT 'a;''b;';\nSELECT E'a\\';b';SELECT U&'\\;';",
			[]string{"SELECT 'a;''b;'", "SELECT E'a\\';b'", "SELECT U&'\\;'"}, []int{1, 2, 2},
		},
		"dollars": {"SELECT $$;$$, $a$;$$;$a$; SELECT $1;", []string{"SELECT $$;$$, $a$;$$;$a$", "SELECT $1"}, []int{1, 1}},
		"names":   {`SELECT ";" FROM "a;""b";`, []string{`SELECT ";" FROM "a;""b"`}, []int{1}},
		"rules": {
			"CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2);",
			[]string{"CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2)"}, []int{1},
		},
		"atomic": {
			"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3;",
			[]string{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END", "SELECT 3"},
			[]int{1, 1},
		},
		"begin": {"BEGIN; SELECT 1; END;", []string{"BEGIN", "SELECT 1", "END"}, []int{1, 1, 1}},
		"psql": {
			"\\connect x\nSELECT 1;\nCOPY a FROM stdin;\n1;2\n\\.\nSELECT 2;",
			[]string{"SELECT 1", "COPY a FROM stdin", "SELECT 2"}, []int{2, 3, 6},
		},
		"empty":        {";;\n;", nil, nil},
		"not finished": {"SELECT 'a", []string{"SELECT 'a"}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			var lines []int
			for _, statement := range Parse("x.sql", []byte(test.sql)).Statements {
				got, lines = append(got, statement.SQL), append(lines, statement.Line)
			}
			if !slices.Equal(got, test.want) || !slices.Equal(lines, test.line) {
				t.Errorf("got %q in lines %v", got, lines)
			}
		})
	}
}

func TestParse_ReadsAcknowledgements(t *testing.T) {
	file := Parse("x.sql", []byte(`-- slipway:kind contract
-- slipway:allow a, b reason="it is, so" until=2027-03-31
SELECT 1;
-- slipway:allow c
SELECT 2; -- slipway:allow-file d reason='the file'
-- slipway:allowed e
SELECT '-- slipway:allow f reason="a text"';
-- slipway:allow g reason="x" until=tomorrow
`))
	if !file.Contract {
		t.Error("the kind is not read")
	}
	if len(file.Notes) != 5 {
		t.Fatalf("got %+v", file.Notes)
	}
	first := file.Notes[0]
	if !slices.Equal(first.Rules, []string{"a", "b"}) || first.Reason != "it is, so" ||
		!first.Until.Equal(time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)) || first.Statement != 0 || first.Problem != "" {
		t.Errorf("got %+v", first)
	}
	if file.Notes[1].Problem == "" || !file.Notes[2].WholeFile || file.Notes[2].Problem != "" || file.Notes[3].Problem == "" ||
		file.Notes[4].Problem == "" {
		t.Errorf("got %+v", file.Notes)
	}
}

func TestParse_ChecksumsDoNotDependOnLineEnds(t *testing.T) {
	if Parse("a", []byte("SELECT 1;\r\n")).Checksum != Parse("a", []byte("SELECT 1;\n")).Checksum {
		t.Error("the checksum depends on line ends")
	}
	if Parse("a", []byte("SELECT 1;\n")).Checksum == Parse("a", []byte("SELECT 2;\n")).Checksum {
		t.Error("the checksum does not depend on the content")
	}
}

func TestReadFS_OrdersFilesAndLeavesOutDownMigrations(t *testing.T) {
	content := &fstest.MapFile{Data: []byte("SELECT 1;")}
	for name, test := range map[string]struct {
		files fstest.MapFS
		want  []string
	}{
		"numbers": {
			fstest.MapFS{"10_b.sql": content, "9_a.sql": content, "V11__c.sql": content, "z.sql": content, "notes.txt": content},
			[]string{"9_a.sql", "10_b.sql", "V11__c.sql", "z.sql"},
		},
		"up and down": {fstest.MapFS{"1_a.up.sql": content, "1_a.down.sql": content}, []string{"1_a.up.sql"}},
		"undo files": {
			fstest.MapFS{
				"V1__a.sql":            content,
				"U1__a.sql":            content,
				"2_b_down.sql":         content,
				"2_b_up.sql":           content,
				"3_c.rollback.sql":     content,
				"4_shut_it_down_c.sql": content,
			},
			[]string{"V1__a.sql", "2_b_up.sql", "4_shut_it_down_c.sql"},
		},
		"directories": {
			fstest.MapFS{"2_b/migration.sql": content, "1_a/migration.sql": content, "1_a/down.sql": content},
			[]string{"1_a/migration.sql", "2_b/migration.sql"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := ReadFS(test.files)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, file := range files {
				got = append(got, file.Name)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func FuzzTokens(f *testing.F) {
	for _, seed := range []string{
		"SELECT 'a' || E'\\'' ;", "$a$ $$ $a$", "/* /* */", `U&"x"`, "\xff\xfe'", "-- +goose Up\n-- +goose StatementBegin\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		end := 0
		for _, token := range Tokens(sql) {
			if token.Start < end || token.End <= token.Start || token.End > len(sql) {
				t.Fatalf("token %+v after %d in %q", token, end, sql)
			}
			end = token.End
		}
		Parse("00001_x.sql", []byte(sql))
		Parse("00001_x.sql", []byte("-- +goose Up\n"+sql))
	})
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{
		"SELECT 1; SELECT ';';", "BEGIN ATOMIC SELECT 1; END; x", "-- c\n(a;b);", "$$ ; $$; /* ; */ y",
		"CREATE FUNCTION f() BEGIN ATOMIC CASE WHEN a THEN b END; END;",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		end := 0
		for _, place := range split(sql) {
			if place.Start < end || place.End <= place.Start || place.End > len(sql) {
				t.Fatalf("statement %+v after %d in %q", place, end, sql)
			}
			end = place.End
			statement := sql[place.Start:place.End]
			if again := Split(statement); len(again) != 1 || again[0] != statement {
				t.Fatalf("the statement %q is split again, into %q", statement, again)
			}
		}
	})
}
