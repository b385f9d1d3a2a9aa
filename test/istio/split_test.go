// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package istio

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

const (
	image   = "registry.company.com/data-collection:"
	stable  = "v1.1.1"
	canary  = "v1.2.0"
	sampled = 10_000 // calls
)

// place is a namespace with two versions of the sample service behind one Service and one of each version's own.
type place struct {
	t         *testing.T
	kube      kubernetes.Interface
	dynamic   dynamic.Interface
	namespace string
}

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{t: t, kube: harness.Kubernetes(t), dynamic: dynamic.NewForConfigOrDie(harness.Config(t)), namespace: harness.Name("istio")}
	harness.Namespace(t, p.namespace, "client-a", "dev")
	service := schema.GroupVersionResource{Version: "v1", Resource: "services"}
	ports := "ports: [{name: grpc, port: 9090, appProtocol: grpc}]"
	p.create(service, "{apiVersion: v1, kind: Service, metadata: {name: svc}, spec: {selector: {app: svc}, "+ports+"}}")
	for version, replicas := range map[string]int{stable: 2, canary: 1} {
		label := strings.ReplaceAll(version, ".", "-")
		p.create(service, fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: svc-%[1]s}, spec: {selector: {app: svc, "+
			"version: %[1]s}, %[2]s}}", label, ports))
		p.create(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: svc, version: %[1]s}}
  template:
    metadata: {labels: {app: svc, version: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: app, image: "%[3]s%[4]s", readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}}]
`, label, replicas, image, version))
	}
	return p
}

func (p place) create(resource schema.GroupVersionResource, text string) *unstructured.Unstructured {
	p.t.Helper()
	made, err := p.dynamic.Resource(resource).Namespace(p.namespace).Create(p.t.Context(), parsed(p.t, text), metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// put creates or replaces an object.
func (p place) put(resource schema.GroupVersionResource, text string) {
	p.t.Helper()
	force := metav1.ApplyOptions{FieldManager: "test", Force: true}
	object := parsed(p.t, text)
	if _, err := p.dynamic.Resource(resource).Namespace(p.namespace).Apply(p.t.Context(), object.GetName(), object, force); err != nil {
		p.t.Fatal(err)
	}
}

func parsed(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

func networking(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: resource}
}

// istioSplit is the strategy's VirtualService: a header match, and weights for the rest.
func (p place) istioSplit(weight int) {
	p.put(networking("virtualservices"), fmt.Sprintf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: svc}
spec:
  hosts: [svc]
  http:
  - match: [{headers: {canary: {exact: "true"}}}]
    route: [{destination: {host: svc, subset: canary}}]
  - route:
    - {destination: {host: svc, subset: stable}, weight: %d}
    - {destination: {host: svc, subset: canary}, weight: %d}
`, 100-weight, weight))
}

func (p place) gatewaySplit(weight int) {
	p.put(schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}, fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: svc}
spec:
  parentRefs: [{group: "", kind: Service, name: svc, port: 9090}]
  rules:
  - matches: [{headers: [{name: canary, value: "true"}]}]
    backendRefs: [{name: svc-v1-2-0, port: 9090}]
  - backendRefs: [{name: svc-v1-1-1, port: 9090, weight: %d}, {name: svc-v1-2-0, port: 9090, weight: %d}]
`, 100-weight, weight))
}

// callsPerWeight are SLIPWAY_TEST_CALLS, or else 10,000 at 10% and fewer at the others: more would take processors from the tests that
// run at the same time.
func callsPerWeight(t *testing.T, weight int) int {
	t.Helper()
	if text := os.Getenv("SLIPWAY_TEST_CALLS"); text != "" {
		calls, err := strconv.Atoi(text)
		if err != nil || calls < 1 {
			t.Fatalf("SLIPWAY_TEST_CALLS is %q, and must be a number", text)
		}
		return calls
	}
	if weight == 10 {
		return sampled
	}
	return 2000
}

// What the control plane makes of both kinds of routes is what the provider's routers rely on.
func TestSplits_ReachTheBackendsOfTheRoute(t *testing.T) {
	for name, split := range map[string]func(place, int){"VirtualService": place.istioSplit, "HTTPRoute": place.gatewaySplit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			if name == "VirtualService" {
				p.put(networking("destinationrules"), `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: svc}
spec: {host: svc, subsets: [{name: stable, labels: {version: v1-1-1}}, {name: canary, labels: {version: v1-2-0}}]}
`)
			}
			split(p, 0)
			for _, version := range []string{"v1-1-1", "v1-2-0"} {
				p.ready(version)
			}
			users := Start(t, p.kube, Options{Namespace: p.namespace, Host: "svc", Port: 9090, Image: image + stable, Rate: 500})
			testers := Start(t, p.kube, Options{
				Namespace: p.namespace,
				Name:      "testers",
				Host:      "svc",
				Port:      9090,
				Image:     image + stable,
				Rate:      100,
				Headers:   map[string]string{"canary": "true"},
			})
			users.Until("all calls reach stable", 500, func(r Report) bool { return r.Within(canary, 0) == nil })
			begin, beginTesters := users.Report(), testers.Report()

			for _, weight := range []int{10, 50, 100, 90, 0} {
				share := float64(weight) / 100
				split(p, weight)
				users.Until(fmt.Sprintf("%d%% reach the canary", weight), 1000, func(r Report) bool { return r.Within(canary, share) == nil })
				r := users.Next(callsPerWeight(t, weight))
				if err := r.Within(canary, share); err != nil {
					t.Errorf("at %d%%: %v", weight, err)
				}
				t.Logf("FIGURE at %d%%: %d of %d calls reached the canary", weight, r.Versions[canary].Requests, r.Requests)
			}
			if os.Getenv("SLIPWAY_TEST_CALLS") != "" {
				testers.until("calls with the header", func(r Report) bool { return r.Requests-beginTesters.Requests >= callsPerWeight(t, 0) })
			}
			during, headers := users.Report().Since(begin), testers.Report().Since(beginTesters)
			t.Logf("FIGURE %d calls while weights moved, %d failed, %d routes chosen again by the client; with the header %d, %d of them "+
				"to the canary", during.Requests, during.Failed, during.Reselected,
				headers.Requests, headers.Versions[canary].Requests)
			if during.Failed > 0 || headers.Failed > 0 {
				t.Errorf("calls failed: %+v, with the header %+v", during, headers)
			}
			if err := headers.Within(canary, 1); err != nil {
				t.Errorf("with the header: %v", err)
			}
		})
	}
}

func (p place) ready(version string) {
	p.t.Helper()
	for begin := time.Now(); ; time.Sleep(poll) {
		d, err := p.kube.AppsV1().Deployments(p.namespace).Get(p.t.Context(), version, metav1.GetOptions{})
		if err != nil {
			p.t.Fatal(err)
		}
		if d.Status.ReadyReplicas == ptr.Deref(d.Spec.Replicas, 1) {
			return
		}
		if time.Since(begin) > patience {
			p.t.Fatalf("%s is not ready: %+v", version, d.Status)
		}
	}
}
