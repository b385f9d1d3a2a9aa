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
)

// InvalidIndex is an index that a failed or running CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY left.
type InvalidIndex struct {
	Name  string `json:"name"`
	Table string `json:"table"`
	// Building is true while a session still works on it.
	Building bool `json:"building"`
}

const invalidIndexes = `
	SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text,
		EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
		OR EXISTS (SELECT FROM pg_locks l WHERE l.relation = i.indrelid AND l.granted AND l.pid <> pg_backend_pid()
			AND l.mode = 'ShareUpdateExclusiveLock'
			AND l.pid IN (SELECT pid FROM pg_stat_activity WHERE query ~* 'concurrently' AND state <> 'idle'))
	FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
	WHERE NOT i.indisvalid AND c.relkind = 'i'
	ORDER BY 1`

// InvalidIndexes are the invalid indexes of the database.
func (r *Runner) InvalidIndexes(ctx context.Context) ([]InvalidIndex, error) {
	return listInvalid(ctx, r.db)
}

func listInvalid(ctx context.Context, q executor) (_ []InvalidIndex, err error) {
	rows, err := q.QueryContext(ctx, invalidIndexes)
	if err != nil {
		return nil, fmt.Errorf("looking for invalid indexes: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var list []InvalidIndex
	for rows.Next() {
		var index InvalidIndex
		if err := rows.Scan(&index.Name, &index.Table, &index.Building); err != nil {
			return nil, fmt.Errorf("looking for invalid indexes: %w", err)
		}
		list = append(list, index)
	}
	return list, rows.Err()
}

// beforeIndex prepares CREATE INDEX CONCURRENTLY: it drops the index of a failed build, once no session builds it any more. If the
// statement runs again and the index is valid, the statement is done.
func (r *Runner) beforeIndex(ctx context.Context, conn *sql.Conn, sql string, again bool) (done bool, err error) {
	name := createdIndex(sql)
	if name == "" {
		return false, nil
	}
	var full string
	var valid, own, building bool
	err = conn.QueryRowContext(ctx, `
		SELECT i.indexrelid::regclass::text, i.indisvalid, pg_has_role(c.relowner, 'USAGE'),
			EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE c.relname = $1 AND i.indrelid = to_regclass($2)`, name, indexedTable(sql)).Scan(&full, &valid, &own, &building)
	switch {
	case errors.Is(err, errNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking for the index %s: %w", name, err)
	case valid:
		if again {
			r.log.Info("the index was built by the run before", "index", full)
		}
		return again, nil
	case building:
		return false, fmt.Errorf("the index %s is being built by another session: wait until it is done, or end that session", full)
	case !own:
		return false, fmt.Errorf("the index %s is invalid, and belongs to another role: drop it", full)
	}
	r.log.Warn("dropping what a failed build left", "index", full)
	if _, err := conn.ExecContext(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+full); err != nil {
		return false, fmt.Errorf("dropping the invalid index %s: %w", full, err)
	}
	return false, nil
}

var errNoRows = sql.ErrNoRows

// createdIndex is the name of the index that a statement builds CONCURRENTLY, as PostgreSQL stores it; else it is "".
func createdIndex(sql string) string {
	list := words(sql)
	for i, word := range list {
		if word != "concurrently" || list[0] != "create" {
			continue
		}
		next := list[i+1:]
		if len(next) > 3 && next[0] == "if" && next[1] == "not" && next[2] == "exists" {
			next = next[3:]
		}
		if len(next) == 0 || next[0] == "on" {
			return ""
		}
		return strings.ReplaceAll(strings.Trim(next[0], `"`), `""`, `"`)
	}
	return ""
}

// indexedTable is the table of the statement, as written.
func indexedTable(sql string) string {
	list := words(sql)
	for i, word := range list {
		if word != "on" || i+1 >= len(list) {
			continue
		}
		next := list[i+1:]
		if next[0] == "only" && len(next) > 1 {
			next = next[1:]
		}
		// A name before a point is a schema.
		if len(next) > 1 && strings.Contains(strings.ToLower(sql), next[0]+"."+strings.ToLower(next[1])) {
			return next[0] + "." + next[1]
		}
		return next[0]
	}
	return ""
}

// alreadyGone reports that a statement failed because an earlier attempt was successful.
func alreadyGone(sql string, err error) bool {
	var failed *pgconn.PgError
	if err == nil || !errors.As(err, &failed) {
		return false
	}
	list := words(sql)
	return len(list) > 1 && list[0] == "drop" && list[1] == "index" && failed.Code == "42704"
}
