// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

func TestApply_StopsWhenItIsInterrupted(t *testing.T) {
	t.Parallel()
	slow := map[string]any{"env": []any{map[string]any{"name": "READINESS_DELAY", "value": "20s"}}, "readinessPath": "/readyz"}
	for _, tc := range []struct {
		name   string
		spec   Spec
		reason string
		at     func(*bench) bool
	}{
		{"in a hook", with(t, jobHook("migrate", "pre-install,pre-upgrade", "sleep", "8s")), "running the hook Job/app-migrate",
			(*bench).hookRuns},
		{"in the wait", with(t, slow), "waiting for 1 object to become ready", (*bench).deploymentThere},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			done := make(chan error, 1)
			go func() {
				_, err := b.apply(ctx, tc.spec)
				done <- err
			}()
			b.eventually(tc.name, func() bool { return tc.at(b) })
			interrupt()
			err := <-done
			canceled := asError[*CanceledError](t, err)
			wantText(t, canceled.During, tc.reason)
			b.wantEnd(1, "failed", record.Failed)
			before := b.written()
			time.Sleep(5 * time.Second)
			if after := b.written(); after != before {
				t.Errorf("something was written after the end:\n%s\n%s", before, after)
			}

			outcome := b.mustApply(with(t, jobHook("migrate", "pre-install,pre-upgrade", "sleep", "100ms")))
			b.wantEnd(2, "deployed", record.Deployed)
			if !outcome.Changed {
				t.Error("it says that nothing was changed")
			}
		})
	}
}

// TestApply_ResumesAfterItsProcessWasKilled kills a process at points of its way, and lets another one of the same run resume.
func TestApply_ResumesAfterItsProcessWasKilled(t *testing.T) {
	t.Parallel()
	hook := jobHook("migrate", "pre-install,pre-upgrade", "sleep", "3s")
	for _, tc := range []struct {
		name string
		// die is the sentence of progress at which the child kills itself; alternatively kill says when it is killed.
		die    string
		kill   func(*bench) bool
		values map[string]any
		status string // that Helm has then
		want   string // in Recovered
	}{
		{name: "before the record", die: "rendering the chart"},
		{name: "after the record", die: "installing revision"},
		{name: "in a pre-install hook", kill: (*bench).hookRuns, values: hook, status: "pending-install", want: "ended without finishing"},
		{name: "in the wait", kill: (*bench).deploymentThere, status: "pending-install", want: "ended without finishing"},
		{name: "before the last write", die: "last write", status: "pending-install", want: "ended without finishing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			child := b.startChild(tc.values, tc.die)
			if tc.kill != nil {
				b.eventually(tc.name, func() bool { return tc.kill(b) })
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			err := child.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) ||
				exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL { //nolint:forcetypeassert // On Linux it is one.
				t.Fatalf("the child was not killed: %v\n%s", err, childOutput(child))
			}
			seen, err := Observe(t.Context(), b.target)
			if err != nil {
				t.Fatal(err)
			}
			if seen.Status != tc.status {
				t.Errorf("Helm says %q, want %q", seen.Status, tc.status)
			}

			next := b.startChild(tc.values, "")
			if err := next.Wait(); err != nil {
				t.Fatalf("the next apply failed: %v\n%s", err, childOutput(next))
			}
			text := childOutput(next)
			t.Log(text)
			wantText(t, text, tc.want)
			b.wantEnd(max(seen.Revision, 0)+1, "deployed", record.Deployed)
			if tc.values != nil {
				b.wantHookRan()
			}
		})
	}
}

// TestApply_WaitsForAHookThatOutlivedItsApply: deleting the Job of a migration that still runs would be the worst.
func TestApply_WaitsForAHookThatOutlivedItsApply(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hook := jobHook("migrate", "pre-upgrade", "sleep", "6s")
	child := b.startChild(nil, "")
	if err := child.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, childOutput(child))
	}
	child = b.startChild(hook, "")
	b.eventually("the hook runs", b.hookRuns)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	job, err := b.client.BatchV1().Jobs(b.namespace()).Get(t.Context(), "app-migrate", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	next := b.startChild(hook, "")
	deleted := false
	for range 600 {
		old, err := b.client.BatchV1().Jobs(b.namespace()).Get(t.Context(), "app-migrate", metav1.GetOptions{})
		if err != nil || old.UID != job.UID {
			deleted = true
			break
		}
		if old.Status.Succeeded == 1 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if deleted {
		t.Error("the running hook was deleted")
	}
	if err := next.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, childOutput(next))
	}
	wantText(t, childOutput(next), "waiting for hooks of revision 2", "marked failed")
	b.wantEnd(3, "deployed", record.Deployed)
}

