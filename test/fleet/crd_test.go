// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/slipway-dev/terraform-provider-slipway/internal/gitops"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// TestApplicationSets_AreAcceptedByTheirCRD creates the sets on a cluster that has Argo CD's CRD and refuses unknown fields.
func TestApplicationSets_AreAcceptedByTheirCRD(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	client, err := dynamic.NewForConfig(harness.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	installCRD(ctx, t, client)

	namespace := harness.Name("argocd")
	harness.Namespace(t, namespace, "client-a", "dev")
	_, f := repository(t)
	f.GitOps.Namespace, f.GitOps.Automated = namespace, true
	text, err := gitops.ApplicationSets(f)
	if err != nil {
		t.Fatal(err)
	}
	sets := client.Resource(schema.GroupVersionResource{
		Group: "argoproj.io", Version: "v1alpha1", Resource: "applicationsets",
	}).Namespace(namespace)
	create := func(set *unstructured.Unstructured) error {
		_, err := sets.Create(ctx, set, metav1.CreateOptions{FieldValidation: "Strict", DryRun: []string{metav1.DryRunAll}})
		return err
	}
	documents := bytes.Split(text, []byte("\n---\n"))[1:]
	if len(documents) != 3 {
		t.Fatalf("%d documents", len(documents))
	}
	for _, document := range documents {
		set := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &set.Object); err != nil {
			t.Fatal(err)
		}
		var err error
		for range 40 { // the API server serves a new kind a moment later
			if err = create(set); !apierrors.IsNotFound(err) {
				break
			}
			time.Sleep(500 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("%s: %v", set.GetName(), err)
		}
		// The check can fail: a misspelled field is refused.
		if err := unstructured.SetNestedField(set.Object, "create-update", "spec", "syncPolicy", "applicationSync"); err != nil {
			t.Fatal(err)
		}
		if err := create(set); err == nil || !strings.Contains(err.Error(), "applicationSync") {
			t.Errorf("a misspelled field was taken: %v", err)
		}
	}
}

// installCRD installs Argo CD's own CRD, unless the cluster has it.
func installCRD(ctx context.Context, t *testing.T, client dynamic.Interface) {
	t.Helper()
	download := exec.CommandContext(ctx, "go", "mod", "download", "github.com/argoproj/argo-cd/v3")
	download.Dir = filepath.Join(root, "tools/argocd")
	if text, err := download.CombinedOutput(); err != nil {
		t.Fatalf("fetching Argo CD's module: %v\n%s", err, text)
	}
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-cd/v3")
	list.Dir = filepath.Join(root, "tools/argocd")
	folder, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(folder)), "manifests/crds/applicationset-crd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(content, &definition.Object); err != nil {
		t.Fatal(err)
	}
	crds := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := crds.Create(ctx, definition, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := crds.Delete(context.WithoutCancel(ctx), definition.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}
