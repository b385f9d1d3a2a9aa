// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"errors"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// Remove removes what the cluster has of a migration: the record, and Jobs that have ended. The data stays as it is. A record that has
// another owner now is left alone (forgotten). Removing it while a Job runs is refused. Errors as from packages operation and record.
func Remove(ctx context.Context, target Target, options Options) (forgotten bool, err error) {
	if options.Timeout <= 0 {
		options.Timeout = DefaultTimeout
	}
	op, err := options.begin(ctx, target, true)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, op.Finish()) }()
	if op.Gone {
		return false, nil
	}
	stored, err := record.Read[migrationRecord](op.Context(), op.Reads, target.place())
	if err != nil {
		return false, err
	}
	if stored.Exists() && stored.InstanceID() != options.InstanceID {
		return true, nil
	}
	j := &jobs{target: target, options: options, op: op}
	left, err := j.list()
	if err != nil {
		return false, err
	}
	for i := range left {
		if !ended(&left[i]) && left[i].Status.Active > 0 {
			return false, errRunning(target.Name, &left[i])
		}
	}
	if err := j.removeAll(left); err != nil {
		return false, err
	}
	return false, stored.Remove(op.Context(), op.Gated)
}
