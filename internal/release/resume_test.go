// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

func TestApply_CanBeAbortedDuringTheAnalysis(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t, config("good")), verified(watchesPods(2*time.Second)))
	b.annotate(record.AnnotationAbort, "left over from last week")
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.eventually("it is verified", func() bool { return b.phase() == record.Verifying })
		b.annotate(record.AnnotationAbort, "orders are missing")
	}()
	start := time.Now()
	outcome, err := b.apply(t.Context(), with(t, config("bad")), verified(watchesPods(20*time.Minute)), timeout(30*time.Minute))
	<-done
	failure := b.restored(outcome, err, verify.StageManual, 3, 1)
	wantText(t, err.Error(), "aborted by hand: orders are missing")
	if time.Since(start) > 10*time.Minute || failure.Quarantine == nil {
		t.Errorf("after %s: %+v", time.Since(start), failure)
	}
	kept, err := b.client.CoreV1().ConfigMaps(b.namespace()).Get(t.Context(), record.OfRelease.Object("app"), metav1.GetOptions{})
	if err != nil || kept.Annotations[record.AnnotationAbort] != "" {
		t.Errorf("the annotation is still there: %v %v", kept.Annotations, err)
	}
}

func TestApply_LeavesAnInconclusiveRevisionUnverifiedAndVerifiesItAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(served(t, config("good")), verified(asksReady()))
	guard := asksReady()
	guard.SmokeTests = []verify.Check{{Name: "job", Timeout: 3 * time.Second,
		Job: &verify.JobCheck{Image: "registry.company.com/no-such-image:v1"}}}
	outcome, err := b.apply(t.Context(), served(t, config("debug")), verified(guard))
	failure := asError[*VerificationError](t, err)
	if !failure.Inconclusive || failure.Quarantine != nil || outcome.Revision != 2 || outcome.Status != "deployed" || outcome.Restored != nil {
		t.Errorf("%+v, outcome %+v", failure, outcome)
	}
	seen, err := Observe(t.Context(), b.target)
	if err != nil || seen.Record.Phase != record.Unverified || !strings.HasPrefix(seen.Verification(), "unverified since ") ||
		seen.Record.KnownGood[0].Revision != 1 {
		t.Errorf("%v %+v", err, seen.Record)
	}
	outcome = b.mustApply(served(t, config("debug")), verified(asksReady()))
	if !outcome.Resumed || outcome.Changed || outcome.Revision != 2 {
		t.Errorf("outcome: %+v", outcome)
	}
	b.wantEnd(2, "deployed", record.Deployed)
}

func TestApply_ResumesAnInterruptedAnalysis(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t, config("good")), verified(watchesPods(2*time.Second)))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	go func() {
		b.eventually("it is verified", func() bool { return b.phase() == record.Verifying })
		time.Sleep(3 * time.Second)
		interrupt()
	}()
	outcome, err := b.apply(ctx, with(t, config("debug")), verified(watchesPods(20*time.Second)))
	unverified := asError[*UnverifiedError](t, err)
	wantError[*CanceledError](t, err)
	if outcome.Revision != 2 || outcome.Status != "deployed" || unverified.Stage != verify.StageAnalysis {
		t.Errorf("%+v, outcome %+v", unverified, outcome)
	}
	seen, err := Observe(t.Context(), b.target)
	if err != nil || seen.Record.Phase != record.Verifying || len(seen.Record.Verification.Samples) == 0 ||
		seen.Record.KnownGood[0].Revision != 1 {
		t.Fatalf("%v %+v", err, seen.Record)
	}
	since := seen.Record.Verification.Since

	outcome = b.mustApply(with(t, config("debug")), verified(watchesPods(20*time.Second)))
	if !outcome.Resumed || outcome.Revision != 2 || outcome.Changed {
		t.Errorf("outcome: %+v", outcome)
	}
	if took := time.Since(since); took < 20*time.Second {
		t.Errorf("the analysis of 20s took %s in all", took)
	}
	seen = b.wantEnd(2, "deployed", record.Deployed)
	if runs := seen.Record.Runs; len(runs) != 2 || runs[0].Outcome != record.OutcomePassed {
		t.Errorf("runs: %+v", runs)
	}
}

// annotate puts an annotation on the record, as kubectl does.
func (b *bench) annotate(key, value string) {
	b.t.Helper()
	patch := []byte(`{"metadata":{"annotations":{"` + key + `":"` + value + `"}}}`)
	if _, err := b.client.CoreV1().ConfigMaps(b.namespace()).Patch(b.t.Context(), record.OfRelease.Object("app"),
		"application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		b.t.Error(err)
	}
}

func (b *bench) phase() record.Phase {
	seen, err := Observe(b.t.Context(), b.target)
	if err != nil || seen.Record == nil {
		return ""
	}
	return seen.Record.Phase
}
