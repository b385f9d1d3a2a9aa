// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// RemoveOptions steer Remove.
type RemoveOptions struct {
	InstanceID   string
	ClusterUID   string
	NamespaceUID string
	// Protected refuses with a *ProtectedError what would really be removed; forgetting is always allowed.
	Protected bool
	Progress  func(string)
}

// Managed reports whether the live namespace is still the one that the instance manages: it exists and carries its id, or
// none at all. Errors as from cluster.Classify.
func Managed(ctx context.Context, c *cluster.Cluster, h environment.Handle, instanceID, namespaceUID string) (bool, error) {
	client, err := c.Dynamic()
	if err != nil {
		return false, err
	}
	namespace, err := getNamespace(ctx, c, client, h)
	if _, missing := errors.AsType[*environment.NamespaceMissingError](err); missing {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return managed(h, namespace, instanceID, namespaceUID), nil
}

func managed(h environment.Handle, namespace *unstructured.Unstructured, instanceID, namespaceUID string) bool {
	if namespaceUID != "" && string(namespace.GetUID()) != namespaceUID {
		return false
	}
	live := namespace.GetAnnotations()[environment.AnnotationInstance]
	return (live == "" || live == instanceID) && checkAnchor(h, namespace, instanceID) == nil
}

// Remove takes an environment away. A namespace that Slipway made is deleted, when nothing is left in it that somebody
// would miss, and Remove returns when it is gone. An adopted one loses our objects, labels and annotations and stays. A
// namespace that is gone is no error; one that another instance manages by now is left alone (forgotten). Errors:
// *ProtectedError, *RemainingError, *environment.NamespaceTerminatingError (it does not go before ctx ends), those of package cluster.
func Remove(ctx context.Context, c *cluster.Cluster, h environment.Handle, options RemoveOptions) (forgotten bool, err error) {
	if err := c.RequireUID(ctx, options.ClusterUID); err != nil {
		return false, err
	}
	client, err := c.Dynamic()
	if err != nil {
		return false, err
	}
	namespace, err := getNamespace(ctx, c, client, h)
	if _, missing := errors.AsType[*environment.NamespaceMissingError](err); missing {
		return false, nil
	}
	switch {
	case err != nil:
		return false, err
	case !managed(h, namespace, options.InstanceID, options.NamespaceUID):
		return true, nil
	case options.Protected:
		return false, &ProtectedError{Namespace: h.Namespace}
	case namespace.GetDeletionTimestamp() != nil:
		return false, waitGone(ctx, c, client, h, options.Progress)
	}
	lease, err := c.Hold(ctx, h.Namespace, func(holder string) {
		tell(options.Progress, "waiting for %s, which is changing namespace %s", holder, h.Namespace)
	})
	if err != nil {
		return false, err
	}
	if namespace.GetAnnotations()[annotationOrigin] == originCreated {
		err = deleteNamespace(ctx, c, lease, h, namespace, options.Progress)
	} else {
		err = letGo(ctx, c, lease, h)
	}
	release(ctx, lease, options.Progress)
	if err != nil {
		return false, err
	}
	if namespace.GetAnnotations()[annotationOrigin] != originCreated {
		return false, removeLease(ctx, c, client, h)
	}
	return false, nil
}

func deleteNamespace(
	ctx context.Context, c *cluster.Cluster, lease *cluster.Lease, h environment.Handle,
	namespace *unstructured.Unstructured, progress func(string),
) error {
	client, err := gated(ctx, c, lease)
	if err != nil {
		return err
	}
	remaining, err := inhabitants(ctx, c, client, h.Namespace)
	if err != nil {
		return err
	}
	if len(remaining) > 0 {
		return &RemainingError{Namespace: h.Namespace, Remaining: remaining}
	}
	uid := namespace.GetUID()
	err = client.Resource(namespaces).Delete(ctx, h.Namespace, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !cluster.IsNotFound(err) {
		return c.Classify(fmt.Errorf("deleting namespace %s: %w", h.Namespace, err))
	}
	return waitGone(ctx, c, client, h, progress)
}

func waitGone(ctx context.Context, c *cluster.Cluster, client dynamic.Interface, h environment.Handle, progress func(string)) error {
	last := &environment.NamespaceTerminatingError{Namespace: h.Namespace}
	for told := time.Now(); ; {
		namespace, err := getNamespace(ctx, c, client, h)
		if _, missing := errors.AsType[*environment.NamespaceMissingError](err); missing {
			return nil
		}
		switch {
		case err == nil:
			last.Remaining = remainingOf(namespace)
		case ctx.Err() == nil:
			return err
		}
		if time.Since(told) >= 10*time.Second {
			told = time.Now()
			tell(progress, "waiting until namespace %s is gone: %s", h.Namespace, strings.Join(last.Remaining, "; "))
		}
		select {
		case <-ctx.Done():
			last.Cause = ctx.Err()
			return last
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// remainingOf is what the cluster says of a namespace that does not go.
func remainingOf(namespace *unstructured.Unstructured) []string {
	conditions, _, err := unstructured.NestedSlice(namespace.Object, "status", "conditions")
	if err != nil {
		return nil
	}
	var remaining []string
	for _, entry := range conditions {
		condition, ok := entry.(map[string]any)
		if !ok || condition["status"] != "True" {
			continue
		}
		if message, ok := condition["message"].(string); ok && message != "" {
			remaining = append(remaining, message)
		}
	}
	slices.Sort(remaining)
	return remaining
}

// letGo takes our objects and marks out of a namespace that stays.
func letGo(ctx context.Context, c *cluster.Cluster, lease *cluster.Lease, h environment.Handle) error {
	client, err := gated(ctx, c, lease)
	if err != nil {
		return err
	}
	if err := removeObjects(ctx, c, client, h, func(*unstructured.Unstructured) bool { return false }); err != nil {
		return err
	}
	return apply(ctx, c, client.Resource(namespaces), newObject(namespaces, h.Namespace, nil, nil, nil))
}

var leases = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}

// removeLease is the last thing to go from an adopted namespace.
func removeLease(ctx context.Context, c *cluster.Cluster, client dynamic.Interface, h environment.Handle) error {
	err := client.Resource(leases).Namespace(h.Namespace).Delete(ctx, cluster.LeaseName, metav1.DeleteOptions{})
	if err != nil && !cluster.IsNotFound(err) {
		return c.Classify(fmt.Errorf("deleting the Lease %s/%s: %w", h.Namespace, cluster.LeaseName, err))
	}
	return nil
}
