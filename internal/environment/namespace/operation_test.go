// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

func TestEnsure_RefusesASecondCreateOfOneRun(t *testing.T) {
	t.Parallel()
	c := testCluster(t)
	spec := testSpec(t, c)
	if _, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one"}); err != nil {
		t.Fatal(err)
	}
	thisRun := func(id string) bool { return id == "one" || id == "two" }
	_, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "two", MadeInThisRun: thisRun})
	if err == nil || !strings.Contains(err.Error(), "Two resources of this configuration") {
		t.Errorf("a second create of this run: %v", err)
	}
	observed, err := Observe(t.Context(), c, spec, "one")
	if err != nil || observed.InstanceID != "one" {
		t.Errorf("it belongs to %+v, %v", observed, err)
	}
	// What an earlier run left is taken over; then the earlier owner is refused.
	if _, err := Ensure(t.Context(), c, spec,
		EnsureOptions{InstanceID: "two", MadeInThisRun: func(id string) bool { return id == "two" }}); err != nil {
		t.Errorf("a create after one of another run: %v", err)
	}
	_, err = Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one", Update: true})
	if err == nil || !strings.Contains(err.Error(), "has another owner now") {
		t.Errorf("an update of the earlier owner: %v", err)
	}
}

func TestOperation_WaitingForTheLeaseDoesNotReduceItsTime(t *testing.T) {
	t.Parallel()
	c := testCluster(t)
	spec := testSpec(t, c)
	ensured, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one"})
	if err != nil {
		t.Fatal(err)
	}
	const quick, slow = 12 * time.Second, 25 * time.Second
	harness.LeaseCostsNoTime(t, spec.Handle.Namespace, quick, "Ensure", func() error {
		_, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one", Update: true, Timeout: quick})
		return err
	})
	harness.LeaseCostsNoTime(t, spec.Handle.Namespace, slow, "Remove", func() error {
		_, err := Remove(t.Context(), c, spec.Handle, RemoveOptions{InstanceID: "one", NamespaceUID: ensured.NamespaceUID, Timeout: slow})
		return err
	})
}

func TestRemove_DistinguishesADeadlineFromAnInterrupt(t *testing.T) {
	t.Parallel()
	c := testCluster(t)
	spec := testSpec(t, c)
	if _, err := Ensure(t.Context(), c, spec, EnsureOptions{InstanceID: "one"}); err != nil {
		t.Fatal(err)
	}
	maps := harness.Kubernetes(t).CoreV1().ConfigMaps(spec.Handle.Namespace)
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept", Finalizers: []string{"test.slipway.dev/kept"}}}
	if _, err := maps.Create(t.Context(), kept, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		free := []byte(`{"metadata":{"finalizers":null}}`)
		if _, err := maps.Patch(context.Background(), "kept", types.MergePatchType, free, metav1.PatchOptions{}); err != nil {
			t.Error(err)
		}
	})
	for _, state := range []string{"deleted by this run", "deleted already"} {
		_, err := Remove(t.Context(), c, spec.Handle, RemoveOptions{InstanceID: "one", Timeout: 3 * time.Second})
		if !isA[*environment.NamespaceTerminatingError](err) || !errors.Is(err, operation.ErrDeadline) {
			t.Errorf("%s: at the deadline: %v", state, err)
		}
	}
	interrupted, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := Remove(interrupted, c, spec.Handle, RemoveOptions{InstanceID: "one"})
	if !isA[*environment.NamespaceTerminatingError](err) || errors.Is(err, operation.ErrDeadline) {
		t.Errorf("after an interrupt: %v", err)
	}
}
