// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// shipRoles applies the files of examples/rbac, and of a folder in it where client-a becomes another client. What was not there before
// goes after the test.
func shipRoles(t *testing.T, admin *cluster.Cluster, folder, client string) {
	t.Helper()
	general, err := filepath.Glob("../../../examples/rbac/*.yaml")
	if err != nil || len(general) != 3 {
		t.Fatalf("found %v, %v", general, err)
	}
	special, err := filepath.Glob("../../../examples/rbac/" + folder + "/*.yaml")
	if err != nil || len(special) != 1 {
		t.Fatalf("found %v, %v", special, err)
	}
	for _, file := range append(general, special...) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(bytes.ReplaceAll(content, []byte("client-a"), []byte(client))), 4096)
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			ship(t, admin, file, object)
		}
	}
}

func ship(t *testing.T, admin *cluster.Cluster, file string, object *unstructured.Unstructured) {
	t.Helper()
	client, err := admin.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := admin.RESTMapper()
	if err != nil {
		t.Fatal(err)
	}
	mapping, err := mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
	if err != nil {
		t.Fatal(err)
	}
	in := client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	if _, err := in.Get(t.Context(), object.GetName(), metav1.GetOptions{}); apierrors.IsNotFound(err) {
		t.Cleanup(func() {
			if err := in.Delete(context.Background(), object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		})
	}
	if _, err := in.Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func TestRBAC_DeployersDeployAndPlannersOnlyTry(t *testing.T) {
	admin := testCluster(t)
	shipRoles(t, admin, "dedicated-cluster", "client-a")
	planner, deployer := testCluster(t, "slipway:planners"), testCluster(t, "slipway:deployers")
	spec := testSpec(t, admin)
	spec.Quota = map[string]string{"pods": "20"}
	spec.LimitRange = &LimitRange{DefaultRequest: map[string]string{"cpu": "100m"}}
	spec.ServiceAccount = &ServiceAccount{Name: "data-collection"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	// A planner plans an environment that is not there yet, and cannot make it.
	if _, err := Preflight(ctx, planner, spec, EnsureOptions{}); err != nil {
		t.Errorf("planning a new environment: %v", err)
	}
	if _, err := Ensure(ctx, planner, spec, EnsureOptions{InstanceID: "p"}); !isA[*cluster.ForbiddenError](err) {
		t.Errorf("a planner made an environment: %v", err)
	}
	ensured, err := Ensure(ctx, deployer, spec, EnsureOptions{InstanceID: "d"})
	if err != nil {
		t.Fatalf("a deployer cannot make an environment: %v", err)
	}
	observation, err := Observe(ctx, planner, spec, "d")
	if err != nil || len(observation.Drift) > 0 {
		t.Errorf("planning an environment that is there: %+v, %v", observation, err)
	}
	plannerTriesAndWritesNothing(t, planner, spec.Handle.Namespace)

	forgotten, err := Remove(ctx, deployer, spec.Handle,
		RemoveOptions{InstanceID: "d", ClusterUID: ensured.ClusterUID, NamespaceUID: ensured.NamespaceUID})
	if err != nil || forgotten {
		t.Errorf("a deployer cannot remove an environment: %v", err)
	}
}

// On a cluster that clients share, credentials reach the namespace of their client alone.
func TestRBAC_ADeployerOfOneClientReachesNothingElse(t *testing.T) {
	admin := testCluster(t)
	spec, other := testSpec(t, admin), testSpec(t, admin)
	client := spec.Handle.Client
	shipRoles(t, admin, "client-a", client)
	planner, deployer := testCluster(t, "slipway", "slipway:planners:"+client), testCluster(t, "slipway", "slipway:deployers:"+client)
	spec.Quota = map[string]string{"pods": "20"}
	spec.ServiceAccount = &ServiceAccount{Name: "data-collection"}
	if _, err := Ensure(t.Context(), admin, other, EnsureOptions{InstanceID: "o"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	spec.Adopt = true
	adopt := EnsureOptions{InstanceID: "d"}
	if _, err := Preflight(ctx, planner, spec, adopt); err != nil {
		t.Errorf("planning the environment: %v", err)
	}
	ensured, err := Ensure(ctx, deployer, spec, adopt)
	if err != nil {
		t.Fatalf("a deployer cannot take its namespace: %v", err)
	}
	observation, err := Observe(ctx, planner, spec, "d")
	if err != nil || len(observation.Drift) > 0 {
		t.Errorf("planning an environment that is there: %+v, %v", observation, err)
	}
	plannerTriesAndWritesNothing(t, planner, spec.Handle.Namespace)

	secrets := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	for who, c := range map[string]*cluster.Cluster{"planner": planner, "deployer": deployer} {
		dynamic, err := c.Dynamic()
		if err != nil {
			t.Fatal(err)
		}
		for _, namespace := range []string{other.Handle.Namespace, "kube-system", ""} {
			_, err := dynamic.Resource(secrets).Namespace(namespace).List(ctx, metav1.ListOptions{})
			if !isA[*cluster.ForbiddenError](cluster.Classify(err)) {
				t.Errorf("a %s may read the Secrets of namespace %q: %v", who, namespace, err)
			}
		}
	}
	if _, err := Ensure(ctx, deployer, other, EnsureOptions{InstanceID: "o"}); !isA[*cluster.ForbiddenError](err) {
		t.Errorf("a deployer changed another client's environment: %v", err)
	}
	deployerKeepsWhatPodsMayDo(t, deployer, spec.Handle.Namespace)

	forgotten, err := Remove(ctx, deployer, spec.Handle,
		RemoveOptions{InstanceID: "d", ClusterUID: ensured.ClusterUID, NamespaceUID: ensured.NamespaceUID})
	if err != nil || forgotten {
		t.Errorf("a deployer cannot give its environment back: %v", err)
	}
}

// deployerKeepsWhatPodsMayDo demands that neither a token that planners could read nor a privileged pod gets into the namespace.
func deployerKeepsWhatPodsMayDo(t *testing.T, deployer *cluster.Cluster, namespace string) {
	t.Helper()
	client, err := deployer.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	token := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
		"metadata": map[string]any{"name": "token", "annotations": map[string]any{"kubernetes.io/service-account.name": "default"}},
	}}
	refusedByPolicy(t, "a token", "TokenRequest", func() error {
		_, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(namespace).
			Create(t.Context(), token, metav1.CreateOptions{})
		return err
	})
	refusedByPolicy(t, "another pod security", "pod-security.kubernetes.io/enforce", func() error {
		_, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Patch(t.Context(), namespace,
			"application/merge-patch+json", []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`),
			metav1.PatchOptions{})
		return err
	})
}

// refusedByPolicy waits until a policy refuses a write: the API server takes a moment until a new one holds everywhere.
func refusedByPolicy(t *testing.T, what, message string, write func() error) {
	t.Helper()
	for range 40 {
		err := write()
		if apierrors.IsForbidden(err) && strings.Contains(err.Error(), message) {
			return
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Errorf("%s is refused for another reason: %v", what, err)
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	t.Errorf("%s is not refused", what)
}

func plannerTriesAndWritesNothing(t *testing.T, planner *cluster.Cluster, namespace string) {
	t.Helper()
	client, err := planner.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	dry := []string{metav1.DryRunAll}
	configMaps := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(namespace)
	configMap := func(name string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": map[string]any{"a": "b"},
		}}
	}
	if _, err := configMaps.Create(t.Context(), configMap("dry-run"), metav1.CreateOptions{DryRun: dry}); err != nil {
		t.Errorf("a dry run is refused: %v", err)
	}
	refusedByPolicy(t, "a create", "dryRun=All only", func() error {
		_, err := configMaps.Create(t.Context(), configMap("written"), metav1.CreateOptions{})
		return err
	})
	if _, err := configMaps.Patch(t.Context(), "kube-root-ca.crt", "application/merge-patch+json", []byte(`{"data":{"a":"b"}}`),
		metav1.PatchOptions{DryRun: dry}); err != nil {
		t.Errorf("a dry patch is refused: %v", err)
	}
	refusedByPolicy(t, "a patch", "dryRun=All only", func() error {
		_, err := configMaps.Patch(t.Context(), "kube-root-ca.crt", "application/merge-patch+json", []byte(`{"data":{"a":"b"}}`),
			metav1.PatchOptions{})
		return err
	})

	// The way around: admission policies do not apply to admission policies.
	for _, way := range []schema.GroupVersionResource{
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
	} {
		for _, options := range []metav1.DeleteOptions{{}, {DryRun: dry}} {
			if err := client.Resource(way).Delete(t.Context(), "slipway-planner-dry-run-only",
				options); !isA[*cluster.ForbiddenError](cluster.Classify(err)) {
				t.Errorf("a planner may delete %s: %v", way.Resource, err)
			}
		}
	}
}
