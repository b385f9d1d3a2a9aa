// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// FileStatus is the state of a file.
type FileStatus struct {
	Version    int64  `json:"version"`
	Name       string `json:"name"`
	Checksum   string `json:"checksum,omitempty"`
	State      State  `json:"state"`
	Done       int    `json:"done,omitempty"` // finished statements of a started file
	Statements int    `json:"statements,omitempty"`
	// Recorded is the checksum in the database, if it differs.
	Recorded string `json:"recorded,omitempty"`
}

// readOnly prevents changes by checks.
var readOnly = &sql.TxOptions{ReadOnly: true}

// Status is the state of the files in the database.
type Status struct {
	Current        int64          `json:"current"`
	Files          []FileStatus   `json:"files"`
	Pending        int            `json:"pending"`
	InvalidIndexes []InvalidIndex `json:"invalid_indexes,omitempty"`
	// Problem is why Up would refuse to run, or empty.
	Problem string `json:"problem,omitempty"`
}

// Status only reads. It changes nothing and takes no lock.
func (r *Runner) Status(ctx context.Context) (*Status, error) {
	known, err := r.read(ctx, r.db)
	if err != nil {
		return nil, r.clean(err)
	}
	status := &Status{Current: known.current}
	there := map[int64]bool{}
	for _, file := range r.config.Files {
		there[file.Version] = true
		e := known.entries[file.Version]
		entry := FileStatus{Version: file.Version, Name: file.Name, Checksum: file.Checksum, State: known.state(file.Version)}
		if entry.State == Started {
			entry.Done, entry.Statements = e.done, len(file.Fragments)
		}
		if e.checksum != file.Checksum {
			entry.Recorded = e.checksum
		}
		if entry.State == Pending || entry.State == Started {
			status.Pending++
		}
		status.Files = append(status.Files, entry)
	}
	for version := range known.goose {
		if e := known.entries[version]; !there[version] {
			status.Files = append(status.Files, FileStatus{Version: version, Name: e.name, State: known.state(version), Recorded: e.checksum})
		}
	}
	var wrong *LedgerError
	if _, err := r.compare(known); errors.As(err, &wrong) {
		status.Problem = wrong.Error()
	}
	if status.InvalidIndexes, err = r.InvalidIndexes(ctx); err != nil {
		return nil, r.clean(err)
	}
	return status, nil
}

// NothingToCheck is why a file without statements is refused as a check.
const NothingToCheck = "it holds no statement, so that it would check nothing"

// Check runs the statements of files that must be true before or after a migration. It changes nothing: its transaction is read-only.
// A statement passes if it returns at least one row, and the first column of each is true or a number other than 0.
func (r *Runner) Check(ctx context.Context, files []*sqlfile.File) error {
	for _, file := range files {
		if file.Problem != nil {
			return &FileError{File: file.Name, Line: file.Problem.Line, Reason: file.Problem.Reason}
		}
		if len(file.Statements) == 0 {
			return &CheckError{File: file.Name, Line: 1, Reason: NothingToCheck}
		}
		for i, statement := range file.Statements {
			if err := r.check(ctx, file, i); err != nil {
				return r.clean(err)
			}
			r.log.Info("holds", "file", file.Name, "line", statement.Line)
		}
	}
	return nil
}

func (r *Runner) check(ctx context.Context, file *sqlfile.File, i int) (err error) {
	statement := file.Statements[i]
	fail := func(reason string) error {
		return &CheckError{File: file.Name, Line: statement.Line, Statement: r.show(statement.SQL), Reason: reason}
	}
	stopped := func(err error) error {
		var reported *pgconn.PgError
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("checking %s: %w", file.Name, ctx.Err())
		case sessionLost(err):
			return &ConnectError{Reason: hide(r.secrets, oneLine(err))}
		case errors.As(err, &reported) && reported.Code == "25006":
			return fail("checks may only read: " + hide(r.secrets, oneLine(err)))
		}
		return fail(hide(r.secrets, oneLine(err)))
	}
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return stopped(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	tx, err := conn.BeginTx(ctx, readOnly)
	if err != nil {
		return stopped(err)
	}
	defer func() { err = finish(tx, err) }()
	if err := r.limits(ctx, tx, "SET LOCAL", true); err != nil {
		return stopped(err)
	}
	rows, err := tx.QueryContext(ctx, statement.SQL)
	if err != nil {
		return stopped(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.ColumnTypes()
	if err != nil {
		return stopped(err)
	}
	numeric := len(columns) > 0 && columns[0].DatabaseTypeName() == "NUMERIC"
	count := 0
	for rows.Next() {
		count++
		values := make([]any, len(columns))
		targets := make([]any, len(columns))
		for c := range values {
			targets[c] = &values[c]
		}
		if err := rows.Scan(targets...); err != nil {
			return fail(hide(r.secrets, oneLine(err)))
		}
		if len(values) == 0 || !holds(values[0], numeric) {
			return fail(fmt.Sprintf("row %d is not true but %v", count, values[:min(1, len(values))]))
		}
	}
	if err := rows.Err(); err != nil {
		return stopped(err)
	}
	if count == 0 {
		return fail("it returns no row")
	}
	return nil
}

// holds accepts a numeric as text, in the form that the driver returns.
func holds(value any, numeric bool) bool {
	switch value := value.(type) {
	case bool:
		return value
	case int64:
		return value != 0
	case float64:
		return value != 0 && !math.IsNaN(value)
	case string:
		if numeric {
			return strings.ContainsAny(value, "123456789")
		}
		return value == "t" || value == "true"
	}
	return false
}
