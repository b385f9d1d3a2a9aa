// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// Result is what a run did. It is also valid with an error.
type Result struct {
	From, To int64    // newest version before and after
	Applied  []string // files, in order
	Resumed  string   // the file that an earlier run started, if any
	Left     int      // files that are still pending
	Retries  int      // after waits for locks
	Took     time.Duration
}

// Up applies pending files, in order, under the runner's lock. It stops at the first failure. Applied files stay applied.
func (r *Runner) Up(ctx context.Context) (*Result, error) {
	started := time.Now()
	result := &Result{}
	err := r.withLock(ctx, func(ctx context.Context) error { return r.up(ctx, result) })
	result.Took = time.Since(started)
	result.Retries = r.progress.retries
	return result, r.clean(err)
}

func (r *Runner) up(ctx context.Context, result *Result) error {
	known, err := r.read(ctx, r.db)
	if err != nil {
		return err
	}
	if err := r.makeTables(ctx, known); err != nil {
		return err
	}
	if err := r.baseline(ctx, known); err != nil {
		return err
	}
	result.From, result.To = known.current, known.current
	if err := r.adopt(ctx, known); err != nil {
		return err
	}
	pending, err := r.compare(known)
	if err != nil {
		result.Left = len(r.config.Files) - len(known.goose)
		return err
	}
	result.Left = len(pending)
	for _, file := range pending {
		if known.state(file.Version) == Started {
			result.Resumed = file.Name
		}
		if known.undone[file.Version] {
			// For current versions of goose, a row of any kind means applied.
			if err := r.store.Delete(ctx, r.db, file.Version); err != nil {
				return fmt.Errorf("removing the row of %s, which was rolled back: %w", file.Name, err)
			}
		}
		if err := r.apply(ctx, file); err != nil {
			return err
		}
		result.Applied = append(result.Applied, file.Name)
		result.To = max(result.To, file.Version)
		result.Left--
	}
	return nil
}

// apply runs one file with goose, and repeats it when it had to give way to a lock.
func (r *Runner) apply(ctx context.Context, file *sqlfile.File) error {
	started := time.Now()
	r.log.Info("applying", "file", file.Name, "statements", len(file.Fragments), "transaction", file.Transaction == sqlfile.WholeFile)
	for attempt := 0; ; attempt++ {
		_, err := r.provider.ApplyVersion(ctx, file.Version, true)
		switch {
		case err == nil, attempt > 0 && errors.Is(err, goose.ErrAlreadyApplied):
			r.log.Info("applied", "file", file.Name, "seconds", time.Since(started).Seconds())
			return nil
		case file.Transaction != sqlfile.WholeFile || !givesWay(err) || attempt >= r.config.LockRetries:
			return err
		}
		if err := r.giveWay(ctx, file.Name, attempt, err); err != nil {
			return err
		}
	}
}

// giveWay waits before another attempt, longer each time, so that the waiting queries can run.
func (r *Runner) giveWay(ctx context.Context, name string, attempt int, cause error) error {
	wait := min(time.Duration(1<<min(attempt, 5))*200*time.Millisecond, 5*time.Second)
	r.progress.retries++
	r.log.Warn("a lock was not to be had; trying again", "file", name, "attempt", attempt+1, "wait", wait.String(), "error",
		hide(r.secrets, oneLine(cause)))
	if err := r.config.pause(ctx, wait); err != nil {
		return fmt.Errorf("waiting to try %s again: %w", name, err)
	}
	return nil
}

// givesWay reports a failure by lock_timeout or a deadlock.
func givesWay(err error) bool {
	var failed *pgconn.PgError
	return errors.As(err, &failed) && (failed.Code == "55P03" || failed.Code == "40P01")
}

// baseline records files as applied if nothing is recorded.
func (r *Runner) baseline(ctx context.Context, known *record) (err error) {
	if r.config.Baseline <= 0 || len(known.goose) > 0 {
		return nil
	}
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("recording the baseline: %w", err)
	}
	defer func() { err = finish(tx, err) }()
	for _, file := range r.config.Files {
		if file.Version > r.config.Baseline {
			continue
		}
		if err := r.store.Insert(ctx, tx, insertion(file.Version)); err != nil {
			return fmt.Errorf("recording %s as applied: %w", file.Name, err)
		}
		if err := write(ctx, tx, file, Baseline, len(file.Fragments)); err != nil {
			return err
		}
		known.goose[file.Version] = true
		known.entries[file.Version] = entry{version: file.Version, name: file.Name, checksum: file.Checksum, state: Baseline}
		known.current = max(known.current, file.Version)
		r.log.Info("declared as applied", "file", file.Name)
	}
	return nil
}

// adopt records the checksums of files that goose applied without this runner: from then on they must not change.
func (r *Runner) adopt(ctx context.Context, known *record) error {
	for _, file := range r.config.Files {
		e, recorded := known.entries[file.Version]
		switch {
		case !known.goose[file.Version] || recorded && e.state != Started:
			continue
		case recorded:
			// Its last statement and goose's row were written; only the ledger was not.
			if e.checksum != file.Checksum {
				continue
			}
			if err := write(ctx, r.db, file, Applied, len(file.Fragments)); err != nil {
				return err
			}
		default:
			r.log.Info("taking over what goose applied", "file", file.Name)
			if err := write(ctx, r.db, file, Adopted, len(file.Fragments)); err != nil {
				return err
			}
			known.entries[file.Version] = entry{version: file.Version, name: file.Name, checksum: file.Checksum, state: Adopted}
		}
	}
	return nil
}

// clean removes goose's wrapping and secrets from an error.
func (r *Runner) clean(err error) error {
	if err == nil {
		return nil
	}
	var statement *StatementError
	if errors.As(err, &statement) && !errors.Is(err, errLockLost) {
		return statement
	}
	for _, secret := range r.secrets {
		if secret != "" && hide([]string{secret}, err.Error()) != err.Error() {
			return errors.New(hide(r.secrets, err.Error()))
		}
	}
	return err
}
