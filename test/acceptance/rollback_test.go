// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// guardHCL watches the pods and a real answer of the service, with numbers that are small enough for a test.
const guardHCL = `
  analysis {
    duration = "6s"
    interval = "1s"
    health {
      consecutive_failures = 2
      pods {}
      http {
        name = "records"
        service {
          name = "data-collection-service"
          port = "http"
          path = "/records?limit=1"
        }
      }
    }
  }
  rollback {}
`

const broken = `{ replicaCount = 1, autoscaling = { enabled = false }, preStopSleepSeconds = 1, terminationGracePeriodSeconds = ` +
	`2, faults = { errorShare = 1 } }`

// releaseRecord is the part of the record that these tests look at.
type releaseRecord struct {
	Phase string `json:"phase"`
	Runs  []struct {
		Revision int    `json:"revision"`
		Version  string `json:"version"`
		Kind     string `json:"kind"`
		Outcome  string `json:"outcome"`
		Stage    string `json:"stage"`
		Reason   string `json:"reason"`
	} `json:"runs"`
}

func (c tenant) releaseRecord(ctx context.Context) releaseRecord {
	c.t.Helper()
	cm, err := harness.Kubernetes(c.t).CoreV1().ConfigMaps(c.namespace).Get(ctx, "slipway-release-"+releaseName, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	var r releaseRecord
	if err := json.Unmarshal([]byte(cm.Data["record"]), &r); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// A bad version, as a user experiences it: it is rolled back automatically, the next plan shows it as quarantined, an apply of it
// stops before it changes anything, retry_token unblocks it, and the return to an earlier version is a rollback too.
func TestRollback_OfABadVersionExplainsWhatHappened(t *testing.T) {
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, guardHCL)})
	w.apply()
	for name, want := range map[string]any{
		"verification": "verified", "known_good": "v1.1.1 (revision 1)", "rollback_ready": "yes", "quarantined": nil,
	} {
		if got := w.attribute(app, name); got != want {
			t.Errorf("after the install %s is %v, want %v", name, got, want)
		}
	}
	w.noChanges()

	w.write("main.tf", c.stack("v1.2.0", broken, guardHCL))
	if text := w.plan(); !strings.Contains(text, "a failure is rolled back to v1.1.1 (revision 1)") {
		t.Errorf("the plan does not say what a failure is rolled back to:\n%s", text)
	}
	r := w.run("apply", "-auto-approve", "-no-color", "-input=false")
	if r.code == 0 {
		t.Fatalf("a version that answers with errors was accepted:\n%s", r.text)
	}
	golden(t, "rollback-error", normalizeRun(c, r.text))
	c.answersWith("v1.1.1")
	for name, want := range map[string]any{
		"version":      "v1.1.1",
		"status":       "deployed",
		"verification": "verified",
		"known_good":   "v1.1.1 (revision 3)",
		"revision":     3.0,
	} {
		if got := w.attribute(app, name); got != want {
			t.Errorf("after the rollback %s is %v, want %v", name, got, want)
		}
	}

	text := w.plan()
	golden(t, "plan-quarantined", normalizeRun(c, lines(text, "+ quarantined ", "~ version ", "a failure is")))
	if !strings.Contains(text, "1 to change") {
		t.Errorf("the plan has to show the difference again:\n%s", text)
	}
	if text := w.refused("apply", "-auto-approve", "-no-color", "-input=false"); !strings.Contains(text,
		"Version v1.2.0 is not deployed again") {
		t.Errorf("the refusal does not say what it refuses:\n%s", text)
	}
	if n := len(c.helmStatuses(t.Context())); n != 3 {
		t.Errorf("the refused apply left %d revisions, want 3", n)
	}

	w.write("main.tf", c.stack("v1.2.0", broken, guardHCL+"\n  retry_token = \"again\"\n"))
	if text := w.plan(); strings.Contains(text, " quarantined ") {
		t.Errorf("retry_token does not unblock it:\n%s", lines(text, "quarantined"))
	}
	w.write("main.tf", c.stack("v1.2.0", quick, guardHCL))
	if text := w.plan(); strings.Contains(text, " quarantined ") {
		t.Errorf("other values are quarantined as well:\n%s", lines(text, "quarantined"))
	}
	w.apply()
	c.answersWith("v1.2.0")
	w.noChanges()

	w.write("main.tf", c.stack("v1.1.1", quick, guardHCL))
	if text := w.plan(); !strings.Contains(text, "rollback to known-good v1.1.1 (revision 3)") {
		t.Errorf("the plan does not recognize the rollback:\n%s", lines(text, "+ \""))
	}
	w.apply()
	w.noChanges()
	if runs := c.releaseRecord(t.Context()).Runs; len(runs) != 4 || runs[0].Kind != "rollback" ||
		runs[2].Outcome != "rolled back" && runs[2].Outcome != "failed" {
		t.Errorf("the record shows other runs: %+v", runs)
	}
}

