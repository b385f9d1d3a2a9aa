// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// TestParse_SplitsFilesAsGooseDoes gives the same files to goose itself and compares what it would send to the server.
func TestParse_SplitsFilesAsGooseDoes(t *testing.T) {
	for name, content := range map[string]string{
		"simple":          "-- +goose Up\nCREATE TABLE a (b int);\nSELECT 1;\n",
		"up and down":     "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;\n",
		"comments":        "-- first\n\n-- +goose Up\n-- why\n\nSELECT 1 -- one;\n  , 2;\n-- after\nSELECT 3; -- three\n",
		"several lines":   "-- +goose Up\nALTER TABLE a\n    ADD COLUMN b int,\n\n    ADD COLUMN c int;\n",
		"two on one line": "-- +goose Up\nSELECT 1; SELECT 2;\n",
		"a block": "-- +goose Up\n-- +goose StatementBegin\nDO $$\nBEGIN\n  PERFORM 1;\nEND $$;\n" +
			"-- +goose StatementEnd\nSELECT 1;\n",
		"two blocks": "-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\nSELECT 2;\n-- +goose StatementEnd\n" +
			"-- +goose StatementBegin\nSELECT 3\n-- +goose StatementEnd\n",
		"no transaction at the top": "-- +goose NO TRANSACTION\n-- +goose Up\nVACUUM;\n",
		"no transaction in the up":  "-- +goose Up\n-- +goose NO TRANSACTION\nVACUUM;\n",
		"case of annotations":       "-- +goose up\nSELECT 1;\n-- +GOOSE DOWN\nSELECT 2;\n",
		"windows line ends":         "-- +goose Up\r\nSELECT 1;\r\nSELECT 2;\r\n",
		"no line end":               "-- +goose Up\nSELECT 1;",
		"nothing to do":             "-- +goose Up\n",
		"a function split":          "-- +goose Up\nCREATE FUNCTION f() RETURNS int AS $$\nBEGIN\n  RETURN 1;\nEND;\n$$ LANGUAGE plpgsql;\n",
		"a text with a semicolon":   "-- +goose Up\nSELECT 'a;\nb';\n",
		"block comment":             "-- +goose Up\n/* one;\n two */\nSELECT 1;\n",
		"block in the down":         "-- +goose Up\nSELECT 1;\n-- +goose Down\n-- +goose StatementBegin\nSELECT 2;\n-- +goose StatementEnd\n",
		"no semicolon":              "-- +goose Up\nSELECT 1\n",
		"no semicolon before down":  "-- +goose Up\nSELECT 1\n-- +goose Down\nSELECT 2;\n",
		"no up":                     "SELECT 1;\n",
		"sql before up":             "SELECT 1;\n-- +goose Up\nSELECT 1;\n",
		"no end":                    "-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n",
		"end without begin":         "-- +goose Up\nSELECT 1;\n-- +goose StatementEnd\n",
		"up twice":                  "-- +goose Up\nSELECT 1;\n-- +goose Up\nSELECT 2;\n",
		"unknown annotation":        "-- +goose Up\n-- +goose Sideways\nSELECT 1;\n",
		"indented annotation":       "-- +goose Up\n  -- +goose StatementBegin\nSELECT 1;\n",
	} {
		t.Run(name, func(t *testing.T) {
			file := Parse("00001_x.sql", []byte(content))
			want, transaction, err := askGoose(t, content)
			if file.Format != Goose && err != nil {
				return // goose refuses what has none of its annotations
			}
			if (err != nil) != (file.Problem != nil) {
				t.Fatalf("goose returns %v, and we %v", err, file.Problem)
			}
			if err != nil {
				return
			}
			var got []string
			for _, fragment := range file.Fragments {
				got = append(got, fragment.SQL)
			}
			for i := range want {
				want[i] = strings.ReplaceAll(want[i], "\r", "")
			}
			if !slices.Equal(got, want) {
				t.Errorf("we split into\n%q\nand goose into\n%q", got, want)
			}
			if transaction != (file.Transaction == WholeFile) {
				t.Errorf("goose uses a transaction: %v; we return %s", transaction, file.Transaction)
			}
		})
	}
}

// askGoose lets goose run a file against a driver that only takes notes.
func askGoose(t *testing.T, content string) (statements []string, transaction bool, err error) {
	t.Helper()
	notes := &recorder{}
	db := sql.OpenDB(notes)
	defer func() {
		if closing := db.Close(); closing != nil {
			t.Error(closing)
		}
	}()
	provider, err := goose.NewProvider(goose.DialectCustom, db, fstest.MapFS{"00001_x.sql": {Data: []byte(content)}},
		goose.WithStore(nothing{}), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = provider.ApplyVersion(t.Context(), 1, true)
	transaction = notes.inside
	if err == nil && len(notes.statements) == 0 {
		transaction = true // nothing to see
	}
	return notes.statements, transaction, err
}

// recorder is a database driver that notes statements and runs none.
type recorder struct {
	statements []string
	open       bool // in a transaction
	inside     bool // a statement was
}

func (r *recorder) Connect(context.Context) (driver.Conn, error) { return r, nil }
func (r *recorder) Driver() driver.Driver                        { return nil }
func (r *recorder) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("not expected") }
func (r *recorder) Close() error                                 { return nil }
func (r *recorder) Begin() (driver.Tx, error)                    { r.open = true; return r, nil }
func (r *recorder) Commit() error                                { r.open = false; return nil }
func (r *recorder) Rollback() error                              { r.open = false; return nil }
func (r *recorder) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	r.statements = append(r.statements, query)
	r.inside = r.inside || r.open
	return driver.RowsAffected(0), nil
}

// nothing is a store of goose's without any record.
type nothing struct{}

func (nothing) Tablename() string                                                  { return "nothing" }
func (nothing) CreateVersionTable(context.Context, database.DBTxConn) error        { return nil }
func (nothing) Delete(context.Context, database.DBTxConn, int64) error             { return nil }
func (nothing) GetLatestVersion(context.Context, database.DBTxConn) (int64, error) { return 0, nil }
func (nothing) Insert(context.Context, database.DBTxConn, database.InsertRequest) error {
	return nil
}
func (nothing) GetMigration(context.Context, database.DBTxConn, int64) (*database.GetMigrationResult, error) {
	return nil, database.ErrVersionNotFound
}
func (nothing) ListMigrations(context.Context, database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	return []*database.ListMigrationsResult{{Version: 0, IsApplied: true}}, nil
}
