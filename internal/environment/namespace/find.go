// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Found is an environment as it is live.
type Found struct {
	Spec         Spec
	InstanceID   string
	ClusterUID   string
	NamespaceUID string
}

// Find reads a whole environment back from the cluster, for imports: of labels and annotations only those that Slipway
// manages. The database's coordinates are not in the cluster. Errors as from environment.FromNamespace and cluster.UID.
func Find(ctx context.Context, c *cluster.Cluster, coordinate cluster.Coordinate, namespace string) (*Found, error) {
	h, err := environment.FromNamespace(ctx, c, coordinate, namespace)
	if err != nil {
		return nil, err
	}
	clusterUID, err := c.UID(ctx)
	if err != nil {
		return nil, err
	}
	client, err := c.Dynamic()
	if err != nil {
		return nil, err
	}
	live, err := getNamespace(ctx, c, client, h)
	if err != nil {
		return nil, err
	}
	spec := Spec{
		Handle:      h,
		Adopt:       live.GetAnnotations()[annotationOrigin] != originCreated,
		Labels:      foreignTo(applied(live, "labels"), live.GetLabels()),
		Annotations: foreignTo(applied(live, "annotations"), live.GetAnnotations()),
		PodSecurity: podSecurityFrom(live.GetLabels()),
		Network:     Network{Ingress: TrafficAllow, Egress: TrafficAllow, DNS: true},
	}
	if err := findObjects(ctx, c, client, &spec); err != nil {
		return nil, err
	}
	return &Found{
		Spec:         spec,
		InstanceID:   live.GetAnnotations()[environment.AnnotationInstance],
		ClusterUID:   clusterUID,
		NamespaceUID: string(live.GetUID()),
	}, nil
}

func findObjects(ctx context.Context, c *cluster.Cluster, client dynamic.Interface, spec *Spec) error {
	for _, kind := range ownedKinds {
		list, err := client.Resource(kind).Namespace(spec.Handle.Namespace).List(ctx,
			metav1.ListOptions{LabelSelector: labelPartOf + "=" + partEnvironment})
		if err != nil {
			return c.Classify(fmt.Errorf("listing %s in %s: %w", kind.Resource, spec.Handle.Namespace, err))
		}
		for i := range list.Items {
			object := &list.Items[i]
			switch kind {
			case serviceAccounts:
				annotations := foreignTo(applied(object, "annotations"), object.GetAnnotations())
				account := &ServiceAccount{Name: object.GetName(), RoleARN: annotations[annotationRoleARN], Annotations: annotations}
				delete(annotations, annotationRoleARN)
				spec.ServiceAccount = account
			case networkPolicies:
				if err := readAnnotation(object, annotationNetwork, &spec.Network); err != nil {
					return err
				}
			case quotas:
				spec.Quota = stringsAt(specOf(object), "hard")
			case limitRanges:
				spec.LimitRange = &LimitRange{}
				if err := readAnnotation(object, annotationLimits, spec.LimitRange); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func readAnnotation(object *unstructured.Unstructured, key string, into any) error {
	if err := json.Unmarshal([]byte(object.GetAnnotations()[key]), into); err != nil {
		return fmt.Errorf("reading annotation %s of %s %s/%s: %w", key, object.GetKind(), object.GetNamespace(), object.GetName(), err)
	}
	return nil
}

// applied lists the labels or annotations that we set by server-side apply.
func applied(object *unstructured.Unstructured, field string) []string {
	var keys []string
	for _, entry := range object.GetManagedFields() {
		if entry.Manager != environment.FieldManager || entry.Operation != metav1.ManagedFieldsOperationApply || entry.FieldsV1 == nil {
			continue
		}
		var fields struct {
			Metadata map[string]map[string]any `json:"f:metadata"`
		}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		for key := range fields.Metadata["f:"+field] {
			if name, ok := strings.CutPrefix(key, "f:"); ok {
				keys = append(keys, name)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// foreignTo leaves out what Slipway sets by itself.
func foreignTo(keys []string, values map[string]string) map[string]string {
	out := map[string]string{}
	for _, key := range keys {
		if !Reserved(key) {
			out[key] = values[key]
		}
	}
	return out
}

// Reserved reports that a label or annotation of a namespace is Slipway's or Kubernetes' own, not the user's to set.
func Reserved(key string) bool {
	return strings.HasPrefix(key, "slipway.dev/") || strings.HasPrefix(key, podSecurityPrefix) || key == labelManagedBy ||
		strings.HasPrefix(key, "kubernetes.io/")
}
