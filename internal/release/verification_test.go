// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// asksReady is a guard with a smoke test that a version with READINESS_DELAY does not pass, although its pods are ready.
func asksReady() verify.Policy {
	return verify.Policy{
		SmokeTests: []verify.Check{{Name: "ready", Timeout: 20 * time.Second, HTTP: &verify.HTTPCheck{Name: "ready",
			Service: &analysis.Service{Name: "app", Port: "8080", Path: "/readyz"}, Timeout: 2 * time.Second}}},
		Rollback: &verify.RollbackPolicy{Timeout: 2 * time.Minute},
	}
}

// watchesPods is a guard that watches the pods for so long.
func watchesPods(duration time.Duration) verify.Policy {
	return verify.Policy{
		Analysis: &verify.Analysis{
			Policy: analysis.Policy{
				Health: &analysis.Health{Checks: []string{"pods"}, ConsecutiveFailures: 1, ErrorBudget: 10 * time.Second,
					NoDataBudget: 10 * time.Second},
				Duration: duration, Interval: time.Second,
			},
			Pods: &verify.PodsCheck{Grace: time.Second},
		},
		Rollback: &verify.RollbackPolicy{Timeout: 2 * time.Minute},
	}
}

func verified(g verify.Policy) func(*ApplyOptions) {
	return func(o *ApplyOptions) { o.Verification = g }
}

// served is the test chart with a Service; the readiness that the service reports is not that of its pods.
func served(t *testing.T, layers ...map[string]any) Spec {
	t.Helper()
	return with(t, append([]map[string]any{{"extra": []any{serviceFor("app")}}}, layers...)...)
}

func environmentOf(pairs ...string) map[string]any {
	var env []any
	for i := 0; i < len(pairs); i += 2 {
		env = append(env, map[string]any{"name": pairs[i], "value": pairs[i+1]})
	}
	return map[string]any{"env": env}
}

// notReady is a version that is ready for its pods and says of itself that it is not.
func notReadyVersion(t *testing.T) Spec {
	t.Helper()
	spec := served(t, config("bad"), environmentOf("READINESS_DELAY", "1h"))
	spec.Version = "v1.2.0"
	return spec
}

func (b *bench) wantRestored(outcome *Outcome, err error, stage string, revision, from int) {
	b.t.Helper()
	_ = b.restored(outcome, err, stage, revision, from)
}

// restored compares everything that is to say that revision from is live again, as revision.
func (b *bench) restored(outcome *Outcome, err error, stage string, revision, from int) *VerificationError {
	b.t.Helper()
	failure := asError[*VerificationError](b.t, err)
	if failure.Stage != stage || failure.Restored == nil || failure.RollbackFailed != nil {
		b.t.Fatalf("the error is not that of a %s that was rolled back: %+v", stage, failure)
	}
	if outcome.Restored != failure.Restored || outcome.Revision != revision || outcome.Status != "deployed" {
		b.t.Errorf("the outcome does not say what is there: %+v", outcome)
	}
	if r := failure.Restored; r.Revision != revision || r.From != from || !r.Validated || r.Ready.Before(r.Detected) {
		b.t.Errorf("restored: %+v", r)
	}
	seen := b.wantEnd(revision, "deployed", record.RolledBack)
	kept := seen.Record
	if kept.Digest != failure.Restored.Digest || kept.Version != failure.Restored.Version || seen.Verification() != "verified" ||
		!seen.Working() {
		b.t.Errorf("the record does not report the restored revision: %q %+v", seen.Verification(), kept)
	}
	run := kept.Runs[0]
	if run.Outcome != record.OutcomeRolledBack || run.Stage != stage || run.Restored != revision || run.Finished.IsZero() || run.Reason == "" {
		b.t.Errorf("the run does not report what happened: %+v", run)
	}
	failed, err := b.storage().Get("app", run.Revision)
	if err != nil || failed.Info.Status != "failed" || stage != verify.StageRollout &&
		!strings.Contains(failed.Info.Description, "Slipway: ") {
		b.t.Errorf("Helm does not know that revision %d has failed: %v", run.Revision, err)
	}
	return failure
}

