// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// lockPrefix is put before a database's name; the hash is the first key of its advisory locks.
	lockPrefix = "slipway database "
	lockPause  = 300 * time.Millisecond
)

// lockDatabase serializes all runs that work on a database of this name, from whatever namespace or cluster. The lock ends with
// the session. Polled, so that nobody waits in a statement.
//
// PostgreSQL knows no privilege for advisory locks: a key that all runs use could be held by the role of any client. So each run
// takes one whose second key is random, and has the database when no other administrator holds one with the same first key. Of two
// that take theirs at the same moment at least one sees the other's, gives its own back, and tries again after a random pause.
func lockDatabase(ctx context.Context, conn *pgx.Conn, database string, waiting func()) error {
	for reported := false; ; reported = true {
		taken, err := tryLock(ctx, conn, database)
		if err != nil && ctx.Err() != nil {
			return errBusy(database, context.Cause(ctx))
		}
		if err != nil {
			return fmt.Errorf("locking database %s: %w", database, err)
		}
		if taken {
			return nil
		}
		if !reported && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			return errBusy(database, context.Cause(ctx))
		case <-time.After(lockPause/2 + rand.N(lockPause)):
		}
	}
}

func tryLock(ctx context.Context, conn *pgx.Conn, database string) (taken bool, err error) {
	key := rand.Int32() //nolint:gosec // unlikely to be the key of another session; nothing depends on its being secret
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtext($1), $2)", lockPrefix+database, key).Scan(&taken)
	if err != nil || !taken {
		return false, err
	}
	// An administrator is whom Preflight lets work here.
	var busy bool
	err = conn.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_roles r ON r.oid = a.usesysid
			WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_backend_pid()
				AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
				AND l.classid::bigint = hashtext($1)::bigint & 4294967295
				AND (r.rolsuper OR r.rolcreatedb AND r.rolcreaterole))`, lockPrefix+database).Scan(&busy)
	if err != nil {
		return false, fmt.Errorf("looking who else works on it: %w", err)
	}
	if !busy {
		return true, nil
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_unlock(hashtext($1), $2)", lockPrefix+database, key); err != nil {
		return false, fmt.Errorf("giving the lock back: %w", err)
	}
	return false, nil
}
