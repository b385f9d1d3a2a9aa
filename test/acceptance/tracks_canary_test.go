// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/istio"
)

// withCanary are the module's inputs for a canary; no version is no canary.
func withCanary(version string, weight int) map[string]any {
	canary := map[string]any{"weight": weight}
	if version != "" {
		canary["version"] = version
	}
	canary["data_plane"] = "proxyless"
	return map[string]any{"strategy": "canary", "canary": canary}
}

// From one release to a canary, on to all calls, and the promotion to one release again in a single apply, while gRPC clients call.
func TestTracks_PromoteACanaryWithoutAFailedCall(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	local := localCluster(t)
	c := newTenant(t)
	w := c.stackModule()
	c.inputs(w, "v1.1.1", nil)
	w.apply()
	users := c.callers("callers", nil)
	begin := users.Report()
	before := c.pods(releaseName)

	// Nothing changes hands: the release that was there is stable.
	c.inputs(w, "v1.1.1", withCanary("", 0))
	during(t, users, "from one release to a split", func() { w.apply() })
	if weight := c.weightOf(t.Context(), releaseName); weight != 0 {
		t.Fatalf("the canary that is not there has %d%%", weight)
	}

	c.inputs(w, "v1.1.1", withCanary("v1.2.0", 10))
	during(t, users, "the canary comes, with 10%", func() { w.apply() })
	if after := c.pods(releaseName); after != before {
		t.Errorf("pods of stable were started anew: %s, before %s", after, before)
	}
	testers := c.callers("testers", map[string]string{"canary": "true"})
	users.Until("a tenth reaches the canary", 200, func(r istio.Report) bool { return r.Share("v1.2.0") > 0 })
	if err := users.Next(1000).Within("v1.2.0", 0.1); err != nil {
		t.Error(err)
	}
	testers.Until("calls with the header reach the canary", 200, func(r istio.Report) bool { return r.Within("v1.2.0", 1) == nil })
	w.noChanges()

	c.inputs(w, "v1.1.1", withCanary("v1.2.0", 100))
	during(t, users, "from 10 to 100%", func() { w.apply() })
	users.Until("all calls reach the canary", 200, func(r istio.Report) bool { return r.Within("v1.2.0", 1) == nil })

	// Stable does not come up: the calls stay with the canary, and so does its release.
	broken := withCanary("", 0)
	broken["values"] = map[string]any{
		"autoscaling": map[string]any{"enabled": false}, "replicaCount": 2, "preStopSleepSeconds": 2, "terminationGracePeriodSeconds": 4,
		"faults": map[string]any{"crashOnStart": true},
	}
	broken["timeouts"] = map[string]any{"update": "5s"}
	broken["rollback"] = nil
	c.inputs(w, "v1.2.0", broken)
	w.refused(strings.Fields(applyArgs)...)
	if got := c.image(t.Context()); got != sampleImage+"v1.2.0" {
		t.Errorf("stable has the image %s: the apply did not get as far as its pods", got)
	}
	if weight := c.weightOf(t.Context(), releaseName); weight != 100 {
		t.Errorf("the canary has %d%%, although stable is down", weight)
	}
	if c.canaryGone(t.Context()) {
		t.Fatal("the canary was removed although it has the calls")
	}

	// One apply: stable is updated without calls, traffic shifts back, and only then the canary goes.
	c.inputs(w, "v1.2.0", withCanary("", 0))
	since := time.Now()
	during(t, users, "promotion", func() { w.apply() })
	if got, want := c.writes(local, since), []string{"stable is updated", "calls move", "the canary goes"}; !slices.Equal(got, want) {
		t.Errorf("the promotion went %q, want %q", got, want)
	}
	if !c.canaryGone(t.Context()) {
		t.Error("the canary is left")
	}
	users.Until("stable answers with the new version", 200, func(r istio.Report) bool { return r.Within("v1.2.0", 1) == nil })
	w.noChanges()

	// Back to the plain strategy: the route goes, and the Service has the pods of stable.
	c.inputs(w, "v1.2.0", nil)
	during(t, users, "the split is removed", func() { w.apply() })
	if weight := c.weightOf(t.Context(), releaseName); weight != -1 {
		t.Errorf("the route is left, with %d%%", weight)
	}
	users.Next(200)
	for name, client := range map[string]istio.Report{"callers": users.Report().Since(begin), "testers": testers.Report()} {
		t.Logf("FIGURE %s: %d calls of %s, %d failed, %d routes chosen again by the client", t.Name(), client.Requests, name, client.Failed,
			client.Reselected)
	}
	if all := users.Report().Since(begin); all.Failed > 0 {
		t.Errorf("calls failed: %+v", all)
	}
}

func (c tenant) canaryGone(ctx context.Context) bool {
	_, err := harness.Kubernetes(c.t).AppsV1().Deployments(c.namespace).Get(ctx, releaseName+"-canary", metav1.GetOptions{})
	return apierrors.IsNotFound(err)
}

// writes are the changes of the two tracks and of the split since then, in the order in which the API server had them.
func (c tenant) writes(local *cluster.Cluster, since time.Time) []string {
	c.t.Helper()
	events, err := local.AuditEvents(since)
	if err != nil {
		c.t.Fatal(err)
	}
	var order []string
	for _, e := range events {
		if e.Namespace != c.namespace || e.Code >= 300 {
			continue
		}
		what := ""
		switch {
		case e.Resource == "deployments" && e.Name == releaseName && e.Verb == "patch":
			what = "stable is updated"
		case e.Resource == "virtualservices" && e.Verb == "patch":
			what = "calls move"
		case e.Resource == "deployments" && e.Name == releaseName+"-canary" && e.Verb == "delete":
			what = "the canary goes"
		}
		if what != "" && (len(order) == 0 || order[len(order)-1] != what) {
			order = append(order, what)
		}
	}
	return order
}
