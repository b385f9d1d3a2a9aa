// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// analyzing starts an apply and returns when the new version is being analyzed.
func (c tenant) analyzing(w *workspace) *process {
	c.t.Helper()
	p := w.start(strings.Fields(applyArgs)...)
	harness.Eventually(c.t, "the new version is watched", func(ctx context.Context) bool {
		select {
		case <-p.done:
			c.t.Fatalf("the apply ended before the new version was watched:\n%s", p.text())
		default:
		}
		return c.phase(ctx) == "verifying"
	})
	return p
}

// Prometheus goes away while a version is analyzed: the analysis is inconclusive, so the version is left, and verified later.
func TestAnalysis_AMissingPrometheusLeavesTheVersionInPlace(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c, g, w := served(t)
	g.extra = `on_inconclusive = "hold"`
	w.write("main.tf", c.stack("v1.2.0", servedValues, g.hcl()))
	p := c.analyzing(w)
	c.losePrometheus()
	r := p.wait()
	if r.code == 0 {
		t.Fatalf("a version whose analysis was inconclusive was accepted:\n%s", r.text)
	}
	for _, part := range []string{
		"The analysis of revision 2", "was inconclusive", "error_rate could not be checked for", "the API server answers",
		"Query: (sum(rate(http_requests_total{",
		"Nothing is changed, as the policy says for this case", "It was left as it is", "Apply again to verify it again; no new revision is made",
	} {
		if !strings.Contains(unwrap(r.text), part) {
			t.Errorf("the error does not say %q:\n%s", part, r.text)
		}
	}
	c.answersWith("v1.2.0")

	c.prometheus()
	seen := c.whileServed("", func() { w.apply() })
	seen.keptAnswering(t)
	if got := len(c.helmStatuses(t.Context())); got != 2 {
		t.Errorf("there are %d revisions, want 2: verifying again deploys nothing", got)
	}
	w.noChanges()
}

// A provider that dies while it watches has decided nothing. The next apply resumes where it was.
func TestAnalysis_ProviderKilledIsResumed(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	for name, test := range map[string]struct {
		version  string
		duration string
		after    func(t *testing.T, c tenant, g guard, w *workspace)
	}{
		"a good version": {"v1.2.0", "20s", func(t *testing.T, c tenant, _ guard, w *workspace) {
			begun := time.Now()
			w.apply()
			t.Logf("FIGURE %s: the next apply took %.1f s", t.Name(), time.Since(begun).Seconds())
			if got := len(c.helmStatuses(t.Context())); got != 2 {
				t.Errorf("there are %d revisions, want 2: the version is there already", got)
			}
			c.answersWith("v1.2.0")
			w.noChanges()
		}},
		"a bad version": {"v1.2.1", untilRefused, func(t *testing.T, c tenant, g guard, w *workspace) {
			// Long enough for Prometheus to have seen what the rule needs while nobody asked it.
			time.Sleep(8 * time.Second)
			text := w.refused(strings.Fields(applyArgs)...)
			for _, part := range []string{"failed its analysis", "error_rate", "v1.1.1 was restored"} {
				if !strings.Contains(text, part) {
					t.Errorf("the error does not say %q:\n%s", part, text)
				}
			}
			c.answersWith("v1.1.1")
			w.write("main.tf", c.stack("v1.2.0", servedValues, g.hcl()))
			w.apply()
			c.answersWith("v1.2.0")
			w.noChanges()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, g, w := served(t)
			g.duration = test.duration
			w.write("main.tf", c.stack(test.version, servedValues, g.hcl()))
			p := c.analyzing(w)
			time.Sleep(time.Second)
			p.killProvider()
			if r := p.wait(); r.code == 0 {
				t.Fatalf("the apply succeeded although its provider was killed:\n%s", r.text)
			}
			test.after(t, c, g, w)
		})
	}
}

// Watching costs the API server little.
func TestAnalysis_AsksTheAPIServerSparingly(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	local := localCluster(t)
	c, g, w := served(t)
	g.duration = "30s"
	w.write("main.tf", c.stack("v1.2.0", servedValues, g.hcl()))
	p := c.analyzing(w)
	time.Sleep(2 * time.Second)
	begin := time.Now()
	time.Sleep(20 * time.Second)
	end := time.Now()
	if r := p.wait(); r.code != 0 {
		t.Fatalf("the apply failed:\n%s", r.text)
	}
	events, err := local.AuditEvents(begin)
	if err != nil {
		t.Fatal(err)
	}
	requests := map[string]int{}
	total := 0
	for _, e := range events {
		ours := e.Namespace == c.namespace || e.Name == g.prometheus || strings.Contains(e.URI, g.prometheus)
		if !ours || e.Time.After(end) || strings.Contains(e.UserAgent, "acceptance.test") {
			continue
		}
		total++
		requests[e.Verb+" "+e.Resource+"/"+e.Subresource]++
	}
	perMinute := float64(total) / end.Sub(begin).Minutes()
	t.Logf("FIGURE %s: %.0f requests a minute with one metric and the pods each second: %v", t.Name(), perMinute, requests)
	// Each second: the pods, the metric and the number of its requests; and now and then the record and the Lease.
	if perMinute > 300 {
		t.Errorf("%.0f requests a minute", perMinute)
	}
}

// localCluster is the local Kubernetes that the tests run on, which counts its requests.
func localCluster(t *testing.T) *cluster.Cluster {
	t.Helper()
	all, err := cluster.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Kubeconfig() == kubeconfig {
			return c
		}
	}
	t.Skip("only the local Kubernetes counts its requests")
	return nil
}
