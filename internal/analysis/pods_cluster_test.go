// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// place is a namespace of the cluster of SLIPWAY_TEST_KUBECONFIG.
type place struct {
	client    kubernetes.Interface
	http      *http.Client
	host      string
	namespace string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	path := os.Getenv("SLIPWAY_TEST_KUBECONFIG")
	if path == "" {
		t.Skip("SLIPWAY_TEST_KUBECONFIG is not set: there is no cluster to test on")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{host: config.Host}
	if p.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if p.http, err = rest.HTTPClientFor(config); err != nil {
		t.Fatal(err)
	}
	namespace, err := p.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "slipway-analysis-",
		Labels:       map[string]string{"slipway.dev/client": "client-a", "slipway.dev/stage": "dev"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.namespace = namespace.Name
	t.Cleanup(func() {
		if err := p.client.CoreV1().Namespaces().Delete(context.Background(), p.namespace, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return p
}

// run makes a pod of the sample service, ready when path answers, and a Service of the same name.
func (p *place) run(t *testing.T, name, path string) {
	t.Helper()
	image := os.Getenv("SLIPWAY_TEST_IMAGE")
	if image == "" {
		image = "registry.company.com/data-collection:v1.1.1"
	}
	port := intstr.FromInt32(8080)
	labels := map[string]string{"app": name}
	_, err := p.client.CoreV1().Pods(p.namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(0)), AutomountServiceAccountToken: new(false),
			Containers: []corev1.Container{{
				Name: "app", Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
				ReadinessProbe: &corev1.Probe{
					PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: port}},
				},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.client.CoreV1().Services(p.namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: port}}},
	}, metav1.CreateOptions{})
	if err != nil {
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
	deadline := time.Now().Add(time.Minute)
	for pods.Sample(t.Context()).Kind != Pass || probe.Sample(t.Context()).Kind != Pass {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute: %+v, %+v", pods.Sample(t.Context()), probe.Sample(t.Context()))
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
			t.Fatal("the pod does not run after a minute")
		}
		time.Sleep(200 * time.Millisecond)
	}
	requireSample(t, p.probe(t, "unwell", "/readyz").Sample(t.Context()), Fail, "no endpoints available")
}

func TestRun_SeesARealPodThatStopsBeingThere(t *testing.T) {
	p := newPlace(t)
	p.run(t, "web", "/readyz")
	pods, probe := p.pods("web", 0), p.probe(t, "web", "/readyz")
	for deadline := time.Now().Add(time.Minute); probe.Sample(t.Context()).Kind != Pass; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute: %+v", probe.Sample(t.Context()))
		}
	}
	policy := Policy{
		Health: &Health{
			Checks:              []string{"pods", health},
			ConsecutiveFailures: 3,
			ErrorBudget:         10 * time.Second,
			NoDataBudget:        10 * time.Second,
		},
		Duration: time.Minute, Interval: time.Second,
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
	if took := time.Since(begun); took < 5*time.Second || took > 30*time.Second {
		t.Errorf("triggered after %s, the pod was deleted after 2 s", took)
	}
}
