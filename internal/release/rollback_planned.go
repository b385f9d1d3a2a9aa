// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
)

// backTo is the known-good revision that bringing this content live goes back to, and whether it does.
func (r *Record) backTo(version, digest string) (KnownGood, bool) {
	if r == nil || len(r.KnownGood) == 0 {
		return KnownGood{}, false
	}
	now := r.KnownGood[0]
	for _, good := range r.KnownGood[1:] {
		same := good.Digest == digest && now.Digest != digest
		if same || version != "" && good.Version == version && now.Version != version {
			return good, true
		}
	}
	// The newest known-good one itself comes back where something that failed stands in its place.
	back := r.Revision != now.Revision && (now.Digest == digest || version != "" && now.Version == version && r.Version != version)
	return now, back
}

// RefuseBack refuses content that would take a release back behind an irreversible migration, which a rollback by itself would be
// refused, too. It costs one request, and only where the content is that of an earlier known-good revision. The error is a *RollbackError
// where it is refused; others say that it could not be seen.
func RefuseBack(ctx context.Context, target Target, seen *Observation, version, digest string) error {
	return seen.Record.refuseBack(ctx, target, version, digest)
}

func (r *Record) refuseBack(ctx context.Context, target Target, version, digest string) error {
	good, back := r.backTo(version, digest)
	if !back {
		return nil
	}
	err := (&candidate{target: target, good: good}).checkMarks(ctx)
	if refused, ok := errors.AsType[*RollbackError](err); ok {
		refused.Advice = "Nothing was changed. Go forward with a version that works. Where this one is known to work with the migrated schema, take the annotation " +
			AnnotationIrreversibleSince + " off the migration's ConfigMap in the namespace, and apply again."
	}
	return err
}