func TestApply_IsKnownGoodOnlyWhenItsVerificationHasPassed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	guard := asksReady()
	guard.Analysis = watchesPods(2 * time.Second).Analysis
	guard.Acceptance = &verify.Check{Name: "users", Timeout: 30 * time.Second,
		Job: &verify.JobCheck{Image: harness.Image(), Args: []string{"sleep", "100ms"}}}
	outcome := b.mustApply(served(t), verified(guard))
	if outcome.Kind != record.KindInstall || outcome.Resumed || outcome.Restored != nil {
		t.Errorf("outcome: %+v", outcome)
	}
	seen := b.wantEnd(1, "deployed", record.Deployed)
	kept := seen.Record
	if seen.Verification() != "verified" || kept.Verification != nil || kept.SchemaVersion != 2 || kept.Key == "" {
		t.Errorf("%q %+v", seen.Verification(), kept)
	}
	if good := kept.KnownGood[0]; good.Seal == "" || good.Chart.Name != "app" || good.Digest != kept.Digest {
		t.Errorf("known good: %+v", good)
	}
	if run := kept.Runs[0]; len(kept.Runs) != 1 || run.Outcome != record.OutcomePassed || run.Kind != record.KindInstall ||
		run.Finished.IsZero() {
		t.Errorf("runs: %+v", kept.Runs)
	}

	guard.Acceptance.Job.Args = []string{"no-such-command"}
	_, err := b.apply(t.Context(), served(t, config("debug")), verified(guard))
	failure := asError[*VerificationError](t, err)
	var invalid *RollbackInvalidError
	// The gate refuses everything now, the restored revision too.
	if failure.Stage != verify.StageAcceptance || !errors.As(err, &invalid) || len(failure.Evidence.Log) == 0 {
		t.Errorf("%+v", failure)
	}
}

func TestApply_RollsBackAVersionThatFailsItsSmokeTest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(served(t, config("good")), verified(asksReady()))

	outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
	failure := b.restored(outcome, err, verify.StageSmokeTest, 3, 1)
	wantText(t, err.Error(), "Revision 2", "v1.2.0", "smoke test", "503", "v1.1.1 was restored from revision 1 as revision 3",
		"Its validation passed", "quarantined until", "quarantine=cleared")
	if got := b.liveLevel(); got != "good" {
		t.Errorf("its config did not come back: %s", got)
	}
	q := failure.Quarantine
	if q == nil || q.Revision != 2 || q.Version != "v1.2.0" || q.Expires.Sub(q.At) != verify.DefaultQuarantine {
		t.Fatalf("quarantine: %+v", q)
	}

	// What failed is not deployed again, until a user asks for it.
	before := b.written()
	_, err = b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
	held := asError[*QuarantinedError](t, err)
	wantText(t, held.Error(), "v1.2.0", "revision 2", "503", "retry")
	if after := b.written(); after != before {
		t.Errorf("something was written:\n%s\n%s", before, after)
	}
	retried := asksReady()
	retried.RetryToken = "the probe was wrong"
	outcome, err = b.apply(t.Context(), notReadyVersion(t), verified(retried))
	b.wantRestored(outcome, err, verify.StageSmokeTest, 5, 3)

	b.annotate(record.AnnotationQuarantine, record.QuarantineCleared)
	outcome, err = b.apply(t.Context(), notReadyVersion(t), verified(retried))
	b.wantRestored(outcome, err, verify.StageSmokeTest, 7, 5)
	_, err = b.apply(t.Context(), notReadyVersion(t), verified(retried))
	wantError[*QuarantinedError](t, err) // The annotation counted once.

	// Other content just runs, and ends the quarantine.
	fixed := served(t, config("fixed"))
	fixed.Version = "v1.2.1"
	outcome = b.mustApply(fixed, verified(retried))
	if outcome.Kind != record.KindUpgrade {
		t.Errorf("kind: %s", outcome.Kind)
	}
	b.wantEnd(8, "deployed", record.Deployed)
	// An earlier version that worked comes back, as a rollback.
	outcome = b.mustApply(served(t, config("good")), verified(retried))
	if outcome.Kind != record.KindRollback {
		t.Errorf("kind: %s", outcome.Kind)
	}
	if seen := b.wantEnd(9, "deployed", record.Deployed); seen.Record.Runs[0].Kind != record.KindRollback {
		t.Errorf("run: %+v", seen.Record.Runs[0])
	}
}

