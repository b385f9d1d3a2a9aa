// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// quotaCheck compares what changed workloads need with the quotas of the namespace.
type quotaCheck struct {
	run   *run
	loads []*load
}

// all compares what the changed workloads need with what ResourceQuotas leave: the API server checks pod by pod, when they
// are created, and a rollout that does not fit hangs. What counts is whether the rollout can continue, not whether it gets its whole
// surge: a Deployment that may do without one of its pods makes room for the next one by itself.
func (q *quotaCheck) all(ctx context.Context) error {
	namespace := q.run.target.Handle.Namespace
	loads := slices.DeleteFunc(slices.Clone(q.loads), func(l *load) bool { return !l.counted() || l.namespace != namespace })
	if len(loads) == 0 {
		return nil
	}
	slices.SortFunc(loads, func(a, b *load) int { return strings.Compare(string(a.key), string(b.key)) })
	list, err := q.run.client.CoreV1().ResourceQuotas(namespace).List(ctx, metav1.ListOptions{})
	if cluster.LacksRight(err) {
		for _, l := range loads {
			q.run.answers.skip("not compared with the namespace's quotas, since these cannot be listed: "+cluster.AnswerText(err), l.key)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("listing the quotas of namespace %s: %w", namespace, err)
	}
	freed := q.freed(namespace)
	for i := range list.Items {
		quota := &list.Items[i]
		if !covers(quota) {
			continue
		}
		for name, hard := range quota.Status.Hard {
			if err := q.one(quota, name, hard, loads, freed); err != nil {
				return err
			}
		}
	}
	return nil
}

// covers reports that a quota counts ordinary pods. Quotas with other scopes count some pods only.
func covers(q *corev1.ResourceQuota) bool {
	if q.Spec.ScopeSelector != nil && len(q.Spec.ScopeSelector.MatchExpressions) > 0 {
		return false
	}
	return !slices.ContainsFunc(q.Spec.Scopes, func(s corev1.ResourceQuotaScope) bool {
		return s != corev1.ResourceQuotaScopeNotTerminating && s != corev1.ResourceQuotaScopeNotBestEffort
	})
}

// one checks one resource of one quota over all changed workloads.
func (q *quotaCheck) one(quota *corev1.ResourceQuota, name corev1.ResourceName, hard resource.Quantity, loads []*load,
	freed []*load) error {
	left := hard.DeepCopy()
	left.Sub(quota.Status.Used[name])
	needed := resource.Quantity{}
	var parts []string
	var culprit object.Key
	for _, l := range loads {
		d, err := l.demand(name)
		if err != nil {
			return fmt.Errorf("reading the pods of %s: %w", l.key, err)
		}
		if d.need.Sign() > 0 {
			parts = append(parts, fmt.Sprintf("%s needs %s more (%s)", l.key.Short(), d.need.String(), d.text))
			if culprit == "" {
				culprit = l.key
			}
		}
		needed.Add(d.need)
	}
	if len(parts) == 0 {
		return nil
	}
	for _, l := range freed {
		d, err := l.demand(name)
		if err != nil {
			return fmt.Errorf("reading the pods of %s: %w", l.key, err)
		}
		needed.Add(d.need)
	}
	if needed.Cmp(left) <= 0 {
		return nil
	}
	short := needed.DeepCopy()
	short.Sub(left)
	used := quota.Status.Used[name]
	q.run.answers.refuse(culprit, "QuotaExceeded", fmt.Sprintf("the rollout would hang: %s, and ResourceQuota %s leaves %s of %s (%s of %s "+
		"are used): "+
		"%s too much",
		strings.Join(parts, "; "), quota.Name, left.String(), name, used.String(), hard.String(), short.String()))
	return nil
}

// freed are the workloads of the deployed revision that the new one does not have any more.
func (q *quotaCheck) freed(namespace string) []*load {
	kept := map[object.Identity]bool{}
	for _, o := range q.run.next.ByKey {
		kept[q.run.identify(o.Object)] = true
	}
	var out []*load
	for id, o := range q.run.base {
		l := &load{kind: id.Kind, namespace: id.Namespace, live: o}
		if kept[id] || object.PodTemplate(o) == nil || !l.counted() || id.Namespace != namespace {
			continue
		}
		l.key = object.Key(id.Kind + "/" + id.Name)
		out = append(out, l)
	}
	return out
}

// demand is what a workload needs of a resource beyond what it uses now; negative where it gives some back.
type demand struct {
	need resource.Quantity
	text string
}

// replicasOf is the number of pods that a workload asks for; Kubernetes' default is 1.
func replicasOf(o map[string]any) int64 {
	if o == nil {
		return 0
	}
	v, found, err := unstructured.NestedFieldNoCopy(o, "spec", "replicas")
	if !found || err != nil {
		return 1
	}
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 1
}

// surges reports that a Deployment's rollout cannot continue without a pod more than it has: none may be missing meanwhile. A
// StatefulSet deletes each pod before it makes the new one.
func surges(o map[string]any, replicas int64) bool {
	if o["kind"] != "Deployment" {
		return false
	}
	strategy, _, _ := unstructured.NestedMap(o, "spec", "strategy")
	if strategy["type"] == "Recreate" {
		return false
	}
	rolling, _ := strategy["rollingUpdate"].(map[string]any)
	unavailable := intstr.FromString("25%")
	switch v := rolling["maxUnavailable"].(type) {
	case string:
		unavailable = intstr.Parse(v)
	case int64:
		unavailable = intstr.FromInt32(int32(min(v, 1<<30)))
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(&unavailable, int(replicas), false)
	return err == nil && n == 0
}

func times(q resource.Quantity, n int64) resource.Quantity {
	out := q.DeepCopy()
	out.Mul(n)
	return out
}

// podUse is what one pod counts in a quota: the sum over its containers and sidecars, or one init container where that is more.
func podUse(pod *corev1.PodSpec, name corev1.ResourceName) resource.Quantity {
	if name == corev1.ResourcePods || name == "count/pods" {
		return *resource.NewQuantity(1, resource.DecimalSI)
	}
	text := string(name)
	limits := strings.HasPrefix(text, "limits.")
	wanted := corev1.ResourceName(strings.TrimPrefix(strings.TrimPrefix(text, "limits."), "requests."))
	if strings.Contains(string(wanted), "/") && !strings.HasPrefix(text, "requests.") {
		return resource.Quantity{} // count/…: other objects
	}
	use := func(c *corev1.Container) resource.Quantity {
		if limits {
			return c.Resources.Limits[wanted]
		}
		if q, ok := c.Resources.Requests[wanted]; ok {
			return q
		}
		return c.Resources.Limits[wanted] // the API server takes the limit for the request
	}
	var sum, sidecars, largest resource.Quantity
	for i := range pod.InitContainers {
		c := &pod.InitContainers[i]
		q := use(c)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sidecars.Add(q)
			continue
		}
		// An init container runs next to the sidecars that were started before it.
		q = q.DeepCopy()
		q.Add(sidecars)
		if q.Cmp(largest) > 0 {
			largest = q
		}
	}
	sum.Add(sidecars)
	for i := range pod.Containers {
		sum.Add(use(&pod.Containers[i]))
	}
	if largest.Cmp(sum) > 0 {
		sum = largest
	}
	if overhead, ok := pod.Overhead[wanted]; ok {
		sum.Add(overhead)
	}
	return sum
}
