// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// reading is a chart whose ConfigMap own contains what lookup answers.
func reading(t *testing.T, arguments string, allowed ...string) Spec {
	t.Helper()
	spec := specOfFiles(t, map[string]string{"templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: own\ndata:\n" +
		"  found: {{ lookup " + arguments + " | toJson | quote }}\n"})
	spec.LookupNamespaces = allowed
	return spec
}

func (b *bench) secretIn(namespace string) {
	b.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db"}, StringData: map[string]string{"password": "theirs"}}
	if _, err := b.client.CoreV1().Secrets(namespace).Create(b.t.Context(), secret, metav1.CreateOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// What a template reads becomes part of the release, so that another client's Secret would be in a ConfigMap of this one.
func TestApply_RefusesLookupsOutsideOfTheNamespace(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other, nobodys := otherClient(t), b.elsewhere(nil)
	b.secretIn(other)
	b.secretIn(nobodys)
	for name, arguments := range map[string]string{
		"of another client":        `"v1" "Secret" "` + other + `" "db"`,
		"of nobody":                `"v1" "Secret" "` + nobodys + `" "db"`,
		"a list of another client": `"v1" "Secret" "` + other + `" ""`,
		"of all namespaces":        `"v1" "Secret" "" ""`,
		"of a group":               `"apps/v1" "Deployment" "" ""`,
	} {
		_, err := b.apply(t.Context(), reading(t, arguments))
		text := asError[*helmkube.LookupError](t, err).Error()
		wantText(t, text, "a template of its chart reads", "in namespace "+b.namespace()+" only")
		if name == "of nobody" {
			wantText(t, text, "reads secrets in namespace "+nobodys, `lookup_namespaces = ["`+nobodys+`"]`)
		}
		b.wantNoConfigMap(b.namespace(), "own")
	}
	// Nobody can allow what belongs to another client.
	_, err := b.apply(t.Context(), reading(t, `"v1" "Secret" "`+other+`" "db"`, other))
	wantText(t, asError[*ownership.Error](t, err).Error(), "reads secrets in namespace "+other, `client "client-b"`)
	b.wantNoConfigMap(b.namespace(), "own")
}

func TestApply_AnswersLookupsThatAreAllowed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	nobodys := b.elsewhere(nil)
	b.secretIn(nobodys)
	b.secretIn(b.namespace())
	for _, test := range []struct{ arguments, allowed, want string }{
		{`"v1" "Secret" .Release.Namespace "db"`, "", "password"},
		{`"v1" "Secret" .Release.Namespace ""`, "", "password"},
		{`"v1" "Namespace" "" "kube-system"`, "", "kube-system"},
		{`"v1" "Namespace" "" ""`, "", "kube-system"},
		{`"v1" "Secret" "` + nobodys + `" "db"`, nobodys, "password"},
		{`"v1" "Secret" "` + nobodys + `" "none"`, nobodys, "{}"},
	} {
		b.mustApply(reading(t, test.arguments, test.allowed))
		found, err := b.client.CoreV1().ConfigMaps(b.namespace()).Get(t.Context(), "own", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, found.Data["found"], test.want)
	}
}
