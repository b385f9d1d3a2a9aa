// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// TrackCapacity is what one track can serve with.
type TrackCapacity struct {
	// Ready pods are endpoints of the track's Service. Pods are all that are not ending, ready or not.
	Ready, Pods int
	// Grows says that an autoscaler adds pods when there is load.
	Grows bool
	// Lacking says which pods are not ready, or that there are none; empty where all are ready.
	Lacking string
}

// Capacity is that of both tracks.
type Capacity struct {
	Stable, Canary TrackCapacity
}

// demand is how many pods all traffic needs, by the track that has most of it now.
func (c Capacity) demand(weight int) int {
	ready, share := c.Stable.Ready, 100-weight
	if weight > 50 {
		ready, share = c.Canary.Ready, weight
	}
	return min(ready*100/share, c.Stable.Ready+c.Canary.Ready)
}

// needed is how many ready pods a track needs for a share in percent. A track that nobody scales serves with what it has.
func (t TrackCapacity) needed(share, demand int) int {
	if share <= 0 {
		return 0
	}
	out := max(1, (share*demand+99)/100)
	if !t.Grows {
		out = min(out, max(1, t.Pods))
	}
	return out
}

// short is the side that cannot carry a weight, starting at "from", with its share in percent and the ready pods that it needs. Its name is
// empty where both can.
func (c Capacity) short(from, weight int) (name string, track TrackCapacity, share, needs int) {
	demand := c.demand(from)
	stable, canary := c.Stable.needed(100-weight, demand), c.Canary.needed(weight, demand)
	switch {
	case weight > from:
		stable = min(stable, 1) // it only loses requests
	case weight < from:
		canary = 0 // what it keeps, it had before
	default:
		stable, canary = min(stable, 1), min(canary, 1)
	}
	stableIsShort, canaryIsShort := c.Stable.Ready < stable, c.Canary.Ready < canary
	switch {
	case canaryIsShort && (weight > from || !stableIsShort):
		return "the canary", c.Canary, weight, canary
	case stableIsShort:
		return "the stable side", c.Stable, 100 - weight, stable
	}
	return "", TrackCapacity{}, 0, 0
}

// reach is the weight nearest to "to" that the tracks can carry, starting at "from", which is returned where there is none; missing then
// says what is not ready. headers says that the canary gets requests whatever the weight is.
func (c Capacity) reach(from, to int, headers bool) (weight int, missing string) {
	if headers && c.Canary.Ready == 0 {
		return from, "the canary has no ready pod, and headers send requests to it" + c.Canary.because()
	}
	step := 1
	if to > from {
		step = -1
	}
	name, track, share, needs := c.short(from, to)
	if name == "" {
		return to, ""
	}
	for weight = to; weight != from; weight += step {
		if short, _, _, _ := c.short(from, weight); short == "" {
			break
		}
	}
	return weight, fmt.Sprintf("%s has %s ready and needs %d for %d%% of the requests%s", name, pods(track.Ready), needs, share, track.because())
}

// because names the pods, behind a colon.
func (t TrackCapacity) because() string {
	if t.Lacking == "" {
		return ""
	}
	return ": " + t.Lacking
}

func pods(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}

// TrackPods says which pods a track has: those behind a Service that also carry Labels.
type TrackPods struct {
	Service string
	Labels  map[string]string
}

// capacities reads how many pods the tracks have.
type capacities struct {
	cluster        *cluster.Cluster
	client         kubernetes.Interface
	namespace      string
	stable, canary TrackPods
}

// read asks the cluster. Errors: *ServiceMissingError, *SelectorError, others as from cluster.Classify.
func (r *capacities) read(ctx context.Context) (out Capacity, err error) {
	if out.Stable, err = r.of(ctx, r.stable); err != nil {
		return Capacity{}, err
	}
	if out.Canary, err = r.of(ctx, r.canary); err != nil {
		return Capacity{}, err
	}
	return out, nil
}

