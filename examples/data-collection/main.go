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
)

// Set by the linker: -X main.version=v1.2.0 -X main.commit=….
var (
	version = "dev"
	commit  = ""
)

const usage = `usage: data-collection [COMMAND]

  serve                        answer over HTTP and gRPC (the default); settings come from environment variables
  probe [OPTIONS] URL          succeed when URL answers with 2xx
  load [OPTIONS] URL           send requests for a while and print as JSON how they were answered
  sleep DURATION               wait, for images without a shell
  version                      print the version

`

// errUsage asks for the usage text and exit code 2.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var exit *exitError
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
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
		return asUsage(probe.Run(ctx, args, stdout, stderr))
	case "load":
		return asUsage(probe.RunLoad(ctx, args, stdout, stderr))
	case "sleep":
		return sleep(ctx, args, stderr)
	case "version":
		_, err := fmt.Fprintln(stdout, version)
		return err
	default:
		fmt.Fprintf(stderr, "unknown command %q\n\n%s", command, usage)
		return errUsage
	}
}

func asUsage(err error) error {
	if errors.Is(err, probe.ErrUsage) {
		return errUsage
	}
	return err
}

func sleep(ctx context.Context, args []string, stderr io.Writer) error {
	if len(args) != 1 {
		fmt.Fprint(stderr, usage)
		return errUsage
	}
	duration, err := time.ParseDuration(args[0])
	if err != nil {
		return fmt.Errorf("sleep: %w", err)
	}
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
