// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// EnsureOptions steer Ensure.
type EnsureOptions struct {
	// InstanceID is the resource's id: a new one on create, which replaces the id of whoever managed a namespace of the
	// same client and stage before; the one in state on update.
	InstanceID string
	// Update refuses a namespace that is gone or carries another instance id. Without it, Ensure makes or takes over.
	Update bool
	// ClusterUID is what the cluster must be; empty on create.
	ClusterUID string
	// Progress receives short sentences; it may be nil.
	Progress func(string)
}

// Ensured is what is there after Ensure.
type Ensured struct {
	ClusterUID   string
	NamespaceUID string
	// Adopted is set when the namespace was not made by Slipway and will not be deleted with the environment.
	Adopted bool
}

// Ensure makes the namespace and its objects what spec says, under the namespace's Lease. It waits for a namespace that is being
// deleted until ctx ends. What a killed run left half done is finished by the next one. Errors:
// *environment.NamespaceForeignError, *environment.NamespaceTerminatingError, *environment.NamespaceMissingError and
// *InstanceError (update only), *ObjectForeignError (a ServiceAccount that somebody else made), those of package cluster, and
// refusals of the API server.
func Ensure(ctx context.Context, c *cluster.Cluster, spec Spec, options EnsureOptions) (*Ensured, error) {
	if err := c.RequireUID(ctx, options.ClusterUID); err != nil {
		return nil, err
	}
	clusterUID, err := c.UID(ctx)
	if err != nil {
		return nil, err
	}
	namespace, err := takeNamespace(ctx, c, spec, options)
	if err != nil {
		return nil, err
	}
	lease, err := c.Hold(ctx, spec.Handle.Namespace, func(holder string) {
		tell(options.Progress, "waiting for %s, which is changing namespace %s", holder, spec.Handle.Namespace)
	})
	if err != nil {
		return nil, err
	}
	origin := namespace.GetAnnotations()[annotationOrigin]
	if origin != originCreated {
		origin = originAdopted
	}
	err = ensureUnderLease(ctx, c, lease, spec, options.InstanceID, origin)
	release(ctx, lease, options.Progress)
	if err != nil {
		return nil, err
	}
	return &Ensured{ClusterUID: clusterUID, NamespaceUID: string(namespace.GetUID()), Adopted: origin == originAdopted}, nil
}

// takeNamespace returns the namespace once it is there and may be ours.
func takeNamespace(ctx context.Context, c *cluster.Cluster, spec Spec, options EnsureOptions) (*unstructured.Unstructured, error) {
	client, err := c.Dynamic()
	if err != nil {
		return nil, err
	}
	for {
		namespace, err := getNamespace(ctx, c, client, spec.Handle)
		var missing *environment.NamespaceMissingError
		switch {
		case errors.As(err, &missing) && !options.Update:
			namespace, err = createNamespace(ctx, c, client, spec, options.InstanceID)
			if apierrors.IsAlreadyExists(err) {
				continue // Somebody was faster; look whose it is.
			}
			return namespace, err
		case err != nil:
			return nil, err
		}
		if err := checkTake(spec, namespace, options); err != nil {
			return nil, err
		}
		if namespace.GetDeletionTimestamp() == nil {
			return namespace, nil
		}
		tell(options.Progress, "waiting until namespace %s, which is being deleted, is gone", spec.Handle.Namespace)
		select {
		case <-ctx.Done():
			return nil, &environment.NamespaceTerminatingError{Namespace: spec.Handle.Namespace, Remaining: remainingOf(namespace), Cause: ctx.Err()}
		case <-time.After(time.Second):
		}
	}
}

// checkTake decides whose a namespace is that exists already.
func checkTake(spec Spec, namespace *unstructured.Unstructured, options EnsureOptions) error {
	live := namespace.GetAnnotations()[environment.AnnotationInstance]
	if options.Update {
		if err := checkAnchor(spec.Handle, namespace, options.InstanceID); err != nil {
			return err
		}
		if live != "" && live != options.InstanceID {
			return &InstanceError{Namespace: spec.Handle.Namespace, Want: options.InstanceID, Got: live}
		}
		return nil
	}
	labels := namespace.GetLabels()
	if spec.Adopt && labels[environment.LabelClient] == "" && labels[environment.LabelStage] == "" {
		return nil
	}
	return spec.Handle.CheckOwner(labels)
}

// createNamespace makes the namespace with no more than our mark on it, so that whoever finds it knows whose it is and
// that it is ours to delete.
func createNamespace(
	ctx context.Context, c *cluster.Cluster, client dynamic.Interface, spec Spec, instanceID string,
) (*unstructured.Unstructured, error) {
	object := newObject(namespaces, spec.Handle.Namespace, ownerLabels(spec.Handle),
		map[string]string{environment.AnnotationInstance: instanceID, annotationOrigin: originCreated}, nil)
	made, err := client.Resource(namespaces).Create(ctx, object, metav1.CreateOptions{FieldManager: environment.FieldManager})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil, err
	case err != nil:
		return nil, c.Classify(fmt.Errorf("creating namespace %s: %w", spec.Handle.Namespace, err))
	}
	return made, nil
}

