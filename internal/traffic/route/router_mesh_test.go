// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	mesh "github.com/slipway-dev/terraform-provider-slipway/test/istio"
)

const (
	meshImage = "registry.company.com/data-collection:"
	oldOne    = "v1.1.1"
	newOne    = "v1.2.0"
)

// meshed are two versions of the sample service behind one Service, with a Service for each next to it.
func (b *bench) meshed() kubernetes.Interface {
	b.Helper()
	client, err := b.cluster.Kubernetes()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := client.AppsV1().Deployments("istio-system").Get(b.Context(), "istiod", metav1.GetOptions{}); cluster.IsNotFound(err) {
		b.Skip("the cluster has no istiod")
	} else if err != nil {
		b.Fatal(err)
	}
	namespace := b.owner.Handle.Namespace
	grpc := []corev1.ServicePort{{Name: "grpc", Port: 9090, AppProtocol: ptr.To("grpc")}}
	for name, selector := range map[string]map[string]string{
		"data-collection": {"app": "dc"}, "app-stable": {"app": "dc", "version": "v1"}, "app-canary": {"app": "dc", "version": "v2"},
	} {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Selector: selector, Ports: grpc}}
		if _, err := client.CoreV1().Services(namespace).Create(b.Context(), service, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	for track, version := range map[string]string{"v1": oldOne, "v2": newOne} {
		labels := map[string]string{"app": "dc", "version": track}
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: track}, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				TerminationGracePeriodSeconds: ptr.To[int64](1),
				Containers: []corev1.Container{{Name: "app", Image: meshImage + version, ReadinessProbe: &corev1.Probe{
					PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(8080)}},
				}}},
			}},
		}}
		if _, err := client.AppsV1().Deployments(namespace).Create(b.Context(), deployment, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	for track := range 2 {
		b.ready(client, fmt.Sprintf("v%d", track+1))
	}
	return client
}

func (b *bench) ready(client kubernetes.Interface, deployment string) {
	b.Helper()
	for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		live, err := client.AppsV1().Deployments(b.owner.Handle.Namespace).Get(b.Context(), deployment, metav1.GetOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if live.Status.ReadyReplicas > 0 {
			return
		}
		if time.Since(begin) > 2*time.Minute {
			b.Fatalf("Deployment %s is not ready: %+v", deployment, live.Status)
		}
	}
}

func TestRouters_MoveCallsWithoutLosingOne(t *testing.T) {
	t.Parallel()
	for name, router := range map[string]func(*bench) Router{
		"istio": func(b *bench) Router {
			config := istioConfig("")
			config.Settle = 0
			return b.istio(config)
		},
		"gateway": func(b *bench) Router {
			config := gatewayConfig("", nil)
			config.Parents = []Parent{{Kind: "Service", Name: "data-collection", Port: 9090}}
			config.Stable.Port, config.Canary.Port = 9090, 9090
			return b.gateway(config)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			client := b.meshed()
			options := mesh.Options{Namespace: b.owner.Handle.Namespace, Host: "data-collection", Port: 9090, Image: meshImage + oldOne, Rate: 300}
			users := mesh.Start(t, client, options)
			options.Name, options.Rate, options.Headers = "testers", 50, map[string]string{"canary": "true"}
			testers := mesh.Start(t, client, options)
			begin, beginTesters := users.Report(), testers.Report()

			r := router(b)
			for _, split := range []Split{
				{Weight: 0}, {Weight: 10, Headers: []HeaderMatch{onTrue}}, {Weight: 100},
				{Weight: 0, Headers: []HeaderMatch{onTrue}},
			} {
				b.set(r, split)
				share := float64(split.Weight) / 100
				users.Until(fmt.Sprintf("%d%% reach the canary", split.Weight), 500,
					func(seen mesh.Report) bool { return seen.Within(newOne, share) == nil })
				withHeader := share
				if len(split.Headers) > 0 {
					withHeader = 1
				}
				testers.Until(fmt.Sprintf("the header is minded at %d%%", split.Weight), 50,
					func(seen mesh.Report) bool { return seen.Within(newOne, withHeader) == nil })
				if seen := users.Next(1000); seen.Within(newOne, share) != nil {
					t.Error(seen.Within(newOne, share))
				}
			}
			if err := r.Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			users.Until("calls reach all pods of the Service", 200,
				func(seen mesh.Report) bool { return seen.Share(newOne) > 0.2 && seen.Share(oldOne) > 0.2 })

			during, withHeader := users.Report().Since(begin), testers.Report().Since(beginTesters)
			t.Logf("FIGURE %d calls while the route was made, moved and removed, %d failed", during.Requests+withHeader.Requests,
				during.Failed+withHeader.Failed)
			if during.Failed > 0 || withHeader.Failed > 0 {
				t.Errorf("calls failed: %+v, with the header %+v", during, withHeader)
			}
		})
	}
}
