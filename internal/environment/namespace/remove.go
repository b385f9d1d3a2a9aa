// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
)

// RemoveOptions steer Remove.
type RemoveOptions struct {
	InstanceID   string
	ClusterUID   string
	NamespaceUID string
	// Protected refuses with a *ProtectedError what would really be removed; forgetting is always allowed.
	Protected bool
	// Timeout limits the removal, without the wait for other runs. Default: that of package operation.
	Timeout  time.Duration
	Progress func(string)
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

// Remove removes an environment. A namespace that Slipway made is deleted if nothing is left in it that a user would miss, and Remove
// returns when it is gone. An adopted one loses our objects, labels and annotations and stays. A namespace that is gone is no error; one
// that has another owner now is left alone (forgotten). A namespace that is not empty is refused. Errors: *ProtectedError,
// *environment.NamespaceTerminatingError (it is not gone in time), those of package operation.
func Remove(ctx context.Context, c *cluster.Cluster, h environment.Handle, options RemoveOptions) (forgotten bool, err error) {
	r := &removal{cluster: c, handle: h, options: options}
	if err := c.RequireUID(ctx, options.ClusterUID); err != nil {
		return false, err
	}
	reads, err := c.Dynamic()
	if err != nil {
		return false, err
	}
	namespace, forgotten, err := r.find(ctx, reads)
	switch {
	case namespace == nil:
		return forgotten, err
	case options.Protected:
		return false, &ProtectedError{Namespace: h.Namespace}
	case namespace.GetDeletionTimestamp() != nil:
		limited, stop := context.WithTimeoutCause(ctx, cmp.Or(max(options.Timeout, 0), operation.DefaultTimeout), operation.ErrDeadline)
		defer stop()
		return false, r.waitGone(limited, reads)
	}
	return r.run(ctx)
}

// removal is one Remove while it runs.
type removal struct {
	cluster *cluster.Cluster
	handle  environment.Handle
	options RemoveOptions
}

// find reads the namespace. It is nil where there is nothing to remove, or where it has another owner now (forgotten).
func (r *removal) find(ctx context.Context, client dynamic.Interface) (_ *unstructured.Unstructured, forgotten bool, err error) {
	namespace, err := getNamespace(ctx, r.cluster, client, r.handle)
	if _, missing := errors.AsType[*environment.NamespaceMissingError](err); missing {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if !managed(r.handle, namespace, r.options.InstanceID, r.options.NamespaceUID) {
		return nil, true, nil
	}
	return namespace, false, nil
}

// run removes the environment under the Lease.
func (r *removal) run(ctx context.Context) (forgotten bool, err error) {
	c, h := r.cluster, r.handle
	op, err := operation.Begin(ctx, operation.Options{
		Cluster: c, Handle: h, ClusterUID: r.options.ClusterUID, Subject: "environment " + h.Name(),
		Timeout: r.options.Timeout, Progress: r.options.Progress, MayBeGone: true,
		// Whose it is decides find, under the Lease: one that lost its labels is still removed.
		Check: func(ctx context.Context) (string, error) {
			reads, err := c.Dynamic()
			if err != nil {
				return "", err
			}
			namespace, err := getNamespace(ctx, c, reads, h)
			if err != nil {
				return "", err
			}
			return string(namespace.GetUID()), nil
		},
	})
	if err != nil {
		return false, err
	}
	adopted, forgotten, err := r.remove(op)
	finish(op)
	if err != nil || !adopted {
		return forgotten, err
	}
	after, stop := op.Afterward(0)
	defer stop()
	return false, removeLease(after, c, h)
}

// remove deletes the namespace, or strips an adopted one.
func (r *removal) remove(op *operation.Operation) (adopted, forgotten bool, err error) {
	if op.Gone {
		return false, false, nil
	}
	client, err := op.Dynamic(operation.WhileItRuns)
	if err != nil {
		return false, false, err
	}
	namespace, forgotten, err := r.find(op.Context(), client)
	switch {
	case namespace == nil:
		return false, forgotten, err
	case namespace.GetDeletionTimestamp() != nil:
		return false, false, r.waitGone(op.Context(), client)
	case namespace.GetAnnotations()[annotationOrigin] == originCreated:
		return false, false, r.deleteNamespace(op.Context(), client, namespace)
	}
	return true, false, r.strip(op.Context(), client)
}

func (r *removal) deleteNamespace(ctx context.Context, client dynamic.Interface, namespace *unstructured.Unstructured) error {
	name := r.handle.Namespace
	remaining, err := inhabitants(ctx, r.cluster, client, name)
	if err != nil {
		return err
	}
	if len(remaining) > 0 {
		return errNotEmpty(name, remaining)
	}
	uid := namespace.GetUID()
	err = client.Resource(namespaces).Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !cluster.IsNotFound(err) {
		return r.cluster.Classify(fmt.Errorf("deleting Namespace %s: %w", name, err))
	}
	return r.waitGone(ctx, client)
}

// waitGone returns when the namespace does not exist any more.
func (r *removal) waitGone(ctx context.Context, client dynamic.Interface) error {
	h := r.handle
	last := &environment.NamespaceTerminatingError{Namespace: h.Namespace}
	for reported := time.Now(); ; {
		namespace, err := getNamespace(ctx, r.cluster, client, h)
		if _, missing := errors.AsType[*environment.NamespaceMissingError](err); missing {
			return nil
		}
		switch {
		case err == nil:
			last.Remaining = remainingOf(namespace)
		case ctx.Err() == nil:
			return err
		}
		if r.options.Progress != nil && time.Since(reported) >= 10*time.Second {
			reported = time.Now()
			r.options.Progress("waiting until namespace " + h.Namespace + " is gone: " + strings.Join(last.Remaining, "; "))
		}
		select {
		case <-ctx.Done():
			last.Cause = context.Cause(ctx)
			return last
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// remainingOf is what the cluster reports of a namespace that is not gone yet.
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

// strip removes our objects, labels and annotations from a namespace that stays.
func (r *removal) strip(ctx context.Context, client dynamic.Interface) error {
	if err := removeObjects(ctx, r.cluster, client, r.handle, func(*unstructured.Unstructured) bool { return false }); err != nil {
		return err
	}
	return apply(ctx, r.cluster, client.Resource(namespaces), newObject(namespaces, r.handle.Namespace, nil, nil, nil))
}

var leases = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}

// removeLease removes the last object of ours from an adopted namespace, after this run has given it back. One that another run has taken
// meanwhile stays.
func removeLease(ctx context.Context, c *cluster.Cluster, h environment.Handle) error {
	client, err := c.Dynamic()
	if err != nil {
		return err
	}
	in := client.Resource(leases).Namespace(h.Namespace)
	found, err := in.Get(ctx, cluster.LeaseName, metav1.GetOptions{})
	if err == nil {
		holder, _, _ := unstructured.NestedString(found.Object, "spec", "holderIdentity")
		if holder != "" {
			return nil
		}
		uid, version := found.GetUID(), found.GetResourceVersion()
		err = in.Delete(ctx, cluster.LeaseName, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}})
	}
	if err != nil && !cluster.IsNotFound(err) && !apierrors.IsConflict(err) {
		return c.Classify(fmt.Errorf("deleting Lease %s/%s: %w", h.Namespace, cluster.LeaseName, err))
	}
	return nil
}
