// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package store keeps records, in PostgreSQL or in memory.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/record"
)

// createTable is what the service makes by itself where no migrations do it.
const createTable = `CREATE TABLE IF NOT EXISTS records (
	id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	source      text        NOT NULL,
	payload     jsonb       NOT NULL,
	received_at timestamptz NOT NULL DEFAULT now()
)`

// createLock is the advisory lock under which the table is made: two sessions that create it at once would otherwise
// fail on PostgreSQL's own catalog, in spite of IF NOT EXISTS.
const createLock = 7_205_759_403

// ErrNoTable means that the database has no table for records.
var ErrNoTable = errors.New("the database has no table \"records\": run the migrations, or set DB_CREATE_TABLE=true")

// Postgres keeps records in a PostgreSQL database.
type Postgres struct {
	pool *pgxpool.Pool

	mu          sync.Mutex
	createTable bool // still to be done
}

// NewPostgres opens a pool of connections. It connects when the pool is first used, so that the service starts, and reports
// that it is not ready, while its database is away. With create, the first successful Ready makes the table.
// The error never contains the password.
func NewPostgres(ctx context.Context, dsn string, create bool) (*Postgres, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// pgx takes the password out of the text that it quotes, but only where it can parse it; so quote nothing.
		return nil, errors.New("the database's connection settings cannot be parsed: check DATABASE_URL or the DB_ variables")
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "data-collection"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the pool of database connections: %w", err)
	}
	return &Postgres{pool: pool, createTable: create}, nil
}

// Name is "postgresql".
func (p *Postgres) Name() string { return "postgresql" }

// Add stores a record and returns it with its id and time. A record whose content PostgreSQL does not take is a
// *record.InvalidError.
func (p *Postgres) Add(ctx context.Context, rec record.Record) (record.Record, error) {
	err := p.pool.QueryRow(ctx,
		`INSERT INTO records (source, payload) VALUES ($1, $2) RETURNING id, received_at`,
		rec.Source, string(rec.Payload),
	).Scan(&rec.ID, &rec.ReceivedAt)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && strings.HasPrefix(refused.Code, "22") { // class 22: data exception
		return record.Record{}, &record.InvalidError{Reason: "PostgreSQL cannot store the payload: " + refused.Message}
	}
	if err != nil {
		return record.Record{}, fmt.Errorf("storing the record: %w", err)
	}
	rec.ReceivedAt = rec.ReceivedAt.UTC()
	return rec, nil
}

// List returns at most limit records, the newest first.
func (p *Postgres) List(ctx context.Context, limit int) ([]record.Record, error) {
	rows, err := p.pool.Query(ctx,
		`SELECT id, source, payload::text, received_at FROM records ORDER BY id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	records, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (record.Record, error) {
		var rec record.Record
		var payload string
		if err := row.Scan(&rec.ID, &rec.Source, &payload, &rec.ReceivedAt); err != nil {
			return record.Record{}, err
		}
		rec.Payload, rec.ReceivedAt = json.RawMessage(payload), rec.ReceivedAt.UTC()
		return rec, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	return records, nil
}

// Ready reports whether the database can store records now: it answers, and has the table. ErrNoTable means that only
// the table is missing.
func (p *Postgres) Ready(ctx context.Context) error {
	if err := p.ensureTable(ctx); err != nil {
		return err
	}
	var exists bool
	if err := p.pool.QueryRow(ctx, `SELECT to_regclass('records') IS NOT NULL`).Scan(&exists); err != nil {
		return fmt.Errorf("asking the database: %w", err)
	}
	if !exists {
		return ErrNoTable
	}
	return nil
}

func (p *Postgres) ensureTable(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.createTable {
		return nil
	}
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, createLock); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, createTable)
		return err
	})
	if err != nil {
		return fmt.Errorf("creating the table \"records\": %w", err)
	}
	p.createTable = false
	return nil
}

// Close ends all connections, after those in use are given back.
func (p *Postgres) Close() { p.pool.Close() }
