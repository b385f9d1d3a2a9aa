// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"slices"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// troubleCrash is the kind of trouble of a container that ends again and again.
const troubleCrash = "crash"

// leftBehind names what the failed revision made and a rollback does not take away. What cannot be read is left out: the list is
// for people, and nothing depends on it.
func (a *application) leftBehind(failed, restored int) []string {
	var out []string
	for _, name := range a.made {
		out = append(out, "CustomResourceDefinition/"+name+": CRDs stay")
	}
	was, errWas := a.helm.Releases.Get(a.target.Name, failed)
	is, errIs := a.helm.Releases.Get(a.target.Name, restored)
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
func (a *application) hooksLeft(stored *helmrelease.Release) []string {
	var out []string
	for _, hook := range stored.Hooks {
		if hook.Kind != "Job" && hook.Kind != "Pod" {
			continue
		}
		active, _, err := a.hookState(hook.Kind, a.target.Handle.Namespace, hook.Name)
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

func (a *application) hookThere(kind, name string) bool {
	namespace := a.target.Handle.Namespace
	var err error
	if kind == "Job" {
		_, err = a.reads.BatchV1().Jobs(namespace).Get(a.ctx, name, metav1.GetOptions{})
	} else {
		_, err = a.reads.CoreV1().Pods(namespace).Get(a.ctx, name, metav1.GetOptions{})
	}
	return err == nil || !cluster.IsNotFound(err)
}

// claimsOf names the volumes of a StatefulSet.
func (a *application) claimsOf(o map[string]any) []string {
	var set appsv1.StatefulSet
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o, &set); err != nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil || len(set.Spec.VolumeClaimTemplates) == 0 || selector.Empty() || selector.String() == labels.Nothing().String() {
		return nil
	}
	list, err := a.reads.CoreV1().PersistentVolumeClaims(a.target.Handle.Namespace).List(a.ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil
	}
	var out []string
	for i := range list.Items {
		out = append(out, fmt.Sprintf("PersistentVolumeClaim/%s: a volume of StatefulSet/%s", list.Items[i].Name, set.Name))
	}
	return out
}

// blames reports that what was waited for had pods that ran, though not ready, and none that something outside of them held up.
func (o *operation) blames(open []*watched) bool {
	ran := false
	for _, w := range open {
		if w.live == nil {
			continue
		}
		if w.status.trouble != nil && w.status.trouble.kind != troubleCrash {
			return false
		}
		ctx, stop := o.afterwards()
		pods, selector, err := o.allPods(ctx, w.live)
		if err == nil {
			pods, err = o.presentPods(ctx, w.live, selector, pods)
		}
		stop()
		if err != nil {
			return false
		}
		ran = ran || slices.ContainsFunc(pods, func(p corev1.Pod) bool { return runsUnready(&p, time.Now()) })
	}
	return ran
}

// unreadyFor is how long a container must have run for its not being ready to be its own fault.
const unreadyFor = 2 * time.Second

func runsUnready(p *corev1.Pod, now time.Time) bool {
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running != nil && !c.Ready && now.Sub(c.State.Running.StartedAt.Time) >= unreadyFor {
			return true
		}
	}
	return false
}
