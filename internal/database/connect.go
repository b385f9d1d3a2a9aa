// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	connectTimeout = 15 * time.Second
	// lockTimeout is how long a statement waits for others that change the same database or role.
	lockTimeout     = 10 * time.Second
	applicationName = "terraform-provider-slipway"
	closeTimeout    = 5 * time.Second
)

// SQLSTATEs that mean something here.
const (
	stateInvalidPassword       = "28P01"
	stateInvalidAuthorization  = "28000"
	stateNoDatabase            = "3D000"
	stateInsufficientPrivilege = "42501"
	stateObjectInUse           = "55006"
	stateNotOpen               = "55000"
	stateDependentObjects      = "2BP01"
	stateStarting              = "57P03"
	stateStopping              = "57P01"
	stateTooManyConnections    = "53300"
)

// patience is how long a server that fails to answer is asked again: longer than a failover takes.
const patience = 30 * time.Second

// connectPatiently connects, and again where the failure may pass. effort says how often it was tried, for errors; empty for once.
func connectPatiently(ctx context.Context, config *pgx.ConnConfig) (_ *pgx.Conn, effort string, err error) {
	began, pause := time.Now(), 250*time.Millisecond
	for n := 1; ; n++ {
		conn, err := pgx.ConnectConfig(ctx, config)
		if err == nil || !passes(err) || ctx.Err() != nil {
			return conn, "", err
		}
		if time.Since(began)+pause > patience {
			return nil, fmt.Sprintf(" (tried %d times in %s)", n, time.Since(began).Round(time.Second)), err
		}
		select {
		case <-ctx.Done():
			return nil, "", err
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

// rootCause leaves out the settings that pgx puts in front.
func rootCause(err error) error {
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err
}

// quoteSetting quotes a value of a connection string.
func quoteSetting(value string) string {
	out := []byte{'\''}
	for i := range len(value) {
		if value[i] == '\'' || value[i] == '\\' {
			out = append(out, '\\')
		}
		out = append(out, value[i])
	}
	return string(append(out, '\''))
}

// session is a connection whose errors say what was being done.
type session struct {
	conn *pgx.Conn
	// alive is asked before each statement that changes something.
	alive func() error
}

func (s *session) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return s.conn.Close(ctx)
}

// exec changes something.
func (s *session) exec(ctx context.Context, doing, sql string) error {
	if s.alive != nil {
		if err := s.alive(); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	_, err := s.conn.Exec(ctx, sql)
	return explainedError(doing, err)
}

// together runs statements in one transaction.
func (s *session) together(ctx context.Context, doing string, statements ...string) error {
	if s.alive != nil {
		if err := s.alive(); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	return explainedError(doing, pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		for _, sql := range statements {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	}))
}

// explainedError says what failed. A missing right is a *RightsError.
func explainedError(doing string, err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == stateInsufficientPrivilege {
		return &RightsError{Doing: doing, Reason: refused.Message}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func codeOf(err error) string {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused.Code
	}
	return ""
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal needs standard_conforming_strings, which every session here has.
func literal(text string) string {
	out := []byte{'\''}
	for i := range len(text) {
		if text[i] == '\'' {
			out = append(out, '\'')
		}
		out = append(out, text[i])
	}
	return string(append(out, '\''))
}
