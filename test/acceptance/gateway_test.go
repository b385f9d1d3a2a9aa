// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/istio"
)

var httpRoutes = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}

// ruledAt is a slipway_canary on an own HTTPRoute, for those who call the Service in the mesh.
func ruledAt(weight int) string {
	return fmt.Sprintf(`
resource "slipway_canary" "app" {
  environment = slipway_environment.this
  data_plane  = "proxyless"
  name        = "data-collection"
  weight      = %[1]d
  headers     = { canary = "true" }
  gateway_api {
    parent {
      kind = "Service"
      name = %[2]q
      port = 9090
    }
  }
  stable {
    service = "%[2]s-stable-pods"
    port    = 9090
  }
  canary {
    service = "%[2]s-canary-pods"
    port    = 9090
  }
  depends_on = [slipway_release.stable, slipway_release.canary]
}
`, weight, releaseName)
}

// trackServices are a Service for each track in addition to that of the release, as backends of an HTTPRoute.
func (c tenant) trackServices() {
	c.t.Helper()
	for _, track := range []string{"stable", "canary"} {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: releaseName + "-" + track + "-pods"},
			Spec: corev1.ServiceSpec{
				Selector: map[string]string{"slipway.dev/app": releaseName, trackLabel: track},
				Ports:    []corev1.ServicePort{{Name: "grpc", Port: 9090, AppProtocol: ptr.To("grpc")}},
			},
		}
		if _, err := harness.Kubernetes(c.t).CoreV1().Services(c.namespace).Create(c.t.Context(), service, metav1.CreateOptions{}); err != nil {
			c.t.Fatal(err)
		}
	}
}

// ruleWeights are the weights of the last rule of the HTTPRoute, by backend.
func (c tenant) ruleWeights() map[string]int64 {
	c.t.Helper()
	found, err := c.routes(httpRoutes).Get(c.t.Context(), "data-collection", metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	rules, _, _ := unstructured.NestedSlice(found.Object, "spec", "rules")
	if len(rules) == 0 {
		c.t.Fatalf("the HTTPRoute has no rules: %v", found.Object)
	}
	last, _ := rules[len(rules)-1].(map[string]any)
	backends, _, _ := unstructured.NestedSlice(last, "backendRefs")
	weights := map[string]int64{}
	for _, each := range backends {
		backend, _ := each.(map[string]any)
		name, _, _ := unstructured.NestedString(backend, "name")
		weights[name], _, _ = unstructured.NestedInt64(backend, "weight")
	}
	return weights
}

// An HTTPRoute of the Gateway API divides calls as a VirtualService does: weights, headers, and the rollback.
func TestCanary_DividesAnHTTPRoute(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.twoTracks("v1.2.0", "")})
	w.apply()
	c.trackServices()
	users, testers := c.callers("callers", nil), c.callers("testers", map[string]string{"canary": "true"})
	begin, beginTesters := users.Report(), testers.Report()

	w.write("main.tf", c.twoTracks("v1.2.0", ruledAt(10)))
	during(t, users, "an HTTPRoute with 10%", func() { w.apply() })
	w.noChanges()
	if got := c.ruleWeights(); got[releaseName+"-stable-pods"] != 90 || got[releaseName+"-canary-pods"] != 10 {
		t.Errorf("the HTTPRoute has the weights %v, want 90 and 10", got)
	}
	testers.Until("calls with the header reach the canary", 200, func(r istio.Report) bool { return r.Within("v1.2.0", 1) == nil })
	users.Until("a tenth reaches the canary", 1000, func(r istio.Report) bool { return r.Within("v1.2.0", 0.1) == nil })
	if err := users.Next(1000).Within("v1.2.0", 0.1); err != nil {
		t.Error(err)
	}

	w.write("main.tf", c.twoTracks("v1.2.0", ruledAt(100)))
	if text := w.plan(); !strings.Contains(text, "10 -> 100") {
		t.Errorf("the plan does not show the weight:\n%s", text)
	}
	during(t, users, "from 10 to 100%", func() { w.apply() })
	users.Until("all calls reach the canary", 500, func(r istio.Report) bool { return r.Within("v1.2.0", 1) == nil })

	w.write("main.tf", c.twoTracks("v1.2.0", ruledAt(0)))
	during(t, users, "from 100% to 0", func() { w.apply() })
	w.noChanges()
	users.Until("all calls reach stable", 500, func(r istio.Report) bool { return r.Within("v1.2.0", 0) == nil })

	w.write("main.tf", c.twoTracks("v1.2.0", ""))
	during(t, users, "the HTTPRoute is removed", func() { w.apply() })
	users.Until("both versions answer", 500, func(r istio.Report) bool { return r.Share("v1.2.0") > 0 && r.Share("v1.1.1") > 0 })
	all, withHeader := users.Report().Since(begin), testers.Report().Since(beginTesters)
	t.Logf("FIGURE %s: %d calls, %d failed, %d routes chosen again by the client; with the header %d, %d failed", t.Name(), all.Requests,
		all.Failed,
		all.Reselected, withHeader.Requests, withHeader.Failed)
	if all.Failed > 0 || withHeader.Failed > 0 {
		t.Errorf("calls failed: %+v, with the header %+v", all, withHeader)
	}
}
