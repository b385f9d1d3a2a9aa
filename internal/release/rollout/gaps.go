// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
)

// AnnotationEndpoints with the value EndpointsOptional on a Service says that it may have no endpoint. Its users are for example a Service
// for a replica that a small installation does not have.
const (
	AnnotationEndpoints = "slipway.dev/endpoints"
	EndpointsOptional   = "optional"
)

// maxNear is how many pods an error shows that a Service does not reach.
const maxNear = 3

// gapCause is why a port has no ready endpoint.
type gapCause int

const (
	// noPods and noPort last: waiting changes nothing, unless other programs make pods or change labels.
	noPods gapCause = iota
	noPort
	// podsNotReady and podsNotSeen heal: pods become ready, and the controller of EndpointSlices notices.
	podsNotReady
	podsNotSeen
)

func (c gapCause) lasts() bool { return c == noPods || c == noPort }

// gap is a port of a Service without a ready endpoint.
type gap struct {
	service *corev1.Service
	// of is nil for a headless Service without ports.
	of    *corev1.ServicePort
	why   string
	cause gapCause
	// pods are those that show what is wrong, cure is what to do.
	pods []corev1.Pod
	cure string
	// home is the namespace whose objects are named without it.
	home string
}

// port names a port of a Service: "web:http".
func (g gap) port() string {
	if g.of == nil {
		return g.service.Name + ":"
	}
	return g.service.Name + ":" + cmp.Or(g.of.Name, fmt.Sprint(g.of.Port))
}

func (g gap) key() object.Key {
	return object.NewKey("v1", "Service", g.service.Namespace, g.service.Name, g.home)
}

func (g gap) problem() string {
	if g.of == nil {
		return "it has no ready endpoint: " + g.why
	}
	return fmt.Sprintf("port %s has no ready endpoint: %s", portText(g.of), g.why)
}

func (g gap) String() string { return g.key().Short() + ": " + g.problem() }

func (g gap) details() []string {
	ports := make([]string, len(g.service.Spec.Ports))
	for i := range g.service.Spec.Ports {
		ports[i] = portText(&g.service.Spec.Ports[i])
	}
	lines := []string{"selector " + labelText(g.service.Spec.Selector) + ", ports " + cmp.Or(strings.Join(ports, ", "), "none")}
	for i := range g.pods {
		lines = append(lines, podReach(&g.pods[i]))
	}
	return append(lines, g.cure)
}

// portText is "http (80 → htpp)" or "53/UDP".
func portText(p *corev1.ServicePort) string {
	text := fmt.Sprint(p.Port)
	if target := p.TargetPort.String(); target != "0" && target != "" && target != text {
		text += " → " + target
	}
	if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP {
		text += "/" + string(p.Protocol)
	}
	if p.Name == "" {
		return text
	}
	return p.Name + " (" + text + ")"
}

// podReach says what a Service could reach of a pod.
func podReach(p *corev1.Pod) string {
	set := maps.Clone(p.Labels)
	maps.DeleteFunc(set, func(key, _ string) bool { return object.IsGeneratedLabel(key) })
	var ports []string
	for _, c := range portContainers(p) {
		for _, port := range c.Ports {
			text := fmt.Sprint(port.ContainerPort)
			if port.Protocol != "" && port.Protocol != corev1.ProtocolTCP {
				text += "/" + string(port.Protocol)
			}
			if port.Name != "" {
				text = port.Name + " (" + text + ")"
			}
			ports = append(ports, text)
		}
	}
	return fmt.Sprintf("pod %s has the labels %s and the container ports %s", p.Name, cmp.Or(labelText(set), "none"),
		cmp.Or(strings.Join(ports, ", "), "none"))
}

func labelText(set map[string]string) string {
	return strings.ReplaceAll(labels.Set(set).String(), ",", ", ")
}

// portContainers are the containers whose ports have names for Services: of the init containers only sidecars.
func portContainers(p *corev1.Pod) []corev1.Container {
	out := slices.Clone(p.Spec.Containers)
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			out = append(out, c)
		}
	}
	return out
}

// selectsPods reports that a Service has the endpoints of the pods that it selects.
func selectsPods(s *corev1.Service) bool {
	return len(s.Spec.Selector) > 0 && s.Spec.Type != corev1.ServiceTypeExternalName
}

