// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"maps"
	"slices"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// CheckNamespaces refuses what ownership.Guard does not let a release write. It asks before anything is written, and helmkube.Client
// asks again for what Helm really writes. Errors: *ownership.Error.
func CheckNamespaces(ctx context.Context, target ownership.Release, r *render.Result) error {
	guard := ownership.NewGuard(target)
	for _, key := range slices.Sorted(maps.Keys(r.ByKey)) {
		_, namespace := object.NameOf(r.ByKey[key].Object)
		if err := guard.Check(ctx, key, namespace); err != nil {
			return err
		}
	}
	return nil
}
