// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"errors"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// A process of its own upgrades a release that works to one that fails its smoke test, and is killed on the way. The next apply, of
// the same content, ends with what worked live again, and one with other content then continues.
func TestApply_ResumesAfterAVerifyingProcessWasKilled(t *testing.T) {
	t.Parallel()
	slowHook := jobHook("check", "pre-rollback", "sleep", "6s")
	for _, tc := range []struct {
		name string
		die  string
		kill func(*bench) bool
		// decided says that the verdict was known when the process died: the next apply finishes the rollback and quarantines the
		// content. Otherwise it resumes the verification.
		decided  bool
		restored int
	}{
		{name: "after the rollout", die: "verifying revision 2", restored: 3},
		{name: "after the verdict", die: "rolling back revision 2", decided: true, restored: 3},
		{name: "before Helm rolls back", die: "rolling back to revision 1 as revision 3", decided: true, restored: 3},
		{name: "in the rollback", kill: func(b *bench) bool { return b.helmStatus("app", 3) == "pending-rollback" }, decided: true, restored: 4},
		{name: "before the rollback's last write", die: "rollback's last write", decided: true, restored: 4},
		{name: "in the validation", die: "validating revision 3", decided: true, restored: 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mustApply(served(t, config("good"), slowHook), verified(asksReady()))
			bad := served(t, config("bad"), environmentOf("READINESS_DELAY", "1h"))
			child := b.startOrder(childOrder{Values: bad.Values, Die: tc.die, Ready: true, Hooks: tc.kill != nil})
			if tc.kill != nil {
				for t.Context().Err() == nil && child.ProcessState == nil && !tc.kill(b) {
					time.Sleep(50 * time.Millisecond)
				}
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

			outcome, err := b.apply(t.Context(), bad, verified(asksReady()))
			if tc.decided {
				wantError[*QuarantinedError](t, err)
				if outcome.Restored == nil || len(outcome.Recovered) == 0 {
					t.Errorf("it does not say that a rollback was finished: %+v", outcome)
				}
			} else {
				b.wantRestored(outcome, err, verify.StageSmokeTest, tc.restored, 1)
				if !outcome.Resumed {
					t.Errorf("it was not resumed: %+v", outcome)
				}
			}
			seen := b.wantEnd(tc.restored, "deployed", record.RolledBack)
			if got := b.liveLevel(); got != "good" {
				t.Errorf("live is %s", got)
			}
			if run := seen.Record.Runs[0]; len(seen.Record.Runs) != 2 || run.Outcome != record.OutcomeRolledBack || run.Restored != tc.restored {
				t.Errorf("runs: %+v", seen.Record.Runs)
			}
			b.mustApply(served(t, config("fixed")), verified(asksReady()))
			b.wantEnd(tc.restored+1, "deployed", record.Deployed)
		})
	}
}

func TestApply_VerifiesWhatAKilledProcessHadDeployed(t *testing.T) {
	t.Parallel()
	for _, die := range []string{"verifying revision 2", "waiting for 1 object to become ready"} {
		t.Run(die, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.mustApply(served(t, config("good")), verified(asksReady()))
			child := b.startOrder(childOrder{Values: served(t, config("better")).Values, Die: die, Ready: true})
			if err := child.Wait(); err == nil {
				t.Fatal("the child was not killed")
			}
			seen := mustObserve(b)
			resumes := seen.Record.Phase == record.Verifying
			if resumes && seen.Verification() == "" || seen.Record.KnownGood[0].Revision != 1 {
				t.Errorf("%q %+v", seen.Verification(), seen.Record)
			}
			outcome := b.mustApply(served(t, config("better")), verified(asksReady()))
			if outcome.Resumed != resumes {
				t.Errorf("outcome: %+v", outcome)
			}
			revision := 2
			if !resumes {
				revision = 3 // It died in the rollout.
			}
			b.wantEnd(revision, "deployed", record.Deployed)
		})
	}
}

// Another version simply replaces one that was never verified; what was good before stays what would be restored.
func TestApply_ReplacesAVersionThatWasNeverVerified(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mustApply(served(t, config("good")), verified(asksReady()))
	child := b.startOrder(childOrder{Values: served(t, config("better")).Values, Die: "verifying revision 2", Ready: true})
	if err := child.Wait(); err == nil {
		t.Fatal("the child was not killed")
	}
	outcome, err := b.apply(t.Context(), notReadyVersion(t), verified(asksReady()))
	b.wantRestored(outcome, err, verify.StageSmokeTest, 4, 1)
	if runs := mustObserve(b).Record.Runs; len(runs) != 3 || runs[1].Outcome != record.OutcomeCanceled || runs[1].Reason == "" {
		t.Errorf("runs: %+v", runs)
	}
}
