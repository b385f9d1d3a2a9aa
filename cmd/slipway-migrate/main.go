// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Command slipway-migrate lints SQL migrations and runs them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes. Kubernetes Jobs and pipelines distinguish failures by them.
const (
	exitDone   = 0
	exitFailed = 1 // errors found, or a statement or a check failed
	exitUsage  = 2 // wrong arguments, or files that cannot be read
	exitRetry  = 3 // trying again may help: no connection, another runner, interrupted
)

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error // nil: it was reported already
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const usage = `usage: slipway-migrate COMMAND [options] ...

  lint DIR|FILE...     find what is unsafe in migrations, without a database
  up DIR|FILE...       apply what is pending
  status DIR|FILE...   print the state of the files in the database
  check DIR|FILE...    run statements that must hold

See slipway-migrate COMMAND --help.
`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, []string, io.Writer, io.Writer) error{
		"lint":   runLint,
		"up":     withRunner("up", up),
		"status": withRunner("status", status),
		"check":  withRunner("check", nil),
	}
	// say writes text for people; if it cannot, the exit code is all that is reported.
	say := func(out io.Writer, format string, values ...any) { _, _ = fmt.Fprintf(out, format, values...) }
	if len(args) == 0 {
		say(stderr, "%s", usage)
		return exitUsage
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		say(stdout, "%s", usage)
		return exitDone
	}
	command, known := commands[args[0]]
	if !known {
		say(stderr, "slipway-migrate: there is no command %q\n\n%s", args[0], usage)
		return exitUsage
	}
	err := command(ctx, args[1:], stdout, stderr)
	if err == nil {
		return exitDone
	}
	code := exitFailed
	var coded *exitError
	if errors.As(err, &coded) {
		code = coded.code
	}
	if err.Error() != "" {
		say(stderr, "slipway-migrate %s: %v\n", args[0], err)
	}
	return code
}
