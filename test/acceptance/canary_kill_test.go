// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// killable is a split between two Deployments that no release made, whose provider talks to the cluster through a relay.
type killable struct {
	tenant
	*workspace
	t     *testing.T
	relay *relay
	// bad makes what the analyses look at bad.
	bad      atomic.Bool
	analysis string
}

func newKillable(t *testing.T) *killable {
	t.Helper()
	c := newTenant(t)
	k := &killable{
		t:         t,
		tenant:    c,
		relay:     newRelay(t),
		workspace: newWorkspace(t, map[string]string{"main.tf": environmentOnly(c.stack("v1.1.1", quick, ""))}),
	}
	k.env = append(k.env, "TF_VAR_kubeconfig="+k.relay.kubeconfig)
	answer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if k.bad.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(answer.Close)
	k.analysis = fmt.Sprintf("analysis {\n duration = \"2s\"\n interval = \"1s\"\n health {\n consecutive_failures = 1\n http {\n"+
		" name = \"answer\"\n url = %q\n }\n }\n }", answer.URL)
	k.apply()
	c.tracks(releaseName, map[string]string{"stable": "v1.1.1", "canary": "v1.2.0"})
	return k
}

// tracks makes a Deployment of each track, by its version, and a Service that selects the pods of all of them.
func (c tenant) tracks(service string, versions map[string]string) {
	c.t.Helper()
	for track, version := range versions {
		labels := map[string]string{"app": releaseName, trackLabel: track}
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: track}, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: "app", Image: sampleImage + version, ReadinessProbe: &corev1.Probe{
					PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(8080)}},
				}}},
			}},
		}}
		if _, err := harness.Kubernetes(c.t).AppsV1().Deployments(c.namespace).Create(c.t.Context(), deployment,
			metav1.CreateOptions{}); err != nil {
			c.t.Fatal(err)
		}
	}
	c.service(service)
}

