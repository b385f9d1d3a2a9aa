// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	lockClass = 0x51b3aa7 // of all advisory locks of this package
	lockPause = 300 * time.Millisecond
)

// lockDatabase serializes all runs that work on a database of this name, from whatever namespace or cluster. The lock ends with
// the session. Polled, so that nobody waits in a statement.
func lockDatabase(ctx context.Context, conn *pgx.Conn, database string, waiting func()) error {
	for reported := false; ; reported = true {
		taken := false
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, hashtext($2))", int32(lockClass), database).Scan(&taken); err != nil {
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
		case <-time.After(lockPause):
		}
	}
}
