// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package ownership

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

func TestOwnerOf_NamesWhoHasARunningObject(t *testing.T) {
	release := Release{Handle: environment.Handle{Client: "client-a", Stage: "prod", Namespace: "shop"}, Name: "web"}
	yes := true
	by := func(managers ...string) []metav1.ManagedFieldsEntry {
		var out []metav1.ManagedFieldsEntry
		for _, m := range managers {
			out = append(out, metav1.ManagedFieldsEntry{Manager: m})
		}
		return out
	}
	helm := map[string]string{"app.kubernetes.io/managed-by": "Helm"}
	of := func(name, namespace string) map[string]string {
		return map[string]string{"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}
	}
	none, all := Taking{}, Taking{Allowed: true}
	tests := map[string]struct {
		live  metav1.ObjectMeta
		owner string
		// refused is a part of the refusal with that Taking, empty where it is taken over.
		taking  Taking
		refused string
	}{
		"this release": {metav1.ObjectMeta{Labels: helm, Annotations: of("web", "shop")}, "Helm release web", none, ""},
		"another release": {metav1.ObjectMeta{Labels: helm, Annotations: of("old", "shop")}, "Helm release old in namespace shop", all,
			`take_ownership_from = ["old"]`},
		"another release that is named": {metav1.ObjectMeta{Labels: helm, Annotations: of("old", "shop")}, "Helm release old in namespace shop",
			Taking{Allowed: true, From: []string{"old"}}, ""},
		"a release of another namespace": {
			metav1.ObjectMeta{Labels: helm, Annotations: of("old", "other")},
			"Helm release old in namespace other",
			Taking{Allowed: true, From: []string{"old"}},
			"another namespace are not taken over",
		},
		"kubectl, not asked for": {metav1.ObjectMeta{ManagedFields: by("kubectl-client-side-apply", "kube-controller-manager")}, "kubectl", none,
			"Set take_ownership = true"},
		"kubectl": {metav1.ObjectMeta{ManagedFields: by("kubectl-create")}, "kubectl", all, ""},
		"kubectl with the labels of a chart": {metav1.ObjectMeta{ManagedFields: by("kubectl-client-side-apply"), Labels: map[string]string{
			"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "web"}}, "kubectl", all, ""},
		"Argo CD by annotation": {metav1.ObjectMeta{Annotations: map[string]string{
			"argocd.argoproj.io/tracking-id": "shop-web:apps/Deployment:shop/web"}}, "Argo CD, Application shop-web", all, ""},
		"Argo CD by label": {metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/instance": "shop-web"},
			ManagedFields: by("argocd-controller")}, "Argo CD, Application shop-web", all, ""},
		"Argo CD with a chart": {metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm",
			"app.kubernetes.io/instance": "shop-web"}}, "Argo CD, Application shop-web", all, ""},
		"Flux": {metav1.ObjectMeta{Labels: map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux, apps", all, ""},
		"an operator": {metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Postgres", Name: "db", Controller: &yes}}},
			"Postgres/db", all, "made by Postgres/db"},
		"the environment": {metav1.ObjectMeta{Labels: map[string]string{"slipway.dev/client": "client-a"}}, "another resource of Slipway", all,
			"another resource of Slipway"},
		"another program": {metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/managed-by": "pulumi"}}, "pulumi", all, ""},
		"a manager":       {metav1.ObjectMeta{ManagedFields: by("kube-controller-manager", "deploy.sh")}, "deploy.sh", none, "made by deploy.sh"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			owner := release.OwnerOf(&test.live)
			if owner.String() != test.owner {
				t.Errorf("it belongs to %q, want %q", owner, test.owner)
			}
			reason, cure := test.taking.Refusal(release, owner)
			if text := reason + " " + cure; (reason == "") != (test.refused == "") || !strings.Contains(text, test.refused) {
				t.Errorf("refused with %q, want %q", text, test.refused)
			}
		})
	}
}
