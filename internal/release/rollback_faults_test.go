// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

func TestRollback_WritesNothingAfterAnInterrupt(t *testing.T) {
	t.Parallel()
	// Helm returns at once, and continues in the background.
	alone := newBench(t)
	alone.foreignInstall(with(t), "app")
	ctx, cancel := context.WithCancel(t.Context())
	upgrade := action.NewUpgrade(alone.foreignConfiguration())
	upgrade.Namespace = alone.namespace()
	chart, err := with(t).Chart.Load()
	if err != nil {
		t.Fatal(err)
	}
	slow := with(t, jobHook("migrate", "pre-upgrade", "sleep", "4s"), config("ghost"))
	done := make(chan error, 1)
	go func() {
		_, err := upgrade.RunWithContext(ctx, "app", chart, slow.Values)
		done <- err
	}()
	alone.eventually("the hook runs", alone.hookRuns)
	cancel()
	if err := <-done; err == nil || alone.liveLevel() != "info" {
		t.Errorf("Helm is not as it was: %v, live is %s", err, alone.liveLevel())
	}
	alone.eventually("the ghost writes", func() bool { return alone.liveLevel() == "ghost" })

	b := newBench(t)
	b.mustApply(with(t, config("good"), jobHook("check", "pre-rollback", "sleep", "10s")), verified(watchesPods(2*time.Second)))
	hooks := watchesPods(2 * time.Second)
	hooks.Rollback.RunHooks = true
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	go func() {
		for t.Context().Err() == nil && (b.phase() != record.RollingBack || b.helmStatus("app", 3) != "pending-rollback") {
			time.Sleep(100 * time.Millisecond)
		}
		interrupt()
	}()
	crash := with(t, config("bad"), map[string]any{"args": []any{"no-such-command"}})
	_, err = b.apply(ctx, crash, verified(hooks))
	wantError[*CanceledError](t, err)
	wantError[*VerificationError](t, err)
	if b.helmStatus("app", 3) != "failed" || b.phase() != record.RollingBack {
		t.Errorf("revision 3 is %s, phase %s", b.helmStatus("app", 3), b.phase())
	}
	before := b.written()
	time.Sleep(5 * time.Second)
	if after := b.written(); after != before {
		t.Errorf("something was written after the end:\n%s\n%s", before, after)
	}
	outcome, err := b.apply(t.Context(), crash, verified(watchesPods(2*time.Second)))
	wantError[*QuarantinedError](t, err)
	if outcome.Restored == nil {
		t.Errorf("the rollback was not finished: %+v", outcome)
	}
	b.wantEnd(4, "deployed", record.RolledBack)
}

// Storage fails at each write that a rollback makes. Afterwards an apply ends well.
func TestRollback_ContinuesIfStorageFails(t *testing.T) {
	t.Parallel()
	type fails = func(r *helmrelease.Release, creating bool) bool
	rollsBack := func(r *helmrelease.Release) bool { return strings.HasPrefix(r.Info.Description, "Rollback to") }
	verdict := func(r *helmrelease.Release, creating bool) bool {
		return !creating && r.Version == 2 && r.Info.Status == helmrelease.StatusFailed
	}
	begins := func(r *helmrelease.Release, creating bool) bool { return creating && rollsBack(r) }
	ends := func(r *helmrelease.Release, creating bool) bool {
		return !creating && rollsBack(r) && r.Info.Status == helmrelease.StatusDeployed
	}
	for _, tc := range []struct {
		name string
		fail fails
		ok   bool // it is rolled back all the same
	}{
		{"the verdict, once", onceStorage(verdict), true},
		{"the verdict, always", verdict, false},
		{"the beginning, once", onceStorage(begins), true},
		{"the beginning, always", begins, false},
		{"the end, once", onceStorage(ends), true},
		{"the end, always", ends, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mustApply(served(t, config("good")), verified(asksReady()))
			outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(asksReady()), func(o *ApplyOptions) {
				o.storage = func(d driver.Driver) driver.Driver { return &failingStorage{Driver: d, fail: tc.fail} }
			})
			if tc.ok {
				b.wantRestored(outcome, err, verify.StageSmokeTest, 3, 1)
				return
			}
			var failed *RollbackError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), errStorage.Error()) {
				t.Errorf("it does not say that storage failed: %v", err)
			}
			outcome, err = b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
			wantError[*QuarantinedError](t, err)
			if outcome.Restored == nil || outcome.Status != "deployed" {
				t.Errorf("outcome: %+v", outcome)
			}
			if got := b.liveLevel(); got != "good" {
				t.Errorf("live is %s", got)
			}
			b.wantEnd(outcome.Revision, "deployed", record.RolledBack)
			b.mustApply(served(t, config("fixed")), verified(asksReady()))
			b.wantEnd(outcome.Revision+1, "deployed", record.Deployed)
		})
	}
}