// eventuallyVerifies returns when the new version is being verified.
func (c tenant) eventuallyVerifies() {
	c.t.Helper()
	harness.Eventually(c.t, "the new version is being verified", func(ctx context.Context) bool {
		r, ok := c.record(ctx)
		return ok && r.Phase == "verifying"
	})
}

// The abort annotation is how a dashboard, an alert or a person stops a version while the apply watches it.
func TestRollback_ByTheAbortAnnotation(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	patient := strings.ReplaceAll(guardHCL, `"6s"`, `"5m"`)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, "")})
	w.apply()
	w.write("main.tf", c.stack("v1.2.0", quick, patient))
	p := w.start("apply", "-auto-approve", "-no-color", "-input=false")
	c.eventuallyVerifies()
	patch := []byte(`{"metadata":{"annotations":{"slipway.dev/abort":"orders are lost"}}}`)
	maps := harness.Kubernetes(t).CoreV1().ConfigMaps(c.namespace)
	if _, err := maps.Patch(t.Context(), "slipway-release-"+releaseName, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	r := p.wait()
	if text := unwrap(r.text); r.code == 0 || !strings.Contains(text, "was aborted by hand: orders are lost") ||
		!strings.Contains(text, "Version v1.1.1 was restored") {
		t.Errorf("the apply ended with %d:\n%s", r.code, r.text)
	}
	c.answersWith("v1.1.1")
	if text := w.plan(); !strings.Contains(text, "orders are lost") {
		t.Errorf("the next plan does not say why the version is quarantined:\n%s", lines(text, "quarantined"))
	}
}

// An interrupted verification is resumed, and makes no second revision. The state says that the new version is live.
func TestVerification_ResumesAfterAnInterrupt(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	patient := strings.ReplaceAll(guardHCL, `"6s"`, `"15s"`)
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, "")})
	w.apply()
	w.write("main.tf", c.stack("v1.2.0", quick, patient))
	p := w.start("apply", "-auto-approve", "-no-color", "-input=false")
	c.eventuallyVerifies()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if r := p.wait(); r.code == 0 {
		t.Fatalf("an interrupted verification passed:\n%s", r.text)
	}
	if got, ok := w.attribute(app, "verification").(string); !ok || !strings.HasPrefix(got, "unverified since ") ||
		w.attribute(app, "version") != "v1.2.0" {
		t.Errorf("the state says %q of version %v", got, w.attribute(app, "version"))
	}
	if text := w.plan(); !strings.Contains(text, "it is verified again") {
		t.Errorf("the plan does not say that the verification resumes:\n%s", text)
	}
	w.apply()
	if got := w.attribute(app, "verification"); got != "verified" {
		t.Errorf("verification is %v", got)
	}
	if n := len(c.helmStatuses(t.Context())); n != 2 {
		t.Errorf("there are %d revisions, want 2", n)
	}
	w.noChanges()
}

// lines are those of a text that hold one of the words.
func lines(text string, words ...string) string {
	var out []string
	for line := range strings.Lines(text) {
		for _, word := range words {
			if strings.Contains(line, word) {
				out = append(out, strings.TrimRight(line, "\n"))
				break
			}
		}
	}
	return strings.Join(out, "\n") + "\n"
}

// normalizeRun keeps the error, undoes its line breaks, and replaces what differs from run to run.
func normalizeRun(c tenant, text string) string {
	if _, explanation, found := strings.Cut(text, "\nError: "); found {
		text = "Error: " + explanation
	}
	var paragraphs []string
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		paragraphs = append(paragraphs, regexp.MustCompile(`\n(\S)`).ReplaceAllString(paragraph, " $1"))
	}
	text = normalize(c, strings.Join(paragraphs, "\n\n"))
	for _, r := range []struct{ pattern, with string }{
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "<time>"},
		{`\d\d:\d\d:\d\d`, "<hh:mm:ss>"},
		{`ready \d+(\.\d+)?m?s after`, "ready <duration> after"},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	return text + "\n"
}
