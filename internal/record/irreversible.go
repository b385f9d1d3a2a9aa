// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package record

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Irreversible says that a contract migration was applied: versions of the application from before it may not work with the database
// any more, so that no rollback goes back behind it. It is in annotations of the migration's record, where people can remove it.
type Irreversible struct {
	Migration string
	// Since is when the migration was applied, as RFC 3339.
	Since string
	// SafeAfter is the first version of the application that works with the migrated schema; it may be empty.
	SafeAfter string
	// Reason names the files.
	Reason string
}

// irreversibleKeys are the annotations of Stored.MarkIrreversible.
var irreversibleKeys = []string{AnnotationIrreversibleSince, AnnotationIrreversibleSafeAfter, AnnotationIrreversibleReason}

// ListIrreversible reads the irreversible migrations of the handle's namespace, in the order of their names. It reads annotations only, so
// that a record of a newer version counts. Errors as from cluster.Classify.
func ListIrreversible(ctx context.Context, client kubernetes.Interface, place Place) ([]Irreversible, error) {
	list, err := client.CoreV1().ConfigMaps(place.Handle.Namespace).List(ctx, metav1.ListOptions{LabelSelector: LabelMigration})
	if err != nil {
		return nil, place.Cluster.Classify(fmt.Errorf("looking for irreversible migrations in namespace %s: %w", place.Handle.Namespace, err))
	}
	var out []Irreversible
	for i := range list.Items {
		found := &list.Items[i]
		if found.Annotations[AnnotationIrreversibleSince] == "" {
			continue
		}
		out = append(out, Irreversible{
			Migration: found.Labels[LabelMigration],
			Since:     found.Annotations[AnnotationIrreversibleSince],
			SafeAfter: found.Annotations[AnnotationIrreversibleSafeAfter],
			Reason:    found.Annotations[AnnotationIrreversibleReason],
		})
	}
	slices.SortFunc(out, func(a, b Irreversible) int { return strings.Compare(a.Migration, b.Migration) })
	return out, nil
}

// Forbids returns why there is no rollback to a known-good revision behind this migration, empty where there is.
func (i Irreversible) Forbids(good KnownGood) string {
	since, err := time.Parse(time.RFC3339, i.Since)
	// The annotation has whole seconds: one of the second in which the revision was found good may be younger than that.
	if err == nil && since.Before(good.At.Truncate(time.Second)) {
		return ""
	}
	if first, err := semver.NewVersion(i.SafeAfter); err == nil {
		if version, err := semver.NewVersion(good.Version); err == nil && !version.LessThan(first) {
			return ""
		}
	}
	reason := fmt.Sprintf(
		"Revision %d (%s) is older than an irreversible migration: %s of %s", good.Revision, good.Version, i.Migration, i.Since)
	if i.Reason != "" {
		reason += " (" + shorten(i.Reason, MaxReason) + ")"
	}
	if i.SafeAfter != "" {
		reason += "; versions from " + i.SafeAfter + " on work with it"
	}
	return reason + "."
}
