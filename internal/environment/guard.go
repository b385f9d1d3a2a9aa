// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package environment

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// GuardWorkspace returns a *WorkspaceError when workspace (from provider { workspace = terraform.workspace }) is set and
// is not the handle's. An empty workspace means that the provider does not know it, and guards nothing.
func GuardWorkspace(workspace string, h Handle) error {
	if workspace == "" || workspace == h.Workspace() {
		return nil
	}
	return &WorkspaceError{Workspace: workspace, Client: h.Client, Stage: h.Stage}
}

// Check reads the namespace and returns its UID when it belongs to the handle. Errors: *NamespaceMissingError,
// *NamespaceForeignError (labels of another client or stage, or none), *NamespaceTerminatingError, others as from
// cluster.Classify.
func Check(ctx context.Context, c *cluster.Cluster, h Handle) (namespaceUID string, err error) {
	namespace, err := read(ctx, c, h.Cluster, h.Namespace)
	if err != nil {
		return "", err
	}
	if err := h.CheckOwner(namespace.Labels); err != nil {
		return "", err
	}
	if namespace.DeletionTimestamp != nil {
		return "", &NamespaceTerminatingError{Namespace: h.Namespace}
	}
	return string(namespace.UID), nil
}

// Owner reads whose a namespace is: client and stage of its labels, empty where it is nobody's or does not exist. Errors as from
// cluster.Classify.
func Owner(ctx context.Context, c *cluster.Cluster, namespace string) (client, stage string, err error) {
	found, err := read(ctx, c, c.Coordinate(), namespace)
	if _, missing := errors.AsType[*NamespaceMissingError](err); missing {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	return found.Labels[LabelClient], found.Labels[LabelStage], nil
}

// FromNamespace reads client and stage from a namespace's labels, for imports. Errors: *NamespaceMissingError,
// *NamespaceUnclaimedError, others as from cluster.Classify.
func FromNamespace(ctx context.Context, c *cluster.Cluster, coordinate cluster.Coordinate, namespace string) (Handle, error) {
	h := Handle{Cluster: coordinate, Namespace: namespace}
	found, err := read(ctx, c, coordinate, namespace)
	if err != nil {
		return h, err
	}
	h.Client, h.Stage = found.Labels[LabelClient], found.Labels[LabelStage]
	if h.Client == "" || h.Stage == "" {
		return h, &NamespaceUnclaimedError{Namespace: namespace, Client: h.Client, Stage: h.Stage}
	}
	return h, nil
}

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// read reads the metadata of a namespace, or fails with a *NamespaceMissingError.
func read(ctx context.Context, c *cluster.Cluster, coordinate cluster.Coordinate, namespace string) (*metav1.PartialObjectMetadata, error) {
	client, err := c.Metadata()
	if err != nil {
		return nil, err
	}
	found, err := client.Resource(namespaces).Get(ctx, namespace, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return nil, &NamespaceMissingError{Namespace: namespace, Context: coordinate.Context}
	case err != nil:
		return nil, c.Classify(fmt.Errorf("reading namespace %s: %w", namespace, err))
	}
	return found, nil
}
