// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An adopted namespace keeps its own quota: it is refused in the plan, before anything is written.
func TestEnvironment_RefusesInThePlanToOverwriteAQuotaOfOthers(t *testing.T) {
	client, namespace := testClient(t)
	kubernetes := testKubernetes(t)
	makeNamespace(t, namespace, nil)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "slipway"}}
	if _, err := kubernetes.CoreV1().ResourceQuotas(namespace).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config := testProvider(t, client+"-prod") + environmentBlock(client, testContext(t), fmt.Sprintf(`{ name = %q, adopt = true }`, namespace),
		unprotected+`service_account = { name = "data-collection" }
		resource_quota = { hard = { pods = "3" } }`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{{
			Config: config, PlanOnly: true,
			ExpectError: errorText("Slipway needs this name for its own and does not overwrite what others wrote"),
		}},
	})
	if live := liveNamespace(t, namespace); len(live.Annotations) != 0 {
		t.Errorf("a refused plan annotated the namespace: %v", live.Annotations)
	}
	_, err := kubernetes.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "data-collection", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("a refused plan made the ServiceAccount: %v", err)
	}
}
