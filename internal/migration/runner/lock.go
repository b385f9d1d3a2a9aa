// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// lockID is shared by all runners. Advisory locks belong to a database, so that runners of other databases of the
	// server do not block.
	lockID = 5_063_417_718_992_641

	lockPoll  = 500 * time.Millisecond
	lockProbe = 5 * time.Second
)

// errLockLost is the cause of a context whose lock was lost.
var errLockLost = errors.New("the session that holds the runner's lock was lost")

// withLock works while no other runner works on the database. The lock belongs to a separate session, outside any transaction, and
// is polled: a session that waits for it within a statement would block CREATE INDEX CONCURRENTLY of the runner that has it.
func (r *Runner) withLock(ctx context.Context, work func(context.Context) error) (err error) {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("opening the session for the lock: %w", err)
	}
	defer func() {
		if closing := conn.Close(); closing != nil && !errors.Is(closing, driver.ErrBadConn) && !errors.Is(closing, sql.ErrConnDone) {
			err = errors.Join(err, closing)
		}
	}()
	if err := r.waitForLock(ctx, conn); err != nil {
		return err
	}

	locked, lose := context.WithCancelCause(ctx)
	var probe sync.WaitGroup
	probe.Go(func() {
		ticker := time.NewTicker(lockProbe)
		defer ticker.Stop()
		for {
			select {
			case <-locked.Done():
				return
			case <-ticker.C:
				if err := conn.PingContext(locked); err != nil && locked.Err() == nil {
					lose(errLockLost)
					return
				}
			}
		}
	})
	err = work(locked)
	if errors.Is(context.Cause(locked), errLockLost) {
		err = errors.Join(errLockLost, err)
	}
	lose(nil)
	probe.Wait()
	// The lock ends with the session in any case.
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, unlocking := conn.ExecContext(release, "SELECT pg_advisory_unlock($1)", int64(lockID)); unlocking != nil {
		r.log.Warn("the lock could not be given back; it ends with its session", "error", hide(r.secrets, unlocking.Error()))
		if raw := conn.Raw(func(any) error { return driver.ErrBadConn }); raw != nil && !errors.Is(raw, driver.ErrBadConn) {
			err = errors.Join(err, raw)
		}
	}
	return err
}

func (r *Runner) waitForLock(ctx context.Context, conn *sql.Conn) error {
	started := time.Now()
	for logged := false; ; logged = true {
		var got bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", int64(lockID)).Scan(&got); err != nil {
			return fmt.Errorf("taking the runner's lock: %w", err)
		}
		if got {
			return nil
		}
		holder, err := r.lockHolder(ctx, conn)
		if err != nil {
			return err
		}
		if !logged {
			r.log.Info("another runner works on the database; waiting", "holder", holder)
		}
		if time.Since(started) >= r.config.RunnerWait {
			return &BusyError{Waited: r.config.RunnerWait, Holder: holder}
		}
		if err := pause(ctx, min(lockPoll, r.config.RunnerWait)); err != nil {
			return fmt.Errorf("waiting for the runner's lock: %w", err)
		}
	}
}

func (r *Runner) lockHolder(ctx context.Context, conn *sql.Conn) (string, error) {
	var holder string
	err := conn.QueryRowContext(ctx, `
		SELECT format('session %s of %s (%s) from %s since %s', a.pid, a.usename, a.application_name,
			coalesce(a.client_addr::text, 'this machine'), to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
		FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND (l.classid::bigint << 32 | l.objid::bigint) = $1
		LIMIT 1`, int64(lockID)).Scan(&holder)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "a session that has just ended", nil
	case err != nil:
		return "", fmt.Errorf("looking who holds the runner's lock: %w", err)
	}
	return holder, nil
}
