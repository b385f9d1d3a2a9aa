// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

func TestHistory_ReportsTheOutcomeOfEachRevision(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if entries, err := History(t.Context(), b.target, 0); err != nil || len(entries) != 0 {
		t.Fatalf("of no release: %v, %v", entries, err)
	}
	secret := with(t)
	secret.Sensitive = map[string]any{"token": "canary-history"}
	b.mustApply(secret)
	bad := with(t, map[string]any{"readinessPath": "/not-there"})
	bad.Version = "v1.2.0"
	if _, err := b.apply(t.Context(), bad, timeout(20*time.Second),
		func(o *ApplyOptions) { o.Verification = verify.Policy{Rollback: &verify.RollbackPolicy{}} }); err == nil {
		t.Fatal("a version that does not become ready was applied")
	}
	counted, count := countingTarget(t, b.target)
	entries, err := History(t.Context(), counted, 0)
	if err != nil || len(entries) != 3 || count.Load() != 2 {
		t.Fatalf("%d requests, %v: %+v", count.Load(), err, entries)
	}
	restored, failed, first := entries[0], entries[1], entries[2]
	if restored.Kind != record.KindRollback || restored.Version != "v1.1.1" || !restored.Current || restored.Status != "deployed" ||
		!strings.Contains(restored.Reason, "revision 2") {
		t.Errorf("restored: %+v", restored)
	}
	if failed.Outcome != record.OutcomeRolledBack || failed.Restored != 3 || failed.Version != "v1.2.0" ||
		failed.Stage != verify.StageRollout || failed.Reason == "" || failed.Finished.IsZero() || failed.Current {
		t.Errorf("failed: %+v", failed)
	}
	if first.Kind != record.KindInstall || first.Outcome != record.OutcomePassed || !first.KnownGood || first.Version != "v1.1.1" {
		t.Errorf("first: %+v", first)
	}
	if strings.Contains(fmt.Sprint(entries), "canary") {
		t.Error("a secret is in the history")
	}
	if some, err := History(t.Context(), b.target, 1); err != nil || len(some) != 1 || some[0].Revision != 3 {
		t.Errorf("limited: %+v, %v", some, err)
	}
}
