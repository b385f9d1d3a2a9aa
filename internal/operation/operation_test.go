// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package operation

import (
	"context"
	"errors"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness/tenant"
)

func begin(t *testing.T, options Options) *Operation {
	t.Helper()
	o, err := Begin(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Finish(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func TestOperation_RefusesWritesAfterItsTimeoutButRecordsWhatHappened(t *testing.T) {
	t.Parallel()
	made := tenant.New(t, "operation")
	c, handle := made.Cluster, made.Handle
	o := begin(t, Options{Cluster: c, Handle: handle, Subject: "release app", Timeout: time.Second})
	all := func(client interface {
		Create(context.Context, *corev1.ConfigMap, metav1.CreateOptions) (*corev1.ConfigMap, error)
	}, name string) error {
		ctx, stop := o.Afterward(0)
		defer stop()
		_, err := client.Create(ctx, configMap(name), metav1.CreateOptions{})
		return err
	}
	if err := all(o.Gated.CoreV1().ConfigMaps(handle.Namespace), "in-time"); err != nil {
		t.Fatal(err)
	}
	<-o.Context().Done()
	if !o.TimedOut() || o.Interrupted() || !errors.Is(o.Ended(), ErrDeadline) {
		t.Errorf("timed out %v, interrupted %v, ended with %v", o.TimedOut(), o.Interrupted(), o.Ended())
	}
	err := all(o.Gated.CoreV1().ConfigMaps(handle.Namespace), "late")
	if _, refused := errors.AsType[*cluster.GateError](err); !refused {
		t.Errorf("a write after the timeout: %v", err)
	}
	if err := all(o.Durable.CoreV1().ConfigMaps(handle.Namespace), "record"); err != nil {
		t.Errorf("recording after the timeout: %v", err)
	}
}

func TestOperation_DistinguishesAnInterruptFromItsDeadline(t *testing.T) {
	t.Parallel()
	made := tenant.New(t, "operation")
	c, handle := made.Cluster, made.Handle
	caller, interrupt := context.WithCancel(t.Context())
	o, err := Begin(caller, Options{Cluster: c, Handle: handle, Subject: "release app"})
	if err != nil {
		t.Fatal(err)
	}
	interrupt()
	<-o.Context().Done()
	if o.TimedOut() || !o.Interrupted() || errors.Is(o.Ended(), ErrDeadline) {
		t.Errorf("timed out %v, interrupted %v, ended with %v", o.TimedOut(), o.Interrupted(), o.Ended())
	}
	if err := o.Finish(); err != nil {
		t.Errorf("an interrupted operation gives its Lease back: %v", err)
	}
	lease, err := harness.Kubernetes(t).CoordinationV1().Leases(handle.Namespace).Get(t.Context(), cluster.LeaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" {
		t.Errorf("still held by %s", *holder)
	}
}

// foreignLease lets another run hold the Lease, and renews it until the returned function frees it.
func foreignLease(t *testing.T, namespace string) (free func()) {
	t.Helper()
	leases := harness.Kubernetes(t).CoordinationV1().Leases(namespace)
	holder, seconds := "another run", int32(30)
	now := metav1.NowMicro()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: cluster.LeaseName},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &now}}
	if _, err := leases.Create(t.Context(), lease, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return func() {
		free := []byte(`{"spec":{"holderIdentity":null,"renewTime":null}}`)
		if _, err := leases.Patch(context.WithoutCancel(t.Context()), cluster.LeaseName, "application/merge-patch+json", free,
			metav1.PatchOptions{}); err != nil {
			t.Error(err)
		}
	}
}

func TestOperation_WaitingForTheLeaseDoesNotReduceItsTime(t *testing.T) {
	t.Parallel()
	made := tenant.New(t, "operation")
	c, handle := made.Cluster, made.Handle
	free := foreignLease(t, handle.Namespace)
	const timeout = 2 * time.Second
	time.AfterFunc(2*timeout, free)
	began := time.Now()
	o := begin(t, Options{Cluster: c, Handle: handle, Subject: "release app", Timeout: timeout})
	if waited := time.Since(began); waited < timeout {
		t.Fatalf("it waited only %s for another run", waited)
	}
	deadline, ok := o.Context().Deadline()
	if left := time.Until(deadline); !ok || left < timeout/2 {
		t.Errorf("after the wait %s of %s are left", left, timeout)
	}
}

func TestOperation_ChecksThePlaceAgainAfterAWait(t *testing.T) {
	t.Parallel()
	made := tenant.New(t, "operation")
	c, handle := made.Cluster, made.Handle
	free := foreignLease(t, handle.Namespace)
	checks := 0
	check := func(ctx context.Context) (string, error) {
		checks++
		if checks > 1 {
			return "", &environment.NamespaceForeignError{Namespace: handle.Namespace}
		}
		return environment.Check(ctx, c, handle)
	}
	_, err := Begin(t.Context(), Options{Cluster: c, Handle: handle, Subject: "release app", Check: check, Progress: func(string) { free() }})
	if _, foreign := errors.AsType[*environment.NamespaceForeignError](err); !foreign || checks != 2 {
		t.Fatalf("after %d checks: %v", checks, err)
	}
	lease, err := harness.Kubernetes(t).CoordinationV1().Leases(handle.Namespace).Get(t.Context(), cluster.LeaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" {
		t.Errorf("the Lease is still held by %s", *holder)
	}
}

func TestOperation_OneSubjectAtATimeInAProcess(t *testing.T) {
	t.Parallel()
	made := tenant.New(t, "operation")
	c, handle := made.Cluster, made.Handle
	first, err := Begin(t.Context(), Options{Cluster: c, Handle: handle, Subject: "canary app"})
	if err != nil {
		t.Fatal(err)
	}
	begin(t, Options{Cluster: c, Handle: handle, Subject: "canary other"})

	impatient, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	_, err = Begin(impatient, Options{Cluster: c, Handle: handle, Subject: "canary app"})
	if interrupted, ok := errors.AsType[*InterruptedError](err); !ok || interrupted.During != "waiting for another operation on canary app" {
		t.Errorf("got %v", err)
	}
	if err := first.Finish(); err != nil {
		t.Fatal(err)
	}
	begin(t, Options{Cluster: c, Handle: handle, Subject: "canary app"})
}

func TestOperation_RefusesAnotherClusterAndAnotherClientsNamespace(t *testing.T) {
	t.Parallel()
	made := tenant.New(t, "operation")
	c, handle := made.Cluster, made.Handle
	_, err := Begin(t.Context(), Options{Cluster: c, Handle: handle, Subject: "release app", ClusterUID: "another"})
	if _, mismatch := errors.AsType[*cluster.MismatchError](err); !mismatch {
		t.Errorf("another cluster: %v", err)
	}
	other := handle
	other.Client = "client-x"
	_, err = Begin(t.Context(), Options{Cluster: c, Handle: other, Subject: "release app"})
	if _, foreign := errors.AsType[*environment.NamespaceForeignError](err); !foreign {
		t.Errorf("another client's namespace: %v", err)
	}
	gone := handle
	gone.Namespace += "-gone"
	_, err = Begin(t.Context(), Options{Cluster: c, Handle: gone, Subject: "release app"})
	if _, missing := errors.AsType[*environment.NamespaceMissingError](err); !missing {
		t.Errorf("a namespace that is gone: %v", err)
	}
	o := begin(t, Options{Cluster: c, Handle: gone, Subject: "release app", MayBeGone: true})
	if !o.Gone || o.Holder() != "" || o.Ended() != nil {
		t.Errorf("gone %v, holder %q, ended %v", o.Gone, o.Holder(), o.Ended())
	}
}

func TestOperation_RenewGivesTimeAfterTheDeadline(t *testing.T) {
	t.Parallel()
	made := tenant.New(t, "operation")
	c, handle := made.Cluster, made.Handle
	o := begin(t, Options{Cluster: c, Handle: handle, Subject: "release app", Timeout: time.Millisecond})
	<-o.Context().Done()
	if err := o.Renew(0); err != nil {
		t.Fatal(err)
	}
	if _, limited := o.Context().Deadline(); limited || o.TimedOut() || o.Ended() != nil {
		t.Errorf("limited %v, timed out %v, ended %v", limited, o.TimedOut(), o.Ended())
	}
	if _, err := o.Gated.CoreV1().ConfigMaps(handle.Namespace).Create(o.Context(), configMap("renewed"), metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}
