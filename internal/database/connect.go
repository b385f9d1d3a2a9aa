// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"net"
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
)

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
