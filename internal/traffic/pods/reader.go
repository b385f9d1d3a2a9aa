// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package pods reads the pods behind Services: which of them are ready, how many requests they can serve, and which version runs in them.
package pods

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// Track says which pods a track has: those behind a Service that also carry Labels.
type Track struct {
	Service string
	Labels  map[string]string
}

// Reader reads the pods of one namespace. Errors of all methods: as from cluster.Classify, and those that they name.
type Reader struct {
	Cluster   *cluster.Cluster
	Client    kubernetes.Interface
	Namespace string
}

// List returns the pods with labels that are not terminating.
func (r Reader) List(ctx context.Context, wanted map[string]string) ([]corev1.Pod, error) {
	list, err := r.Client.CoreV1().Pods(r.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set(wanted).String()})
	if err != nil {
		return nil, r.Cluster.Classify(fmt.Errorf("listing the pods with %s in namespace %s: %w", LabelText(wanted), r.Namespace, err))
	}
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }), nil
}

// LabelSets returns the sets of labels of the pods with labels, as text and without those that controllers generate. It returns at most
// five.
func (r Reader) LabelSets(ctx context.Context, wanted map[string]string) ([]string, error) {
	found, err := r.List(ctx, wanted)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, pod := range found {
		set := maps.Clone(pod.Labels)
		for _, generated := range []string{appsv1.DefaultDeploymentUniqueLabelKey, appsv1.ControllerRevisionHashLabelKey,
			appsv1.StatefulSetPodNameLabel,
			appsv1.PodIndexLabel} {
			delete(set, generated)
		}
		out = append(out, LabelText(set))
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(len(out), 5)], nil
}

// Deployments returns those whose pods have labels.
func (r Reader) Deployments(ctx context.Context, wanted map[string]string) ([]appsv1.Deployment, error) {
	list, err := r.Client.AppsV1().Deployments(r.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, r.Cluster.Classify(fmt.Errorf("listing the Deployments of namespace %s: %w", r.Namespace, err))
	}
	selector := labels.SelectorFromSet(wanted)
	return slices.DeleteFunc(list.Items, func(d appsv1.Deployment) bool { return !selector.Matches(labels.Set(d.Spec.Template.Labels)) }), nil
}

