// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Observation is what is live of an environment.
type Observation struct {
	NamespaceUID string
	// InstanceID of the state that manages it now; empty where the annotation was removed.
	InstanceID  string
	Terminating bool

	// Labels and Annotations have the live values of the keys in the Spec; a key that is gone is missing.
	Labels      map[string]string
	Annotations map[string]string
	PodSecurity PodSecurity
	// ServiceAccount, Quota and LimitRange are nil where they are gone or were not asked for. Quantities that only are
	// spelled another way are as in the Spec.
	ServiceAccount *ServiceAccount
	Quota          map[string]string
	LimitRange     *LimitRange
	// Drift says in words, sorted, what else differs from the Spec.
	Drift []string
}

// Observe reads what is live of an environment: one request for the namespace and one for each kind of object that the Spec has.
// Errors: *environment.NamespaceMissingError, *environment.NamespaceForeignError (labels of another client or stage, or none and
// not our instance), others as from cluster.Classify.
func Observe(ctx context.Context, c *cluster.Cluster, spec Spec, instanceID string) (*Observation, error) {
	client, err := c.Dynamic()
	if err != nil {
		return nil, err
	}
	namespace, err := getNamespace(ctx, c, client, spec.Handle)
	if err != nil {
		return nil, err
	}
	if err := checkAnchor(spec.Handle, namespace, instanceID); err != nil {
		return nil, err
	}
	o := &Observation{
		NamespaceUID: string(namespace.GetUID()),
		InstanceID:   namespace.GetAnnotations()[environment.AnnotationInstance],
		Terminating:  namespace.GetDeletionTimestamp() != nil,
		Labels:       only(namespace.GetLabels(), spec.Labels),
		Annotations:  only(namespace.GetAnnotations(), spec.Annotations),
		PodSecurity:  podSecurityFrom(namespace.GetLabels()),
	}
	for _, key := range slices.Sorted(maps.Keys(ownerLabels(spec.Handle))) {
		if !covers(namespace.GetLabels(), map[string]string{key: ownerLabels(spec.Handle)[key]}) {
			o.Drift = append(o.Drift, fmt.Sprintf("Namespace/%s: label %s was changed or removed", spec.Handle.Namespace, key))
		}
	}
	for _, key := range []string{environment.AnnotationInstance, annotationOrigin} {
		if namespace.GetAnnotations()[key] == "" {
			o.Drift = append(o.Drift, fmt.Sprintf("Namespace/%s: annotation %s was removed", spec.Handle.Namespace, key))
		}
	}
	if err := o.observeObjects(ctx, c, client, spec); err != nil {
		return nil, err
	}
	slices.Sort(o.Drift)
	return o, nil
}

func (o *Observation) observeObjects(ctx context.Context, c *cluster.Cluster, client dynamic.Interface, spec Spec) error {
	all, err := spec.wanted()
	if err != nil {
		return err
	}
	policies := map[string]*unstructured.Unstructured{}
	if slices.ContainsFunc(all, func(w wanted) bool { return w.resource == networkPolicies }) {
		list, err := client.Resource(networkPolicies).Namespace(spec.Handle.Namespace).List(ctx,
			metav1.ListOptions{LabelSelector: labelPartOf + "=" + partEnvironment})
		if err != nil {
			return c.Classify(fmt.Errorf("listing network policies in %s: %w", spec.Handle.Namespace, err))
		}
		for i := range list.Items {
			policies[list.Items[i].GetName()] = &list.Items[i]
		}
	}
	for _, want := range all {
		live := policies[want.name]
		if want.resource != networkPolicies {
			if live, err = get(ctx, c, client, spec.Handle.Namespace, want.resource, want.name); err != nil {
				return err
			}
		}
		switch {
		case want.resource == quotas && live != nil:
			o.Quota = spelledAs(stringsAt(specOf(live), "hard"), spec.Quota)
		case want.resource == limitRanges && live != nil:
			o.LimitRange = limitRangeFrom(live, spec.LimitRange)
		}
		name := fmt.Sprintf("%s/%s", kindOf[want.resource], want.name)
		switch {
		case live == nil:
			o.Drift = append(o.Drift, name+": was removed")
		case !want.matches(spec.Handle, live):
			o.Drift = append(o.Drift, name+": was changed")
		}
	}
	if spec.ServiceAccount != nil {
		live, err := get(ctx, c, client, spec.Handle.Namespace, serviceAccounts, spec.ServiceAccount.Name)
		if err != nil {
			return err
		}
		if live == nil {
			o.Drift = append(o.Drift, fmt.Sprintf("ServiceAccount/%s: was removed", spec.ServiceAccount.Name))
			return nil
		}
		o.ServiceAccount = &ServiceAccount{
			Name:        live.GetName(),
			RoleARN:     live.GetAnnotations()[annotationRoleARN],
			Annotations: only(live.GetAnnotations(), spec.ServiceAccount.Annotations),
		}
	}
	return nil
}

