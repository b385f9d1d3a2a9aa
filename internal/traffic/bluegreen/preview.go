// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
	"maps"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// preview is the Service of our own that has the pods of the color that is not live.
type preview struct {
	client kubernetes.Interface
	target Target
}

// choose makes the Service, or brings it up to date, with the pods of a color. Errors: *route.ForeignError, others as from
// cluster.Classify.
func (p preview) choose(ctx context.Context, live *liveService, color string) error {
	all := p.client.CoreV1().Services(p.target.Handle.Namespace)
	selector := maps.Clone(live.common)
	selector[p.target.Label] = p.target.value(color)
	var ports []corev1.ServicePort
	for _, port := range live.object.Spec.Ports {
		port.NodePort = 0
		ports = append(ports, port)
	}
	found, err := all.Get(ctx, p.target.Preview, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		made := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: p.target.Preview, Labels: p.target.labels()},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Selector: selector, Ports: ports},
		}
		if _, err := all.Create(ctx, made, metav1.CreateOptions{FieldManager: cluster.FieldManager}); err != nil {
			return p.target.Cluster.Classify(fmt.Errorf("creating Service %s: %w", p.target.Preview, err))
		}
		return nil
	case err != nil:
		return p.target.Cluster.Classify(fmt.Errorf("reading Service %s: %w", p.target.Preview, err))
	case !p.owns(found):
		return &route.ForeignError{Object: "Service " + p.target.Preview}
	}
	wanted := found.DeepCopy()
	wanted.Spec.Selector, wanted.Spec.Ports = selector, ports
	if reflect.DeepEqual(wanted.Spec, found.Spec) {
		return nil
	}
	if _, err := all.Update(ctx, wanted, metav1.UpdateOptions{FieldManager: cluster.FieldManager}); err != nil {
		return p.target.Cluster.Classify(fmt.Errorf("writing Service %s: %w", p.target.Preview, err))
	}
	return nil
}

// owns reports that a Service is the preview Service of this switch.
func (p preview) owns(found *corev1.Service) bool {
	for key, value := range p.target.labels() {
		if found.Labels[key] != value {
			return false
		}
	}
	return true
}

// remove deletes the Service if it is ours.
func (p preview) remove(ctx context.Context) error {
	all := p.client.CoreV1().Services(p.target.Handle.Namespace)
	found, err := all.Get(ctx, p.target.Preview, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return nil
	case err != nil:
		return p.target.Cluster.Classify(fmt.Errorf("reading Service %s: %w", p.target.Preview, err))
	case !p.owns(found):
		return nil
	}
	err = all.Delete(ctx, p.target.Preview, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(found.UID))})
	if err != nil && !cluster.IsNotFound(err) {
		return p.target.Cluster.Classify(fmt.Errorf("deleting Service %s: %w", p.target.Preview, err))
	}
	return nil
}
