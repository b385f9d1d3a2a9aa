// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness/tenant"
)

// testCluster connects to the test cluster, as itself or, with groups, as a made-up user in these.
func testCluster(t *testing.T, groups ...string) *cluster.Cluster {
	t.Helper()
	path := harness.Kubeconfig(t)
	if len(groups) > 0 {
		path = harness.Impersonating(t, "somebody", groups...)
	}
	return tenant.Connect(t, path)
}

// testSpec is an environment that no other test has; its namespace is deleted after the test.
func testSpec(t *testing.T, admin *cluster.Cluster) Spec {
	t.Helper()
	client := harness.Name("env")
	h := environment.Handle{Client: client, Stage: "prod", Cluster: admin.Coordinate(), Namespace: "data-collection-" + client}
	harness.RemoveNamespace(t, h.Namespace)
	return Spec{Handle: h, Network: Network{Ingress: TrafficDeny, Egress: TrafficAllow, DNS: true}}
}

func TestCheck_ReportsTheOwnerOfANamespace(t *testing.T) {
	c := testCluster(t)
	spec := testSpec(t, c)
	h := spec.Handle
	if _, err := environment.Check(t.Context(), c, h); !isA[*environment.NamespaceMissingError](err) {
		t.Fatalf("before it is made: %v", err)
	}
	ensured, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one"})
	if err != nil {
		t.Fatal(err)
	}
	uid, err := environment.Check(t.Context(), c, h)
	if err != nil || uid != ensured.NamespaceUID || uid == "" {
		t.Errorf("its own: %q, %v", uid, err)
	}
	for name, other := range map[string]environment.Handle{
		"another client": {Client: "client-b", Stage: h.Stage, Namespace: h.Namespace},
		"another stage":  {Client: h.Client, Stage: "dev", Namespace: h.Namespace},
		"nobody's":       {Client: h.Client, Stage: h.Stage, Namespace: "kube-system"},
	} {
		if _, err := environment.Check(t.Context(), c, other); !isA[*environment.NamespaceForeignError](err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestEnsure_SecondTimeChangesNothing(t *testing.T) {
	c := testCluster(t)
	spec := testSpec(t, c)
	spec.Quota = map[string]string{"requests.cpu": "8000m"}
	spec.LimitRange = &LimitRange{Max: map[string]string{"memory": "4Gi"}}
	spec.ServiceAccount = &ServiceAccount{Name: "data-collection"}
	versions := func() map[string]string {
		client, err := c.Dynamic()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, kind := range ownedKinds {
			list, err := client.Resource(kind).Namespace(spec.Handle.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: labelPartOf})
			if err != nil {
				t.Fatal(err)
			}
			for _, object := range list.Items {
				if kind != quotas { // Its status is counted anew at any time.
					found[object.GetKind()+"/"+object.GetName()] = object.GetResourceVersion()
				}
			}
		}
		return found
	}
	if _, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one"}); err != nil {
		t.Fatal(err)
	}
	before := versions()
	if len(before) != 3 {
		t.Fatalf("made %v", before)
	}
	if _, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one", Update: true}); err != nil {
		t.Fatal(err)
	}
	for name, version := range versions() {
		if before[name] != version {
			t.Errorf("%s was written again", name)
		}
	}
	observation, err := Observe(t.Context(), c, spec, "one")
	if err != nil {
		t.Fatal(err)
	}
	if len(observation.Drift) > 0 || observation.Quota["requests.cpu"] != "8000m" {
		t.Errorf("seen %+v", observation)
	}
}

func TestEnsure_ReleasesTheLease(t *testing.T) {
	c := testCluster(t)
	spec := testSpec(t, c)
	if _, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one"}); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := c.Kubernetes()
	if err != nil {
		t.Fatal(err)
	}
	lease, err := kubernetes.CoordinationV1().Leases(spec.Handle.Namespace).Get(t.Context(), cluster.LeaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" {
		t.Errorf("still held by %q", *holder)
	}
}

func TestEnsure_RefusesAnAccountOfAnotherOwner(t *testing.T) {
	c := testCluster(t)
	spec := testSpec(t, c)
	if _, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one"}); err != nil {
		t.Fatal(err)
	}
	client, err := c.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	account := newObject(serviceAccounts, "theirs", nil, nil, nil)
	if _, err := client.Resource(serviceAccounts).Namespace(spec.Handle.Namespace).Create(t.Context(), account,
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	spec.ServiceAccount = &ServiceAccount{Name: "theirs"}
	if _, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one", Update: true}); !isA[*ObjectForeignError](err) {
		t.Errorf("got %v", err)
	}
	spec.ServiceAccount.Name = defaultAccount // which every namespace has
	if _, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one", Update: true}); err != nil {
		t.Error(err)
	}
}

func TestRemove_IsRepeatable(t *testing.T) {
	c := testCluster(t)
	spec := testSpec(t, c)
	ensured, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one"})
	if err != nil {
		t.Fatal(err)
	}
	options := RemoveOptions{InstanceID: "one", ClusterUID: ensured.ClusterUID, NamespaceUID: ensured.NamespaceUID}
	protected := options
	protected.Protected = true
	if _, err := Remove(t.Context(), c, spec.Handle, protected); !isA[*ProtectedError](err) {
		t.Errorf("protected: %v", err)
	}
	elsewhere := options
	elsewhere.ClusterUID = "another"
	if _, err := Remove(t.Context(), c, spec.Handle, elsewhere); !isA[*cluster.MismatchError](err) {
		t.Errorf("another cluster: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		forgotten, err := Remove(ctx, c, spec.Handle, options)
		if err != nil || forgotten {
			t.Fatalf("forgotten %v, %v", forgotten, err)
		}
	}
	if _, err := environment.Check(t.Context(), c, spec.Handle); !isA[*environment.NamespaceMissingError](err) {
		t.Errorf("still there: %v", err)
	}
}
