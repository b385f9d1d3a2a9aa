// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package environment

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// GuardWorkspace returns a *WorkspaceError when workspace (from provider { workspace = terraform.workspace }) is set and
// is not the handle's. An empty workspace means that the provider was not told, and guards nothing.
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
	client, err := c.Metadata()
	if err != nil {
		return "", err
	}
	namespace, err := client.Resource(namespaces).Get(ctx, h.Namespace, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return "", &NamespaceMissingError{Namespace: h.Namespace, Context: h.Cluster.Context}
	case err != nil:
		return "", c.Classify(fmt.Errorf("reading namespace %s: %w", h.Namespace, err))
	}
	if err := checkOwner(h, namespace.Labels); err != nil {
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
	metadata, err := c.Metadata()
	if err != nil {
		return "", "", err
	}
	found, err := metadata.Resource(namespaces).Get(ctx, namespace, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return "", "", nil
	case err != nil:
		return "", "", c.Classify(fmt.Errorf("reading namespace %s: %w", namespace, err))
	}
	return found.Labels[LabelClient], found.Labels[LabelStage], nil
}

func checkOwner(h Handle, labels map[string]string) error {
	if labels[LabelClient] == h.Client && labels[LabelStage] == h.Stage {
		return nil
	}
	return &NamespaceForeignError{
		Namespace: h.Namespace, Client: h.Client, Stage: h.Stage,
		OwnerClient: labels[LabelClient], OwnerStage: labels[LabelStage],
	}
}