func TestApply_DoesNotWaitForEverForAHook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t))
	_, err := b.apply(t.Context(), with(t, jobHook("migrate", "pre-upgrade", "sleep", "1h")), timeout(30*time.Second))
	deadline := asError[*DeadlineError](t, err)
	wantText(t, deadline.During, "Job/app-migrate")
	// What a hook that hangs is at shows only in its log.
	wantText(t, deadline.Error(), "1 pod runs", "pod app-migrate-", "is Running", "container")
	_, err = b.apply(t.Context(), with(t, jobHook("migrate", "pre-upgrade", "sleep", "1h")), timeout(10*time.Second))
	pending := asError[*PendingError](t, err)
	if len(pending.Running) != 1 || pending.Running[0] != "Job/app-migrate" {
		t.Errorf("running: %v", pending.Running)
	}
}

func TestApply_RecoversPendingReleasesOfOthersByAgeAndPolicy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t))
	stored, err := b.storage().Get("app", 1)
	if err != nil {
		t.Fatal(err)
	}
	stored.Version, stored.Info.Status = 2, helmrelease.StatusPendingUpgrade
	if err := b.storage().Create(stored); err != nil {
		t.Fatal(err)
	}
	_, err = b.apply(t.Context(), with(t, config("debug")))
	wantText(t, asError[*PendingError](t, err).Error(), "too young")
	_, err = b.apply(t.Context(), with(t, config("debug")), func(o *ApplyOptions) { o.FailOnPending = true })
	wantText(t, asError[*PendingError](t, err).Error(), "on_pending")
	if got := b.liveLevel(); got != "info" {
		t.Errorf("it was changed: %s", got)
	}
}

func TestApply_RepairsWhatStorageLost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		fail func(r *helmrelease.Release, creating bool) bool
		ok   bool // the apply succeeds all the same
	}{
		{"the last write, once", onceStorage(func(r *helmrelease.Release, creating bool) bool {
			return !creating && r.Info.Status == helmrelease.StatusDeployed
		}), true},
		{"the first write", onceStorage(func(_ *helmrelease.Release, creating bool) bool { return creating }), false},
		{"all last writes", func(r *helmrelease.Release, creating bool) bool {
			return !creating && r.Info.Status == helmrelease.StatusDeployed
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			outcome, err := b.apply(t.Context(), with(t), func(o *ApplyOptions) {
				o.storage = func(d driver.Driver) driver.Driver { return &failingStorage{Driver: d, fail: tc.fail} }
			})
			if tc.ok {
				if err != nil || outcome.Status != "deployed" {
					t.Fatalf("outcome %+v, error %v", outcome, err)
				}
				b.wantEnd(1, "deployed", record.Deployed)
				return
			}
			if err == nil {
				t.Fatal("it does not say that storage failed")
			}
			b.mustApply(with(t))
			last := 2
			if tc.name == "the first write" {
				last = 1
			}
			b.wantEnd(last, "deployed", record.Deployed)
		})
	}
}

