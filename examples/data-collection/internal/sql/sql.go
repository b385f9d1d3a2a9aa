// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package sql runs statements on a database, from an image that has neither a shell nor psql.
package sql

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

// Run runs statements one after the other on the database of a URL, and prints what they return. After "expect", each must return true
// alone.
func Run(ctx context.Context, url string, args []string, stdout io.Writer) (err error) {
	expects := len(args) > 0 && args[0] == "expect"
	if expects {
		args = args[1:]
	}
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close(context.WithoutCancel(ctx))) }()
	for _, statement := range args {
		rows, err := connection.Query(ctx, statement)
		if err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
		values, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		if err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
		if expects && (len(values) != 1 || len(values[0]) != 1 || values[0][0] != true) {
			return fmt.Errorf("%s: got %v, want true", statement, values)
		}
		for _, value := range values {
			if _, err := fmt.Fprintln(stdout, value...); err != nil {
				return err
			}
		}
	}
	return nil
}
