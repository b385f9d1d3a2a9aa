// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// PodLister lists the pods of a health check.
type PodLister interface {
	Pods(ctx context.Context) ([]corev1.Pod, error)
}

// SelectedPods is the PodLister that reads from the API server.
type SelectedPods struct {
	Client    kubernetes.Interface
	Namespace string
	// Selector selects the pods by labels, in the notation of kubectl.
	Selector string
}

// Validate returns a *ConfigError if the selector is not valid or would select all pods.
func (s *SelectedPods) Validate() error {
	switch _, err := labels.Parse(s.Selector); {
	case s.Client == nil:
		return &ConfigError{Field: "pods", Problem: "has no Kubernetes client"}
	case s.Namespace == "":
		return &ConfigError{Field: "pods.namespace", Problem: "is empty: pods of all namespaces would count"}
	case strings.TrimSpace(s.Selector) == "":
		return &ConfigError{Field: "pods.selector", Problem: "is empty: all pods of the namespace would count"}
	case err != nil:
		return &ConfigError{Field: "pods.selector", Problem: err.Error()}
	}
	return nil
}

// Pods implements PodLister.
func (s *SelectedPods) Pods(ctx context.Context) ([]corev1.Pod, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	list, err := s.Client.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: s.Selector})
	if err != nil {
		return nil, cluster.Classify(fmt.Errorf("list the pods %s in %s: %w", s.Selector, s.Namespace, err))
	}
	return list.Items, nil
}

// PodReadiness is a health check by the state of pods. It passes when at least MinReady pods are ready, none of the others
// fails, and no container was restarted since the sample before. Pods that are being deleted or that have ended do
// not count, and neither do young ones that are not ready yet: an autoscaler adds pods at any time.
type PodReadiness struct {
	// Name is the name of the check.
	Name string
	Pods PodLister
	// MinReady is the minimum number of ready pods; zero means 1.
	MinReady int
	// Grace is how long after its creation a pod may be not ready; zero means one minute. The check compares clocks of different
	// machines.
	Grace time.Duration
	// Timeout; zero means DefaultTimeout.
	Timeout time.Duration
	// Now is the time; nil means time.Now.
	Now func() time.Time

	// restarts of the containers at the sample before, by pod and container.
	restarts map[string]int32
}

// Check implements Sampler.
func (p *PodReadiness) Check() string { return p.Name }

// Sample implements Sampler.
func (p *PodReadiness) Sample(ctx context.Context) Sample {
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pods, err := p.Pods.Pods(limited)
	switch {
	case err != nil && ctx.Err() != nil:
		return Sample{Kind: Error, Evidence: "the check was interrupted"}
	case err != nil && limited.Err() != nil:
		return Sample{Kind: Error, Evidence: "the API server gave no list of pods within " + timeout.String()}
	case err != nil:
		return Sample{Kind: Error, Evidence: oneLine(err.Error())}
	}
	kind, text := p.classify(pods)
	return Sample{Kind: kind, Evidence: oneLine(text)}
}

func (p *PodReadiness) classify(pods []corev1.Pod) (Kind, string) {
	now := time.Now
	if p.Now != nil {
		now = p.Now
	}
	grace, least := p.Grace, p.MinReady
	if grace <= 0 {
		grace = time.Minute
	}
	if least <= 0 {
		least = 1
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	var (
		ready, young int
		troubles     []string
		restarts     = map[string]int32{}
	)
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		restarted := p.restarted(pod, restarts)
		isReady, why := podReady(pod)
		switch {
		case restarted != "":
			troubles = append(troubles, restarted)
		case isReady:
		case now().Sub(pod.CreationTimestamp.Time) < grace:
			young++
		default:
			troubles = append(troubles, fmt.Sprintf("pod %s is not ready%s", pod.Name, why))
		}
		if isReady {
			ready++
		}
	}
	p.restarts = restarts
	text := fmt.Sprintf("%d pods are ready", ready)
	if ready == 1 {
		text = "1 pod is ready"
	}
	if young > 0 {
		text += fmt.Sprintf(", %d still starting", young)
	}
	if ready < least {
		troubles = append([]string{fmt.Sprintf("%s, %d are needed", text, least)}, troubles...)
	}
	if len(troubles) > 0 {
		return Fail, strings.Join(troubles, "; ")
	}
	return Pass, text
}

// restarted records the restarts of pod, and returns the container that was restarted since the sample before.
func (p *PodReadiness) restarted(pod *corev1.Pod, restarts map[string]int32) string {
	text := ""
	for _, c := range pod.Status.ContainerStatuses {
		key := string(pod.UID) + "/" + pod.Name + "/" + c.Name
		restarts[key] = c.RestartCount
		before, known := p.restarts[key]
		if !known || c.RestartCount <= before || text != "" {
			continue
		}
		text = fmt.Sprintf("container %s of pod %s was restarted", c.Name, pod.Name)
		if t := c.LastTerminationState.Terminated; t != nil {
			text += fmt.Sprintf(" (%s, exit code %d)", t.Reason, t.ExitCode)
		}
	}
	return text
}

// podReady reports whether pod is ready, and if not, the reason from its status.
func podReady(pod *corev1.Pod) (ready bool, why string) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return true, ""
		}
	}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "PodInitializing" && w.Reason != "ContainerCreating" {
			return false, ": container " + c.Name + " waits (" + w.Reason + ")"
		}
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			return false, fmt.Sprintf(": container %s ended (%s, exit code %d)", c.Name, t.Reason, t.ExitCode)
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return false, ": " + c.Reason
		}
	}
	return false, ""
}