func TestApply_TwoAtOnceTakeTurns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	// Another run is another holder: a child's parent is this process, and ours is another one.
	child := b.startChild(jobHook("migrate", "pre-install", "sleep", "2s"), "")
	b.eventually("the first one is at work", b.hookRuns)
	outcome := b.mustApply(with(t, config("debug")))
	if err := child.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, childOutput(child))
	}
	if outcome.Revision != 2 || len(outcome.Recovered) != 0 {
		t.Errorf("it did not wait for the first one: %+v", outcome)
	}
	b.wantEnd(2, "deployed", record.Deployed)

	// Two resources of one run that name the same release.
	errs := make(chan error, 2)
	for _, level := range []string{"warn", "error"} {
		go func() {
			_, err := b.apply(t.Context(), with(t, config(level)))
			errs <- err
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	b.wantEnd(4, "deployed", record.Deployed)
}

func TestApply_EndsWhereStorageDoesNotKeepWhatIsWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(with(t))
	stored, err := b.storage().Get("app", 1)
	if err != nil {
		t.Fatal(err)
	}
	stored.SetStatus(helmrelease.StatusPendingUpgrade, "as a killed apply leaves it")
	if err := b.storage().Update(stored); err != nil {
		t.Fatal(err)
	}
	_, err = b.apply(t.Context(), with(t, config("debug")), func(o *ApplyOptions) {
		o.storage = func(d driver.Driver) driver.Driver { return &forgetfulStorage{Driver: d} }
	})
	if err == nil {
		t.Fatal("it did not fail")
	}
	wantText(t, err.Error(), "Release app was not applied", "Revision 1 is pending install", "sh.helm.release.v1.app.*")
	b.mustApply(with(t, config("debug")))
	b.wantEnd(2, "deployed", record.Deployed)
}

// forgetfulStorage reports each update as done, and does not make it.
type forgetfulStorage struct{ driver.Driver }

func (s *forgetfulStorage) Update(string, *helmrelease.Release) error { return nil }

// failingStorage fails the writes that are asked for.
type failingStorage struct {
	driver.Driver
	fail func(r *helmrelease.Release, creating bool) bool
}

var errStorage = errors.New("etcdserver: request timed out")

func (s *failingStorage) Create(key string, r *helmrelease.Release) error {
	if s.fail(r, true) {
		return errStorage
	}
	return s.Driver.Create(key, r)
}

func (s *failingStorage) Update(key string, r *helmrelease.Release) error {
	if s.fail(r, false) {
		return errStorage
	}
	return s.Driver.Update(key, r)
}

func onceStorage(fail func(*helmrelease.Release, bool) bool) func(*helmrelease.Release, bool) bool {
	failed := false
	return func(r *helmrelease.Release, creating bool) bool {
		if failed || !fail(r, creating) {
			return false
		}
		failed = true
		return true
	}
}

func (b *bench) hookRuns() bool {
	pods, err := b.client.CoreV1().Pods(b.namespace()).List(b.t.Context(),
		metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=app-migrate"})
	return err == nil && len(pods.Items) > 0 && pods.Items[0].Status.Phase == corev1.PodRunning
}

func (b *bench) deploymentThere() bool {
	_, err := b.client.AppsV1().Deployments(b.namespace()).Get(b.t.Context(), "app", metav1.GetOptions{})
	return err == nil
}

func (b *bench) wantHookRan() {
	b.t.Helper()
	job, err := b.client.BatchV1().Jobs(b.namespace()).Get(b.t.Context(), "app-migrate", metav1.GetOptions{})
	if err != nil || job.Status.Succeeded != 1 {
		b.t.Errorf("the install hook has not run: %v", err)
	}
}

// written is what an operation writes in a namespace, with the versions that it has.
func (b *bench) written() string {
	b.t.Helper()
	var out strings.Builder
	secrets, err := b.client.CoreV1().Secrets(b.namespace()).List(b.t.Context(), metav1.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range secrets.Items {
		fmt.Fprintln(&out, "Secret", s.Name, s.ResourceVersion)
	}
	maps, err := b.client.CoreV1().ConfigMaps(b.namespace()).List(b.t.Context(), metav1.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, m := range maps.Items {
		fmt.Fprintln(&out, "ConfigMap", m.Name, m.ResourceVersion)
	}
	deployments, err := b.client.AppsV1().Deployments(b.namespace()).List(b.t.Context(), metav1.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, d := range deployments.Items {
		fmt.Fprintln(&out, "Deployment", d.Name, d.Generation)
	}
	jobs, err := b.client.BatchV1().Jobs(b.namespace()).List(b.t.Context(), metav1.ListOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, j := range jobs.Items {
		fmt.Fprintln(&out, "Job", j.Name, j.UID, j.Generation, j.DeletionTimestamp)
	}
	return out.String()
}
