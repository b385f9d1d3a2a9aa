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

// shipRoles applies examples/rbac. What was not there before goes after the test.
func shipRoles(t *testing.T, admin *cluster.Cluster) {
	t.Helper()
	files, err := filepath.Glob("../../../examples/rbac/*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("found %v, %v", files, err)
	}
	client, err := admin.Dynamic()
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := admin.RESTMapper()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			mapping, err := mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
			if err != nil {
				t.Fatal(err)
			}
			in := client.Resource(mapping.Resource)
			if _, err := in.Get(t.Context(), object.GetName(), metav1.GetOptions{}); apierrors.IsNotFound(err) {
				t.Cleanup(func() {
					if err := in.Delete(context.Background(), object.GetName(), metav1.DeleteOptions{}); err != nil {
						t.Error(err)
					}
				})
			}
			if _, err := in.Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
	}
}

func TestRBAC_DeployersDeployAndPlannersOnlyTry(t *testing.T) {
	admin := testCluster(t)
	shipRoles(t, admin)
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
	// The API server takes a moment until a new policy holds everywhere; until then the write must not be believed.
	refused := func(name string, write func() error) {
		t.Helper()
		for range 40 {
			err := write()
			if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "dryRun=All only") {
				return
			}
			if err != nil && !apierrors.IsAlreadyExists(err) {
				t.Errorf("%s is refused for another reason: %v", name, err)
				return
			}
			time.Sleep(250 * time.Millisecond)
		}
		t.Errorf("%s is not refused", name)
	}
	refused("a create", func() error {
		_, err := configMaps.Create(t.Context(), configMap("written"), metav1.CreateOptions{})
		return err
	})
	if _, err := configMaps.Patch(t.Context(), "kube-root-ca.crt", "application/merge-patch+json", []byte(`{"data":{"a":"b"}}`),
		metav1.PatchOptions{DryRun: dry}); err != nil {
		t.Errorf("a dry patch is refused: %v", err)
	}
	refused("a patch", func() error {
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
