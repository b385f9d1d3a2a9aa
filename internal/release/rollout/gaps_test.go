// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/yaml"
)

// networkOf reads Services, EndpointSlices and Pods.
func networkOf(t *testing.T, documents ...string) (*network, *corev1.Service) {
	t.Helper()
	n := &network{services: map[string]*corev1.Service{}, slices: map[string][]discoveryv1.EndpointSlice{}}
	var web *corev1.Service
	for _, document := range documents {
		read := func(into any) {
			t.Helper()
			if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
				t.Fatalf("%v in %s", err, document)
			}
		}
		switch {
		case strings.Contains(document, "kind: Service"):
			web = &corev1.Service{}
			read(web)
			n.services[web.Name] = web
		case strings.Contains(document, "kind: EndpointSlice"):
			var s discoveryv1.EndpointSlice
			read(&s)
			n.slices["web"] = append(n.slices["web"], s)
		default:
			var p corev1.Pod
			read(&p)
			n.pods = append(n.pods, p)
		}
	}
	return n, web
}

func webService(spec string) string {
	return "{kind: Service, metadata: {name: web, namespace: shop}, spec: {" + spec + "}}"
}

func slice(ports, endpoints string) string {
	return "{kind: EndpointSlice, ports: [" + ports + "], endpoints: [" + endpoints + "]}"
}

func endpoint(pod, conditions string) string {
	return "{addresses: [10.0.0.1], targetRef: {kind: Pod, name: " + pod + ", uid: " + pod + "}, conditions: {" + conditions + "}}"
}

func webPod(name, labels, status string) string {
	return "{kind: Pod, metadata: {name: " + name + ", uid: " + name + ", labels: {" + labels + "}}, spec: {containers: [{name: app, ports: " +
		"[{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]}]}, status: {" + status + "}}"
}

const (
	isReady = `phase: Running, conditions: [{type: Ready, status: "True"}]`
	named   = "selector: {app: x}, ports: [{name: http, port: 80, targetPort: http}]"
	plain   = "selector: {app: x}, ports: [{port: 80, targetPort: 8080}]"
	httpTo  = "{name: http, port: 8080, protocol: TCP}"
)

