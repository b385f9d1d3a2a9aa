// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
)

// EnsureOptions steer Ensure.
type EnsureOptions struct {
	// InstanceID is the resource's id: a new one on create, which replaces the id of the resource that managed a namespace of the
	// same client and stage before; the one in state on update.
	InstanceID string
	// Update refuses a namespace that is gone or carries another instance id. Without it, Ensure makes or takes over.
	Update bool
	// MadeInThisRun reports that this run of Terraform has made an instance id. A create does not take over what another create of the
	// same run has made: two resources have one namespace then. Nil: none.
	MadeInThisRun func(id string) bool
	// ClusterUID is what the cluster must be; empty on create.
	ClusterUID string
	// Timeout limits the change, without the wait for other runs. It also limits the wait for a namespace that is being deleted.
	// Default: that of package operation.
	Timeout time.Duration
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

// Ensure makes the namespace and its objects what spec says, under the namespace's Lease. It waits for a namespace that is being deleted.
// What a killed run left unfinished is finished by the next one. A namespace that has another owner now is refused. Errors:
// *environment.NamespaceForeignError, *environment.NamespaceTerminatingError, *environment.NamespaceMissingError (update only),
// *ObjectForeignError (a ServiceAccount that another user or program made), those of package operation, and refusals of the API server.
func Ensure(ctx context.Context, c *cluster.Cluster, spec Spec, options EnsureOptions) (*Ensured, error) {
	op, err := operation.Begin(ctx, operation.Options{
		Cluster: c, Handle: spec.Handle, ClusterUID: options.ClusterUID, Subject: "environment " + spec.Handle.Name(),
		Timeout: options.Timeout, Progress: options.Progress,
		Check: func(ctx context.Context) (string, error) {
			taken, err := takeNamespace(ctx, c, spec, options)
			if err != nil {
				return "", err
			}
			return string(taken.GetUID()), nil
		},
	})
	if err != nil {
		return nil, err
	}
	defer finish(op)
	client, err := op.Dynamic(operation.WhileItRuns)
	if err != nil {
		return nil, err
	}
	namespace, origin, err := claim(op.Context(), c, client, spec, options)
	if err != nil {
		return nil, err
	}
	if err := ensureObjects(op.Context(), c, client, spec); err != nil {
		return nil, err
	}
	return &Ensured{ClusterUID: op.ClusterUID, NamespaceUID: string(namespace.GetUID()), Adopted: origin == originAdopted}, nil
}

// finish gives the Lease back. Where that fails nothing is lost: it expires.
func finish(op *operation.Operation) {
	if err := op.Finish(); err != nil {
		op.Say("other runs may have to wait for 30 s: %v", err)
	}
}

// takeNamespace returns the namespace once it is there and may be ours.
func takeNamespace(ctx context.Context, c *cluster.Cluster, spec Spec, options EnsureOptions) (*unstructured.Unstructured, error) {
	limit := options.Timeout
	if limit <= 0 {
		limit = operation.DefaultTimeout
	}
	ctx, stop := context.WithTimeoutCause(ctx, limit, operation.ErrDeadline)
	defer stop()
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
				continue // Another run was faster; check whose it is.
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
		if options.Progress != nil {
			options.Progress("waiting until namespace " + spec.Handle.Namespace + ", which is being deleted, is gone")
		}
		select {
		case <-ctx.Done():
			return nil, &environment.NamespaceTerminatingError{
				Namespace: spec.Handle.Namespace, Remaining: remainingOf(namespace), Cause: context.Cause(ctx),
			}
		case <-time.After(time.Second):
		}
	}
}

// claim writes the owner onto the namespace, if it still may: another operation may have taken it while this one waited for the Lease,
// and operations of one run share a Lease. So the write holds only for the version that was checked.
func claim(
	ctx context.Context, c *cluster.Cluster, client dynamic.Interface, spec Spec, options EnsureOptions,
) (namespace *unstructured.Unstructured, origin string, err error) {
	for {
		namespace, err = getNamespace(ctx, c, client, spec.Handle)
		if err != nil {
			return nil, "", err
		}
		if err := checkTake(spec, namespace, options); err != nil {
			return nil, "", err
		}
		if origin = namespace.GetAnnotations()[annotationOrigin]; origin != originCreated {
			origin = originAdopted
		}
		object := newObject(namespaces, spec.Handle.Namespace, spec.namespaceLabels(), spec.namespaceAnnotations(options.InstanceID, origin), nil)
		object.SetResourceVersion(namespace.GetResourceVersion())
		if err = apply(ctx, c, client.Resource(namespaces), object); !apierrors.IsConflict(err) {
			return namespace, origin, err
		}
	}
}

// checkTake refuses a namespace that exists already and is not for this resource.
func checkTake(spec Spec, namespace *unstructured.Unstructured, options EnsureOptions) error {
	live := namespace.GetAnnotations()[environment.AnnotationInstance]
	if options.Update {
		if err := checkAnchor(spec.Handle, namespace, options.InstanceID); err != nil {
			return err
		}
		if live != "" && live != options.InstanceID {
			return errAnotherOwner(spec.Handle.Namespace, options.InstanceID, live)
		}
		return nil
	}
	if live != options.InstanceID && options.MadeInThisRun != nil && options.MadeInThisRun(live) {
		return errTwice(spec.Handle.Namespace)
	}
	labels := namespace.GetLabels()
	if spec.Adopt && labels[environment.LabelClient] == "" && labels[environment.LabelStage] == "" {
		return nil
	}
	return spec.Handle.CheckOwner(labels)
}

// createNamespace creates the namespace with no more than our labels and annotations on it, so that anyone who finds it knows whose it is
// and that it is ours to delete.
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

// ensureObjects makes all that is in the namespace what spec says.
func ensureObjects(ctx context.Context, c *cluster.Cluster, client dynamic.Interface, spec Spec) error {
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

// apply applies server-side: what we no longer name is removed, what others set stays. Our own fields are restored by force.
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
		delete(labels, labelManagedBy) // It may be another tool's label.
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
