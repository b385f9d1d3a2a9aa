// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"context"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// leaseName is spelled out: clusters hold it, so a test has to fail when the code changes it.
const leaseName = "slipway"

// HoldLease lets another run of Terraform hold the Lease of a namespace for a while, less than the 30 s after which it would count as
// dead, and frees the Lease then.
func HoldLease(t testing.TB, namespace string, while time.Duration) {
	t.Helper()
	leases := Kubernetes(t).CoordinationV1().Leases(namespace)
	now := metav1.NowMicro()
	spec := coordinationv1.LeaseSpec{HolderIdentity: new("another run"), LeaseDurationSeconds: new(int32(30)), RenewTime: &now}
	found, err := leases.Get(t.Context(), leaseName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: leaseName}, Spec: spec}
		_, err = leases.Create(t.Context(), lease, metav1.CreateOptions{})
	case err == nil:
		found.Spec = spec
		_, err = leases.Update(t.Context(), found, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	freed := make(chan error, 1)
	time.AfterFunc(while, func() {
		free := []byte(`{"spec":{"holderIdentity":null,"renewTime":null}}`)
		_, err := leases.Patch(context.Background(), leaseName, types.MergePatchType, free, metav1.PatchOptions{})
		freed <- err
	})
	t.Cleanup(func() {
		if err := <-freed; err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("freeing the Lease of the other run: %v", err)
		}
	})
}

// LeaseCostsNoTime lets another run hold the Lease of a namespace for longer than an operation's timeout, and demands that the operation
// waits for it and has its whole time afterwards. operation names it in the messages of the test.
func LeaseCostsNoTime(t testing.TB, namespace string, timeout time.Duration, operation string, run func() error) {
	t.Helper()
	HoldLease(t, namespace, timeout+2*time.Second)
	began := time.Now()
	if err := run(); err != nil {
		t.Errorf("%s: %v", operation, err)
	}
	if waited := time.Since(began); waited < timeout {
		t.Errorf("%s did not wait for the other run: it ended after %s", operation, waited)
	}
}
