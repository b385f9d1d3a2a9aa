// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package task makes the Kubernetes Jobs that run a program in a client's namespace: checks of a release, migrations of a database.
package task

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const labelIstioInject = "sidecar.istio.io/inject"

// Spec is a program and its place.
type Spec struct {
	Namespace, Name string
	Labels          map[string]string // of the Job and its pods
	Container       string            // name of the container
	Image           string
	Command, Args   []string // Kubernetes expands $(NAME) in them; none: those of the image
	// Env are values that are taken as they are: Kubernetes expands nothing in them.
	Env map[string]string
	// SecretEnv are values that come from Secrets of the namespace.
	SecretEnv map[string]SecretKey
	// ServiceAccount of the pods. Empty: the namespace's default one.
	ServiceAccount string
	// Token gives the pods a token of their ServiceAccount.
	Token       bool
	PullSecrets []string
	// User is the number of the user that the program runs as. 0: that of the image, which must not be root.
	User int64
	// Memory is the limit. Default 512Mi.
	Memory string
	// Grace is how long the program has to end after SIGTERM.
	Grace time.Duration
	// Deadline ends the Job. It is for those whose process has died: longer than its maker waits for it.
	Deadline time.Duration
	// Retries are attempts in addition to the first one. A pod that loses its node is made again in any case: that is no answer.
	Retries int32
}

// SecretKey is a key of a Secret.
type SecretKey struct{ Name, Key string }

// Job makes the object. It satisfies the Pod Security Standard "restricted".
func (s Spec) Job() *batchv1.Job {
	memory := s.Memory
	if memory == "" {
		memory = "512Mi"
	}
	pod := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		ServiceAccountName:            s.ServiceAccount,
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(s.Grace.Seconds())),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:   new(true),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: s.Container, Image: s.Image, Command: s.Command, Args: s.Args, Env: s.variables(),
			// Namespaces with a quota refuse pods without.
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse(memory)},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
	if s.User > 0 {
		pod.SecurityContext.RunAsUser = new(s.User)
	}
	if !s.Token {
		pod.AutomountServiceAccountToken = new(false)
	}
	for _, name := range s.PullSecrets {
		pod.ImagePullSecrets = append(pod.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	podLabels := map[string]string{labelIstioInject: "false"} // a sidecar would keep the pod from ending
	maps.Copy(podLabels, s.Labels)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace, Labels: maps.Clone(s.Labels)},
		Spec: batchv1.JobSpec{
			BackoffLimit:          new(s.Retries),
			ActiveDeadlineSeconds: new(int64(s.Deadline.Seconds())),
			PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
				Action:          batchv1.PodFailurePolicyActionIgnore,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
			}}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: podLabels}, Spec: pod},
		},
	}
}

// variables are sorted, so that the same Spec makes the same Job.
func (s Spec) variables() []corev1.EnvVar {
	var out []corev1.EnvVar
	// Secrets come first: a command may refer to all, and Kubernetes expands what comes before.
	for _, name := range slices.Sorted(maps.Keys(s.SecretEnv)) {
		key := s.SecretEnv[name]
		out = append(out, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: key.Name}, Key: key.Key,
		}}})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		out = append(out, corev1.EnvVar{Name: name, Value: strings.ReplaceAll(s.Env[name], "$(", "$$(")})
	}
	return out
}

// End is how a Job has ended.
type End struct {
	Complete bool
	// Reason is Kubernetes' word for why it failed, Failure is it in a sentence.
	Reason, Failure string
}

// EndOf is nil while a Job runs.
func EndOf(j *batchv1.Job) *End {
	for _, c := range j.Status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == batchv1.JobComplete:
			return &End{Complete: true}
		case c.Type == batchv1.JobFailed:
			return &End{Reason: c.Reason, Failure: "the Job failed (" + c.Reason + "): " + c.Message}
		}
	}
	return nil
}

// Waits says why the container of a pod cannot start: no image, no Secret, a refused user. Empty while nothing hinders it.
func Waits(pod *corev1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		if w := status.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			return fmt.Sprintf("its pod cannot start (%s): %s", w.Reason, w.Message)
		}
	}
	return ""
}