func TestGaps_NameThePortsWithoutAReadyEndpoint(t *testing.T) {
	a := webPod("a", "app: x", isReady)
	for name, tc := range map[string]struct {
		objects []string
		gap     string
		details []string
	}{
		"an endpoint":                            {[]string{webService(named), a, slice(httpTo, endpoint("a", "ready: true"))}, "", nil},
		"an endpoint whose condition is not set": {[]string{webService(named), a, slice(httpTo, endpoint("a", ""))}, "", nil},
		"a port without a name":                  {[]string{webService(plain), a, slice(`{name: "", port: 8080, protocol: TCP}`, endpoint("a", "ready: true"))}, "", nil},
		"an endpoint that is not ready": {[]string{webService(named), webPod("a", "app: x", "phase: Running"), slice(httpTo, endpoint("a", "ready: false"))},
			"port http (80 → http) has no ready endpoint: none of the pods that it selects is ready", nil},
		"an endpoint of a pod that is not ready, as the Service wants it": {[]string{webService(named + ", publishNotReadyAddresses: true"),
			webPod("a", "app: x", "phase: Running"), slice(httpTo, endpoint("a", "ready: true"))}, "", nil},
		"no pod": {[]string{webService(strings.Replace(named, "x", "nobody", 1)), a},
			"port http (80 → http) has no ready endpoint: its selector app=nobody matches no pod",
			[]string{"selector app=nobody, ports http (80 → http)", "pod a has the labels app=x and the container ports http (8080), dns (53/UDP)",
				"Correct the selector"}},
		"an endpoint of a pod that the selector left behind": {[]string{webService(strings.Replace(named, "x", "nobody", 1)), a,
			slice(httpTo, endpoint("a", "ready: true"))}, "matches no pod", nil},
		"an endpoint of a pod that is gone": {[]string{webService(named), webPod("b", "app: x", isReady), slice(httpTo, endpoint("a", "ready: true"))},
			"its EndpointSlices do not have its pods yet", nil},
		"an endpoint of an earlier pod of that name": {[]string{webService(named), strings.Replace(a, "uid: a", "uid: z", 1),
			slice(httpTo, endpoint("a", "ready: true"))}, "its EndpointSlices do not have its pods yet", nil},
		"an endpoint of an earlier port": {[]string{webService(strings.Replace(plain, "8080", "8081", 1)), a,
			slice(`{name: "", port: 8080, protocol: TCP}`, endpoint("a", "ready: true"))}, "its EndpointSlices do not have its pods yet", nil},
		"a wrong name of a port": {[]string{webService(strings.Replace(named, "targetPort: http", "targetPort: htpp", 1)), a,
			slice("", endpoint("a", "ready: true"))}, "targetPort htpp is the name of no container port (TCP) of its pods",
			[]string{"pod a has the labels app=x and the container ports http (8080)", "Set targetPort"}},
		"a name of another protocol": {[]string{webService("selector: {app: x}, ports: [{port: 53, targetPort: dns}]"), a},
			"targetPort dns is the name of no container port (TCP)", nil},
		"UDP": {[]string{webService("selector: {app: x}, ports: [{port: 53, protocol: UDP, targetPort: dns}]"), a,
			slice(`{name: "", port: 53, protocol: UDP}`, endpoint("a", "ready: true"))}, "", nil},
		"one port of two": {[]string{
			webService("selector: {app: x}, ports: [{name: http, port: 80, targetPort: http}, {name: b, port: 81, targetPort: b}]"), a,
			slice(httpTo, endpoint("a", "ready: true"))}, "port b (81 → b) has no ready endpoint", nil},
		"pods that name the port differently": {[]string{webService(named), a, strings.Replace(webPod("b", "app: x", isReady), "8080", "9090", 1),
			slice(httpTo, endpoint("a", "ready: false")), slice("{name: http, port: 9090}", endpoint("b", "ready: true"))}, "", nil},
		"two families of addresses": {[]string{webService(named), a, slice(httpTo, ""), slice(httpTo, endpoint("a", "ready: true"))}, "", nil},
		"headless without ports":    {[]string{webService("clusterIP: None, selector: {app: x}"), a, slice("", endpoint("a", "ready: true"))}, "", nil},
		"headless without pods": {[]string{webService("clusterIP: None, selector: {app: nobody}"), a},
			"it has no ready endpoint: its selector app=nobody",
			[]string{"ports none"}},
		"no selector":       {[]string{webService("ports: [{port: 80}]")}, "", nil},
		"another name":      {[]string{webService("type: ExternalName, externalName: a.example, selector: {app: x}, ports: [{port: 80}]")}, "", nil},
		"pods that ended":   {[]string{webService(named), webPod("a", "app: x", "phase: Succeeded")}, "matches no pod", nil},
		"pods that end":     {[]string{webService(named), strings.Replace(a, "uid: a", `uid: a, deletionTimestamp: "2026-01-01T00:00:00Z"`, 1), slice(httpTo, endpoint("a", "ready: true"))}, "matches no pod", nil},
		"another program's": {[]string{webService(named), slice(httpTo, "{addresses: [10.0.0.1]}")}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			n, web := networkOf(t, tc.objects...)
			gaps := n.gaps(web)
			if tc.gap == "" {
				if len(gaps) > 0 {
					t.Fatalf("found %v", gaps)
				}
				return
			}
			if len(gaps) != 1 || !strings.Contains(gaps[0].String(), tc.gap) || !strings.HasPrefix(gaps[0].String(), "Service/web: ") {
				t.Fatalf("found %v, want %q", gaps, tc.gap)
			}
			details := strings.Join(gaps[0].details(), "\n")
			for _, part := range tc.details {
				if !strings.Contains(details, part) {
					t.Errorf("%q is missing in\n%s", part, details)
				}
			}
		})
	}
}

func TestGaps_ShowsThePodsThatComeNearest(t *testing.T) {
	n, web := networkOf(t, webService("selector: {app: x, tier: web}, ports: [{port: 80}]"),
		webPod("far", "other: y", isReady), webPod("key", "app: y", isReady), webPod("none", "", isReady), webPod("half", "app: x", isReady))
	var names []string
	for _, p := range n.gaps(web)[0].pods {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "half key far" {
		t.Errorf("shown are %s", got)
	}
}
