// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/istio"
)

var virtualServices = schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "virtualservices"}

// track is a release of the sample chart that is one of two tracks: stable or canary, blue or green. The first of the two has what both
// share. more goes into its block.
func (c tenant) track(resource, version, more string) string {
	name, role := releaseName, "all"
	after, second := map[string]string{"canary": "slipway_release.stable", "green": "slipway_release.blue"}[resource]
	if second {
		name, role = releaseName+"-"+resource, "track"
	}
	return fmt.Sprintf(`
resource "slipway_release" %[1]q {
  environment = slipway_environment.this
  name        = %[2]q
  chart       = { path = %[3]q }
  version     = %[4]q
  values = {
    autoscaling = { enabled = false }, replicaCount = 2, preStopSleepSeconds = 2, terminationGracePeriodSeconds = 4
    slipway = { role = %[5]q, app = %[6]q, track = %[1]q }
  }
  depends_on  = [%[7]s]
  %[8]s
}
`, resource, name, harness.SampleChart(), version, role, releaseName, after, more)
}

// head is the configuration of the provider and of the environment.
func (c tenant) head() string {
	head, _, _ := strings.Cut(c.stack("v1.1.1", quick, ""), `resource "slipway_release"`)
	return head
}

// twoTracks is the configuration of an environment with a stable release, a canary, and what else is given.
func (c tenant) twoTracks(canaryVersion, extra string) string {
	return c.head() + c.track("stable", "v1.1.1", "") + c.track("canary", canaryVersion, "") + extra
}

// splitAt is a slipway_canary on an own VirtualService.
func splitAt(weight int, more string) string {
	return fmt.Sprintf(`
resource "slipway_canary" "app" {
  environment = slipway_environment.this
  data_plane  = "proxyless"
  name        = "data-collection"
  weight      = %d
  headers     = { canary = "true" }
  istio {
    host = %q
  }
  stable {
    labels = { %[3]q = "stable" }
  }
  canary {
    labels = { %[3]q = "canary" }
  }
  %[4]s
  depends_on = [slipway_release.stable, slipway_release.canary]
}
`, weight, releaseName, trackLabel, more)
}