// labels are those that all pods of a track have.
func (r *capacities) labels(ctx context.Context, track TrackPods) (map[string]string, error) {
	service, err := r.client.CoreV1().Services(r.namespace).Get(ctx, track.Service, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return nil, &ServiceMissingError{Service: track.Service, Namespace: r.namespace}
	case err != nil:
		return nil, r.cluster.Classify(fmt.Errorf("reading Service %s: %w", track.Service, err))
	}
	out := maps.Clone(track.Labels)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, service.Spec.Selector)
	for key, value := range track.Labels {
		if out[key] != value {
			return nil, &TrackServiceError{Service: track.Service, Key: key, Value: value, Selects: out[key]}
		}
	}
	if len(out) == 0 {
		return nil, &SelectorError{Service: track.Service, Label: "anything"}
	}
	return out, nil
}

func (r *capacities) of(ctx context.Context, track TrackPods) (out TrackCapacity, err error) {
	wanted, err := r.labels(ctx, track)
	if err != nil {
		return out, err
	}
	list, err := r.client.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set(wanted).String()})
	if err != nil {
		return out, r.cluster.Classify(fmt.Errorf("listing the pods of Service %s: %w", track.Service, err))
	}
	serving, err := r.endpoints(ctx, track.Service)
	if err != nil {
		return out, err
	}
	var waiting []string
	for _, pod := range list.Items {
		if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		out.Pods++
		if serving[pod.Name] && isReady(&pod) {
			out.Ready++
		} else {
			waiting = append(waiting, fmt.Sprintf("pod %s (%s)", pod.Name, whyNotServing(&pod)))
		}
	}
	switch {
	case out.Pods == 0:
		out.Lacking = fmt.Sprintf("Service %s has no pod with the labels %s", track.Service, labelText(wanted))
	case len(waiting) > 0:
		out.Lacking = fmt.Sprintf("no ready endpoints of Service %s are %s", track.Service, firstFew(waiting))
	}
	out.Grows, err = r.autoscaled(ctx, wanted)
	return out, err
}

// whyNotServing says in a few words why a pod gets no requests.
func whyNotServing(pod *corev1.Pod) string {
	if isReady(pod) {
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
	return strings.ToLower(firstOf(string(pod.Status.Phase), "not ready"))
}

// firstFew names some, and counts the rest.
func firstFew(names []string) string {
	const most = 3
	slices.Sort(names)
	if len(names) <= most {
		return join(names)
	}
	return fmt.Sprintf("%s and %d more", join(names[:most]), len(names)-most)
}

// endpoints are the names of the pods that a Service sends requests to.
func (r *capacities) endpoints(ctx context.Context, service string) (map[string]bool, error) {
	list, err := r.client.DiscoveryV1().EndpointSlices(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	if err != nil {
		return nil, r.cluster.Classify(fmt.Errorf("listing the endpoints of Service %s: %w", service, err))
	}
	out := map[string]bool{}
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if ready := endpoint.Conditions.Ready; endpoint.TargetRef != nil && (ready == nil || *ready) {
				out[endpoint.TargetRef.Name] = true
			}
		}
	}
	return out, nil
}

// autoscaled reports that an autoscaler scales a Deployment with such pods.
func (r *capacities) autoscaled(ctx context.Context, wanted map[string]string) (bool, error) {
	scalers, err := r.client.AutoscalingV2().HorizontalPodAutoscalers(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, r.cluster.Classify(fmt.Errorf("listing the autoscalers of namespace %s: %w", r.namespace, err))
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
	deployments, err := r.client.AppsV1().Deployments(r.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, r.cluster.Classify(fmt.Errorf("listing the Deployments of namespace %s: %w", r.namespace, err))
	}
	for _, d := range deployments.Items {
		if scaled[d.Name] && labels.SelectorFromSet(wanted).Matches(labels.Set(d.Spec.Template.Labels)) {
			return true, nil
		}
	}
	return false, nil
}

// serviceOfHost is the name of the Service in a namespace that a host stands for, false where it is elsewhere.
func serviceOfHost(host, namespace string) (string, bool) {
	return strings.CutSuffix(fullHost(host, namespace), "."+namespace+".svc")
}
