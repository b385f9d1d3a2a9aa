// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// LedgerTable is next to goose's table.
const LedgerTable = "slipway_migration_ledger"

const createLedger = `CREATE TABLE IF NOT EXISTS ` + LedgerTable + ` (
	version     bigint      PRIMARY KEY,
	name        text        NOT NULL,
	checksum    text        NOT NULL,
	state       text        NOT NULL CHECK (state IN ('started', 'applied', 'adopted', 'baseline')),
	done        integer     NOT NULL DEFAULT 0,
	done_sum    text        NOT NULL DEFAULT '',
	contract    boolean     NOT NULL DEFAULT false,
	started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
	finished_at timestamptz
)`

// keepRecords revokes the default privileges of others on the tables that were just created, except for reading: a role that can write
// them, such as the application's, could cause files to run again, or never. Privileges that are granted later stay.
const keepRecords = `DO $slipway$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT DISTINCT c.oid::regclass AS name, c.relkind, a.grantee
		FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
		WHERE a.grantee <> c.relowner AND c.oid = ANY (%s)
	LOOP
		EXECUTE format(CASE item.relkind WHEN 'S' THEN 'REVOKE USAGE, UPDATE ON SEQUENCE %%s FROM %%s'
			ELSE 'REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON %%s FROM %%s' END,
			item.name, CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(item.grantee)) END);
	END LOOP;
END $slipway$`

// State is the state of a file in the database.
type State string

// The states of a file.
const (
	Pending  State = "pending"
	Started  State = "started"  // without a transaction, and not finished
	Applied  State = "applied"  // by this runner
	Adopted  State = "adopted"  // applied by goose without this runner
	Baseline State = "baseline" // declared as applied
)

// entry is a row of the ledger.
type entry struct {
	version  int64
	name     string
	checksum string
	state    State
	done     int    // finished statements
	doneSum  string // their hash
	finished sql.NullTime
}

// record is the content of both tables.
type record struct {
	goose   map[int64]bool // applied, by version
	undone  map[int64]bool // rows of an old goose for a version that was applied and rolled back
	entries map[int64]entry
	current int64 // the newest version that is applied
	tables  int   // how many of the two exist
}

type executor interface {
	querier
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// read reads both tables, which need not exist.
func (r *Runner) read(ctx context.Context, q executor) (*record, error) {
	known := &record{goose: map[int64]bool{}, undone: map[int64]bool{}, entries: map[int64]entry{}}
	var hasGoose, hasLedger bool
	err := q.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL", goose.DefaultTablename,
		LedgerTable).Scan(&hasGoose, &hasLedger)
	if err != nil {
		return nil, fmt.Errorf("looking for the tables of the migrations: %w", err)
	}
	if hasGoose {
		known.tables++
		if err := known.readGoose(ctx, q); err != nil {
			return nil, fmt.Errorf("reading %s: %w", goose.DefaultTablename, err)
		}
	}
	if hasLedger {
		known.tables++
		if err := known.readLedger(ctx, q); err != nil {
			return nil, fmt.Errorf("reading %s: %w", LedgerTable, err)
		}
	}
	return known, nil
}

func (k *record) readGoose(ctx context.Context, q executor) (err error) {
	rows, err := q.QueryContext(ctx, "SELECT version_id, is_applied FROM "+goose.DefaultTablename+" ORDER BY id")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var version int64
		var applied bool
		if err := rows.Scan(&version, &applied); err != nil {
			return err
		}
		if version == 0 {
			continue // goose's own first row
		}
		delete(k.goose, version)
		delete(k.undone, version)
		if applied {
			k.goose[version] = true
		} else {
			k.undone[version] = true
		}
	}
	for version := range k.goose {
		k.current = max(k.current, version)
	}
	return rows.Err()
}

func (k *record) readLedger(ctx context.Context, q executor) (err error) {
	rows, err := q.QueryContext(ctx, "SELECT version, name, checksum, state, done, done_sum, finished_at FROM "+LedgerTable)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.version, &e.name, &e.checksum, &e.state, &e.done, &e.doneSum, &e.finished); err != nil {
			return err
		}
		k.entries[e.version] = e
	}
	return rows.Err()
}

