// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmstore"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// release takes the color out of the selector of the live Service, so that a later version with other labels gets the requests. Where the
// chart itself renders the label, its value comes back, if pods with it are ready. A value that is no color's belongs to another user.
func (s *session) release(ctx context.Context) error {
	if s.target.Route != nil {
		return nil
	}
	found, err := s.op.Reads.CoreV1().Services(s.target.Handle.Namespace).Get(ctx, s.target.Service, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return s.target.Cluster.Classify(fmt.Errorf("reading Service %s: %w", s.target.Service, err))
	}
	if s.service, err = selectedBy(found, s.target); err != nil {
		return nil //nolint:nilerr // Nothing but the color is left in the selector: without it the Service would have no pods.
	}
	if !s.service.has || s.service.color != Blue && s.service.color != Green {
		return nil
	}
	value, rendered, err := renderedLabel(ctx, s.op.Reads, found, s.target.Label)
	if err != nil {
		return s.target.Cluster.Classify(err)
	}
	if !rendered {
		s.op.Say("taking %s out of the selector of Service %s", s.target.Label, s.target.Service)
		return s.service.setSelector(ctx, s.op.Gated, s.target, nil)
	}
	color := s.target.color(value)
	ready, err := s.colors().ready(ctx, &color)
	if err != nil || ready == 0 || color == s.service.color {
		return err
	}
	s.op.Say("restoring %s in the selector of Service %s", pods.LabelText(map[string]string{s.target.Label: value}), s.target.Service)
	return s.service.setSelector(ctx, s.op.Gated, s.target, &color)
}

// renderedLabel is the value of a label in the selector of a Service as Helm has stored it in the deployed revision.
func renderedLabel(ctx context.Context, client kubernetes.Interface, service *corev1.Service, label string) (string, bool, error) {
	name, namespace := service.Annotations[ownership.AnnotationReleaseName], service.Annotations[ownership.AnnotationReleaseNamespace]
	if name == "" || namespace != service.Namespace {
		return "", false, nil
	}
	manifest, err := helmstore.DeployedManifest(ctx, client, namespace, name)
	if err != nil || manifest == "" {
		return "", false, err
	}
	objects, err := object.ParseManifest(manifest, namespace)
	if err != nil {
		return "", false, fmt.Errorf("reading the manifest of release %s: %w", name, err)
	}
	for _, o := range objects {
		if o.Key == object.NewKey("v1", "Service", namespace, service.Name, namespace) {
			selector, _, err := unstructured.NestedStringMap(o.Object, "spec", "selector")
			value, has := selector[label]
			return value, has && err == nil, nil
		}
	}
	return "", false, nil
}