func TestApply_RollsBackAVersionThatFailsItsAnalysis(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t, config("good")), verified(watchesPods(2*time.Second)))
	outcome, err := b.apply(t.Context(), with(t, config("bad"), map[string]any{"readinessPath": "/readyz"},
		environmentOf("FAIL_READINESS_AFTER", "4s")),
		verified(watchesPods(time.Minute)))
	failure := b.restored(outcome, err, verify.StageAnalysis, 3, 1)
	if v := failure.Evidence.Verdict; v == nil || v.Trigger == nil || len(v.Trigger.Samples) < 2 || failure.Quarantine == nil {
		t.Errorf("there is no evidence: %+v", failure)
	}
	wantText(t, err.Error(), "The samples that decided", "pods  fail", "was restored from revision 1")
}

func TestApply_RollsBackARolloutThatFails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		broken  map[string]any
		timeout time.Duration
		// held says that the version was at fault, and not what is around it.
		held bool
		want []string
	}{
		{"pods that run and are never ready", map[string]any{"readinessPath": "/not-there"}, 20 * time.Second, true,
			[]string{"time ran out", "Readiness probe failed"}},
		{"a crash loop", map[string]any{"args": []any{"no-such-command"}}, time.Minute, true, []string{"CrashLoopBackOff", "no-such-command"}},
		{"an image that cannot be pulled", map[string]any{"image": "registry.company.com/data-collection:v9.9.9"}, time.Minute, false,
			[]string{"ErrImagePull"}},
		{"a hook that fails", jobHook("migrate", "pre-upgrade", "no-such-command"), time.Minute, false,
			[]string{"hook", "Job/app-migrate: a hook that has ended"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mustApply(with(t, config("good")), verified(watchesPods(2*time.Second)))
			outcome, err := b.apply(t.Context(), with(t, config("bad"), tc.broken), verified(watchesPods(2*time.Second)), timeout(tc.timeout))
			failure := b.restored(outcome, err, verify.StageRollout, 3, 1)
			wantText(t, err.Error(), tc.want...)
			if held := failure.Quarantine != nil; held != tc.held {
				t.Errorf("held is %v, want %v", held, tc.held)
			}
			if got := b.liveLevel(); got != "good" {
				t.Errorf("live is %s", got)
			}
			b.mustApply(with(t, config("fixed")), verified(watchesPods(2*time.Second)))
			b.wantEnd(4, "deployed", record.Deployed)
		})
	}
}

// A policy without checks still rolls back a failed rollout.
func TestApply_RollsBackARolloutWithoutAnyChecks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t, config("good")))
	outcome, err := b.apply(t.Context(), with(t, config("bad"), map[string]any{"args": []any{"no-such-command"}}),
		verified(verify.Policy{Rollback: &verify.RollbackPolicy{}}))
	failure := asError[*VerificationError](t, err)
	if outcome.Restored == nil || outcome.Restored.Validated || outcome.Revision != 3 || failure.Quarantine == nil {
		t.Errorf("%+v, outcome %+v", failure, outcome)
	}
	if seen := b.wantEnd(3, "deployed", record.RolledBack); seen.Verification() != "" {
		t.Errorf("it is called %q", seen.Verification())
	}
}

