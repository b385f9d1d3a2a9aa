// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
)

// sameRun is what the error says if two resources of one configuration have one name.
var sameRun = errorText("Two resources of this configuration")

// Two resources of one name would each undo what the other does, and both would look healthy.
func TestCanary_TwoOfOneNameAreRefused(t *testing.T) {
	t.Parallel()
	client, namespace := testClient(t)
	if found, err := testKubernetes(t).Discovery().ServerResourcesForGroupVersion("networking.istio.io/v1"); err != nil ||
		len(found.APIResources) == 0 {
		t.Skipf("the cluster has no Istio: %v", err)
	}
	head := environmentConfig(t, client, namespace, unprotected)
	split := func(resourceName string) string {
		return fmt.Sprintf(`
resource "slipway_canary" %q {
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
}
`, resourceName)
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: []resource.TestStep{
		{Config: head},
		{
			PreConfig:   func() { servedPod(t, namespace, map[string]string{"app": "app", "role": "stable"}, "app") },
			Config:      head + split("app") + split("second"),
			ExpectError: sameRun,
		},
		{PreConfig: func() { removeServedPod(t, namespace) }, Config: head},
	}})
}

func TestBlueGreen_TwoOfOneServiceAreRefused(t *testing.T) {
	t.Parallel()
	client, namespace := testClient(t)
	head := environmentConfig(t, client, namespace, unprotected)
	colors := func(resourceName string) string {
		return fmt.Sprintf(`
resource "slipway_blue_green" %q {
  environment = slipway_environment.this
  service     = "colored"
  active      = "blue"
}
`, resourceName)
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: []resource.TestStep{
		{Config: head},
		{
			PreConfig: func() {
				servedPod(t, namespace, map[string]string{"app": "app", "slipway.dev/track": "blue"}, "colored")
			},
			Config:      head + colors("app") + colors("second"),
			ExpectError: sameRun,
		},
		{PreConfig: func() { removeServedPod(t, namespace) }, Config: head},
	}})
}

func TestEnvironment_TwoOfOneNamespaceAreRefused(t *testing.T) {
	t.Parallel()
	client, namespace := testClient(t)
	one := environmentBlock(client, testContext(t), fmt.Sprintf("{ name = %q }", namespace), unprotected)
	second := strings.Replace(one, `"this"`, `"second"`, 1)
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: []resource.TestStep{
		{Config: testProvider(t, client+"-prod") + one + second, ExpectError: sameRun},
	}})
}
