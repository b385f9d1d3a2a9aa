// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// place is a namespace of the test cluster.
type place struct {
	client    kubernetes.Interface
	http      *http.Client
	host      string
	namespace string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	config := harness.Config(t)
	through, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{host: config.Host, client: harness.Kubernetes(t), http: through, namespace: harness.Name("slipway-analysis")}
	harness.Namespace(t, p.namespace, "client-a", "dev")
	return p
}

// run makes a pod of the sample service, ready when path answers, and a Service of the same name.
func (p *place) run(t *testing.T, name, path string) {
	t.Helper()
	labels := map[string]string{"app": name}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: harness.SamplePod(path)}
	if _, err := p.client.CoreV1().Pods(p.namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{
			Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080),
		}}},
	}
	if _, err := p.client.CoreV1().Services(p.namespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (p *place) pods(name string, grace time.Duration) *PodReadiness {
	return &PodReadiness{Name: "pods", Grace: grace, Pods: &SelectedPods{Client: p.client, Namespace: p.namespace, Selector: "app=" + name}}
}

func (p *place) probe(t *testing.T, service, path string) *HTTPProbe {
	t.Helper()
	address, err := ProxyAddress(p.host, Service{Namespace: p.namespace, Name: service, Port: "http", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return &HTTPProbe{Name: health, URL: address, Client: p.http, Proxied: true}
}

func TestHealth_OfRealPodsThroughTheAPIServer(t *testing.T) {
	p := newPlace(t)
	p.run(t, "well", "/readyz")
	p.run(t, "unwell", "/not-there")
	requireSample(t, p.pods("absent", 0).Sample(t.Context()), Fail, "0 pods are ready")
	requireSample(t, p.probe(t, "absent", "/readyz").Sample(t.Context()), Error, "not found")

	pods, probe := p.pods("well", 0), p.probe(t, "well", "/readyz")
	deadline := time.Now().Add(3 * time.Minute)
	for pods.Sample(t.Context()).Kind != Pass || probe.Sample(t.Context()).Kind != Pass {
		if time.Now().After(deadline) {
			t.Fatalf("after 3 minutes: %+v, %+v", pods.Sample(t.Context()), probe.Sample(t.Context()))
		}
		time.Sleep(200 * time.Millisecond)
	}
	requireSample(t, pods.Sample(t.Context()), Pass, "1 pod is ready")
	requireSample(t, probe.Sample(t.Context()), Pass, "HTTP 200")
	requireSample(t, p.probe(t, "well", "/not-there").Sample(t.Context()), Fail, "HTTP 404") // That is the service's own 404.

	for { // The other pod runs, but its readiness probe fails.
		s := p.pods("unwell", time.Nanosecond).Sample(t.Context())
		if s.Kind != Fail {
			t.Fatalf("%+v", s)
		}
		found, err := p.client.CoreV1().Pods(p.namespace).Get(t.Context(), "unwell", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if found.Status.Phase == corev1.PodRunning {
			requireSample(t, s, Fail, "0 pods are ready, 1 are needed; pod unwell is not ready")
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the pod does not run after 3 minutes")
		}
		time.Sleep(200 * time.Millisecond)
	}
	requireSample(t, p.probe(t, "unwell", "/readyz").Sample(t.Context()), Fail, "no endpoints available")
}

func TestRun_SeesARealPodThatStopsBeingThere(t *testing.T) {
	p := newPlace(t)
	p.run(t, "web", "/readyz")
	pods, probe := p.pods("web", 0), p.probe(t, "web", "/readyz")
	for deadline := time.Now().Add(3 * time.Minute); probe.Sample(t.Context()).Kind != Pass; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 3 minutes: %+v", probe.Sample(t.Context()))
		}
	}
	policy := Policy{
		Health: &Health{
			Checks:              []string{"pods", health},
			ConsecutiveFailures: 3,
			ErrorBudget:         10 * time.Second,
			NoDataBudget:        10 * time.Second,
		},
		Duration: 5 * time.Minute, Interval: time.Second,
	}
	time.AfterFunc(2*time.Second, func() {
		if err := p.client.CoreV1().Pods(p.namespace).Delete(context.Background(), "web", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	begun := time.Now()
	verdict, _, err := Run(t.Context(), Options{Policy: policy, Samplers: []Sampler{pods, probe}, Progress: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	requireVerdict(t, verdict, Failed, ConsecutiveFailures)
	if took := time.Since(begun); took < 5*time.Second {
		t.Errorf("triggered after %s, the pod was deleted after 2 s", took)
	}
}
