// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package traffictest is what the tests of routes, canaries and blue-green switches have in common: a namespace on the test
// cluster in which the kinds of Istio and of the Gateway API are known, and the objects that others write into it.
package traffictest

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness/tenant"
)

// Bench is an environment's namespace on the test cluster.
type Bench struct {
	*testing.T
	*tenant.Tenant
	Dynamic dynamic.Interface
}

// New makes a namespace that is removed after the test. It skips the test where there is no cluster.
func New(t *testing.T) *Bench {
	t.Helper()
	b := &Bench{T: t, Tenant: tenant.New(t, "traffic")}
	var err error
	if b.Dynamic, err = b.Cluster.Dynamic(); err != nil {
		t.Fatal(err)
	}
	installKinds(b)
	return b
}

func (b *Bench) mapping(kind schema.GroupKind) (*meta.RESTMapping, error) {
	mapper, err := b.Cluster.RESTMapper()
	if err != nil {
		return nil, err
	}
	return mapper.RESTMapping(kind, "v1", "v1beta1")
}

// Resource is a client for the objects of a kind in the namespace.
func (b *Bench) Resource(kind schema.GroupKind) dynamic.ResourceInterface {
	b.Helper()
	found, err := b.mapping(kind)
	if err != nil {
		b.Fatal(err)
	}
	return b.Dynamic.Resource(found.Resource).Namespace(b.Handle.Namespace)
}

// Put makes an object of another owner.
func (b *Bench) Put(kind schema.GroupKind, object *unstructured.Unstructured) *unstructured.Unstructured {
	b.Helper()
	object.SetNamespace(b.Handle.Namespace)
	object.SetUID("")
	object.SetResourceVersion("")
	made, err := b.Resource(kind).Create(b.Context(), object, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		b.Fatal(err)
	}
	return made
}

// Edit changes an object as another user does, by a merge patch.
func (b *Bench) Edit(kind schema.GroupKind, name, merge string, subresources ...string) {
	b.Helper()
	options := metav1.PatchOptions{FieldManager: "somebody"}
	if _, err := b.Resource(kind).Patch(b.Context(), name, types.MergePatchType, []byte(merge), options, subresources...); err != nil {
		b.Fatal(err)
	}
}

// Live reads an object, nil where it does not exist.
func (b *Bench) Live(kind schema.GroupKind, name string) *unstructured.Unstructured {
	b.Helper()
	live, err := b.Resource(kind).Get(b.Context(), name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return nil
	}
	if err != nil {
		b.Fatal(err)
	}
	return live
}

// OurWrites is what a write of Slipway leaves on an object. It leaves out what istiod does, which reports on the object's status
// at any time.
func OurWrites(live *unstructured.Unstructured) []any {
	out := []any{live.GetGeneration(), live.GetLabels(), live.GetAnnotations()}
	for _, fields := range live.GetManagedFields() {
		if fields.Manager == cluster.FieldManager && fields.Subresource == "" {
			out = append(out, fields)
		}
	}
	return out
}

// WantError demands an error of a type whose text has all the parts.
func WantError[E error](t testing.TB, err error, parts ...string) {
	t.Helper()
	var typed E
	if !errors.As(err, &typed) {
		t.Fatalf("got %T: %v, want %T", err, err, typed)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

// WantExplained demands an explained error whose text has all the parts.
func WantExplained(t testing.TB, err error, parts ...string) {
	t.Helper()
	WantError[explain.Explainer](t, err, parts...)
}

// WantSame demands that two JSON values are equal.
func WantSame(t testing.TB, want, got any) {
	t.Helper()
	one, err := object.Canonical(want)
	if err != nil {
		t.Fatal(err)
	}
	other, err := object.Canonical(got)
	if err != nil {
		t.Fatal(err)
	}
	if one != other {
		t.Errorf("got\n%s\nwant\n%s", other, one)
	}
}
