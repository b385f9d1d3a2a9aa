// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

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

// workload notes a changed workload whose pods, or whose number of pods, change.
func (t *run) workload(key object.Key, o object.Rendered, base, next, live map[string]any) {
	template := object.PodTemplate(o.Object)
	if template == nil {
		return
	}
	kind, _ := o.Object["kind"].(string)
	l := &load{key: key, hook: o.Hook, kind: kind, namespace: t.identify(o.Object).Namespace, next: next, live: live}
	l.templateChanged = base == nil || !sameValue(object.PodTemplate(base), template)
	if !l.templateChanged && sameValue(inMap(base["spec"], "replicas"), inMap(o.Object["spec"], "replicas")) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.loads = append(t.loads, l)
}

// pods validates one pod of each changed template: what admission, Pod Security, a LimitRange or a quota says of a pod it does not
// say of the workload that makes it.
func (t *run) pods(ctx context.Context) error {
	return cluster.Parallel(ctx, t.loads, func(ctx context.Context, l *load) error {
		pod, err := podOf(l.next, l.namespace)
		if err != nil {
			return fmt.Errorf("reading the pod template of %s: %w", l.key, err)
		}
		l.pod = &pod.Spec
		if !l.templateChanged {
			return nil
		}
		return t.pod(ctx, l, pod)
	})
}

var (
	missingAccount  = regexp.MustCompile(`error looking up service account [^/]+/([^:]+): `)
	missingPriority = regexp.MustCompile(`no PriorityClass with name (\S+) was found`)
)

func (t *run) pod(ctx context.Context, l *load, pod *corev1.Pod) error {
	for range 3 {
		made, err := t.client.CoreV1().Pods(l.namespace).Create(ctx, pod.DeepCopy(), metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldManager: environment.FieldManager,
		})
		if err == nil {
			l.pod = &made.Spec
			return nil
		}
		text := cluster.AnswerText(err)
		if m := missingAccount.FindStringSubmatch(text); m != nil && t.brings("v1/ServiceAccount/"+m[1]) &&
			pod.Spec.ServiceAccountName != "default" {
			// The account is made by the same apply. Any other one lets the pod be validated.
			pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount = "default", ""
			continue
		}
		if m := missingPriority.FindStringSubmatch(text); m != nil && t.brings("scheduling.k8s.io/v1/PriorityClass/"+m[1]) {
			pod.Spec.PriorityClassName = ""
			continue
		}
		if strings.Contains(text, "exceeded quota") && l.counted() {
			// Whether the rollout fits is a sum over all pods, see quotas: this one may take the place of an old one.
			return nil
		}
		return t.refusedBy(l.key, "its pods would be refused: ", err)
	}
	return nil
}

// brings reports that an object comes with the release.
func (t *run) brings(key string) bool {
	_, there := t.next.ByKey[object.Key(key)]
	return there
}

// counted are the workloads whose pods quotas sums up.
func (l *load) counted() bool {
	return !l.hook && (l.kind == "Deployment" || l.kind == "StatefulSet" || l.kind == "ReplicaSet" || l.kind == "ReplicationController")
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
