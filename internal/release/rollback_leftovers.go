// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"

	"helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// leftovers are what a failed revision made and a rollback does not remove.
type leftovers struct{ run *applyRun }

// list names what the failed revision made and a rollback does not take away. What cannot be read is left out: the list is
// for people, and nothing depends on it.
func (l leftovers) list(failed, restored int) []string {
	var out []string
	for _, name := range l.run.made {
		out = append(out, "CustomResourceDefinition/"+name+": CRDs stay")
	}
	was, errWas := l.run.session.stored(failed)
	is, errIs := l.run.session.stored(restored)
	if errWas != nil || errIs != nil {
		return append(out, "its objects could not be read, so there may be more")
	}
	kept := map[object.Key]bool{}
	now, err := object.ParseManifest(is.Manifest, l.run.target.Handle.Namespace)
	if err != nil {
		return out
	}
	for _, o := range now {
		kept[o.Key] = true
	}
	objects, err := object.ParseManifest(was.Manifest, l.run.target.Handle.Namespace)
	if err != nil {
		return out
	}
	for _, o := range objects {
		if kept[o.Key] {
			continue
		}
		if annotationsOf(o.Object)[kube.ResourcePolicyAnno] == kube.KeepPolicy {
			out = append(out, o.Key.Short()+": it carries "+kube.ResourcePolicyAnno+"="+kube.KeepPolicy)
		}
		if o.Object["kind"] == "StatefulSet" {
			out = append(out, l.claims(o.Object)...)
		}
	}
	return append(out, l.hooks(was)...)
}

func annotationsOf(o map[string]any) map[string]string {
	metadata, _ := o["metadata"].(map[string]any)
	all, _ := metadata["annotations"].(map[string]any)
	out := map[string]string{}
	for k, v := range all {
		if text, ok := v.(string); ok {
			out[k] = text
		}
	}
	return out
}

// hooks names the hooks of a revision that are still in the cluster.
func (l leftovers) hooks(stored *helmrelease.Release) []string {
	var out []string
	for _, hook := range stored.Hooks {
		if hook.Kind != "Job" && hook.Kind != "Pod" {
			continue
		}
		active, _, err := l.run.session.waiter.Hook(l.run.op.Context(), hook.Kind, l.run.target.Handle.Namespace, hook.Name)
		if err != nil {
			continue
		}
		if active {
			out = append(out, hook.Kind+"/"+hook.Name+": a hook that still runs")
			continue
		}
		if l.exists(hook.Kind, hook.Name) {
			out = append(out, hook.Kind+"/"+hook.Name+": a hook that has ended")
		}
	}
	return out
}

func (l leftovers) exists(kind, name string) bool {
	namespace := l.run.target.Handle.Namespace
	var err error
	if kind == "Job" {
		_, err = l.run.op.Reads.BatchV1().Jobs(namespace).Get(l.run.op.Context(), name, metav1.GetOptions{})
	} else {
		_, err = l.run.op.Reads.CoreV1().Pods(namespace).Get(l.run.op.Context(), name, metav1.GetOptions{})
	}
	return err == nil || !cluster.IsNotFound(err)
}

// claims names the volumes of a StatefulSet.
func (l leftovers) claims(o map[string]any) []string {
	var set appsv1.StatefulSet
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o, &set); err != nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil || len(set.Spec.VolumeClaimTemplates) == 0 || selector.Empty() || selector.String() == labels.Nothing().String() {
		return nil
	}
	list, err := l.run.op.Reads.CoreV1().PersistentVolumeClaims(l.run.target.Handle.Namespace).List(l.run.op.Context(),
		metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil
	}
	var out []string
	for i := range list.Items {
		out = append(out, fmt.Sprintf("PersistentVolumeClaim/%s: a volume of StatefulSet/%s", list.Items[i].Name, set.Name))
	}
	return out
}
