// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// Acceptance tests run the provider in this process under a real Terraform (TF_ACC=1; TF_ACC_TERRAFORM_PATH names another
// program than the one on PATH) and against the cluster of SLIPWAY_TEST_KUBECONFIG.

// testFactories serves the provider of this build.
var testFactories = map[string]func() (tfprotov6.ProviderServer, error){
	"slipway": func() (tfprotov6.ProviderServer, error) { return NewServer("test", &Changes{})(), nil },
}

// testKubeconfig is the kubeconfig of the test cluster; without one the test is skipped.
func testKubeconfig(t *testing.T) string {
	t.Helper()
	path := harness.Kubeconfig(t)
	if os.Getenv("TF_ACC") == "" {
		t.Skip("TF_ACC is not set: acceptance tests run only when asked for")
	}
	if testing.Short() {
		t.Skip("short mode: what the provider does to a cluster was tested with another program")
	}
	return path
}

// testContext is the context of the test cluster.
func testContext(t *testing.T) string {
	t.Helper()
	testKubeconfig(t)
	return harness.Context(t)
}

// testKubernetes is a client of the test cluster that is not the provider's own.
func testKubernetes(t *testing.T) kubernetes.Interface {
	t.Helper()
	testKubeconfig(t)
	return harness.Kubernetes(t)
}

// testClient is the name of a client that no other test has, with its namespace, which is deleted after the test.
func testClient(t *testing.T) (client, namespace string) {
	t.Helper()
	testKubeconfig(t)
	client = harness.Name("acc")
	namespace = "data-collection-" + client
	harness.RemoveNamespace(t, namespace)
	return client, namespace
}

// testProvider is the provider block of a workspace.
func testProvider(t *testing.T, workspace string) string {
	t.Helper()
	return fmt.Sprintf(`
provider "slipway" {
  workspace    = %q
  config_paths = [%q]
}
`, workspace, testKubeconfig(t))
}
