// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

func TestRollback_TakesNothingThatBelongsToAnotherRelease(t *testing.T) {
	t.Parallel()
	shared := map[string]any{"extra": []any{serviceFor("app"), serviceTo("shared", "app")}}
	only := func() Spec {
		return with(
			t,
			map[string]any{"deployment": false, "extra": []any{serviceTo("shared", "app")}, "config": map[string]any{"level": "other"}},
		)
	}
	owner := func(b *bench) string {
		s, err := b.client.CoreV1().Services(b.namespace()).Get(t.Context(), "shared", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s.Annotations[ownership.AnnotationReleaseName]
	}

	alone := newBench(t)
	alone.foreignInstall(with(t, shared), "app")
	if err := alone.upgradeByHelm("app", served(t, config("bad"))); err != nil {
		t.Fatal(err)
	}
	alone.foreignInstall(only(), "other")
	if err := alone.rollBackByHelm("app", 1); err != nil || owner(alone) != "app" {
		t.Errorf("Helm is not as it was: %v, the Service belongs to %s", err, owner(alone))
	}

	b := newBench(t)
	b.mustApply(with(t, shared), verified(asksReady()))
	b.eventually("the handover", func() bool {
		b.foreignTakeover(t, "shared")
		return owner(b) == "other"
	})
	outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
	b.wantRefused(err, "Service/shared belongs to release other", "restore what does not belong to this release any more")
	if owner(b) != "other" || outcome.Status != "failed" || outcome.Revision != 2 {
		t.Errorf("the Service belongs to %s, outcome %+v", owner(b), outcome)
	}
	b.mustApply(served(t, config("fixed")), verified(asksReady()))
	b.wantEnd(3, "deployed", record.Deployed)
}

// foreignTakeover gives a Service to the release "other".
func (b *bench) foreignTakeover(t *testing.T, service string) {
	t.Helper()
	patch := []byte(`{"metadata":{"annotations":{"` + ownership.AnnotationReleaseName + `":"other"}}}`)
	if _, err := b.client.CoreV1().Services(b.namespace()).Patch(t.Context(), service, "application/merge-patch+json", patch,
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestRollback_IsRefusedWhereTheKnownGoodRevisionIsGoneOrChanged(t *testing.T) {
	t.Parallel()
	// Helm's own limit deletes what worked, while other revisions fail.
	alone := newBench(t)
	alone.foreignInstall(with(t), "app")
	for range 3 {
		_ = alone.upgradeByHelm("app", with(t, config("bad")), func(u *action.Upgrade) { u.MaxHistory = 2 })
	}
	if err := alone.rollBackByHelm("app", 1); err == nil || !strings.Contains(err.Error(), "has no 1 version") {
		t.Errorf("Helm is not as it was: %v", err)
	}

	// Ours is kept whatever the limit, for as long as it is needed.
	b := newBench(t)
	limit := func(o *ApplyOptions) { o.MaxHistory = 2 }
	b.mustApply(served(t, config("good")), verified(asksReady()), limit)
	retry := asksReady()
	for i, text := range []string{"a", "b", "c"} {
		retry.RetryToken = text
		outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(retry), limit)
		b.wantRestored(outcome, err, verify.StageSmokeTest, 3+2*i, 1+2*i)
	}
	before := mustObserve(b)

	for _, tc := range []struct {
		name   string
		change func(newest int)
		want   string
	}{
		{"another content", func(newest int) {
			stored, err := b.storage().Get("app", newest)
			if err != nil {
				t.Fatal(err)
			}
			stored.Manifest = strings.ReplaceAll(stored.Manifest, "good", "evil")
			if err := b.storage().Update(stored); err != nil {
				t.Fatal(err)
			}
		}, "is not the one that was known to work"},
		{"nothing", func(newest int) {
			if _, err := b.storage().Delete("app", newest); err != nil {
				t.Fatal(err)
			}
		}, "is not in Helm's storage any more"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			newest := before.Record.KnownGood[0].Revision
			tc.change(newest)
			retry.RetryToken = tc.name
			_, err := b.apply(t.Context(), notReadyVersion(t), verified(retry))
			b.wantRefused(err, tc.want)
		})
	}
	b.mustApply(served(t, config("fixed")), verified(retry))
}

func TestRollback_IsRefusedBehindAnIrreversibleMigration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(served(t, config("good")), verified(asksReady()))
	b.configMap("orders", nil)
	patch := `{"metadata":{"labels":{"` + record.LabelMigration + `":"orders"},"annotations":{"` + record.AnnotationIrreversibleSince + `":"` +
		time.Now().UTC().Format(time.RFC3339) + `","` +
		record.AnnotationIrreversibleReason + `":"20260301.sql drops a column","` + record.AnnotationIrreversibleSafeAfter + `":"v1.2.0"}}}`
	if _, err := b.client.CoreV1().ConfigMaps(b.namespace()).Patch(t.Context(), "orders", "application/merge-patch+json", []byte(patch),
		metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	ready, err := RollbackReady(t.Context(), b.target, mustObserve(b))
	if err != nil || ready.Ready {
		t.Errorf("%+v %v", ready, err)
	}
	outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
	b.wantRefused(err, "irreversible migration", "20260301.sql", "from v1.2.0 on")
	if outcome.Status != "failed" || b.liveLevel() != "bad" {
		t.Errorf("outcome %+v", outcome)
	}
	fixed := served(t, config("fixed"))
	fixed.Version = "v1.2.1"
	b.mustApply(fixed, verified(asksReady()))

	// Deploying the earlier version again is a rollback as well.
	_, err = b.apply(t.Context(), served(t, config("good")), verified(asksReady()))
	b.wantRefused(err, "irreversible migration", "20260301.sql", "Nothing was changed", "take the annotation")
	if b.liveLevel() != "fixed" {
		t.Errorf("%s is live", b.liveLevel())
	}
	if _, err := b.client.CoreV1().ConfigMaps(b.namespace()).Patch(t.Context(), "orders", "application/merge-patch+json",
		[]byte(`{"metadata":{"annotations":{"`+record.AnnotationIrreversibleSince+`":null}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	b.mustApply(served(t, config("good")), verified(asksReady()))
	if b.liveLevel() != "good" {
		t.Errorf("%s is live", b.liveLevel())
	}
}
