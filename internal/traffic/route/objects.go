// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// kind is a kind of object whose API version is found out by asking the cluster.
type kind struct {
	group, name string
	// versions are those that we can use, the best first. They differ in nothing that matters here.
	versions []string
	// routed is what brings the kind.
	routed string
}

func (k kind) groupKind() schema.GroupKind { return schema.GroupKind{Group: k.group, Kind: k.name} }

var (
	virtualServices  = kind{group: "networking.istio.io", name: "VirtualService", versions: []string{"v1", "v1beta1"}, routed: "Istio"}
	destinationRules = kind{group: "networking.istio.io", name: "DestinationRule", versions: []string{"v1", "v1beta1"}, routed: "Istio"}
	httpRoutes       = kind{
		group: "gateway.networking.k8s.io", name: "HTTPRoute", versions: []string{"v1", "v1beta1"}, routed: "the Gateway API",
	}
)

// objects reads and writes the objects of an environment's namespace.
type objects struct {
	cluster *cluster.Cluster
	client  dynamic.Interface
	handle  environment.Handle
	// trusting believes what the cluster said before that it does not serve.
	trusting bool
}

func newObjects(c *cluster.Cluster, client dynamic.Interface, handle environment.Handle) (*objects, error) {
	if client == nil {
		shared, err := c.Dynamic()
		if err != nil {
			return nil, err
		}
		client = shared
	}
	return &objects{cluster: c, client: client, handle: handle}, nil
}

// mapping finds the version of a kind that the cluster serves. Errors: *KindMissingError, others as from cluster.Classify.
func (o *objects) mapping(k kind) (*meta.RESTMapping, error) {
	mapper, err := o.cluster.RESTMapper()
	if err != nil {
		return nil, err
	}
	group := k.groupKind()
	found, err := mapper.RESTMapping(group, k.versions...)
	if meta.IsNoMatchError(err) && !o.trusting {
		// What was asked before may be from before the kind was installed.
		o.cluster.Invalidate()
		found, err = mapper.RESTMapping(group, k.versions...)
	}
	switch {
	case meta.IsNoMatchError(err):
		return nil, &KindMissingError{Kind: k.name, Group: k.group, Versions: k.versions, Routed: k.routed}
	case err != nil:
		return nil, o.cluster.Classify(fmt.Errorf("asking the cluster whether it has a %s: %w", k.name, err))
	}
	return found, nil
}

func (o *objects) resource(k kind) (dynamic.ResourceInterface, *meta.RESTMapping, error) {
	found, err := o.mapping(k)
	if err != nil {
		return nil, nil, err
	}
	return o.client.Resource(found.Resource).Namespace(o.handle.Namespace), found, nil
}

// get returns nil where there is no such object.
func (o *objects) get(ctx context.Context, k kind, name string) (*unstructured.Unstructured, error) {
	resource, _, err := o.resource(k)
	if err != nil {
		return nil, err
	}
	live, err := resource.Get(ctx, name, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, o.explain(k, fmt.Errorf("reading %s %s: %w", k.name, name, err))
	}
	return live, nil
}

func (o *objects) all(ctx context.Context, k kind) ([]unstructured.Unstructured, error) {
	resource, _, err := o.resource(k)
	if err != nil {
		return nil, err
	}
	found, err := resource.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, o.explain(k, fmt.Errorf("listing objects %s in namespace %s: %w", k.name, o.handle.Namespace, err))
	}
	return found.Items, nil
}

// explain distinguishes a kind that was removed since the last request from a cluster that does not answer.
func (o *objects) explain(k kind, err error) error {
	if apierrors.IsNotFound(err) {
		o.cluster.Invalidate()
		if _, missing := o.mapping(k); missing != nil {
			return missing
		}
	}
	return o.cluster.Classify(err)
}

// create makes an object of our own. Errors: *ConflictError where another run was faster.
func (o *objects) create(
	ctx context.Context, k kind, name string, owner Owner, annotations map[string]string, spec map[string]any,
) (*unstructured.Unstructured, error) {
	resource, found, err := o.resource(k)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetAPIVersion(found.GroupVersionKind.GroupVersion().String())
	object.SetKind(k.name)
	object.SetName(name)
	object.SetNamespace(o.handle.Namespace)
	object.SetLabels(owner.Labels())
	object.SetAnnotations(annotations)
	made, err := resource.Create(ctx, object, metav1.CreateOptions{FieldManager: cluster.FieldManager})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil, &ConflictError{Object: k.name + " " + name, Cause: err}
	case err != nil:
		return nil, o.explain(k, fmt.Errorf("creating %s %s: %w", k.name, name, err))
	}
	return made, nil
}

// mostTries is how often a write is repeated because of changes that do not concern it.
const mostTries = 5

// change writes what plan makes of an object, which was read as live. Where it was changed meanwhile, and same says that this does not
// concern the patch, the patch is made anew. A plan without operations writes nothing. Errors: *ConflictError.
func (o *objects) change(
	ctx context.Context, k kind, live *unstructured.Unstructured, same sameness,
	plan func(*unstructured.Unstructured) (*patch, []operation, error),
) (*unstructured.Unstructured, error) {
	resource, _, err := o.resource(k)
	if err != nil {
		return nil, err
	}
	name := live.GetName()
	return retry(ctx, o, k, live, same, func(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		p, tests, err := plan(live)
		if err != nil || p.empty() {
			return live, err
		}
		body, err := json.Marshal(p.conditional(tests...))
		if err != nil {
			return nil, fmt.Errorf("writing the patch of %s %s: %w", k.name, name, err)
		}
		return resource.Patch(ctx, name, types.JSONPatchType, body, metav1.PatchOptions{FieldManager: cluster.FieldManager})
	})
}

// remove deletes an object that was read as live. That it is gone is no error. Errors: *ConflictError.
func (o *objects) remove(ctx context.Context, k kind, live *unstructured.Unstructured) error {
	resource, _, err := o.resource(k)
	if err != nil {
		return err
	}
	_, err = retry(ctx, o, k, live, sameContent, func(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		uid, version := live.GetUID(), live.GetResourceVersion()
		err := resource.Delete(ctx, live.GetName(),
			metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}})
		if cluster.IsNotFound(err) {
			return live, nil
		}
		return live, err
	})
	return err
}

// sameness reports that two readings of an object differ in nothing that a write depends on.
type sameness func(a, b *unstructured.Unstructured) bool

// retry writes, and writes again where only that changed which does not matter.
func retry(
	ctx context.Context, o *objects, k kind, live *unstructured.Unstructured, same sameness,
	write func(*unstructured.Unstructured) (*unstructured.Unstructured, error),
) (*unstructured.Unstructured, error) {
	object := k.name + " " + live.GetName()
	for try := 1; ; try++ {
		written, err := write(live)
		// A test that fails, and a spec that the API server does not accept, both are answered with 422.
		if err == nil || !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) && !cluster.IsNotFound(err) {
			if err != nil {
				err = o.explain(k, fmt.Errorf("writing %s: %w", object, err))
			}
			return written, err
		}
		now, readErr := o.get(ctx, k, live.GetName())
		if readErr != nil {
			return nil, readErr
		}
		switch {
		case now == nil || !same(now, live) || try == mostTries:
			return nil, &ConflictError{Object: object, Cause: err}
		case now.GetResourceVersion() == live.GetResourceVersion():
			return nil, o.cluster.Classify(fmt.Errorf("writing %s: %w", object, err))
		}
		live = now
	}
}
