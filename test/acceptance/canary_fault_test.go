// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/test/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/istio"
)

// logRollback logs how long it took until the old weights were in effect at the client: from its first failed call, from the
// newest sample in the error, from the verdict and from the write of the old weights to the last call that the bad version
// answered. Nothing is demanded of it.
func (c tenant) logRollback(text string, since time.Time, before, after istio.Report, bad string) {
	c.t.Helper()
	answered := after.Versions[bad]
	if answered.Requests == before.Versions[bad].Requests {
		c.t.Errorf("the bad version answered no call: %+v", after)
		return
	}
	from := func(when time.Time) string {
		if when.IsZero() {
			return "not known"
		}
		return fmt.Sprintf("%.2f s", answered.Last.Sub(when).Seconds())
	}
	verdict, written := c.rollbackTimes(since)
	c.t.Logf("FIGURE %s: %d calls reached the bad version; the last one came after the first failed call: %s; after the newest "+
		"sample (whole seconds): %s; after the verdict: %s; after the old weights were written: %s",
		c.t.Name(), answered.Requests-before.Versions[bad].Requests, from(c.firstFailed(since, before.Failed)), from(newestSample(text)),
		from(verdict), from(written))
}

// firstFailed is when the callers first reported more failed calls than before, to a tenth of a second; zero where that cannot be said.
func (c tenant) firstFailed(since time.Time, before int) time.Time {
	raw, err := harness.Kubernetes(c.t).CoreV1().Pods(c.namespace).GetLogs("callers",
		&corev1.PodLogOptions{Timestamps: true, SinceTime: &metav1.Time{Time: since}}).DoRaw(c.t.Context())
	if err != nil {
		return time.Time{}
	}
	for line := range strings.Lines(string(raw)) {
		stamp, rest, _ := strings.Cut(line, " ")
		var r istio.Report
		if json.Unmarshal([]byte(rest), &r) == nil && r.Failed > before {
			at, _ := time.Parse(time.RFC3339Nano, stamp)
			return at
		}
	}
	return time.Time{}
}

// newestSample is the time of the last sample that an error shows.
func newestSample(text string) time.Time {
	var newest time.Time
	for _, found := range regexp.MustCompile(`(\S+Z) errors `).FindAllStringSubmatch(text, -1) {
		if at, err := time.Parse(time.RFC3339, found[1]); err == nil && at.After(newest) {
			newest = at
		}
	}
	return newest
}

// rollbackTimes is when the API server had the last change of a VirtualService, and the last one of the split's record before it, which
// says that the canary is rolled back; zero where it does not say.
func (c tenant) rollbackTimes(since time.Time) (verdict, written time.Time) {
	all, err := cluster.List()
	if err != nil {
		return verdict, written
	}
	for _, each := range all {
		if each.Kubeconfig() != kubeconfig {
			continue
		}
		events, err := each.AuditEvents(since)
		if err != nil {
			c.t.Fatal(err)
		}
		var recorded time.Time
		for _, e := range events {
			switch {
			case e.Namespace != c.namespace || e.Verb != "patch" || e.Code >= 300:
			case e.Resource == "configmaps" && e.Name == "slipway-canary-data-collection":
				recorded = e.Time
			case e.Resource == "virtualservices":
				verdict, written = recorded, e.Time
			}
		}
	}
	return verdict, written
}

// edgeAt is a slipway_canary on one route of a VirtualService that others own.
func edgeAt(weight int) string {
	return fmt.Sprintf(`
resource "slipway_canary" "app" {
  environment = slipway_environment.this
  data_plane  = "proxyless"
  name        = "data-collection"
  weight      = %d
  headers     = { canary = "true" }
  istio {
    host            = %q
    virtual_service = "edge"
    route           = "intake"
  }
  stable {
    labels = { %[3]q = "stable" }
  }
  canary {
    labels = { %[3]q = "canary" }
  }
  depends_on = [slipway_release.stable, slipway_release.canary]
}
`, weight, releaseName, trackLabel)
}

// edgeRoutes are the routes of VirtualService edge by their names, with their names in order.
func (c tenant) edgeRoutes() (names []string, routes map[string]map[string]any) {
	c.t.Helper()
	list, _, err := unstructured.NestedSlice(c.find(virtualServices, "edge").Object, "spec", "http")
	if err != nil {
		c.t.Fatal(err)
	}
	routes = map[string]map[string]any{}
	for _, each := range list {
		route, _ := each.(map[string]any)
		name, _ := route["name"].(string)
		names, routes[name] = append(names, name), route
	}
	return names, routes
}

