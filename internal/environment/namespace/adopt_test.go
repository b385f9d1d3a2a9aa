// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// Clients of one run share the Lease of a namespace, so that it does not keep them apart.
func TestEnsure_OneOfManyClientsAdoptsANamespace(t *testing.T) {
	c := testCluster(t)
	name := harness.Name("adopted")
	namespaces := harness.Kubernetes(t).CoreV1().Namespaces()
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := namespaces.Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	harness.RemoveNamespace(t, name)

	const clients = 60
	errs := make([]error, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			client := fmt.Sprintf("client-%d", i)
			_, errs[i] = Ensure(t.Context(), c, Spec{
				Handle:  environment.Handle{Client: client, Stage: "prod", Cluster: c.Coordinate(), Namespace: name},
				Network: Network{Ingress: TrafficAllow, Egress: TrafficAllow, DNS: true}, Adopt: true,
			}, EnsureOptions{InstanceID: client})
		})
	}
	all.Wait()
	winner := ""
	for i, err := range errs {
		switch {
		case err == nil && winner == "":
			winner = fmt.Sprintf("client-%d", i)
		case err == nil:
			t.Errorf("client-%d was told that the namespace is its own, as %s was", i, winner)
		case !isA[*environment.NamespaceForeignError](err):
			t.Errorf("client-%d: %v", i, err)
		}
	}
	live, err := namespaces.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if winner == "" || live.Labels[environment.LabelClient] != winner {
		t.Errorf("the namespace belongs to %q, and %q was told so", live.Labels[environment.LabelClient], winner)
	}
}
