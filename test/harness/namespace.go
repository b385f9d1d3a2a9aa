// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The labels by which a namespace belongs to a client and a stage. They are spelled out, not taken from the code under test: clusters
// hold them, so a test has to fail when the code changes them.
const (
	labelClient = "slipway.dev/client"
	labelStage  = "slipway.dev/stage"
)

// Namespace creates a namespace that belongs to a client and a stage, and removes it after the test.
func Namespace(t testing.TB, name, client, stage string) {
	t.Helper()
	namespace := &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{labelClient: client, labelStage: stage}},
	}
	if _, err := Kubernetes(t).CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	RemoveNamespace(t, name)
}

// RemoveNamespace removes a namespace after the test, if it exists then. It does not wait until the namespace is gone.
func RemoveNamespace(t testing.TB, name string) {
	t.Helper()
	client := Kubernetes(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		now := int64(0)
		err := client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("removing the test's namespace: %v", err)
		}
	})
}