func (c tenant) routes(resource schema.GroupVersionResource) dynamic.ResourceInterface {
	c.t.Helper()
	client, err := dynamic.NewForConfig(harness.Config(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	return client.Resource(resource).Namespace(c.namespace)
}

// liveWeight is what the VirtualService sends to the canary, -1 where it cannot be said.
func (c tenant) liveWeight(ctx context.Context) int64 { return c.weightOf(ctx, "data-collection") }

// weightOf is liveWeight of the VirtualService of this name.
func (c tenant) weightOf(ctx context.Context, name string) int64 {
	found, err := c.routes(virtualServices).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return -1
	}
	routes, _, _ := unstructured.NestedSlice(found.Object, "spec", "http")
	if len(routes) == 0 {
		return -1
	}
	base, _ := routes[len(routes)-1].(map[string]any)
	destinations, _, _ := unstructured.NestedSlice(base, "route")
	for _, each := range destinations {
		destination, _ := each.(map[string]any)
		if subset, _, _ := unstructured.NestedString(destination, "destination", "subset"); subset == "canary" {
			weight, _, _ := unstructured.NestedInt64(destination, "weight")
			return weight
		}
	}
	return 0
}

// callers are proxyless gRPC clients of the release's Service, which take their routes from istiod.
func (c tenant) callers(name string, headers map[string]string) *istio.Client {
	c.t.Helper()
	rate := 100 // a second; several tests share two processors
	if callsPerTransition(c.t) > 0 {
		rate = rateOfMany
	}
	if headers != nil {
		rate = 40
	}
	return istio.Start(c.t, harness.Kubernetes(c.t), istio.Options{
		Namespace: c.namespace, Name: name, Host: releaseName, Port: 9090, Image: sampleImage + "v1.1.1", Rate: rate, Headers: headers,
	})
}

// during is a transition while clients call, of which none may fail. It lasts until they have made as many calls as
// callsPerTransition says.
func during(t *testing.T, users *istio.Client, what string, transition func()) {
	t.Helper()
	before := users.Report()
	transition()
	seen := users.Report().Since(before)
	meanwhile := seen.Requests
	if missing := callsPerTransition(t) - meanwhile; missing > 0 {
		users.Next(missing)
		seen = users.Report().Since(before)
	}
	t.Logf("FIGURE %s, %s: %d calls, %d of them during the apply; %d failed", t.Name(), what, seen.Requests, meanwhile, seen.Failed)
	if seen.Failed > 0 {
		t.Errorf("%s: calls failed: %+v", what, seen)
	}
}

// errorsOfTheBadVersion evaluates the shares of failed calls that Prometheus has seen in the canary and in stable.
func errorsOfTheBadVersion(prometheus string) string {
	failed := func(version string) string {
		return fmt.Sprintf("(sum(rate(grpc_requests_total{namespace='{{namespace}}',version='%[1]s',code!='OK'}[3s])) or vector(0)) / "+
			"sum(rate(grpc_requests_total{namespace='{{namespace}}',version='%[1]s'}[3s]))", version)
	}
	return fmt.Sprintf(`
  step { weight = 20 }
  analysis {
    duration = "20s"
    interval = "1s"
    %s
    metric {
      name  = "errors"
      query = %q
      for   = "3s"
      baseline {
        query          = %q
        max_ratio      = 2
        max_difference = 0.05
      }
    }
  }
`, asking(prometheus), failed("v1.2.1"), failed("v1.1.1"))
}

// asking is the block that says which Prometheus is asked.
func asking(prometheus string) string {
	return fmt.Sprintf(`prometheus {
      service {
        namespace = %q
        name      = %q
        port      = %q
      }
    }`, monitoring, prometheus, prometheusPort)
}

// The whole life of a split while clients call: from nothing to a tenth, a hand that moves it, a traffic shift whose provider is killed, a
// version that is bad, and back to no split at all. Only what the bad version failed itself may have failed.
func TestCanary_MovesCallsWithoutAFailure(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.twoTracks("v1.2.0", splitAt(0, ""))})
	w.apply()
	w.noChanges()
	users, testers := c.callers("callers", nil), c.callers("testers", map[string]string{"canary": "true"})
	users.Until("all calls reach stable", 200, func(r istio.Report) bool { return r.Within("v1.2.0", 0) == nil })
	testers.Until("calls with the header reach the canary", 200, func(r istio.Report) bool { return r.Within("v1.2.0", 1) == nil })
	before, beforeTesters := users.Report(), testers.Report()

	w.write("main.tf", c.twoTracks("v1.2.0", splitAt(10, "")))
	if text := w.plan(); !strings.Contains(text, "0 -> 10") {
		t.Errorf("the plan does not show the weight:\n%s", text)
	}
	during(t, users, "from 0 to 10%", func() { w.apply() })
	users.Until("a tenth reaches the canary", 500, func(r istio.Report) bool { return r.Share("v1.2.0") > 0 })
	tenth := users.Next(2000)
	if err := tenth.Within("v1.2.0", 0.1); err != nil {
		t.Error(err)
	}
	t.Logf("FIGURE %s: %d of %d calls reached the canary at 10%%", t.Name(), tenth.Versions["v1.2.0"].Requests, tenth.Requests)

	c.moveByHand(40)
	if text := w.plan(); !strings.Contains(text, "40 -> 10") {
		t.Errorf("the plan does not show the weight that a hand set:\n%s", text)
	}
	during(t, users, "from 40%, set by hand, to 10%", func() { w.apply() })
	if got := c.liveWeight(t.Context()); got != 10 {
		t.Errorf("the weight is %d, want 10", got)
	}

	// The provider dies in the middle of a traffic shift.
	w.write("main.tf", c.twoTracks("v1.2.0", splitAt(100, "step {\n weight = 50\n pause = \"8s\"\n}\n")))
	during(t, users, "from 10 to 50%, where the provider is killed", func() {
		p := w.start(strings.Fields(applyArgs)...)
		harness.Eventually(t, "half of the calls go to the canary",
			func(ctx context.Context) bool { return c.liveWeight(ctx) == 50 })
		p.killProvider()
		if r := p.wait(); r.code == 0 {
			t.Fatalf("the apply succeeded although its provider was killed:\n%s", r.text)
		}
	})
	during(t, users, "from 50 to 100%", func() { w.apply() })
	w.noChanges()
	users.Until("all calls reach the canary", 500, func(r istio.Report) bool { return r.Within("v1.2.0", 1) == nil })

	w.write("main.tf", c.twoTracks("v1.2.0", splitAt(0, "")))
	during(t, users, "from 100% to 0", func() { w.apply() })
	users.Until("all calls reach stable again", 500, func(r istio.Report) bool { return r.Within("v1.2.0", 0) == nil })
	if got := users.Report().Since(before); got.Failed != 0 {
		t.Errorf("calls failed: %+v", got)
	}
	if got := testers.Report().Since(beforeTesters); got.Failed != 0 || got.Within("v1.2.0", 1) != nil {
		t.Errorf("calls with the header: %+v", got)
	}

	// A version that fails a fifth of its calls.
	prometheus := c.prometheus()
	w.write("main.tf", c.twoTracks("v1.2.1", strings.Replace(splitAt(0, ""), `headers     = { canary = "true" }`, "", 1)))
	w.apply()
	w.write("main.tf",
		c.twoTracks("v1.2.1", strings.Replace(splitAt(50, errorsOfTheBadVersion(prometheus)), `headers     = { canary = "true" }`, "", 1)))
	calls, since := users.Report(), time.Now()
	text := unwrap(w.refused(strings.Fields(applyArgs)...))
	for _, part := range []string{"errors", "20%", "times the baseline plus 0.05", "Compared with:"} {
		if !strings.Contains(text, part) {
			t.Errorf("the error does not say %q:\n%s", part, text)
		}
	}
	if got := c.liveWeight(t.Context()); got != 0 {
		t.Errorf("the weight is %d, want 0: what fails is rolled back", got)
	}
	users.Until("no call reaches the bad version", 500, func(r istio.Report) bool { return r.Within("v1.2.1", 0) == nil })
	if after := users.Next(300); after.Failed > 0 || after.Within("v1.1.1", 1) != nil {
		t.Errorf("calls after the old weights were in effect again: %+v", after)
	}
	c.logRollback(text, since, calls, users.Report(), "v1.2.1")
	if text := unwrap(w.refused(strings.Fields(applyArgs)...)); !strings.Contains(text, "is quarantined") {
		t.Errorf("the second apply does not say that the canary is quarantined:\n%s", text)
	}

	// Without the split, the Service has the pods of both tracks, of which one is bad: it goes first.
	w.write("main.tf", c.twoTracks("v1.2.0", splitAt(0, "")))
	w.apply()
	w.write("main.tf", c.twoTracks("v1.2.0", ""))
	during(t, users, "the split is removed", func() { w.apply() })
	if got := c.liveWeight(t.Context()); got != -1 {
		t.Errorf("there is still a VirtualService, with weight %d", got)
	}
	users.Until("both versions answer", 500, func(r istio.Report) bool { return r.Share("v1.2.0") > 0 && r.Share("v1.1.1") > 0 })
	all := users.Report().Since(before)
	t.Logf("FIGURE %s: %d calls; %d failed, %d of them as the bad version fails; %d routes chosen again by the client", t.Name(), all.Requests,
		all.Failed,
		all.Codes["Internal"], all.Reselected)
	// The errors of the bad version carry no version: each failed call must be one of its kind, and there must be fewer than it answered.
	bad := all.Versions["v1.2.1"].Requests
	if all.Failed != all.Codes["Internal"] || all.Failed > bad {
		t.Errorf("calls failed that the bad version, which answered %d well, did not fail: %+v", bad, users.Report())
	}
}

// moveByHand writes another weight into the VirtualService, as kubectl edit does.
func (c tenant) moveByHand(weight int) {
	c.t.Helper()
	found, err := c.routes(virtualServices).Get(c.t.Context(), "data-collection", metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	routes, _, err := unstructured.NestedSlice(found.Object, "spec", "http")
	if err != nil || len(routes) == 0 {
		c.t.Fatalf("the VirtualService has no routes: %v", err)
	}
	last := len(routes) - 1
	base, _ := routes[last].(map[string]any)
	destinations, _, _ := unstructured.NestedSlice(base, "route")
	var patch []string
	for i, each := range destinations {
		destination, _ := each.(map[string]any)
		share := 100 - weight
		if subset, _, _ := unstructured.NestedString(destination, "destination", "subset"); subset == "canary" {
			share = weight
		}
		patch = append(patch, fmt.Sprintf(`{"op":"replace","path":"/spec/http/%d/route/%d/weight","value":%d}`, last, i, share))
	}
	if _, err := c.routes(virtualServices).Patch(c.t.Context(), "data-collection", types.JSONPatchType,
		[]byte("["+strings.Join(patch, ",")+"]"), metav1.PatchOptions{}); err != nil {
		c.t.Fatal(err)
	}
}
