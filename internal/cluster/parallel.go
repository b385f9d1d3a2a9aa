// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// maxParallel is how many calls of Parallel run at a time.
const maxParallel = 8

// Parallel calls do for each item, a bounded number at a time, until one call fails.
func Parallel[T any](ctx context.Context, items []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for _, item := range items {
		group.Go(func() error { return do(ctx, item) })
	}
	return group.Wait()
}