// editEdge changes the routes of VirtualService edge as kubectl edit does.
func (c tenant) editEdge(change func(routes []any) []any) {
	c.t.Helper()
	list, _, err := unstructured.NestedSlice(c.find(virtualServices, "edge").Object, "spec", "http")
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"spec": map[string]any{"http": change(list)}})
	if err == nil {
		_, err = c.routes(virtualServices).Patch(c.t.Context(), "edge", types.MergePatchType, text,
			metav1.PatchOptions{FieldManager: "kubectl-edit"})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// Another user edits a shared VirtualService between a plan and its apply: what the plan would overwrite without having shown it is
// refused, and what is none of the split's business is kept.
func TestCanary_NoticesWhatOthersChangedAfterThePlan(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c := newTenant(t)
	w := newWorkspace(t, map[string]string{"main.tf": c.twoTracks("v1.2.0", "")})
	w.apply()
	admin := map[string]any{"name": "admin", "match": []any{map[string]any{"uri": map[string]any{"prefix": "/admin"}}},
		"rewrite": map[string]any{"uri": "/"},
		"route":   []any{map[string]any{"destination": map[string]any{"host": releaseName}}}}
	c.byHand(virtualServices, fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [%[1]s]
  http:
  - {name: admin, match: [{uri: {prefix: /admin}}], rewrite: {uri: /}, route: [{destination: {host: %[1]s}}]}
  - {name: intake, timeout: 9s, route: [{destination: {host: %[1]s}}]}`, releaseName))
	w.write("main.tf", c.twoTracks("v1.2.0", edgeAt(5)))
	w.apply()
	saved := []string{"apply", "-no-color", "-input=false", "saved.tfplan"}
	refused := func(parts ...string) {
		t.Helper()
		before := c.find(virtualServices, "edge")
		text := w.refused(saved...)
		for _, part := range append(parts,
			"Another user or program changed route intake of VirtualService edge after the plan of split data-collection was made. Nothing "+
				"was written.",
			"When it was planned,", "Plan again") {
			if !strings.Contains(text, part) {
				t.Errorf("the apply does not say %q:\n%s", part, text)
			}
		}
		if after := c.find(virtualServices, "edge"); !reflect.DeepEqual(after.Object["spec"], before.Object["spec"]) ||
			!reflect.DeepEqual(after.GetAnnotations(), before.GetAnnotations()) {
			t.Errorf("the VirtualService was written:\n%v\nbefore\n%v", after.Object, before.Object)
		}
	}
	wantRoutes := func(weight int64, want map[string]map[string]any) {
		t.Helper()
		if got := c.weightOf(t.Context(), "edge"); got != weight {
			t.Errorf("the weight is %d, want %d", got, weight)
		}
		names, routes := c.edgeRoutes()
		if len(names) != len(want)+2 || names[len(names)-1] != "intake" || routes["intake"]["timeout"] != "9s" {
			t.Errorf("the routes are %v: %v", names, routes)
		}
		for name, route := range want {
			if !reflect.DeepEqual(routes[name], route) {
				t.Errorf("route %s is %v, want %v", name, routes[name], route)
			}
		}
	}

	// The weight, and a route more.
	added := map[string]any{
		"name":  "added",
		"match": []any{map[string]any{"uri": map[string]any{"exact": "/health"}}},
		"route": []any{map[string]any{"destination": map[string]any{"host": "elsewhere"}}},
	}
	w.write("main.tf", c.twoTracks("v1.2.0", edgeAt(10)))
	w.plan("-out=saved.tfplan")
	c.editEdge(func(routes []any) []any {
		intake, _ := routes[len(routes)-1].(map[string]any)
		sides, _ := intake["route"].([]any)
		for i, weight := range []int64{60, 40} {
			if side, ok := sides[i].(map[string]any); ok {
				side["weight"] = weight
			}
		}
		return append([]any{added}, routes...)
	})
	refused("5% of the requests go to the canary, and those with canary: true; now 40% of the requests go to the canary, and those " +
		"with canary: true")
	if text := w.plan(); !strings.Contains(text, "40 -> 10") {
		t.Errorf("the next plan does not show what the hand did:\n%s", text)
	}
	w.apply()
	wantRoutes(10, map[string]map[string]any{"added": added, "admin": admin})

	// The routes of others alone.
	w.write("main.tf", c.twoTracks("v1.2.0", edgeAt(20)))
	w.plan("-out=saved.tfplan")
	admin["rewrite"] = map[string]any{"uri": "/console"}
	c.editEdge(func(routes []any) []any { return append([]any{admin}, routes[2:]...) })
	w.must(saved...)
	wantRoutes(20, map[string]map[string]any{"admin": admin})

	// The route for the headers.
	w.write("main.tf", c.twoTracks("v1.2.0", edgeAt(30)))
	w.plan("-out=saved.tfplan")
	c.editEdge(func(routes []any) []any {
		header, _ := routes[1].(map[string]any)
		header["match"] = []any{map[string]any{"headers": map[string]any{"canary": map[string]any{"exact": "yes"}}}}
		return routes
	})
	refused("now 20% of the requests go to the canary, and those with canary: yes")
	if text := w.plan(); !strings.Contains(text, `"yes" -> "true"`) || !strings.Contains(text, "20 -> 30") {
		t.Errorf("the next plan does not show what the hand did:\n%s", text)
	}
	w.apply()
	wantRoutes(30, map[string]map[string]any{"admin": admin})
	w.noChanges()
}
