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

// leftBehind names what the failed revision made and a rollback does not take away. What cannot be read is left out: the list is
// for people, and nothing depends on it.
func (a *applyRun) leftBehind(failed, restored int) []string {
	var out []string
	for _, name := range a.made {
		out = append(out, "CustomResourceDefinition/"+name+": CRDs stay")
	}
	was, errWas := a.session.stored(failed)
	is, errIs := a.session.stored(restored)
	if errWas != nil || errIs != nil {
		return append(out, "its objects could not be read, so there may be more")
	}
	kept := map[object.Key]bool{}
	now, err := object.ParseManifest(is.Manifest, a.target.Handle.Namespace)
	if err != nil {
		return out
	}
	for _, o := range now {
		kept[o.Key] = true
	}
	objects, err := object.ParseManifest(was.Manifest, a.target.Handle.Namespace)
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
			out = append(out, a.claimsOf(o.Object)...)
		}
	}
	return append(out, a.hooksLeft(was)...)
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

// hooksLeft names the hooks of a revision that are still in the cluster.
func (a *applyRun) hooksLeft(stored *helmrelease.Release) []string {
	var out []string
	for _, hook := range stored.Hooks {
		if hook.Kind != "Job" && hook.Kind != "Pod" {
			continue
		}
		active, _, err := a.session.waiter.Hook(a.op.Context(), hook.Kind, a.target.Handle.Namespace, hook.Name)
		if err != nil {
			continue
		}
		if active {
			out = append(out, hook.Kind+"/"+hook.Name+": a hook that still runs")
			continue
		}
		if a.hookThere(hook.Kind, hook.Name) {
			out = append(out, hook.Kind+"/"+hook.Name+": a hook that has ended")
		}
	}
	return out
}

func (a *applyRun) hookThere(kind, name string) bool {
	namespace := a.target.Handle.Namespace
	var err error
	if kind == "Job" {
		_, err = a.op.Reads.BatchV1().Jobs(namespace).Get(a.op.Context(), name, metav1.GetOptions{})
	} else {
		_, err = a.op.Reads.CoreV1().Pods(namespace).Get(a.op.Context(), name, metav1.GetOptions{})
	}
	return err == nil || !cluster.IsNotFound(err)
}

// claimsOf names the volumes of a StatefulSet.
func (a *applyRun) claimsOf(o map[string]any) []string {
	var set appsv1.StatefulSet
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o, &set); err != nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil || len(set.Spec.VolumeClaimTemplates) == 0 || selector.Empty() || selector.String() == labels.Nothing().String() {
		return nil
	}
	list, err := a.op.Reads.CoreV1().PersistentVolumeClaims(a.target.Handle.Namespace).List(a.op.Context(), metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil
	}
	var out []string
	for i := range list.Items {
		out = append(out, fmt.Sprintf("PersistentVolumeClaim/%s: a volume of StatefulSet/%s", list.Items[i].Name, set.Name))
	}
	return out
}
