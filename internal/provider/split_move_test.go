// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	splitAddress  = "slipway_canary.app"
	switchAddress = "slipway_blue_green.app"
)

// servedPod makes a pod that is ready and the Services that send it requests.
func servedPod(t *testing.T, namespace string, labels map[string]string, services ...string) {
	t.Helper()
	client := testKubernetes(t)
	for _, name := range services {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "app"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
		}
		if _, err := client.CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Labels: labels},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr.To[int64](0),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "app", Image: "registry.company.com/data-collection:v1.1.1", Args: []string{"serve"},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	if _, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		found, err := client.CoreV1().Pods(namespace).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, condition := range found.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the pod is not ready: %+v", found.Status)
		}
	}
}

func TestCanaryAndBlueGreen_MoveToAnotherClusterOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	client, namespace := testClient(t)
	api := newTestAPI(t)
	if found, err := testKubernetes(t).Discovery().ServerResourcesForGroupVersion("networking.istio.io/v1"); err != nil ||
		len(found.APIResources) == 0 {
		t.Skipf("the cluster has no Istio: %v", err)
	}
	allowed := fmt.Sprintf("allow_cluster_move = %q\n", fakeUID)
	head := api.provider(client+"-prod") + environmentBlock(client, "proxied", fmt.Sprintf("{ name = %q }", namespace), unprotected+allowed)
	config := func(split, colors string) string {
		return head + fmt.Sprintf(`
resource "slipway_canary" "app" {
  environment = slipway_environment.this
  name        = "app"
  weight      = 0
  istio {
    host = "app"
  }
  stable {
    labels = { role = "stable" }
  }
  canary {
    labels = { role = "canary" }
  }
  %s
}

resource "slipway_blue_green" "app" {
  environment = slipway_environment.this
  service     = "colored"
  active      = "blue"
  %s
}
`, split, colors)
	}
	moved := func(address string) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, tfjsonpath.New("cluster_uid"), knownvalue.StringExact(fakeUID))
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: []resource.TestStep{
		{Config: head},
		{
			PreConfig: func() {
				servedPod(t, namespace, map[string]string{"app": "app", "role": "stable", "slipway.dev/track": "blue"}, "app", "colored")
			},
			Config: config("", ""),
		},
		{PreConfig: func() { api.another.Store(true) }, Config: config("", allowed), ExpectError: errorText("Cannot plan canary split app")},
		{Config: config(allowed, ""), ExpectError: errorText("Cannot plan blue-green switch of Service colored")},
		{
			Config: config(allowed, allowed),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(splitAddress, plancheck.ResourceActionUpdate),
				plancheck.ExpectResourceAction(switchAddress, plancheck.ResourceActionUpdate),
			}},
			ConfigStateChecks: []statecheck.StateCheck{moved(splitAddress), moved(switchAddress)},
		},
		{Config: config(allowed, allowed), PlanOnly: true},
		{Config: head},
		{
			PreConfig: func() { // what is left keeps the environment
				if err := testKubernetes(t).CoreV1().Pods(namespace).Delete(t.Context(), "app",
					metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}); err != nil {
					t.Fatal(err)
				}
			},
			Config: head, PlanOnly: true,
		},
	}})
}

// removeServedPod removes the pod of servedPod: an environment with a pod of another owner is not removed.
func removeServedPod(t *testing.T, namespace string) {
	t.Helper()
	if err := testKubernetes(t).CoreV1().Pods(namespace).Delete(t.Context(), "app", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}
