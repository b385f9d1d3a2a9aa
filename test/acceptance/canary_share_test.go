// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/istio"
)

// share is an analysis that compares the share of the calls that reached the canary with its weight.
func share(prometheus, stableQuery, more string) string {
	const calls = "sum(increase(grpc_requests_total{namespace='{{namespace}}',version='%s'}[5s]))"
	if stableQuery == "" {
		stableQuery = fmt.Sprintf(calls, "v1.1.1")
	}
	return fmt.Sprintf(`
  analysis {
    duration = "18s"
    interval = "1s"
    %s
    sample_ratio {
      canary_query = %q
      stable_query = %q
      min_requests = 20
      %s
    }
  }
`, asking(prometheus), fmt.Sprintf(calls, "v1.2.0"), stableQuery, more)
}

// Callers that do not take their route from the mesh reach pods by no weight at all, which no other metric shows.
func TestCanary_NoticesCallersThatMissTheRoute(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	prometheus := c.prometheus()
	w := newWorkspace(t, map[string]string{"main.tf": c.twoTracks("v1.2.0", splitAt(0, ""))})
	w.apply()
	users := c.callers("callers", nil)

	// A query that can give no sample is known before anything moves.
	w.write("main.tf",
		c.twoTracks("v1.2.0", splitAt(20, share(prometheus, "vector(1) or label_replace(vector(1), 'a', 'b', '', '')", `for = "10s"`))))
	text := unwrap(w.refused("plan", "-no-color", "-input=false"))
	for _, part := range []string{"stable_query: ", "2 series"} {
		if !strings.Contains(text, part) {
			t.Errorf("the plan does not say %q:\n%s", part, text)
		}
	}

	w.write("main.tf", c.twoTracks("v1.2.0", splitAt(20, share(prometheus, "", "for = \"10s\"\n tolerance = 0.5"))))
	w.apply()
	if got := c.liveWeight(t.Context()); got != 20 {
		t.Fatalf("the weight is %d, want 20", got)
	}
	users.Until("a fifth reaches the canary", 500, func(r istio.Report) bool { return r.Share("v1.2.0") > 0 })

	istio.Start(t, harness.Kubernetes(t), istio.Options{
		Namespace: c.namespace, Name: "direct", Host: releaseName, Port: 9090, Image: sampleImage + "v1.1.1", Rate: 100, Direct: true,
	})
	without := strings.Replace(splitAt(50, share(prometheus, "", "significance = 0.1")), `headers     = { canary = "true" }`,
		`headers     = {}`, 1)
	w.write("main.tf", c.twoTracks("v1.2.0", without))
	text = unwrap(w.refused(strings.Fields(applyArgs)...))
	for _, part := range []string{"Sample ratio mismatch", "its weight is 50%", "Compared with: sum(increase("} {
		if !strings.Contains(text, part) {
			t.Errorf("the error does not say %q:\n%s", part, text)
		}
	}
	if got := c.liveWeight(t.Context()); got != 20 {
		t.Errorf("the weight is %d, want 20: what fails is rolled back", got)
	}
}