func ensureUnderLease(ctx context.Context, c *cluster.Cluster, lease *cluster.Lease, spec Spec, instanceID, origin string) error {
	client, err := gated(ctx, c, lease)
	if err != nil {
		return err
	}
	labels, annotations := spec.namespaceLabels(), spec.namespaceAnnotations(instanceID, origin)
	if err := apply(ctx, c, client.Resource(namespaces), newObject(namespaces, spec.Handle.Namespace, labels, annotations, nil)); err != nil {
		return err
	}
	if err := ensureServiceAccount(ctx, c, client, spec); err != nil {
		return err
	}
	all, err := spec.wanted()
	if err != nil {
		return err
	}
	for _, want := range all {
		if err := ensureObject(ctx, c, client, spec.Handle, want); err != nil {
			return err
		}
	}
	return removeObjects(ctx, c, client, spec.Handle, func(found *unstructured.Unstructured) bool {
		if found.GetKind() == kindOf[serviceAccounts] {
			return spec.ServiceAccount != nil && spec.ServiceAccount.Name == found.GetName()
		}
		for _, want := range all {
			if kindOf[want.resource] == found.GetKind() && want.name == found.GetName() {
				return true
			}
		}
		return false
	})
}

// release gives the Lease back. Where that fails nothing is lost: it runs out by itself.
func release(ctx context.Context, lease *cluster.Lease, progress func(string)) {
	if err := lease.Release(ctx); err != nil {
		tell(progress, "other runs may have to wait for 30 s: %v", err)
	}
}

// gated is a client whose writes end with the operation and with the Lease.
func gated(ctx context.Context, c *cluster.Cluster, lease *cluster.Lease) (dynamic.Interface, error) {
	config := c.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return cluster.Gate(ctx, lease, next) })
	return dynamic.NewForConfig(config)
}

// apply applies server-side: what we no longer name goes, what others set stays. Our own fields are put back by force.
func apply(ctx context.Context, c *cluster.Cluster, client dynamic.ResourceInterface, object *unstructured.Unstructured) error {
	_, err := client.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: environment.FieldManager, Force: true})
	if err != nil {
		return c.Classify(fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err))
	}
	return nil
}

// ensureServiceAccount shares the object with others: the cluster itself, and tools that add pull secrets.
func ensureServiceAccount(ctx context.Context, c *cluster.Cluster, client dynamic.Interface, spec Spec) error {
	account := spec.ServiceAccount
	if account == nil {
		return nil
	}
	live, err := get(ctx, c, client, spec.Handle.Namespace, serviceAccounts, account.Name)
	if err != nil {
		return err
	}
	origin := originCreated
	if live != nil && live.GetAnnotations()[annotationOrigin] != originCreated {
		origin = originAdopted
	}
	if err := spec.mayTakeAccount(live); err != nil {
		return err
	}
	labels := ownerLabels(spec.Handle)
	if origin == originAdopted {
		delete(labels, labelManagedBy) // It may be another tool's mark.
	}
	labels[labelPartOf] = partEnvironment
	annotations := account.annotations()
	annotations[annotationOrigin] = origin
	return apply(ctx, c, client.Resource(serviceAccounts).Namespace(spec.Handle.Namespace),
		newObject(serviceAccounts, account.Name, labels, annotations, nil))
}

// ensureObject creates or replaces an object that is ours alone. Server-side apply would leave what others added to it.
func ensureObject(ctx context.Context, c *cluster.Cluster, client dynamic.Interface, h environment.Handle, want wanted) error {
	in := client.Resource(want.resource).Namespace(h.Namespace)
	object := want.object(h)
	for {
		live, err := get(ctx, c, client, h.Namespace, want.resource, want.name)
		if err != nil {
			return err
		}
		if err := want.mayReplace(h, live); err != nil {
			return err
		}
		switch {
		case live == nil:
			_, err = in.Create(ctx, object, metav1.CreateOptions{FieldManager: environment.FieldManager})
		case want.matches(h, live):
			return nil
		default:
			object.SetResourceVersion(live.GetResourceVersion())
			_, err = in.Update(ctx, object, metav1.UpdateOptions{FieldManager: environment.FieldManager})
		}
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			continue
		}
		if err != nil {
			return c.Classify(fmt.Errorf("writing %s %s/%s: %w", kindOf[want.resource], h.Namespace, want.name, err))
		}
		return nil
	}
}

// removeObjects deletes the environment's objects that keep does not want. One that was there before us is only stripped
// of what we wrote.
func removeObjects(
	ctx context.Context, c *cluster.Cluster, client dynamic.Interface, h environment.Handle,
	keep func(*unstructured.Unstructured) bool,
) error {
	selector := metav1.ListOptions{LabelSelector: labelPartOf + "=" + partEnvironment}
	for _, kind := range ownedKinds {
		in := client.Resource(kind).Namespace(h.Namespace)
		list, err := in.List(ctx, selector)
		if err != nil {
			return c.Classify(fmt.Errorf("listing %s in %s: %w", kind.Resource, h.Namespace, err))
		}
		for i := range list.Items {
			found := &list.Items[i]
			found.SetKind(kindOf[kind])
			switch {
			case keep(found):
			case kind == serviceAccounts && found.GetAnnotations()[annotationOrigin] == originAdopted:
				if err := apply(ctx, c, in, newObject(kind, found.GetName(), nil, nil, nil)); err != nil {
					return err
				}
			default:
				uid := found.GetUID()
				err := in.Delete(ctx, found.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
				if err != nil && !cluster.IsNotFound(err) {
					return c.Classify(fmt.Errorf("deleting %s %s/%s: %w", kindOf[kind], h.Namespace, found.GetName(), err))
				}
			}
		}
	}
	return nil
}

func tell(progress func(string), format string, args ...any) {
	if progress != nil {
		progress(fmt.Sprintf(format, args...))
	}
}
