// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/regularfile"
)

const databaseUsage = `usage: slipway-migrate up|status|check [options] DIR|FILE... [options]

up applies the pending migrations. status prints their state in the database as JSON, and changes nothing.
check runs statements that must hold (at least one row, and true or a number other than 0 in the first column of each), and
changes nothing.

The connection string comes from the environment variable DATABASE_URL, or from a file. Exit code 0: done; 1: failed, and
trying again does not help; 2: wrong arguments; 3: trying again may help (no connection, another runner, interrupted).

  --dsn-file FILE          file with the connection string
  --lock-timeout 3s        how long a statement waits for a lock on a table before it is retried
  --lock-retries 20        how often
  --wait 5m                how long to wait for another runner
  --statement-timeout 0    limit of each statement; 0: none
  --baseline VERSION       up: declare files up to this number as applied where nothing is recorded
  --manifest FILE          JSON {"VERSION": "CHECKSUM"} of files that were applied before and are not given here
  --check FILE             up: file whose statements must hold before anything is run; may be repeated
  --validate FILE          up: file whose statements must hold afterwards; may be repeated
  --allow-out-of-order     up: run files that are older than the newest that was applied
  --report FILE            where the report goes; default /dev/termination-log where it exists
`

const terminationLog = "/dev/termination-log"

type databaseOptions struct {
	config   runner.Config
	dsnFile  string
	manifest string
	report   string
	paths    []string
	// before and after are the files of --check and --validate.
	before, after   []string
	check, validate []*sqlfile.File
}

func parseDatabase(command string, args []string) (*databaseOptions, error) {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o := &databaseOptions{}
	flags.StringVar(&o.dsnFile, "dsn-file", "", "")
	flags.DurationVar(&o.config.LockTimeout, "lock-timeout", 0, "")
	flags.IntVar(&o.config.LockRetries, "lock-retries", 0, "")
	flags.DurationVar(&o.config.RunnerWait, "wait", 0, "")
	flags.DurationVar(&o.config.StatementTimeout, "statement-timeout", 0, "")
	flags.Int64Var(&o.config.Baseline, "baseline", 0, "")
	flags.BoolVar(&o.config.AllowOutOfOrder, "allow-out-of-order", false, "")
	for name, list := range map[string]*[]string{"check": &o.before, "validate": &o.after} {
		flags.Func(name, "", func(file string) error {
			*list = append(*list, file)
			return nil
		})
	}
	flags.StringVar(&o.manifest, "manifest", "", "")
	flags.StringVar(&o.report, "report", "", "")
	paths, err := parseMixed(flags, args)
	if err != nil {
		return nil, err
	}
	o.paths = paths
	if o.report == "" {
		if _, err := os.Stat(terminationLog); err == nil {
			o.report = terminationLog
		}
	}
	return o, nil
}

// prepare reads files and the connection string.
func (o *databaseOptions) prepare() error {
	if len(o.paths) == 0 {
		return errors.New("which directory?")
	}
	var err error
	if o.config.Files, err = readFiles(o.paths); err != nil {
		return err
	}
	if o.check, err = readFiles(o.before); err != nil {
		return err
	}
	if o.validate, err = readFiles(o.after); err != nil {
		return err
	}
	o.config.DSN = os.Getenv("DATABASE_URL")
	if o.dsnFile != "" {
		content, err := regularfile.Read(o.dsnFile, 64<<10)
		if err != nil {
			return err
		}
		o.config.DSN = strings.TrimSpace(string(content))
	}
	if o.config.DSN == "" {
		return errors.New("there is no connection string: set DATABASE_URL, or give --dsn-file")
	}
	if o.manifest == "" {
		return nil
	}
	content, err := regularfile.Read(o.manifest, sqlfile.MaxRead)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, &o.config.Known); err != nil {
		return fmt.Errorf("reading the manifest %s: %w", o.manifest, err)
	}
	return nil
}

// withRunner does the work of a command and writes its report.
func withRunner(
	command string,
	work func(ctx context.Context, r *runner.Runner, o *databaseOptions, stdout io.Writer) (*runner.Result, error),
) func(context.Context, []string, io.Writer, io.Writer) error {
	return func(ctx context.Context, args []string, stdout, stderr io.Writer) error {
		o, err := parseDatabase(command, args)
		if errors.Is(err, flag.ErrHelp) {
			_, err := fmt.Fprint(stdout, databaseUsage)
			return err
		}
		if err != nil {
			return usageError("%w\n\n%s", err, databaseUsage)
		}
		if command != "up" && len(o.before)+len(o.after) > 0 {
			return usageError("--check and --validate are for up\n\n%s", databaseUsage)
		}
		if err := o.prepare(); err != nil {
			return usageError("%w", err)
		}
		o.config.Log = slog.New(slog.NewJSONHandler(stderr, nil))
		var checks []*sqlfile.File
		if command == "check" {
			o.config.Files, checks = nil, o.config.Files
		}
		result, err := func() (_ *runner.Result, err error) {
			r, err := runner.Open(ctx, o.config)
			if err != nil {
				return nil, err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			if checks != nil {
				return nil, r.Check(ctx, checks)
			}
			return work(ctx, r, o, stdout)
		}()
		report := runner.NewReport(command, result, err)
		encoded, encodeErr := report.Encode()
		if encodeErr != nil {
			return errors.Join(err, encodeErr)
		}
		if o.report != "" {
			if writeErr := os.WriteFile(o.report, encoded, 0o644); writeErr != nil {
				o.config.Log.Warn("the report cannot be written", "error", writeErr.Error())
			}
		}
		o.config.Log.Info("report", "report", json.RawMessage(encoded))
		if err != nil && report.Outcome.Retry() {
			return &exitError{code: exitRetry, err: err}
		}
		return err
	}
}

func up(ctx context.Context, r *runner.Runner, o *databaseOptions, _ io.Writer) (*runner.Result, error) {
	return r.Migrate(ctx, o.check, o.validate)
}

func status(ctx context.Context, r *runner.Runner, _ *databaseOptions, stdout io.Writer) (*runner.Result, error) {
	now, err := r.Status(ctx)
	if err != nil {
		return nil, err
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return &runner.Result{From: now.Current, To: now.Current, Left: now.Pending}, encoder.Encode(now)
}
