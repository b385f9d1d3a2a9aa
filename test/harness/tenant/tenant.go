// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package tenant makes the clients of tests: a name, a namespace on the test cluster, and the provider's own connection to it.
package tenant

import (
	"context"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// Tenant is one stage of a made-up client.
type Tenant struct {
	Cluster *cluster.Cluster
	// Kubernetes is not the provider's own client: tests change with it what the provider then finds.
	Kubernetes kubernetes.Interface
	Handle     environment.Handle
}

// New creates a namespace of a client that no other test has. The names of both start with prefix; the stage is "prod". The namespace
// is removed after the test.
func New(t testing.TB, prefix string) *Tenant {
	t.Helper()
	made := Absent(t, prefix)
	harness.Namespace(t, made.Handle.Namespace, made.Handle.Client, made.Handle.Stage)
	return made
}

// Absent is New for tests that create the namespace themselves.
func Absent(t testing.TB, prefix string) *Tenant {
	t.Helper()
	connected := Connect(t, harness.Kubeconfig(t))
	client := harness.Name(prefix)
	made := &Tenant{Cluster: connected, Kubernetes: harness.Kubernetes(t), Handle: environment.Handle{
		Client: client, Stage: "prod", Cluster: connected.Coordinate(), Namespace: "data-collection-" + client,
	}}
	harness.RemoveNamespace(t, made.Handle.Namespace)
	return made
}

// Connect returns the cluster of a kubeconfig's current context, as the provider connects to it.
func Connect(t testing.TB, kubeconfig string) *cluster.Cluster {
	t.Helper()
	connected, err := ConnectFromProcess(t.Context(), kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return connected
}

// ConnectFromProcess is Connect for a process that a test starts and that has no testing.TB.
func ConnectFromProcess(ctx context.Context, kubeconfig string) (*cluster.Cluster, error) {
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	connections := cluster.NewConnections(cluster.Config{ConfigPaths: []string{kubeconfig}, UserAgent: "slipway-test"})
	return connections.Cluster(ctx, cluster.Coordinate{Context: config.CurrentContext})
}