// Content names the version that runs in the pods with labels: a digest of the pod templates of their Deployments. It is empty
// where there are none.
func (r Reader) Content(ctx context.Context, wanted map[string]string) (string, error) {
	found, err := r.Deployments(ctx, wanted)
	if err != nil || len(found) == 0 {
		return "", err
	}
	slices.SortFunc(found, func(a, b appsv1.Deployment) int { return strings.Compare(a.Name, b.Name) })
	sum := sha256.New()
	for _, d := range found {
		text, err := json.Marshal(d.Spec.Template)
		if err != nil {
			return "", fmt.Errorf("reading the pod template of Deployment %s: %w", d.Name, err)
		}
		sum.Write(fmt.Appendf(nil, "%s %d:%s\n", d.Name, len(text), text))
	}
	return "v1:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// Endpoints returns the names of the pods that a Service sends requests to. An endpoint without a pod is named by its addresses.
func (r Reader) Endpoints(ctx context.Context, service string) ([]string, error) {
	list, err := r.Client.DiscoveryV1().EndpointSlices(r.Namespace).List(ctx,
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		return nil, r.Cluster.Classify(fmt.Errorf("listing the endpoints of Service %s: %w", service, err))
	}
	found := map[string]bool{} // a pod is in one slice for each family of addresses
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if ready := endpoint.Conditions.Ready; ready != nil && !*ready {
				continue
			}
			name := strings.Join(endpoint.Addresses, ",")
			if endpoint.TargetRef != nil {
				name = endpoint.TargetRef.Name
			}
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// Labels returns those that all pods of a track have. Errors: *ServiceMissingError.
func (r Reader) Labels(ctx context.Context, track Track) (map[string]string, error) {
	service, err := r.Client.CoreV1().Services(r.Namespace).Get(ctx, track.Service, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return nil, &ServiceMissingError{Service: track.Service, Namespace: r.Namespace}
	case err != nil:
		return nil, r.Cluster.Classify(fmt.Errorf("reading Service %s: %w", track.Service, err))
	}
	out := maps.Clone(track.Labels)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, service.Spec.Selector)
	for key, value := range track.Labels {
		if out[key] != value {
			return nil, errNotOfTrack(track.Service, key, value, out[key])
		}
	}
	if len(out) == 0 {
		return nil, errNoSelector(track.Service)
	}
	return out, nil
}

// Capacity counts the pods of two tracks. Errors: *ServiceMissingError.
func (r Reader) Capacity(ctx context.Context, stable, canary Track) (out Capacity, err error) {
	if out.Stable, err = r.capacityOf(ctx, stable); err != nil {
		return Capacity{}, err
	}
	if out.Canary, err = r.capacityOf(ctx, canary); err != nil {
		return Capacity{}, err
	}
	return out, nil
}

func (r Reader) capacityOf(ctx context.Context, track Track) (out TrackCapacity, err error) {
	wanted, err := r.Labels(ctx, track)
	if err != nil {
		return out, err
	}
	all, err := r.List(ctx, wanted)
	if err != nil {
		return out, err
	}
	serving, err := r.Endpoints(ctx, track.Service)
	if err != nil {
		return out, err
	}
	var waiting []string
	for i := range all {
		pod := &all[i]
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		out.Pods++
		if slices.Contains(serving, pod.Name) && Ready(pod) {
			out.Ready++
		} else {
			waiting = append(waiting, fmt.Sprintf("pod %s (%s)", pod.Name, whyNotServing(pod)))
		}
	}
	switch {
	case out.Pods == 0:
		out.Lacking = fmt.Sprintf("Service %s has no pod with the labels %s", track.Service, LabelText(wanted))
	case len(waiting) > 0:
		out.Lacking = fmt.Sprintf("no ready endpoints of Service %s are %s", track.Service, firstFew(waiting))
	}
	out.Grows, err = r.grows(ctx, wanted)
	return out, err
}

// grows reports that an autoscaler can add pods with labels.
func (r Reader) grows(ctx context.Context, wanted map[string]string) (bool, error) {
	scalers, err := r.Client.AutoscalingV2().HorizontalPodAutoscalers(r.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, r.Cluster.Classify(fmt.Errorf("listing the autoscalers of namespace %s: %w", r.Namespace, err))
	}
	scaled := map[string]bool{}
	for _, scaler := range scalers.Items {
		if to := scaler.Spec.ScaleTargetRef; to.Kind == "Deployment" && scaler.Status.CurrentReplicas < scaler.Spec.MaxReplicas {
			scaled[to.Name] = true
		}
	}
	if len(scaled) == 0 {
		return false, nil
	}
	deployments, err := r.Deployments(ctx, wanted)
	return slices.ContainsFunc(deployments, func(d appsv1.Deployment) bool { return scaled[d.Name] }), err
}

// Ready reports the condition of a pod.
func Ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// NotReady says why pods are not ready, as sentences that each start with a space.
func NotReady(pods []corev1.Pod) string {
	if len(pods) == 0 {
		return " There is no pod with these labels."
	}
	var out strings.Builder
	for i := range pods {
		if Ready(&pods[i]) {
			continue
		}
		fmt.Fprintf(&out, " Pod %s is not ready", pods[i].Name)
		for _, c := range pods[i].Status.ContainerStatuses {
			if w := c.State.Waiting; w != nil && w.Reason != "" {
				fmt.Fprintf(&out, " (container %s: %s)", c.Name, w.Reason)
			}
		}
		out.WriteByte('.')
	}
	return out.String()
}

// whyNotServing says in a few words why a pod gets no requests.
func whyNotServing(pod *corev1.Pod) string {
	if Ready(pod) {
		return "not in the EndpointSlices yet"
	}
	for _, container := range pod.Status.ContainerStatuses {
		switch state := container.State; {
		case state.Waiting != nil && state.Waiting.Reason != "":
			return state.Waiting.Reason
		case state.Running != nil && !container.Ready:
			return "container " + container.Name + " runs and is not ready"
		}
	}
	return strings.ToLower(cmp.Or(string(pod.Status.Phase), "not ready"))
}

// firstFew names some, and counts the rest.
func firstFew(names []string) string {
	const most = 3
	slices.Sort(names)
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// LabelText is a set of labels as users write it: "app=x, track=green".
func LabelText(set map[string]string) string {
	return strings.ReplaceAll(labels.Set(set).String(), ",", ", ")
}
