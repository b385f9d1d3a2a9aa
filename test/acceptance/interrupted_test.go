// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// quick are values for releases whose rollout is not the point of a test.
const quick = `{ autoscaling = { enabled = false }, replicaCount = 1, preStopSleepSeconds = 1, terminationGracePeriodSeconds = 2 }`

// slow is a rollout that takes long enough for a test to do something meanwhile.
const slow = `{ autoscaling = { enabled = false }, replicaCount = 1, preStopSleepSeconds = 1, terminationGracePeriodSeconds = 2,` +
	` faults = { readinessDelay = "25s" }, probes = { startup = { failureThreshold = 60 } } }`

// step is a moment in an operation on a release at which something happens to it.
type step struct {
	name    string
	reached func(ctx context.Context, c tenant) bool
}

var installSteps = []step{
	{"the namespace is there", func(ctx context.Context, c tenant) bool {
		_, err := harness.Kubernetes(c.t).CoreV1().Namespaces().Get(ctx, c.namespace, getOptions)
		return err == nil
	}},
	{"the record says installing", func(ctx context.Context, c tenant) bool {
		r, ok := c.record(ctx)
		return ok && r.Phase == "installing"
	}},
	{"Helm's revision is pending", func(ctx context.Context, c tenant) bool {
		return c.helmStatuses(ctx)["1"] == "pending-install"
	}},
	{"the Deployment is there", func(ctx context.Context, c tenant) bool { return c.image(ctx) != "" }},
}

var upgradeSteps = []step{
	{"the record says upgrading", func(ctx context.Context, c tenant) bool {
		r, ok := c.record(ctx)
		return ok && r.Phase == "upgrading"
	}},
	{"Helm's revision is pending", func(ctx context.Context, c tenant) bool {
		return c.helmStatuses(ctx)["2"] == "pending-upgrade"
	}},
	{"the Deployment is changed", func(ctx context.Context, c tenant) bool {
		return strings.HasSuffix(c.image(ctx), ":v1.2.0")
	}},
}

// A provider that is killed in a first install leaves nothing in the state; the next apply takes over what is in the cluster.
func TestInstall_ProviderKilled_IsFinishedByTheNextApply(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	for _, s := range installSteps {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newTenant(t)
			w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", slow, "")})
			killAt(t, w, c, s)
			w.write("main.tf", c.stack("v1.1.1", quick, ""))
			w.apply()
			c.answersWith("v1.1.1")
			w.noChanges()
			onlyNewestDeployed(t, c)
		})
	}
}

// A provider that is killed in an upgrade leaves the old values in the state, so the difference is planned again.
func TestUpgrade_ProviderKilled_IsFinishedByTheNextApply(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	for _, s := range upgradeSteps {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newTenant(t)
			w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, "")})
			w.apply()
			w.write("main.tf", c.stack("v1.2.0", slow, ""))
			killAt(t, w, c, s)
			w.write("main.tf", c.stack("v1.2.0", quick, ""))
			w.apply()
			c.answersWith("v1.2.0")
			w.noChanges()
			onlyNewestDeployed(t, c)
		})
	}
}

// killAt runs an apply until a step is reached, and kills the provider there.
func killAt(t *testing.T, w *workspace, c tenant, s step) {
	t.Helper()
	p := w.start("apply", "-auto-approve", "-no-color", "-input=false")
	harness.Eventually(t, s.name, func(ctx context.Context) bool { return s.reached(ctx, c) })
	p.killProvider()
	if r := p.wait(); r.code == 0 {
		t.Fatalf("the apply succeeded although its provider was killed:\n%s", r.text)
	}
}

// Ctrl-C in a terminal reaches the whole process group; the provider records and stops, and nothing moves afterwards.
func TestUpgrade_CtrlC_StopsAndIsFinishedByTheNextApply(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, "")})
	w.apply()

	// Its rollout takes longer than its timeout, so that only the interrupt ends it soon.
	w.write("main.tf", c.stack("v1.2.0", strings.Replace(slow, "25s", "1h", 1), `timeouts = { update = "40m" }`))
	p := w.start("apply", "-auto-approve", "-no-color", "-input=false")
	harness.Eventually(t, "the Deployment is changed",
		func(ctx context.Context) bool { return strings.HasSuffix(c.image(ctx), ":v1.2.0") })
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	r := p.wait()
	if r.code == 0 {
		t.Fatalf("an interrupted apply has to fail:\n%s", r.text)
	}
	if !strings.Contains(unwrap(r.text), "interrupted") {
		t.Errorf("the error does not say that the apply was interrupted:\n%s", r.text)
	}
	if got := c.helmStatuses(t.Context())["2"]; got != "failed" {
		t.Errorf("Helm's revision 2 is %q after the interrupt, want failed", got)
	}
	if got := w.attribute(app, "status"); got != "failed" {
		t.Errorf("the state says status %v, want failed", got)
	}
	if got := w.attribute(app, "version"); got != "v1.1.1" {
		t.Errorf("the state says version %v, want the old v1.1.1, so that the next plan shows the difference again", got)
	}

	w.write("main.tf", c.stack("v1.2.0", quick, ""))
	w.apply()
	c.answersWith("v1.2.0")
	w.noChanges()
}

