// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command data-collection takes in records over HTTP and gRPC and stores them. It is the service that the examples and
// tests of this repository deploy.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/probe"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/sql"
)

// Set by the linker: -X main.version=v1.2.0 -X main.commit=….
var (
	version = "dev"
	commit  = ""
)

const usage = `usage: data-collection [COMMAND]

  serve                        answer over HTTP and gRPC (the default); settings come from environment variables
  probe [OPTIONS] URL          succeed when URL answers with 2xx
  load [OPTIONS] URL           send requests over HTTP or gRPC for a while and print as JSON how they were answered
  sleep DURATION               wait, for images without a shell
  sql [expect] STATEMENT...    run SQL on DATABASE_URL; with expect, each statement must return true
  version                      print the version

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var exit *exitError
	switch {
	case err == nil:
	case errors.Is(err, probe.ErrUsage):
		fmt.Fprintf(os.Stderr, "data-collection: %v\n\n%s", err, usage)
		os.Exit(2)
	case errors.As(err, &exit):
		fmt.Fprintln(os.Stderr, "data-collection:", err)
		os.Exit(exit.code)
	default:
		fmt.Fprintln(os.Stderr, "data-collection:", err)
		os.Exit(1)
	}
}

// exitError ends the process with a code of its own.
type exitError struct {
	code   int
	reason string
}

func (e *exitError) Error() string { return e.reason }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	command := "serve"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "serve":
		return serve(ctx, os.Getenv, stdout, func(listening) {})
	case "probe":
		return probe.Run(ctx, args, stdout, stderr)
	case "load":
		return probe.RunLoad(ctx, args, stdout, stderr)
	case "sleep":
		return sleep(ctx, args)
	case "sql":
		if len(args) == 0 {
			return fmt.Errorf("%w: sql needs a statement", probe.ErrUsage)
		}
		return sql.Run(ctx, os.Getenv("DATABASE_URL"), args, stdout)
	case "version":
		_, err := fmt.Fprintln(stdout, version)
		return err
	default:
		return fmt.Errorf("%w: unknown command %q", probe.ErrUsage, command)
	}
}

func sleep(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%w: sleep needs a duration such as 5s", probe.ErrUsage)
	}
	duration, err := time.ParseDuration(args[0])
	if err != nil {
		return fmt.Errorf("%w: sleep: %w", probe.ErrUsage, err)
	}
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
