// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// liveService is the Service whose selector says which color is live.
type liveService struct {
	object *corev1.Service
	// color is the value of the label in the selector; has says that the selector has the label at all.
	color string
	has   bool
	// common is the selector without the label: what the pods of both colors have.
	common map[string]string
}

// readService reads the live Service. Errors: *pods.ServiceMissingError, others as from cluster.Classify.
func readService(ctx context.Context, client kubernetes.Interface, target Target) (*liveService, error) {
	found, err := client.CoreV1().Services(target.Handle.Namespace).Get(ctx, target.Service, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return nil, &pods.ServiceMissingError{Service: target.Service, Namespace: target.Handle.Namespace}
	}
	if err != nil {
		return nil, target.Cluster.Classify(fmt.Errorf("reading Service %s: %w", target.Service, err))
	}
	return liveServiceOf(found, target)
}

func liveServiceOf(found *corev1.Service, target Target) (*liveService, error) {
	s := &liveService{object: found, common: maps.Clone(found.Spec.Selector)}
	value, has := found.Spec.Selector[target.Label]
	s.color, s.has = target.color(value), has
	delete(s.common, target.Label)
	if len(s.common) == 0 {
		return nil, errNoCommonLabels(target.Service, target.Label)
	}
	return s, nil
}

// describe is the live color in words.
func (s *liveService) describe() string {
	if !s.has {
		return "no color"
	}
	return s.color
}

// mostSelectorTries is how often a write is tried again because of changes that leave the label as it was.
const mostSelectorTries = 5

// set writes the label in the selector, and nothing else; nil takes it out. Where somebody else has changed the color meanwhile, it fails
// with a *route.ConflictError.
func (s *liveService) set(ctx context.Context, client kubernetes.Interface, target Target, color *string) error {
	var value *string
	if color != nil {
		text := target.value(*color)
		value = &text
	}
	for try := 1; ; try++ {
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": s.object.ResourceVersion},
			"spec":     map[string]any{"selector": map[string]any{target.Label: value}},
		})
		if err != nil {
			return fmt.Errorf("writing the patch of Service %s: %w", target.Service, err)
		}
		written, err := client.CoreV1().Services(target.Handle.Namespace).Patch(ctx, target.Service, types.MergePatchType, patch,
			metav1.PatchOptions{FieldManager: environment.FieldManager})
		if err == nil {
			now, err := liveServiceOf(written, target)
			if err == nil {
				*s = *now
			}
			return err
		}
		if !apierrors.IsConflict(err) {
			return target.Cluster.Classify(fmt.Errorf("writing the selector of Service %s: %w", target.Service, err))
		}
		now, readErr := readService(ctx, client, target)
		if readErr != nil {
			return readErr
		}
		if now.color != s.color || now.has != s.has || now.object.UID != s.object.UID || try == mostSelectorTries {
			*s = *now
			return &route.ConflictError{Object: "Service " + target.Service, Cause: err}
		}
		*s = *now
	}
}

// preview makes the preview Service, or brings it up to date, with the pods of a color.
func (b *blueGreen) preview(ctx context.Context, color string) error {
	all := b.gated.CoreV1().Services(b.target.Handle.Namespace)
	selector := maps.Clone(b.service.common)
	selector[b.target.Label] = b.target.value(color)
	var ports []corev1.ServicePort
	for _, port := range b.service.object.Spec.Ports {
		port.NodePort = 0
		ports = append(ports, port)
	}
	found, err := all.Get(ctx, b.target.Preview, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		made := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: b.target.Preview, Labels: blueGreenLabels(b.target)},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: selector, Ports: ports},
		}
		if _, err := all.Create(ctx, made, metav1.CreateOptions{FieldManager: environment.FieldManager}); err != nil {
			return b.target.Cluster.Classify(fmt.Errorf("creating Service %s: %w", b.target.Preview, err))
		}
		return nil
	case err != nil:
		return b.target.Cluster.Classify(fmt.Errorf("reading Service %s: %w", b.target.Preview, err))
	case !isPreviewOf(found, b.target):
		return &route.ForeignError{Object: "Service " + b.target.Preview}
	}
	wanted := found.DeepCopy()
	wanted.Spec.Selector, wanted.Spec.Ports = selector, ports
	if reflect.DeepEqual(wanted.Spec, found.Spec) {
		return nil
	}
	if _, err := all.Update(ctx, wanted, metav1.UpdateOptions{FieldManager: environment.FieldManager}); err != nil {
		return b.target.Cluster.Classify(fmt.Errorf("writing Service %s: %w", b.target.Preview, err))
	}
	return nil
}

func isPreviewOf(found *corev1.Service, target Target) bool {
	for key, value := range blueGreenLabels(target) {
		if found.Labels[key] != value {
			return false
		}
	}
	return true
}

// removePreview deletes the preview Service if it is ours.
func (b *blueGreen) removePreview() error {
	all := b.gated.CoreV1().Services(b.target.Handle.Namespace)
	found, err := all.Get(b.ctx, b.target.Preview, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return nil
	case err != nil:
		return b.target.Cluster.Classify(fmt.Errorf("reading Service %s: %w", b.target.Preview, err))
	case !isPreviewOf(found, b.target):
		return nil
	}
	err = all.Delete(b.ctx, b.target.Preview, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(found.UID))})
	if err != nil && !cluster.IsNotFound(err) {
		return b.target.Cluster.Classify(fmt.Errorf("deleting Service %s: %w", b.target.Preview, err))
	}
	return nil
}