// systemd, timeout and many runners send SIGTERM to the process group.
func TestInstall_SigtermToTheGroup_IsFinishedByTheNextApply(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", slow, "")})
	p := w.start("apply", "-auto-approve", "-no-color", "-input=false")
	harness.Eventually(t, "the Deployment is there", func(ctx context.Context) bool { return c.image(ctx) != "" })
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r := p.wait()
	if r.code == 0 || strings.Contains(r.text, "Plugin did not respond") {
		t.Fatalf("the provider has to stop by itself, with an error (exit code %d):\n%s", r.code, r.text)
	}
	if got := c.helmStatuses(t.Context())["1"]; got != "failed" {
		t.Errorf("Helm's revision 1 is %q after the SIGTERM, want failed", got)
	}
	w.write("main.tf", c.stack("v1.1.1", quick, ""))
	w.apply()
	c.answersWith("v1.1.1")
	w.noChanges()
}

// A Terraform that is killed, with nobody to end its provider, leaves no process, and an environment that the next apply finishes.
func TestUpgrade_TerraformKilled_LeavesNoProvider(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, "")})
	w.apply()

	w.write("main.tf", c.stack("v1.2.0", slow, ""))
	p := w.start(strings.Fields(applyArgs)...)
	harness.Eventually(t, "the Deployment is changed",
		func(ctx context.Context) bool { return strings.HasSuffix(c.image(ctx), ":v1.2.0") })
	providers := p.providers()
	if len(providers) == 0 {
		t.Fatalf("no provider runs:\n%s", p.text())
	}
	if err := syscall.Kill(p.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "no provider is left", func(context.Context) bool {
		return !slices.ContainsFunc(providers, func(pid int) bool {
			_, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)) // One that has ended and is not reaped has none.
			return err == nil
		})
	})
	if got := c.helmStatuses(t.Context())["2"]; got != "failed" {
		t.Errorf("Helm's revision 2 is %q after the provider ended, want failed", got)
	}

	w.write("main.tf", c.stack("v1.2.0", quick, ""))
	w.apply()
	c.answersWith("v1.2.0")
	w.noChanges()
}

// Two applies of one client at the same moment (state locking is off, or there are two states) take turns by the Lease.
func TestApply_TwoAtOnce_TakeTurns(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, "")})
	w.apply()
	other := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.2.0", quick, "")})
	copyFile(t, w, other, "terraform.tfstate", "terraform.tfstate")

	w.write("main.tf", c.stack("v1.1.1",
		`{ autoscaling = { enabled = false }, replicaCount = 2, preStopSleepSeconds = 1, terminationGracePeriodSeconds = 2 }`, ""))
	first := w.start("apply", "-auto-approve", "-no-color", "-input=false")
	second := other.start("apply", "-auto-approve", "-no-color", "-input=false")
	a, b := first.wait(), second.wait()
	if a.code != 0 && b.code != 0 {
		t.Fatalf("both applies failed:\n%s\n%s", a.text, b.text)
	}
	onlyNewestDeployed(t, c)
	for revision, status := range c.helmStatuses(t.Context()) {
		if strings.HasPrefix(status, "pending") {
			t.Errorf("revision %s is left %s", revision, status)
		}
	}
}

// onlyNewestDeployed demands that Helm's newest revision, and no other, is deployed.
func onlyNewestDeployed(t *testing.T, c tenant) {
	t.Helper()
	statuses := c.helmStatuses(t.Context())
	newest := ""
	for revision := range statuses {
		if len(revision) > len(newest) || len(revision) == len(newest) && revision > newest {
			newest = revision
		}
	}
	for revision, status := range statuses {
		if (status == "deployed") != (revision == newest) {
			t.Errorf("revisions %v: only the newest may be deployed", statuses)
			return
		}
	}
}

// copyFile copies a file of one workspace, as another name, into another.
func copyFile(t *testing.T, from, to *workspace, name, as string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(from.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	to.write(as, string(content))
}
