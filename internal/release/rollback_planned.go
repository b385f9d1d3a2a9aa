// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// RefuseBack refuses content that would take a release back behind an irreversible migration, which a rollback by itself would be
// refused, too. It costs one request, and only where the content is that of an earlier known-good revision. The error is a *RollbackError
// where it is refused; others say that it could not be seen.
func RefuseBack(ctx context.Context, target Target, seen *Observation, version, digest string) error {
	return refuseBack(ctx, target, seen.Record, version, digest)
}

func refuseBack(ctx context.Context, target Target, last *record.Release, version, digest string) error {
	good, back := last.Rollback(version, digest)
	if !back {
		return nil
	}
	err := (&candidate{target: target, good: good}).checkMigrations(ctx)
	if refused, ok := errors.AsType[*RollbackError](err); ok {
		refused.Advice = "Nothing was changed. Go forward with a version that works. Where this one is known to work with the migrated schema, " +
			"take the annotation " +
			record.AnnotationIrreversibleSince + " off the migration's ConfigMap in the namespace, and apply again."
	}
	return err
}
