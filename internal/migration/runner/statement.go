// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

func insertion(version int64) database.InsertRequest { return database.InsertRequest{Version: version} }

func gooseTable(ctx context.Context, q querier) bool {
	var there bool
	return q.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", goose.DefaultTablename).Scan(&there) == nil && there
}

// finish commits, or rolls back if there is an error.
func finish(tx *sql.Tx, err error) error {
	if err == nil {
		return tx.Commit()
	}
	if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
		return errors.Join(err, rollback)
	}
	return err
}

// runTransactional runs a file in goose's transaction, in which goose and the ledger also record it.
func (r *Runner) runTransactional(ctx context.Context, tx *sql.Tx, file *sqlfile.File) error {
	if err := r.limits(ctx, tx, "SET LOCAL", true); err != nil {
		return err
	}
	for i := range file.Fragments {
		r.at(file, i)
		if _, err := tx.ExecContext(ctx, file.Fragments[i].SQL); err != nil {
			return r.failure(file, i, false, err)
		}
	}
	return write(ctx, tx, file, Applied, len(file.Fragments))
}

// runStatements runs a file without a transaction, one statement at a time. A statement runs in one transaction with its record if
// possible, and so exactly once. Otherwise the record follows the statement: after a kill between the two, the next run finds the
// statement already executed, and recognizes that for indexes.
func (r *Runner) runStatements(ctx context.Context, db *sql.DB, file *sqlfile.File) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("opening a session for %s: %w", file.Name, err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	known, err := r.read(ctx, conn)
	if err != nil {
		return err
	}
	begun, again := known.entries[file.Version]
	if !again {
		if err := write(ctx, conn, file, Started, 0); err != nil {
			return err
		}
	}
	controls := hasTransactionControl(file)
	open := false // in a transaction of the file
	for i := begun.done; i < len(file.Fragments); i++ {
		r.at(file, i)
		r.progress.resumed = again && i == begun.done
		sql := file.Fragments[i].SQL
		if controls {
			if open, err = r.runControlled(ctx, conn, file, i, open); err != nil {
				return err
			}
			continue
		}
		for attempt := 0; ; attempt++ {
			if needsNoTransaction(sql) {
				err = r.runAlone(ctx, conn, file, i, r.progress.resumed || attempt > 0)
			} else {
				err = r.runRecorded(ctx, conn, file, i)
			}
			if err == nil {
				break
			}
			if !givesWay(err) || attempt >= r.config.LockRetries {
				return r.failure(file, i, true, err)
			}
			if err := r.giveWay(ctx, file.Name, attempt, err); err != nil {
				return err
			}
		}
	}
	return write(ctx, conn, file, Applied, len(file.Fragments))
}

// runRecorded runs a statement and its record in one transaction.
func (r *Runner) runRecorded(ctx context.Context, conn *sql.Conn, file *sqlfile.File, i int) (err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = finish(tx, err) }()
	if err := r.limits(ctx, tx, "SET LOCAL", true); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, file.Fragments[i].SQL); err != nil {
		return err
	}
	return write(ctx, tx, file, Started, i+1)
}

// runAlone runs a statement that PostgreSQL runs only outside of transactions.
func (r *Runner) runAlone(ctx context.Context, conn *sql.Conn, file *sqlfile.File, i int, again bool) error {
	sql := file.Fragments[i].SQL
	// These wait for other transactions without blocking others, so that there is no need to give way.
	if err := r.limits(ctx, conn, "SET", !concurrently(sql)); err != nil {
		return err
	}
	done, err := r.beforeIndex(ctx, conn, sql, again)
	if err != nil {
		return err
	}
	if !done {
		_, err = conn.ExecContext(ctx, sql)
		if again && alreadyGone(sql, err) {
			r.log.Info("was done by the run before", "file", file.Name, "statement", i+1)
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return write(ctx, conn, file, Started, i+1)
}

// runControlled runs a statement of a file that opens transactions itself. It is recorded when none is open.
func (r *Runner) runControlled(ctx context.Context, conn *sql.Conn, file *sqlfile.File, i int, open bool) (bool, error) {
	if !open {
		if err := r.limits(ctx, conn, "SET", true); err != nil {
			return open, err
		}
	}
	sql := file.Fragments[i].SQL
	if _, err := conn.ExecContext(ctx, sql); err != nil {
		err = r.failure(file, i, true, err)
		if _, rollback := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); rollback != nil {
			err = errors.Join(err, rollback)
		}
		return false, err
	}
	switch firstWord(sql) {
	case "begin", "start":
		open = true
	case "commit", "end", "rollback", "abort":
		open = strings.Contains(strings.ToLower(sql), " to ") && open
	}
	if open {
		return true, nil
	}
	return false, write(ctx, conn, file, Started, i+1)
}

// limits sets the timeouts of the session or the transaction.
func (r *Runner) limits(ctx context.Context, q executor, set string, locks bool) error {
	lock := r.config.LockTimeout.Milliseconds()
	if !locks {
		lock = 0
	}
	_, err := q.ExecContext(ctx,
		fmt.Sprintf("%[1]s lock_timeout = %[2]d; %[1]s statement_timeout = %[3]d", set, lock, r.config.StatementTimeout.Milliseconds()))
	if err != nil {
		return fmt.Errorf("setting the timeouts: %w", err)
	}
	return nil
}

func (r *Runner) at(file *sqlfile.File, i int) {
	r.progress.version, r.progress.statement, r.progress.resumed = file.Version, i, false
}

// failure describes a statement that failed.
func (r *Runner) failure(file *sqlfile.File, i int, kept bool, err error) error {
	fragment := file.Fragments[i]
	failed := &StatementError{
		File: file.Name, Line: fragment.Line, Index: i, Of: len(file.Fragments),
		Statement: r.show(fragment.SQL), Message: hide(r.secrets, err.Error()), Kept: kept, Cause: err,
	}
	var reported *pgconn.PgError
	if errors.As(err, &reported) {
		failed.Code, failed.Message = reported.Code, hide(r.secrets, reported.Message)
		failed.Detail, failed.Hint = hide(r.secrets, reported.Detail), hide(r.secrets, reported.Hint)
		if position := int(reported.Position); position > 0 && position <= len(fragment.SQL) {
			failed.Line += strings.Count(string([]rune(fragment.SQL)[:min(position, len([]rune(fragment.SQL)))]), "\n")
		}
	}
	return failed
}

// show is a statement for people, without possible secrets.
func (r *Runner) show(sql string) string {
	if strings.Contains(strings.ToLower(sql), "password") {
		return "(not shown: it mentions a password)"
	}
	return hide(r.secrets, sql)
}