func specOf(object *unstructured.Unstructured) map[string]any {
	spec, _ := object.Object["spec"].(map[string]any)
	return spec
}

// get returns nil where the object does not exist.
func get(
	ctx context.Context, c *cluster.Cluster, client dynamic.Interface, namespace string, gvr schema.GroupVersionResource,
	name string,
) (*unstructured.Unstructured, error) {
	live, err := client.Resource(gvr).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, c.Classify(fmt.Errorf("reading %s %s/%s: %w", kindOf[gvr], namespace, name, err))
	}
	return live, nil
}

func getNamespace(
	ctx context.Context, c *cluster.Cluster, client dynamic.Interface, h environment.Handle,
) (*unstructured.Unstructured, error) {
	namespace, err := client.Resource(namespaces).Get(ctx, h.Namespace, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return nil, &environment.NamespaceMissingError{Namespace: h.Namespace, Context: h.Cluster.Context}
	case err != nil:
		return nil, c.Classify(fmt.Errorf("reading namespace %s: %w", h.Namespace, err))
	}
	return namespace, nil
}

// checkAnchor refuses a namespace of another owner. One that lost its labels and still carries our instance id is ours.
func checkAnchor(h environment.Handle, namespace *unstructured.Unstructured, instanceID string) error {
	labels := namespace.GetLabels()
	if labels[environment.LabelClient] == "" && labels[environment.LabelStage] == "" && instanceID != "" &&
		namespace.GetAnnotations()[environment.AnnotationInstance] == instanceID {
		return nil
	}
	return h.CheckOwner(labels)
}

// only returns the entries of have whose keys are in keys.
func only(have, keys map[string]string) map[string]string {
	out := map[string]string{}
	for key := range keys {
		if value, ok := have[key]; ok {
			out[key] = value
		}
	}
	return out
}

// spelledAs writes equal quantities as the Spec does.
func spelledAs(live, spec map[string]string) map[string]string {
	out := maps.Clone(live)
	for key, value := range spec {
		if got, ok := live[key]; ok && sameQuantity(got, value) {
			out[key] = value
		}
	}
	return out
}

// limitRangeFrom takes only the keys of the Spec, because the API server completes the rest.
func limitRangeFrom(live *unstructured.Unstructured, spec *LimitRange) *LimitRange {
	limits := firstLimits(specOf(live))
	if limits == nil {
		return &LimitRange{}
	}
	pick := func(field string, spec map[string]string) map[string]string {
		if spec == nil {
			return nil
		}
		return spelledAs(only(stringsAt(limits, field), spec), spec)
	}
	return &LimitRange{
		Default:        pick("default", spec.Default),
		DefaultRequest: pick("defaultRequest", spec.DefaultRequest),
		Max:            pick("max", spec.Max),
		Min:            pick("min", spec.Min),
	}
}
