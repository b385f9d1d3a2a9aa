// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// Marks of irreversible migrations. Whoever migrates the data of an environment keeps a ConfigMap in its namespace that carries the
// label LabelMigration (with the migration's name as its value). When something was migrated with which earlier versions of the
// application do not work, it carries these annotations too:
//
//   - AnnotationIrreversibleSince: when that was, as RFC 3339. Without it there is no mark.
//   - AnnotationIrreversibleSafeAfter: the first version of the application that works with it, as SemVer. Empty: none that was known
//     good before is sure to.
//   - AnnotationIrreversibleReason: a sentence for people, for example "20260301_drop_legacy_id.sql drops orders.legacy_id".
//
// A release is not rolled back to a revision that was known good before the mark, unless its version is safe.
const (
	LabelMigration                  = "slipway.dev/migration"
	AnnotationIrreversibleSince     = "slipway.dev/irreversible-since"
	AnnotationIrreversibleSafeAfter = "slipway.dev/irreversible-safe-after"
	AnnotationIrreversibleReason    = "slipway.dev/irreversible-reason"
)

// checkMarks refuses a revision behind an irreversible migration.
func (c *candidate) checkMarks(ctx context.Context) error {
	client, err := c.target.Cluster.Kubernetes()
	if err != nil {
		return err
	}
	list, err := client.CoreV1().ConfigMaps(c.target.Handle.Namespace).List(ctx, metav1.ListOptions{LabelSelector: LabelMigration})
	if err != nil {
		return c.target.Cluster.Classify(fmt.Errorf("looking for irreversible migrations in namespace %s: %w", c.target.Handle.Namespace, err))
	}
	for i := range list.Items {
		if reason := forbids(&list.Items[i], c.good); reason != "" {
			return c.refuse(reason)
		}
	}
	return nil
}

// forbids says why a mark forbids to restore a revision, and nothing where it does not. A mark that cannot be read forbids.
func forbids(mark *corev1.ConfigMap, good KnownGood) string {
	text := mark.Annotations[AnnotationIrreversibleSince]
	if text == "" {
		return ""
	}
	since, err := time.Parse(time.RFC3339, text)
	// A mark has whole seconds: one of the second in which the revision was found good may be younger than that.
	if err == nil && since.Before(good.At.Truncate(time.Second)) {
		return ""
	}
	safe := mark.Annotations[AnnotationIrreversibleSafeAfter]
	if first, err := semver.NewVersion(safe); err == nil {
		if version, err := semver.NewVersion(good.Version); err == nil && !version.LessThan(first) {
			return ""
		}
	}
	reason := fmt.Sprintf("Revision %d (%s) is older than an irreversible migration: %s of %s", good.Revision, good.Version, mark.Labels[LabelMigration], text)
	if why := mark.Annotations[AnnotationIrreversibleReason]; why != "" {
		reason += " (" + explain.Shorten(why, maxReason) + ")"
	}
	if safe != "" {
		reason += "; versions from " + safe + " on work with it"
	}
	return reason + "."
}
