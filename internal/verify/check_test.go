// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// check makes a smoke test and logs how it went.
func (b *bench) check(env Environment, check Check) error {
	b.t.Helper()
	start := time.Now()
	err := runCheck(b.t.Context(), env, StageSmokeTest, check)
	b.t.Logf("%s after %s: %v", check.Name, time.Since(start).Round(time.Millisecond), err)
	return err
}

// wantFailure wants a failure of a check that does, or does not, say something about the version.
func wantFailure(t *testing.T, err error, refused bool, parts ...string) {
	t.Helper()
	failure := asError[*CheckFailure](t, err)
	if failure.Refused != refused {
		t.Errorf("refused is %v, want %v", failure.Refused, refused)
	}
	wantText(t, failure.Error(), parts...)
}

func TestRunCheck_AnInterruptSaysNothingAboutTheVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t, jobHook("ask", "test", "sleep", "1m"), map[string]any{"extra": []any{podService("app")}}))
	for _, check := range []Check{
		{Name: "tests", HelmTest: &HelmTest{}},
		{Name: "job", Job: &JobCheck{Image: harness.Image(), Args: []string{"sleep", "1m"}}},
		{Name: "http", HTTP: &HTTPCheck{URL: "http://127.0.0.1:1/"}},
	} {
		stop := errors.New("a user pressed Ctrl-C")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(stop) })
		err := runCheck(ctx, env, StageSmokeTest, check)
		var failure *CheckFailure
		if !errors.Is(err, stop) || errors.As(err, &failure) {
			t.Errorf("%s: %v", check.Name, err)
		}
	}
	b.wantNoJobs()
}

func TestRunCheck_StopsWhenTheLeaseIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t))
	time.AfterFunc(2*time.Second, b.stealLease)
	err := b.check(env, Check{Name: "job", Job: &JobCheck{Image: harness.Image(), Args: []string{"sleep", "1m"}}})
	wantError[*cluster.LostError](t, err)
}

// stealLease is what another run does that has taken this one for dead.
func (b *bench) stealLease() {
	b.t.Helper()
	leases := b.client.CoordinationV1().Leases(b.namespace())
	lease, err := leases.Get(b.t.Context(), cluster.LeaseName, metav1.GetOptions{})
	if err != nil {
		b.t.Error(err)
		return
	}
	lease.Spec.HolderIdentity = new("somebody else")
	if _, err := leases.Update(b.t.Context(), lease, metav1.UpdateOptions{}); err != nil {
		b.t.Error(err)
	}
}

// podService is a Service of the test chart's pods.
func podService(name string) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"selector": map[string]any{"app": "app"},
			"ports": []any{map[string]any{"name": "http", "port": 80, "targetPort": 8080}}},
	}
}
