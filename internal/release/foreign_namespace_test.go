// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"testing"

	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// otherClient is a namespace of another client.
func otherClient(t *testing.T) string {
	t.Helper()
	name := harness.Name("slipway-release-other")
	harness.Namespace(t, name, "client-b", "dev")
	return name
}

func (b *bench) wantNoConfigMap(namespace, name string) {
	b.t.Helper()
	if _, err := b.client.CoreV1().ConfigMaps(namespace).Get(b.t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		b.t.Errorf("ConfigMap %s is in namespace %s: %v", name, namespace, err)
	}
}

// Helm renders with the cluster's answers, and the plan without: what it renders then was shown to nobody.
func TestApply_RefusesWhatALookupPutsIntoTheNamespaceOfAnotherClient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := otherClient(t)
	_, err := b.apply(t.Context(), chartSpec(t, "looking", map[string]any{"other": other}))
	wantText(t, asError[*ownership.Error](t, err).Error(), "ConfigMap/"+other+"/intruder", `client "client-b"`)
	b.wantNoConfigMap(other, "intruder")
	b.wantNoConfigMap(b.namespace(), "own") // all or nothing
}

// Helm creates what is in crds/ as it is, in the namespace that it names, and no plan shows it.
func TestRender_RefusesObjectsOtherThanDefinitionsInCRDs(t *testing.T) {
	t.Parallel()
	const foreign = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: intruder, namespace: client-b}\n"
	spec := specOfFiles(t, map[string]string{"crds/intruder.yaml": foreign, "templates/own.yaml": ""})
	_, err := render.Chart(t.Context(), spec, render.Options{ReleaseName: "app", Namespace: "client-a", Install: true, Revision: 1})
	if err == nil {
		t.Fatal("it was rendered")
	}
	wantText(t, err.Error(), "RoleBinding/client-b/intruder", "crds/intruder.yaml", "Move the object to templates/")
}

// A stored release can be changed by anyone who may write Secrets in its namespace.
func TestRemove_RunsNoHookInTheNamespaceOfAnotherClient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := otherClient(t)
	b.mustApply(with(t))
	stored, err := b.storage().Get("app", 1)
	if err != nil {
		t.Fatal(err)
	}
	stored.Hooks = append(stored.Hooks, &helmrelease.Hook{
		Name: "intruder", Kind: "ConfigMap", Path: "app/templates/intruder.yaml", Events: []helmrelease.HookEvent{helmrelease.HookPreDelete},
		Manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: intruder\n  namespace: " + other +
			"\n  annotations: {helm.sh/hook: pre-delete}\n",
	})
	if err := b.storage().Update(stored); err != nil {
		t.Fatal(err)
	}
	_, err = b.remove(b.id)
	wantText(t, asError[*ownership.Error](t, err).Error(), "ConfigMap/"+other+"/intruder")
	b.wantNoConfigMap(other, "intruder")
}