// service makes a Service that selects the pods of all tracks.
func (c tenant) service(name string) {
	c.t.Helper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": releaseName}, Ports: []corev1.ServicePort{{Name: "grpc", Port: 9090}},
	}}
	if _, err := harness.Kubernetes(c.t).CoreV1().Services(c.namespace).Create(c.t.Context(), service, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// split configures a weight; none below zero.
func (k *killable) split(weight int, more string) {
	k.t.Helper()
	config := environmentOnly(k.stack("v1.1.1", quick, ""))
	if weight >= 0 {
		config += fmt.Sprintf(`
resource "slipway_canary" "app" {
  environment = slipway_environment.this
  data_plane  = "proxyless"
  name        = "data-collection"
  weight      = %d
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
}
`, weight, releaseName, trackLabel, more)
	}
	k.write("main.tf", config)
}

// killed runs an apply whose provider is killed at a change of traffic, and demands that traffic then is divided in one of these
// ways (-1: there is no route). It is false where there are fewer changes.
func (k *killable) killed(change int, ways ...int64) bool {
	k.t.Helper()
	if !k.relay.killed(k.workspace, change, relayed.moves, strings.Fields(applyArgs)...) {
		return false
	}
	if got := k.liveWeight(k.t.Context()); !slices.Contains(ways, got) {
		k.t.Errorf("killed at change %d: the canary has %d%%, want one of %v", change, got, ways)
	}
	k.whole(change)
	k.leaseRunsOut()
	return true
}

// whole demands that no route leads nowhere.
func (k *killable) whole(change int) {
	k.t.Helper()
	found, err := k.routes(virtualServices).Get(k.t.Context(), "data-collection", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return
	}
	if err != nil {
		k.t.Fatal(err)
	}
	subsets := map[string]bool{}
	rule, err := k.routes(destinationRules).Get(k.t.Context(), "data-collection", metav1.GetOptions{})
	if err != nil {
		k.t.Fatalf("killed at change %d: there is a route without its subsets: %v", change, err)
	}
	listed, _, _ := unstructured.NestedSlice(rule.Object, "spec", "subsets")
	for _, each := range listed {
		subset, _ := each.(map[string]any)
		name, _, _ := unstructured.NestedString(subset, "name")
		subsets[name] = true
	}
	routes, _, _ := unstructured.NestedSlice(found.Object, "spec", "http")
	if len(routes) == 0 {
		k.t.Errorf("killed at change %d: the VirtualService has no route", change)
	}
	for _, each := range routes {
		route, _ := each.(map[string]any)
		destinations, _, _ := unstructured.NestedSlice(route, "route")
		total := int64(0)
		for _, one := range destinations {
			destination, _ := one.(map[string]any)
			weight, _, _ := unstructured.NestedInt64(destination, "weight")
			total += weight
			if subset, _, _ := unstructured.NestedString(destination, "destination", "subset"); !subsets[subset] {
				k.t.Errorf("killed at change %d: requests go to subset %q, and there are %v", change, subset, subsets)
			}
		}
		if total != 100 && len(destinations) > 1 {
			k.t.Errorf("killed at change %d: the weights add up to %d", change, total)
		}
	}
}

// leaseRunsOut takes away the dead run's Lease, for which the next run would wait for half a minute. That it does is shown by
// TestCanary_MovesCallsWithoutAFailure.
func (c tenant) leaseRunsOut() {
	c.t.Helper()
	if err := harness.Kubernetes(c.t).CoordinationV1().Leases(c.namespace).DeleteCollection(c.t.Context(), metav1.DeleteOptions{},
		metav1.ListOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// settled demands a weight, -1 for no route, and a plan without changes.
func (k *killable) settled(weight int64) {
	k.t.Helper()
	if got := k.liveWeight(k.t.Context()); got != weight {
		k.t.Errorf("the canary has %d%%, want %d", got, weight)
	}
	k.noChanges()
}

// least demands that a test has killed so often: with fewer, it would have shown nothing.
func least(t *testing.T, what string, kills, want int) {
	t.Helper()
	t.Logf("%s: killed at each of %d changes", what, kills)
	if kills < want {
		t.Errorf("%s: killed %d times, want at least %d", what, kills, want)
	}
}

// A provider that is killed after any of its changes leaves a route that leads somewhere, and the next apply finishes what it had begun.
func TestCanary_ProviderKilledAfterEachChange_IsFinishedByTheNextApply(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	t.Run("it begins and is removed", func(t *testing.T) {
		t.Parallel()
		k := newKillable(t)
		begun, removed := 0, 0
		for change, more := 1, true; more; change++ {
			k.split(10, "")
			if more = k.killed(change, -1, 10); more {
				begun++
				k.apply()
			}
			k.settled(10)
			k.split(-1, "")
			if k.killed(change, 10, 0, -1) {
				removed++
				more = true
				k.apply()
			}
			k.settled(-1)
		}
		least(t, "a split that begins", begun, 4)
		least(t, "a split that is removed", removed, 4)
		for _, resource := range []schema.GroupVersionResource{virtualServices, destinationRules} {
			if left, err := k.routes(resource).List(t.Context(), metav1.ListOptions{}); err != nil || len(left.Items) > 0 {
				t.Errorf("%s are left: %v, %v", resource.Resource, left, err)
			}
		}
	})
	t.Run("it shifts to all requests and back", func(t *testing.T) {
		t.Parallel()
		k := newKillable(t)
		steps := "step {\n weight = 50\n }\n" + k.analysis
		k.split(10, steps)
		k.apply()
		up, down, said := 0, 0, 0
		for change, more := 1, true; more; change++ {
			k.split(100, steps)
			if more = k.killed(change, 10, 50, 100); more {
				up++
				if strings.Contains(unwrap(k.run("plan", "-no-color", "-input=false").text), "first what an interrupted run has left: the step to") {
					said++
				}
				k.apply()
			}
			k.settled(100)
			k.split(10, steps)
			if k.killed(change, 100, 10) {
				down++
				more = true
				k.apply()
			}
			k.settled(10)
		}
		least(t, "a traffic shift by 50 to 100%", up, 6)
		least(t, "the way down", down, 2)
		if said < up-2 { // before the first change nothing is left, and after the last one neither
			t.Errorf("%d of %d plans said what was left to do", said, up)
		}
	})
	t.Run("it fails and is rolled back", func(t *testing.T) {
		t.Parallel()
		k := newKillable(t)
		k.split(10, k.analysis)
		k.apply()
		k.bad.Store(true)
		kills := 0
		for change, more := 1, true; more; change++ {
			k.split(50, fmt.Sprintf("retry_token = \"%d\"\n", change)+k.analysis)
			if more = k.killed(change, 10, 50); more {
				kills++
				text := k.refused(strings.Fields(applyArgs)...)
				if !strings.Contains(text, "answer") {
					t.Errorf("killed at change %d: the next apply does not say what failed:\n%s", change, text)
				}
			}
			if got := k.liveWeight(t.Context()); got != 10 {
				t.Errorf("killed at change %d: after the next apply the canary has %d%%, want 10", change, got)
			}
			k.split(10, fmt.Sprintf("retry_token = \"%d\"\n", change)+k.analysis)
			k.apply()
			k.settled(10)
		}
		least(t, "a rollback", kills, 5)
	})
}

// What a split needs is there before requests go to it, and goes after them.
func TestCanary_OrderOfChanges(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	k := newKillable(t)
	k.relay.forget()
	k.split(10, "")
	k.apply()
	seen := k.relay.requests()
	first := func(method, resource string) int {
		return slices.IndexFunc(seen, func(r relayed) bool {
			return r.resource == resource && (r.method == method || method == "" && r.changes())
		})
	}
	route := first("", "virtualservices")
	if subsets, endpoints := first("", "destinationrules"),
		first(http.MethodGet, "endpointslices"); route < 0 || subsets < 0 || subsets > route || endpoints < 0 || endpoints > route {
		t.Errorf("subsets are written at %d and endpoints read at %d, before the route at %d: %v", subsets, endpoints, route, seen)
	} else if !slices.ContainsFunc(seen[subsets:route], func(r relayed) bool { return r.resource == "endpointslices" }) {
		t.Errorf("endpoints are not read again between subsets, at %d, and the route, at %d: %v", subsets, route, seen)
	}

	k.relay.forget()
	k.split(-1, "")
	k.apply()
	var order []string
	for _, r := range k.relay.requests() {
		if r.moves() {
			order = append(order, r.method+" "+r.resource)
		}
	}
	route, subsets := slices.Index(order, "DELETE virtualservices"),
		slices.IndexFunc(order, func(s string) bool { return strings.HasSuffix(s, " destinationrules") })
	record := slices.Index(order, "DELETE configmaps")
	if route < 0 || subsets < route || record < subsets {
		t.Errorf("on removal the order is %q, want the route, its subsets, its record", order)
	}

	// What a traffic shift costs. Nothing is demanded of it but that each step writes its weight once.
	steps := "step {\n weight = 20\n }\nstep {\n weight = 40\n }\nstep {\n weight = 60\n }\n" + k.analysis
	k.split(0, steps)
	k.apply()
	k.relay.forget()
	k.split(60, steps)
	k.apply()
	all := k.relay.requests()
	reads, writes, leases, weights := 0, 0, 0, 0
	for _, r := range all {
		switch {
		case r.resource == "leases":
			leases++
		case r.resource == "virtualservices" && r.changes():
			weights++
			writes++
		case r.changes():
			writes++
		default:
			reads++
		}
	}
	if weights != 3 {
		t.Errorf("3 steps wrote the weight %d times: %v", weights, all)
	}
	t.Logf("FIGURE %s: an apply, its plan included, of 3 steps, each analyzed for 2 s by an HTTP check: %d API requests to the "+
		"cluster: %d reads, %d writes, %d of the Lease; %.1f a step",
		t.Name(), len(all), reads, writes, leases, float64(len(all))/3)
	steps = strings.Replace(steps, "step {\n weight = 40\n }\n", "", 1)
	k.split(0, steps)
	k.apply()
	k.relay.forget()
	k.split(60, steps)
	k.apply()
	t.Logf("FIGURE %s: with 2 steps: %d API requests, so that a step more costs %d", t.Name(), len(k.relay.requests()),
		len(all)-len(k.relay.requests()))
	if got := k.liveWeight(context.WithoutCancel(t.Context())); got != 60 {
		t.Errorf("the canary has %d%%, want 60", got)
	}

	// Another route is no change of weight: the plan says what happens between the two.
	k.split(60, steps)
	config, err := os.ReadFile(filepath.Join(k.dir, "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	k.write("main.tf", strings.Replace(string(config), `name        = "data-collection"`, `name        = "another"`, 1))
	if text := unwrap(k.plan()); !strings.Contains(text, "requests go to all pods of the Service, those of both tracks") {
		t.Errorf("the plan does not say what happens between the old route and the new one:\n%s", text)
	}
}