// gaps are the ports of a Service without a ready endpoint. Endpoints are counted only if their pod still exists and is still selected,
// because the controller of EndpointSlices may not have noticed the change that is waited for.
func (n *network) gaps(s *corev1.Service) []gap {
	if !selectsPods(s) {
		return nil
	}
	selector := labels.SelectorFromSet(s.Spec.Selector)
	selected := map[string]*corev1.Pod{}
	for i := range n.pods {
		p := &n.pods[i]
		if p.DeletionTimestamp == nil && PodActive(p) && selector.Matches(labels.Set(p.Labels)) {
			selected[p.Name] = p
		}
	}
	ports := make([]*corev1.ServicePort, 0, len(s.Spec.Ports))
	for i := range s.Spec.Ports {
		ports = append(ports, &s.Spec.Ports[i])
	}
	if len(ports) == 0 {
		ports = append(ports, nil)
	}
	var out []gap
	for _, port := range ports {
		if !n.served(s, port, selected) {
			out = append(out, n.gap(s, port, selected))
		}
	}
	return out
}

// served reports that a port has a ready endpoint.
func (n *network) served(s *corev1.Service, port *corev1.ServicePort, selected map[string]*corev1.Pod) bool {
	for _, slice := range n.slices[s.Name] {
		numbers := map[int32]bool{}
		for _, p := range slice.Ports {
			if port != nil && value(p.Name) == port.Name && cmp.Or(value(p.Protocol), corev1.ProtocolTCP) ==
				cmp.Or(port.Protocol, corev1.ProtocolTCP) {
				numbers[value(p.Port)] = true
			}
		}
		if port != nil && len(numbers) == 0 {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			if e.TargetRef == nil || e.TargetRef.Kind != "Pod" {
				return true // another program wrote it
			}
			pod := selected[e.TargetRef.Name]
			if pod == nil || e.TargetRef.UID != "" && e.TargetRef.UID != pod.UID {
				continue
			}
			if port == nil {
				return true
			}
			if number, found := targetOf(port, pod); found && numbers[number] {
				return true
			}
		}
	}
	return false
}

// targetOf is the port of a pod to which a port of a Service sends.
func targetOf(port *corev1.ServicePort, pod *corev1.Pod) (int32, bool) {
	if port.TargetPort.Type == intstr.Int {
		return cmp.Or(port.TargetPort.IntVal, port.Port), true
	}
	for _, c := range portContainers(pod) {
		for _, p := range c.Ports {
			if p.Name == port.TargetPort.StrVal && cmp.Or(p.Protocol, corev1.ProtocolTCP) == cmp.Or(port.Protocol, corev1.ProtocolTCP) {
				return p.ContainerPort, true
			}
		}
	}
	return 0, false
}

// gap says why a port has no ready endpoint.
func (n *network) gap(s *corev1.Service, port *corev1.ServicePort, selected map[string]*corev1.Pod) gap {
	out := gap{service: s, of: port, home: s.Namespace}
	if len(selected) == 0 {
		out.why, out.cause = "its selector "+labelText(s.Spec.Selector)+" matches no pod", noPods
		out.pods = n.near(s)
		out.cure = "Correct the selector of the Service, or the labels of the pods. Where it may have no endpoint, annotate it with " +
			AnnotationEndpoints + ": " + EndpointsOptional
		return out
	}
	named, ready := port == nil, false
	for _, name := range slices.Sorted(maps.Keys(selected)) {
		p := selected[name]
		if port != nil {
			_, found := targetOf(port, p)
			named = named || found
		}
		ready = ready || podRank(p) == 1
		if len(out.pods) < maxNear {
			out.pods = append(out.pods, *p)
		}
	}
	switch {
	case !named:
		out.why = fmt.Sprintf("targetPort %s is the name of no container port (%s) of its pods", port.TargetPort.StrVal,
			cmp.Or(port.Protocol, corev1.ProtocolTCP))
		out.cause, out.cure = noPort, "Set targetPort to the name or the number of a container port"
	case !ready:
		out.cause, out.why, out.cure = podsNotReady, "none of the pods that it selects is ready", "See why these pods are not ready"
	default:
		out.cause, out.why, out.cure = podsNotSeen, "its EndpointSlices do not have its pods yet", "See whether the cluster's controllers run"
	}
	return out
}

