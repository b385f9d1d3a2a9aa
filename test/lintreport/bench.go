// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// bench measures each number of files in a process of its own, to separate their memory.
func bench(ctx context.Context, out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, "files  statements  time      of it CPU  peak memory  memory afterwards"); err != nil {
		return err
	}
	for _, files := range []string{"0", "1", "100", "2000"} {
		command := exec.CommandContext(ctx, self, "bench-one", files)
		command.Stdout, command.Stderr = out, os.Stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("%s files: %w", files, err)
		}
	}
	return nil
}

func benchOne(ctx context.Context, files int, out io.Writer) error {
	var pending []*sqlfile.File
	for i := range files {
		pending = append(pending, sqlfile.Parse(fmt.Sprintf("%05d_change.sql", i+1), fmt.Appendf(nil, `-- +goose Up
CREATE TABLE t%[1]d (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, made timestamptz NOT NULL DEFAULT now());
CREATE INDEX t%[1]d_name ON t%[1]d (name);
ALTER TABLE orders ADD COLUMN c%[1]d int NOT NULL DEFAULT 0;
ALTER TABLE orders ADD CONSTRAINT c%[1]d_positive CHECK (c%[1]d >= 0) NOT VALID;
-- +goose StatementBegin
CREATE FUNCTION f%[1]d() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := lower(NEW.name); RETURN NEW; END $$;
-- +goose StatementEnd
`, i)))
	}
	started := time.Now()
	report, err := lint.Lint(ctx, nil, pending, lint.Options{})
	if err != nil {
		return err
	}
	took := time.Since(started)
	peak, err := statusMiB("VmHWM")
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	after, err := statusMiB("VmRSS")
	if err != nil {
		return err
	}
	cpu, err := cpuTime()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%5d  %10d  %-8s  %-9s  %7.0f MiB  %7.0f MiB\n", files, report.Statements, took.Round(time.Millisecond),
		cpu.Round(10*time.Millisecond), peak, after)
	return err
}

func statusMiB(field string) (float64, error) {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(content), "\n") {
		if value, is := strings.CutPrefix(line, field+":"); is {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("the system does not report %s", field)
}
