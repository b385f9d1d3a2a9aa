// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package postgres connects to PostgreSQL servers that do not answer for a moment.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs of a server that takes no connection now.
// See https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	stateStopping           = "57P01"
	stateStarting           = "57P03"
	stateTooManyConnections = "53300"
)

// patience is how long a server that fails to answer is asked again: longer than a failover takes.
const patience = 30 * time.Second

// Patiently connects, and again where the failure may pass, until ctx ends. effort says how often it was tried, as the end of a sentence;
// it is empty where the last failure does not pass. The error is that of connect.
func Patiently(ctx context.Context, connect func() error) (effort string, err error) {
	began, pause := time.Now(), 250*time.Millisecond
	for n := 1; ; n++ {
		err := connect()
		if err == nil || !passes(err) || ctx.Err() != nil {
			return "", err
		}
		if time.Since(began)+pause > patience {
			return fmt.Sprintf(" (tried %d times in %s)", n, time.Since(began).Round(time.Second)), err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(pause):
		}
		pause = min(2*pause, 4*time.Second)
	}
}

// passes reports that a server cannot be reached, starts, stops, or has no connection left. All of that may pass.
func passes(err error) bool {
	if refused, answered := errors.AsType[*pgconn.PgError](err); answered {
		return slices.Contains([]string{stateStarting, stateStopping, stateTooManyConnections}, refused.Code)
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return !name.IsNotFound
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return operation.Op != "remote error" && operation.Op != "local error" // TLS
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