// near are the pods that have most of a Service's selector, with its keys before others. Pods of one workload count once.
func (n *network) near(s *corev1.Service) []corev1.Pod {
	score := func(p corev1.Pod) int {
		out := 0
		for key, value := range s.Spec.Selector {
			if has, found := p.Labels[key]; found && has == value {
				out += 100
			} else if found {
				out++
			}
		}
		return out
	}
	seen := map[string]bool{}
	var out []corev1.Pod
	for _, p := range n.pods {
		owner := p.Name
		if c := metav1.GetControllerOf(&p); c != nil {
			owner = string(c.UID)
		}
		if !seen[owner] && p.DeletionTimestamp == nil && PodActive(&p) {
			seen[owner] = true
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b corev1.Pod) int { return cmp.Compare(score(b), score(a)) })
	return out[:min(len(out), maxNear)]
}

// wantsNoPods reports that nothing wants pods for a Service now: its workloads are scaled to zero, or its pods are those of Jobs.
func wantsNoPods(ctx context.Context, client kubernetes.Interface, n *network, s *corev1.Service) (bool, error) {
	w := wanting{selector: withoutGenerated(s.Spec.Selector)}
	for i := range n.pods {
		p := &n.pods[i]
		if p.DeletionTimestamp == nil && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels)) {
			controller := metav1.GetControllerOf(p)
			w.add(p.Labels, PodActive(p) && (controller == nil || controller.Kind != "Job"))
		}
	}
	if err := w.workloads(ctx, client, s.Namespace); err != nil && !cluster.LacksRight(err) {
		return false, err
	}
	return w.found && !w.wants, nil
}

// withoutGenerated leaves out what no template has.
func withoutGenerated(selector map[string]string) labels.Selector {
	set := maps.Clone(selector)
	maps.DeleteFunc(set, func(key, _ string) bool { return object.IsGeneratedLabel(key) })
	return labels.SelectorFromSet(set)
}

// wanting collects whether workloads that match a selector want pods.
type wanting struct {
	selector     labels.Selector
	found, wants bool
}

func (w *wanting) add(podLabels map[string]string, wants bool) {
	if w.selector.Matches(labels.Set(podLabels)) {
		w.found, w.wants = true, w.wants || wants
	}
}

func (w *wanting) workloads(ctx context.Context, client kubernetes.Interface, namespace string) error {
	some := func(replicas *int32) bool { return replicas == nil || *replicas > 0 }
	deployments, err := client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the Deployments of namespace %s: %w", namespace, err)
	}
	for _, d := range deployments.Items {
		w.add(d.Spec.Template.Labels, some(d.Spec.Replicas) && (!d.Spec.Paused || d.Status.Replicas > 0))
	}
	sets, err := client.AppsV1().StatefulSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the StatefulSets of namespace %s: %w", namespace, err)
	}
	for _, s := range sets.Items {
		w.add(s.Spec.Template.Labels, some(s.Spec.Replicas))
	}
	daemons, err := client.AppsV1().DaemonSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the DaemonSets of namespace %s: %w", namespace, err)
	}
	for _, d := range daemons.Items {
		w.add(d.Spec.Template.Labels, d.Status.ObservedGeneration < d.Generation || d.Status.DesiredNumberScheduled > 0)
	}
	replicas, err := client.AppsV1().ReplicaSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the ReplicaSets of namespace %s: %w", namespace, err)
	}
	for _, r := range replicas.Items {
		// Those of Deployments are counted there; those of other controllers, such as Argo's Rollout, stand for these.
		if c := metav1.GetControllerOf(&r); c == nil || c.Kind != "Deployment" || !strings.HasPrefix(c.APIVersion, appsv1.GroupName+"/") {
			w.add(r.Spec.Template.Labels, some(r.Spec.Replicas))
		}
	}
	if w.found {
		return nil
	}
	jobs, err := client.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the Jobs of namespace %s: %w", namespace, err)
	}
	for _, j := range jobs.Items {
		w.add(j.Spec.Template.Labels, false)
	}
	crons, err := client.BatchV1().CronJobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the CronJobs of namespace %s: %w", namespace, err)
	}
	for _, c := range crons.Items {
		w.add(c.Spec.JobTemplate.Spec.Template.Labels, false)
	}
	return nil
}

func value[T any](v *T) T {
	var zero T
	if v == nil {
		return zero
	}
	return *v
}
