// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"fmt"
	"strings"
	"time"
)

// FileError is a file that cannot be run.
type FileError struct {
	File   string
	Line   int
	Reason string
}

func (e *FileError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

// Explain implements explain.Explainer.
func (e *FileError) Explain() (happened, observed, advice string) {
	return "The migration " + e.File + " cannot be run.", fmt.Sprintf("Line %d: %s.", e.Line, e.Reason),
		"Follow goose's format: a name such as 00012_add_country.sql, '-- +goose Up', and statements that end in a semicolon."
}

func (*FileError) refused() {}

// ConnectError is a database that cannot be reached. It contains no password.
type ConnectError struct{ Reason string }

func (e *ConnectError) Error() string { return "connecting to the database: " + e.Reason }

// Explain implements explain.Explainer.
func (e *ConnectError) Explain() (happened, observed, advice string) {
	return "The database cannot be reached.", e.Reason, "Check host, port, database, user, password and TLS, and that the network " +
		"allows the connection."
}

// PoolerError is a connection pooler that does not keep a session on one connection.
type PoolerError struct{}

func (e *PoolerError) Error() string {
	return "the connection goes through a pooler in transaction mode, which keeps neither locks nor settings of a session"
}

// Explain implements explain.Explainer.
func (e *PoolerError) Explain() (happened, observed, advice string) {
	return "Migrations cannot run through this connection.",
		"Two sessions of this client share one connection of the server: there is a pooler such as PgBouncer in transaction mode in between.",
		"Give the migrations a connection string that leads to PostgreSQL itself, or to a pool in session mode."
}

func (*PoolerError) refused() {}

// BusyError means that another runner works on the database.
type BusyError struct {
	Waited time.Duration
	Holder string // what is known about it
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("another runner works on the database, for more than %s: %s", e.Waited, e.Holder)
}

// Explain implements explain.Explainer.
func (e *BusyError) Explain() (happened, observed, advice string) {
	return "The migrations were not started: another runner works on the database.", fmt.Sprintf("It still holds the lock after %s: %s.",
			e.Waited, e.Holder),
		"Wait until it has finished, and run again. If it hangs, end its session with pg_terminate_backend."
}

// LedgerError means that the files do not match the ledger in the database.
type LedgerError struct {
	Edited     []string // applied with another content
	Missing    []string // applied, and not among the files
	OutOfOrder []string // not applied, and older than the newest that is
}

func (e *LedgerError) Error() string {
	var parts []string
	for _, part := range []struct {
		files []string
		what  string
	}{
		{e.Edited, "edited after they were applied"}, {e.Missing, "applied, but missing now"},
		{e.OutOfOrder, "new, but older than what was applied"},
	} {
		if len(part.files) > 0 {
			parts = append(parts, fmt.Sprintf("%s (%s)", strings.Join(part.files, ", "), part.what))
		}
	}
	return "the files do not match the ledger in the database: " + strings.Join(parts, "; ")
}

// Explain implements explain.Explainer.
func (e *LedgerError) Explain() (happened, observed, advice string) {
	return "Nothing was run: the files do not match the ledger in the database.", e.Error() + ".",
		"Restore edited and missing files, and write each change as a new file with a number above all others."
}

func (*LedgerError) refused() {}

// StatementError is a statement that failed. It contains no statement with a password.
type StatementError struct {
	File      string
	Line      int
	Index     int // of the statement in the file, from 0
	Of        int
	Statement string
	Code      string // SQLSTATE, or empty
	Message   string // PostgreSQL's
	Detail    string
	Hint      string
	// Kept is true if the statements before it stay applied.
	Kept  bool
	Cause error
}

func (e *StatementError) Error() string {
	text := fmt.Sprintf("%s:%d: statement %d of %d failed: %s", e.File, e.Line, e.Index+1, e.Of, e.Message)
	if e.Code != "" {
		text += " (SQLSTATE " + e.Code + ")"
	}
	return text
}

func (e *StatementError) Unwrap() error { return e.Cause }

// Explain implements explain.Explainer.
func (e *StatementError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("Statement %d of %d in %s (line %d) failed.", e.Index+1, e.Of, e.File, e.Line)
	observed = e.Message
	if e.Detail != "" {
		observed += "\n" + e.Detail
	}
	if e.Hint != "" {
		observed += "\n" + e.Hint
	}
	observed += "\n" + e.Statement
	if e.Kept {
		return happened, observed, "The statements before it stay applied and are recorded. Correct this one, and run again: the run " +
			"resumes with it."
	}
	return happened, observed, "The whole file was rolled back. Correct it, and run again."
}

// CheckError is a check that failed.
type CheckError struct {
	File      string
	Line      int
	Statement string
	Reason    string
}

func (e *CheckError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason) }

// Explain implements explain.Explainer.
func (e *CheckError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The check in %s (line %d) does not hold.", e.File, e.Line), e.Reason + "\n" + e.Statement,
		"Bring the database into the state that the check requires, or correct the check."
}