// What a container or a service writes may be a secret; it is read for the error and for the record.
func TestApply_KeepsSecretsOutOfWhatAVerificationReports(t *testing.T) {
	t.Parallel()
	const secret = "canary-0815-of-the-guard"
	b := newBench(t)
	b.mustApply(served(t), verified(asksReady()))
	guard := asksReady()
	guard.SmokeTests = []verify.Check{{Name: "job", Timeout: 30 * time.Second,
		Job: &verify.JobCheck{Image: harness.Image(), Args: []string{secret}}}}
	spec := served(t, config("debug"))
	spec.Sensitive = map[string]any{"token": secret}
	_, err := b.apply(t.Context(), spec, verified(guard))
	wantError[*VerificationError](t, err)
	kept, getErr := b.client.CoreV1().ConfigMaps(b.namespace()).Get(t.Context(), record.OfRelease.Object("app"), metav1.GetOptions{})
	if getErr != nil {
		t.Fatal(getErr)
	}
	stored, getErr := b.storage().Get("app", 2)
	if getErr != nil {
		t.Fatal(getErr)
	}
	for where, text := range map[string]string{"error": err.Error(), "record": kept.Data["record"], "Helm": stored.Info.Description} {
		if strings.Contains(text, secret) {
			t.Errorf("the secret is in the %s: %s", where, text)
		}
	}
	wantText(t, err.Error(), "(sensitive value)")
}

func TestApply_LeavesAFirstInstallThatFailsToTheNextApply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
	failure := asError[*VerificationError](t, err)
	var none *RollbackError
	if !errors.As(err, &none) || none.Target != 0 || failure.Quarantine != nil || outcome.Restored != nil || outcome.Status != "failed" {
		t.Errorf("%+v, outcome %+v", failure, outcome)
	}
	wantText(t, err.Error(), "no known-good revision", "503")
	b.wantEnd(1, "failed", record.Failed)
	outcome = b.mustApply(served(t), verified(asksReady()))
	if outcome.Kind != record.KindInstall || len(outcome.Recovered) == 0 {
		t.Errorf("outcome: %+v", outcome)
	}
	b.wantEnd(2, "deployed", record.Deployed)
}

func TestApply_StopsWhenWhatItRestoredFailsToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(served(t, config("good")), verified(asksReady()))
	guard := asksReady()
	guard.SmokeTests[0].HTTP.Service.Path = "/nowhere"
	outcome, err := b.apply(t.Context(), served(t, config("bad")), verified(guard))
	invalid := asError[*RollbackInvalidError](t, err)
	if invalid.Revision != 3 || invalid.From != 1 || invalid.Stage != verify.StageSmokeTest || outcome.Revision != 3 ||
		outcome.Status != "deployed" {
		t.Errorf("%+v, outcome %+v", invalid, outcome)
	}
	wantText(t, err.Error(), "is also unhealthy", "404", "Nothing more is rolled back")
	seen, err := Observe(t.Context(), b.target)
	if err != nil {
		t.Fatal(err)
	}
	if seen.Record.Phase != record.Failed || seen.Record.KnownGood[0].Revision != 1 || seen.Record.Runs[0].Outcome != record.OutcomeFailed ||
		seen.Record.Quarantine != nil {
		t.Errorf("the record: %+v", seen.Record)
	}
	b.mustApply(served(t, config("fixed")), verified(asksReady()))
	b.wantEnd(4, "deployed", record.Deployed)
}

// serviceFor is a Service for the pods of a release, as one of the chart's extra objects.
func serviceFor(app string) map[string]any { return serviceTo(app, app) }

// serviceTo is a Service of the pods of an application.
func serviceTo(name, app string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": name}, "spec": map[string]any{
		"selector": map[string]any{"app": app}, "ports": []any{map[string]any{"name": "http", "port": 8080}},
	}}
}
