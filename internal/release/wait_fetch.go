// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// helmLabel is on every object of every release but hooks, so that one LIST can stand for many GETs.
const (
	helmLabel      = "app.kubernetes.io/managed-by"
	helmLabelValue = "Helm"
)

// place is a kind in a namespace.
type place struct {
	gvr       schema.GroupVersionResource
	namespace string
}

// fetch reads what is live: one request per kind and namespace.
func (o *operation) fetch(all []*watched) error {
	groups := map[place][]*watched{}
	for _, w := range all {
		p := place{w.info.Mapping.Resource, w.info.Namespace}
		accessor, err := meta.Accessor(w.info.Object)
		if err == nil && accessor.GetLabels()[helmLabel] == helmLabelValue {
			groups[p] = append(groups[p], w)
			continue
		}
		// Hooks and CRDs do not carry the label.
		if err := o.fetchGroup(p, []*watched{w}); err != nil {
			return err
		}
	}
	for p, group := range groups {
		if err := o.fetchGroup(p, group); err != nil {
			return err
		}
	}
	return nil
}

func (o *operation) fetchGroup(p place, group []*watched) error {
	var client dynamic.ResourceInterface = o.objects.Resource(p.gvr)
	if p.namespace != "" {
		client = o.objects.Resource(p.gvr).Namespace(p.namespace)
	}
	if len(group) == 1 {
		live, err := client.Get(o.ctx, group[0].info.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			live, err = nil, nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", o.keyOf(group[0].info).Short(), err)
		}
		group[0].live = live
		return nil
	}
	list, err := client.List(o.ctx, metav1.ListOptions{LabelSelector: helmLabel + "=" + helmLabelValue})
	if err != nil {
		return fmt.Errorf("listing %s: %w", p.gvr.Resource, err)
	}
	byName := make(map[string]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		byName[list.Items[i].GetName()] = &list.Items[i]
	}
	for _, w := range group {
		w.live = byName[w.info.Name]
	}
	return nil
}

// waitGone waits until objects are deleted. One that stays is named, with the finalizers that hold it.
func (o *operation) waitGone(resources kube.ResourceList) error {
	var open []*watched
	for _, info := range resources {
		open = append(open, newWatched(info))
	}
	for len(open) > 0 {
		if err := o.ended(); err != nil {
			if errors.Is(err, errDeadline) {
				o.pending = nil
				for _, w := range open {
					o.pending = append(o.pending, ObjectReport{Object: o.keyOf(w.info), Observed: w.status.text})
				}
			}
			return err
		}
		if err := o.fetchEach(open); err != nil {
			if o.ctx.Err() != nil {
				continue
			}
			return o.target.Cluster.Classify(err)
		}
		var still []*watched
		for _, w := range open {
			if w.live == nil || (w.live.GetDeletionTimestamp() == nil && !o.ours(w)) {
				continue
			}
			w.status.text = "is still being deleted"
			if f := w.live.GetFinalizers(); len(f) > 0 {
				w.status.text += ", held by the finalizers " + strings.Join(f, ", ")
			}
			o.progress.say("gone "+string(o.keyOf(w.info)), "waiting until "+o.keyOf(w.info).Short()+" is gone")
			still = append(still, w)
		}
		if open = still; len(open) > 0 {
			pause(o.ctx, pollEvery/2)
		}
	}
	return nil
}

// ours reports that an object without deletion mark is one that we wait for; others were left out of the deletion, because they
// are kept or belong to another release by now.
func (o *operation) ours(w *watched) bool {
	annotations := w.live.GetAnnotations()
	if annotations["helm.sh/hook"] != "" {
		return true
	}
	return annotations[ownership.AnnotationReleaseName] == o.target.Name && annotations[ownership.AnnotationReleaseNamespace] == o.target.Handle.Namespace &&
		annotations[kube.ResourcePolicyAnno] != kube.KeepPolicy
}

// fetchEach reads object by object: hooks, and what is being deleted, carry no label to list by.
func (o *operation) fetchEach(all []*watched) error {
	for _, w := range all {
		if err := o.fetchGroup(place{w.info.Mapping.Resource, w.info.Namespace}, []*watched{w}); err != nil {
			return err
		}
	}
	return nil
}

// waitPodEnd waits until a pod has succeeded or failed.
func (o *operation) waitPodEnd(ctx context.Context, name string) (corev1.PodPhase, error) {
	for {
		if ctx.Err() != nil {
			return corev1.PodUnknown, context.Cause(ctx)
		}
		pod, err := o.reads.CoreV1().Pods(o.target.Handle.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return corev1.PodUnknown, fmt.Errorf("reading Pod/%s: %w", name, err)
		}
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			return pod.Status.Phase, nil
		}
		pause(ctx, pollEvery)
	}
}
