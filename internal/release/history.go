// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

const defaultMaxHistory = 10

// surplus names the revisions that may go so that at most limit stay, oldest first. The deployed one, pending ones, the newest
// and those in kept always stay, even where they are more than limit.
func surplus(revisions []revision, limit int, kept []int) []int {
	if limit <= 0 {
		limit = defaultMaxHistory
	}
	over := len(revisions) - limit
	var out []int
	for i, r := range revisions {
		if over <= 0 {
			break
		}
		newest := i == len(revisions)-1
		if newest || r.status == helmrelease.StatusDeployed || r.status.IsPending() || slices.Contains(kept, r.number) {
			continue
		}
		out = append(out, r.number)
		over--
	}
	return out
}

// prune deletes surplus revisions from Helm's storage. Those that cannot be deleted now are so after the next apply.
func prune(ctx context.Context, target Target, releases *storage.Storage, limit int, record *record.Release) error {
	revisions, err := listRevisions(ctx, target)
	if err != nil {
		return err
	}
	var failures []error
	for _, number := range surplus(revisions, limit, record.Kept()) {
		if _, err := releases.Delete(target.Name, number); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
			failures = append(failures, fmt.Errorf("deleting revision %d of release %s: %w", number, target.Name, err))
		}
	}
	return errors.Join(failures...)
}
