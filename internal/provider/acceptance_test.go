// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Acceptance tests run the provider in this process under a real Terraform (TF_ACC=1; TF_ACC_TERRAFORM_PATH names another
// program than the one on PATH) and against the cluster of SLIPWAY_TEST_KUBECONFIG.

// testFactories serves the provider of this build.
var testFactories = map[string]func() (tfprotov6.ProviderServer, error){
	"slipway": func() (tfprotov6.ProviderServer, error) { return NewServer("test")(), nil },
}

// testKubeconfig is the kubeconfig of the test cluster; without one the test is skipped.
func testKubeconfig(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SLIPWAY_TEST_KUBECONFIG")
	if path == "" {
		t.Skip("SLIPWAY_TEST_KUBECONFIG is not set: no cluster to test against")
	}
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
	config, err := clientcmd.LoadFromFile(testKubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	return config.CurrentContext
}

var testClients sync.Map // kubeconfig path → *kubernetes.Clientset

// testKubernetes is a client of the test cluster that is not the provider's own.
func testKubernetes(t *testing.T) kubernetes.Interface {
	t.Helper()
	path := testKubeconfig(t)
	if made, ok := testClients.Load(path); ok {
		if client, ok := made.(*kubernetes.Clientset); ok {
			return client
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.WarningHandler = -1, nil
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	testClients.Store(path, client)
	return client
}

// testClient is the name of a client that no other test has, with its namespace, which is deleted after the test.
func testClient(t *testing.T) (client, namespace string) {
	t.Helper()
	kubernetes := testKubernetes(t)
	client = "acc-" + strings.ToLower(rand.Text()[:6])
	namespace = "data-collection-" + client
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := kubernetes.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("deleting the test's namespace: %v", err)
		}
	})
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
