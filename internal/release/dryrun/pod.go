// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// podCheck collects the workloads that the apply changes, and validates their pods.
type podCheck struct {
	run   *run
	mu    sync.Mutex
	loads []*load
}

// load is a workload that the apply changes, with what it needs of the namespace.
type load struct {
	key       object.Key
	hook      bool
	kind      string
	namespace string
	// templateChanged says that pods are replaced, and not only more or fewer of them made.
	templateChanged bool
	// next is the workload as it will be, live as it is; nil where it does not exist.
	next, live map[string]any
	// pod is one of the new pods, as the API server would make it; as the template says where it was not asked.
	pod *corev1.PodSpec
}

// add notes a changed workload whose pods, or whose number of pods, change.
func (p *podCheck) add(key object.Key, o object.Rendered, base, next, live map[string]any) {
	template := object.PodTemplate(o.Object)
	if template == nil {
		return
	}
	kind, _ := o.Object["kind"].(string)
	l := &load{key: key, hook: o.Hook, kind: kind, namespace: p.run.identify(o.Object).Namespace, next: next, live: live}
	l.templateChanged = base == nil || !object.SameValue(object.PodTemplate(base), template)
	if !l.templateChanged && object.SameValue(inMap(base["spec"], "replicas"), inMap(o.Object["spec"], "replicas")) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loads = append(p.loads, l)
}

// all validates one pod of each changed template, since admission, Pod Security, a LimitRange or a quota refuses the pod and not the
// workload that creates it.
func (p *podCheck) all(ctx context.Context) error {
	return cluster.Parallel(ctx, p.loads, func(ctx context.Context, l *load) error {
		pod, err := podOf(l.next, l.namespace)
		if err != nil {
			return fmt.Errorf("reading the pod template of %s: %w", l.key, err)
		}
		l.pod = &pod.Spec
		if !l.templateChanged {
			return nil
		}
		return p.one(ctx, l, pod)
	})
}

var (
	missingAccount  = regexp.MustCompile(`error looking up service account [^/]+/([^:]+): `)
	missingPriority = regexp.MustCompile(`no PriorityClass with name (\S+) was found`)
)

func (p *podCheck) one(ctx context.Context, l *load, pod *corev1.Pod) error {
	for range 3 {
		made, err := p.run.client.CoreV1().Pods(l.namespace).Create(ctx, pod.DeepCopy(), metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldManager: environment.FieldManager,
		})
		if err == nil {
			l.pod = &made.Spec
			return nil
		}
		text := cluster.AnswerText(err)
		if m := missingAccount.FindStringSubmatch(text); m != nil && p.brings("v1/ServiceAccount/"+m[1]) &&
			pod.Spec.ServiceAccountName != "default" {
			// The account is made by the same apply. Any other one lets the pod be validated.
			pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount = "default", ""
			continue
		}
		if m := missingPriority.FindStringSubmatch(text); m != nil && p.brings("scheduling.k8s.io/v1/PriorityClass/"+m[1]) {
			pod.Spec.PriorityClassName = ""
			continue
		}
		if strings.Contains(text, "exceeded quota") && l.counted() {
			// Whether the rollout fits is a sum over all pods, see quotas: this one may take the place of an old one.
			return nil
		}
		return p.run.answers.refusedBy(l.key, "its pods would be refused: ", err)
	}
	return nil
}

// brings reports that an object comes with the release.
func (p *podCheck) brings(key string) bool {
	_, there := p.run.next.ByKey[object.Key(key)]
	return there
}

// counted are the workloads whose pods quotas sums up.
func (l *load) counted() bool {
	return !l.hook && (l.kind == "Deployment" || l.kind == "StatefulSet" || l.kind == "ReplicaSet" || l.kind == "ReplicationController")
}

func (l *load) demand(name corev1.ResourceName) (demand, error) {
	var before, after resource.Quantity
	was, becomes := replicasOf(l.live), replicasOf(l.next)
	if l.live != nil {
		pod, err := podOf(l.live, l.namespace)
		if err != nil {
			return demand{}, err
		}
		before = podUse(&pod.Spec, name)
	}
	if l.pod != nil {
		after = podUse(l.pod, name)
	}
	final := times(after, becomes)
	final.Sub(times(before, was))
	text := fmt.Sprintf("%d × %s instead of %d × %s", becomes, after.String(), was, before.String())
	if !l.templateChanged || was == 0 || becomes == 0 || !surges(l.next, becomes) {
		return demand{final, text}, nil
	}
	// One new pod must fit next to all old ones, and at the end one old pod next to all new ones.
	last := final.DeepCopy()
	last.Add(before)
	peak := after.DeepCopy()
	if last.Cmp(peak) > 0 {
		peak = last
	}
	return demand{peak, text + ", and one more pod while it runs"}, nil
}

// podOf is a pod as the workload's controller would make it.
func podOf(workload map[string]any, namespace string) (*corev1.Pod, error) {
	template := &corev1.PodTemplateSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.PodTemplate(workload), template); err != nil {
		return nil, err
	}
	name, _ := object.NameOf(workload)
	pod := &corev1.Pod{Spec: template.Spec}
	pod.GenerateName = fmt.Sprintf("%.50s-", name)
	pod.Namespace = namespace
	pod.Labels, pod.Annotations = template.Labels, template.Annotations
	claims, _, _ := unstructured.NestedSlice(workload, "spec", "volumeClaimTemplates")
	for _, claim := range claims {
		if m, ok := claim.(map[string]any); ok {
			claimName, _ := object.NameOf(m)
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: claimName, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName + "-" + name + "-0"},
			}})
		}
	}
	return pod, nil
}