// state is the state of a version in the database.
func (k *record) state(version int64) State {
	e, known := k.entries[version]
	switch {
	case k.goose[version] && !known:
		return Adopted
	case k.goose[version] && e.state == Started:
		return Applied
	case k.goose[version]:
		return e.state
	case known && e.done > 0:
		return Started
	}
	return Pending
}

// makeTables creates goose's table and the ledger if they are missing, in the way of goose.
func (r *Runner) makeTables(ctx context.Context, known *record) (err error) {
	if known.tables == 2 {
		return nil
	}
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("making the tables of the migrations: %w", err)
	}
	defer func() { err = finish(tx, err) }()
	made := []string{"to_regclass('" + LedgerTable + "')"}
	if _, err := tx.ExecContext(ctx, createLedger); err != nil {
		return fmt.Errorf("creating the table %s: %w", LedgerTable, err)
	}
	if !gooseTable(ctx, tx) {
		if err := r.store.CreateVersionTable(ctx, tx); err != nil {
			return fmt.Errorf("creating goose's table: %w", err)
		}
		if err := r.store.Insert(ctx, tx, insertion(0)); err != nil {
			return fmt.Errorf("writing goose's first row: %w", err)
		}
		made = append(made, "to_regclass('"+goose.DefaultTablename+"')", "pg_get_serial_sequence('"+goose.DefaultTablename+"', 'id')::regclass")
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(keepRecords, "ARRAY["+strings.Join(made, ", ")+"]::oid[]")); err != nil {
		return fmt.Errorf("closing the tables of the migrations to other roles: %w", err)
	}
	return nil
}

// write puts a row into the ledger.
func write(ctx context.Context, q executor, file *sqlfile.File, state State, done int) error {
	var finished any
	if state != Started {
		finished = time.Now().UTC()
	}
	_, err := q.ExecContext(ctx, `INSERT INTO `+LedgerTable+` (version, name, checksum, state, done, done_sum, contract, finished_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, state = excluded.state,
			done = excluded.done, done_sum = excluded.done_sum, contract = excluded.contract, finished_at = excluded.finished_at`,
		file.Version, file.Name, file.Checksum, string(state), done, sumOf(file, done), file.Contract, finished)
	if err != nil {
		return fmt.Errorf("recording %s: %w", file.Name, err)
	}
	return nil
}

// sumOf is the hash of the first statements of a file, which must not change after they have run.
func sumOf(file *sqlfile.File, statements int) string {
	sum := sha256.New()
	for _, fragment := range file.Fragments[:min(statements, len(file.Fragments))] {
		sum.Write(fmt.Appendf(nil, "%d\n%s\n", len(fragment.SQL), fragment.SQL))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// compare checks the files against the record, and returns those that are still to be run, in order.
func (r *Runner) compare(known *record) ([]*sqlfile.File, error) {
	var wrong LedgerError
	var pending []*sqlfile.File
	there := map[int64]bool{}
	for _, file := range r.config.Files {
		there[file.Version] = true
		e, recorded := known.entries[file.Version]
		switch {
		case known.goose[file.Version]:
			if recorded && e.checksum != file.Checksum {
				wrong.Edited = append(wrong.Edited, file.Name)
			}
			continue
		case recorded && e.doneSum != sumOf(file, e.done):
			wrong.Edited = append(wrong.Edited, file.Name)
		case recorded && e.done > 0:
			// Started already; the order was right then.
		case file.Version < known.current && !r.config.AllowOutOfOrder:
			wrong.OutOfOrder = append(wrong.OutOfOrder, file.Name)
		}
		pending = append(pending, file)
	}
	for version := range known.goose {
		checksum, elsewhere := r.config.Known[version]
		e, recorded := known.entries[version]
		name := e.name
		if name == "" {
			name = fmt.Sprintf("version %d", version)
		}
		switch {
		case there[version]:
		case !elsewhere:
			wrong.Missing = append(wrong.Missing, name)
		case recorded && e.checksum != checksum:
			wrong.Edited = append(wrong.Edited, name)
		}
	}
	if len(wrong.Edited)+len(wrong.Missing)+len(wrong.OutOfOrder) > 0 {
		return nil, &wrong
	}
	return pending, nil
}
