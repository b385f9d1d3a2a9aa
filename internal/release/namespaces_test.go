// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// elsewhere makes a namespace with labels, for objects that a chart puts outside of the release's own.
func (b *bench) elsewhere(labels map[string]string) string {
	b.t.Helper()
	namespace, err := b.client.CoreV1().Namespaces().Create(b.t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "slipway-elsewhere-", Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		err := b.client.CoreV1().Namespaces().Delete(context.Background(), namespace.Name, metav1.DeleteOptions{})
		if err != nil && !cluster.IsNotFound(err) {
			b.t.Error(err)
		}
	})
	return namespace.Name
}

func TestRelease_PutsNothingIntoTheNamespaceOfAnotherClient(t *testing.T) {
	b := newBench(t)
	for name, labels := range map[string]map[string]string{
		"another client": {environment.LabelClient: "somebody-else", environment.LabelStage: testStage},
		"another stage":  {environment.LabelClient: testClient, environment.LabelStage: "other"},
	} {
		t.Run(name, func(t *testing.T) {
			theirs := b.elsewhere(labels)
			for _, hook := range []string{"", "\n  annotations: {helm.sh/hook: pre-install}"} {
				spec := specOfFiles(t, map[string]string{"templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: stray\n" +
					"  namespace: " + theirs + hook + "\n"})
				next := rendered(t, spec, b.options(true, 1))
				_, planned := dryrun.Run(t.Context(), b.target, nil, next, dryrun.Options{})
				_, applied := b.apply(t.Context(), spec)
				for _, err := range []error{planned, applied} {
					var ownership *ownership.Error
					if !errors.As(err, &ownership) {
						t.Fatalf("got %v", err)
					}
					wantText(t, err.Error(), "stray", theirs, labels[environment.LabelClient], labels[environment.LabelStage])
				}
			}
			_, err := b.client.CoreV1().ConfigMaps(theirs).Get(t.Context(), "stray", metav1.GetOptions{})
			if !cluster.IsNotFound(err) {
				t.Errorf("the other namespace has it: %v", err)
			}
			secrets, err := b.client.CoreV1().Secrets(b.namespace()).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
			if err != nil || len(secrets.Items) != 0 {
				t.Errorf("a revision was made: %v", err)
			}
		})
	}
}

func TestRelease_MayPutObjectsIntoNamespacesOfNobodyAndOfItsOwnClient(t *testing.T) {
	b := newBench(t)
	places := []string{b.elsewhere(nil), b.elsewhere(map[string]string{environment.LabelClient: testClient,
		environment.LabelStage: testStage})}
	var template strings.Builder
	for _, place := range places {
		template.WriteString("---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: guest\n  namespace: " + place + "\n")
	}
	b.mustApply(specOfFiles(t, map[string]string{"templates/config.yaml": template.String()}))
	for _, place := range places {
		if _, err := b.client.CoreV1().ConfigMaps(place).Get(t.Context(), "guest", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
}
