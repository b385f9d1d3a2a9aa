// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package runner applies SQL migrations to PostgreSQL. goose does the work and keeps its table. Next to it, a ledger has
// the checksum of each file and the progress of files that cannot run in a transaction. A run can be killed at any time and repeated:
// it resumes.
package runner

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// Config is what to run, and how.
type Config struct {
	// DSN is the connection string or URL of the database. It must lead to PostgreSQL itself, or to a pooler that keeps a
	// session on one connection. It is never logged, nor in an error.
	DSN string
	// Files are all migrations, in order.
	Files []*sqlfile.File
	// Known are the checksums of files that were applied before and are not among Files, by version.
	Known map[int64]string
	// LockTimeout is how long a statement waits for a lock on a table before it gives way and is retried. Default 3 s.
	LockTimeout time.Duration
	// LockRetries is the number of retries of a file, or of a statement of a file without a transaction. Default 20.
	LockRetries int
	// RunnerWait is how long to wait while another runner works on the database. Default 5 min.
	RunnerWait time.Duration
	// StatementTimeout limits each statement. 0: no limit.
	StatementTimeout time.Duration
	// Baseline records files up to this version as applied without running them, if nothing is recorded yet. 0: none.
	Baseline int64
	// AllowOutOfOrder runs files that are older than the newest that was applied.
	AllowOutOfOrder bool
	// Log of the run. nil: nothing is logged.
	Log *slog.Logger

	pause func(context.Context, time.Duration) error // for tests
}

const (
	defaultLockTimeout = 3 * time.Second
	defaultLockRetries = 20
	defaultRunnerWait  = 5 * time.Minute
)

// Runner applies migrations to one database.
type Runner struct {
	config   Config
	db       *sql.DB
	provider *goose.Provider
	store    database.Store
	secrets  []string
	log      *slog.Logger

	progress progress
}

// progress of a run, for the report.
type progress struct {
	version   int64
	statement int // from 0
	resumed   bool
	retries   int
}

// Open checks the files and connects to the database. The caller must Close it.
func Open(ctx context.Context, config Config) (*Runner, error) {
	if config.LockTimeout <= 0 {
		config.LockTimeout = defaultLockTimeout
	}
	if config.LockRetries <= 0 {
		config.LockRetries = defaultLockRetries
	}
	if config.RunnerWait <= 0 {
		config.RunnerWait = defaultRunnerWait
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.pause == nil {
		config.pause = pause
	}
	if err := checkFiles(config.Files); err != nil {
		return nil, err
	}
	r := &Runner{config: config, log: config.Log}
	var err error
	if r.db, r.secrets, err = connect(ctx, config); err != nil {
		return nil, err
	}
	if err := r.prepare(ctx); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	return r, nil
}

// Close ends the connections.
func (r *Runner) Close() error { return r.db.Close() }

func (r *Runner) prepare(ctx context.Context) error {
	if err := refusePooler(ctx, r.db); err != nil {
		return err
	}
	migrations := make([]*goose.Migration, 0, len(r.config.Files))
	for _, file := range r.config.Files {
		up := &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error { return r.runTransactional(ctx, tx, file) }}
		if file.Transaction == sqlfile.PerStatement {
			up = &goose.GoFunc{RunDB: func(ctx context.Context, db *sql.DB) error { return r.runStatements(ctx, db, file) }}
		}
		migrations = append(migrations, goose.NewGoMigration(file.Version, up, nil))
	}
	var err error
	if r.store, err = database.NewStore(database.DialectPostgres, goose.DefaultTablename); err != nil {
		return fmt.Errorf("preparing goose: %w", err)
	}
	if len(migrations) == 0 {
		return nil // goose refuses an empty set
	}
	r.provider, err = goose.NewProvider(goose.DialectPostgres, r.db, nil,
		goose.WithGoMigrations(migrations...), goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("preparing goose: %w", err)
	}
	return nil
}

func checkFiles(files []*sqlfile.File) error {
	seen := map[int64]string{}
	for _, file := range files {
		switch {
		case file.Format != sqlfile.Goose:
			return &FileError{File: file.Name, Line: 1, Reason: "it has no '-- +goose Up'"}
		case file.Problem != nil:
			return &FileError{File: file.Name, Line: file.Problem.Line, Reason: file.Problem.Reason}
		case file.Version <= 0:
			return &FileError{File: file.Name, Line: 1, Reason: "its name does not start with a number above 0"}
		case seen[file.Version] != "":
			return &FileError{File: file.Name, Line: 1, Reason: "it has the same number as " + seen[file.Version]}
		}
		seen[file.Version] = file.Name
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
