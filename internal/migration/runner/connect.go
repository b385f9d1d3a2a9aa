// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/slipway-dev/terraform-provider-slipway/internal/postgres"
)

// ApplicationName is the name of a runner in pg_stat_activity.
const ApplicationName = "slipway-migrate"

// connect opens a pool and returns the secrets that must never be shown.
func connect(ctx context.Context, config Config) (*sql.DB, []string, error) {
	settings, err := pgx.ParseConfig(config.DSN)
	if err != nil {
		// pgx's text may contain parts of the connection string.
		return nil, nil, &ConnectError{Reason: "the connection string cannot be read: it must be a URL such as " +
			"postgres://user:password@host:5432/database, or key=value pairs"}
	}
	var secrets []string
	if settings.Password != "" {
		secrets = append(secrets, settings.Password, url.QueryEscape(settings.Password), url.PathEscape(settings.Password))
	}
	if settings.RuntimeParams["application_name"] == "" {
		settings.RuntimeParams["application_name"] = ApplicationName
	}
	// Statements are sent unprepared: DDL has no parameters, and a cached plan breaks when a table changes.
	settings.DefaultQueryExecMode = pgx.QueryExecModeExec
	settings.StatementCacheCapacity, settings.DescriptionCacheCapacity = 0, 0
	settings.OnNotice = nil
	db := stdlib.OpenDB(*settings, stdlib.OptionAfterConnect(endWithClient),
		stdlib.OptionResetSession(func(ctx context.Context, conn *pgx.Conn) error {
			// A file may have left settings behind.
			if _, err := conn.Exec(ctx, "RESET SESSION AUTHORIZATION; RESET ALL"); err != nil {
				return err
			}
			return endWithClient(ctx, conn)
		}))
	db.SetMaxOpenConns(4)
	if _, err := postgres.Patiently(ctx, func() error { return db.PingContext(ctx) }); err != nil {
		return nil, nil, errors.Join(&ConnectError{Reason: hide(secrets, oneLine(err))}, db.Close())
	}
	return db, secrets, nil
}

// endWithClient makes the server check every 5 seconds whether this program is still connected. Otherwise a statement whose runner
// was killed continues to its end, with its locks, and the next runner waits for it. It is not a connection parameter, since PgBouncer
// refuses those; a server whose platform does not support the check returns an error, and works without it.
func endWithClient(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SET client_connection_check_interval = '5s'")
	if _, refused := errors.AsType[*pgconn.PgError](err); refused {
		return nil
	}
	return err
}

// refusePooler finds out whether a session keeps its connection to the server. A pooler answers the client with another
// process id than the server has; one that shares connections gives the server's process to the next transaction.
func refusePooler(ctx context.Context, db *sql.DB) (err error) {
	first, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connecting to the database: %w", err)
	}
	defer func() { err = errors.Join(err, first.Close()) }()
	claimed := uint32(0)
	err = first.Raw(func(driver any) error {
		conn, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("unexpected database driver %T", driver)
		}
		claimed = conn.Conn().PgConn().PID()
		return nil
	})
	if err != nil {
		return err
	}
	pid, err := backend(ctx, first)
	if err != nil || pid == claimed {
		return err
	}
	for range 3 {
		shared, err := sharesBackend(ctx, db, first)
		if err != nil {
			return err
		}
		if shared {
			return &PoolerError{}
		}
	}
	return nil
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func backend(ctx context.Context, q querier) (uint32, error) {
	var pid uint32
	if err := q.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return 0, fmt.Errorf("asking the server for the session's process: %w", err)
	}
	return pid, nil
}

// sharesBackend reports whether a transaction of a second session runs on the server process of the first, or moves the first to
// another one.
func sharesBackend(ctx context.Context, db *sql.DB, first *sql.Conn) (shared bool, err error) {
	before, err := backend(ctx, first)
	if err != nil {
		return false, err
	}
	second, err := db.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("opening a second session: %w", err)
	}
	defer func() { err = errors.Join(err, second.Close()) }()
	tx, err := second.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("opening a second session: %w", err)
	}
	defer func() {
		if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, rollback)
		}
	}()
	other, err := backend(ctx, tx)
	if err != nil {
		return false, err
	}
	after, err := backend(ctx, first)
	return other == before || after != before, err
}

// hide removes secrets from a text.
func hide(secrets []string, text string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "********")
		}
	}
	return text
}

// oneLine is the text of an error on one line. pgx names the reason of each attempt to connect on a line of its own: with TLS and
// without, where the connection string has no sslmode, and for each address of the host.
func oneLine(err error) string {
	var parts []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(parts, line) {
			parts = append(parts, line)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.TrimSpace(parts[0] + " " + strings.Join(parts[1:], "; "))
}

// sessionLost reports that an error is not about the statement, because the session ended or there was none: the run may be retried.
func sessionLost(err error) bool {
	var reported *pgconn.PgError
	if !errors.As(err, &reported) {
		return true
	}
	if reported.Code == "08P01" && reported.SeverityUnlocalized == "ERROR" {
		return false // PostgreSQL's code for a statement with $1; from a pooler that ends the session it is FATAL
	}
	return strings.HasPrefix(reported.Code, "08") || strings.HasPrefix(reported.Code, "57P")
}
