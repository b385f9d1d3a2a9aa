// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
)

const (
	// endpointsPoll is the pace of the first looks at endpoints: their controller is usually done before the pods are seen to be ready.
	endpointsPoll = 200 * time.Millisecond
	// quickLooks is how many looks have that pace.
	quickLooks = 15
)

// Endpoints makes a Waiter wait for the endpoints of Services, and says which may be without.
type Endpoints struct {
	// Without are ports of Services that had no ready endpoint before the operation, as Unserved returns them. They may stay so.
	Without []string
	// Left are sentences about ports that have no ready endpoint after the wait, although it ended well.
	Left []string
}

// network is what decides in one namespace which Services have endpoints.
type network struct {
	services map[string]*corev1.Service
	slices   map[string][]discoveryv1.EndpointSlice // by Service
	pods     []corev1.Pod
}

// readNetwork sends three requests.
func readNetwork(ctx context.Context, client kubernetes.Interface, namespace string) (*network, error) {
	n := &network{services: map[string]*corev1.Service{}, slices: map[string][]discoveryv1.EndpointSlice{}}
	services, err := client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the Services of namespace %s: %w", namespace, err)
	}
	for i := range services.Items {
		n.services[services.Items[i].Name] = &services.Items[i]
	}
	found, err := client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName})
	if err != nil {
		return nil, fmt.Errorf("listing the EndpointSlices of namespace %s: %w", namespace, err)
	}
	for _, slice := range found.Items {
		service := slice.Labels[discoveryv1.LabelServiceName]
		n.slices[service] = append(n.slices[service], slice)
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of namespace %s: %w", namespace, err)
	}
	n.pods = pods.Items
	return n, nil
}

// Unserved returns the ports ("web:http") of the Services in a namespace that select pods and have no ready endpoint, although a workload
// wants pods. chosen says which Services count. It sends three requests, and more only if it finds some.
func Unserved(ctx context.Context, client kubernetes.Interface, namespace string, chosen func(*corev1.Service) bool) ([]string, error) {
	n, err := readNetwork(ctx, client, namespace)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, service := range n.services {
		if !chosen(service) {
			continue
		}
		gaps := n.gaps(service)
		if len(gaps) == 0 {
			continue
		}
		idle, err := wantsNoPods(ctx, client, n, service)
		if err != nil {
			return nil, err
		}
		for _, g := range gaps {
			if !idle {
				out = append(out, g.port())
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// Selected reports that the cluster has what is selected: a Pod or Service with labels, or a workload with a name.
func Selected(ctx context.Context, client kubernetes.Interface, namespace, kind, name string, selector labels.Selector) (bool, error) {
	var err error
	switch kind {
	case "Pod":
		list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String(), Limit: 1})
		return err == nil && len(list.Items) > 0, err
	case "Service":
		list, err := client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String(), Limit: 1})
		return err == nil && len(list.Items) > 0, err
	case "Deployment":
		_, err = client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	case "StatefulSet":
		_, err = client.AppsV1().StatefulSets(namespace).Get(ctx, name, metav1.GetOptions{})
	case "ReplicaSet":
		_, err = client.AppsV1().ReplicaSets(namespace).Get(ctx, name, metav1.GetOptions{})
	}
	if cluster.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// serve waits until each Service among resources that selects pods has a ready endpoint on each of its ports.
func (w *Waiter) serve(ctx context.Context, resources kube.ResourceList) error {
	if w.Endpoints == nil {
		return nil
	}
	s := &serving{waiter: w, since: map[string]time.Time{}}
	for _, info := range resources {
		gvk := info.Mapping.GroupVersionKind
		if gvk.Group == "" && gvk.Kind == "Service" {
			s.services = append(s.services, object.Identity{Kind: gvk.Kind, Namespace: info.Namespace, Name: info.Name})
		}
		s.makesPods = s.makesPods || slices.Contains(podMakers, gvk.Kind) && (gvk.Group == "apps" || gvk.Group == "")
		s.operated = s.operated || object.MayMakePods(gvk.GroupVersion().String(), gvk.Kind)
	}
	w.Endpoints.Left = nil
	if len(s.services) == 0 {
		return nil
	}
	w.doing("waiting for the endpoints of the Services")
	return s.wait(ctx)
}

// podMakers are the kinds whose pods serve requests.
var podMakers = []string{"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Pod"}

// serving is one wait for endpoints.
type serving struct {
	waiter   *Waiter
	services []object.Identity
	// makesPods says that the release has workloads of its own. One without only has a Service for pods of others, which may come later.
	makesPods bool
	// operated says that an operator may make pods of which nothing is known yet.
	operated bool
	// since is when each gap was first seen that does not heal by itself.
	since map[string]time.Time
}

func (s *serving) wait(ctx context.Context) error {
	w := s.waiter
	var open []gap
	for look := 0; ; look++ {
		if err := w.ended(ctx); err != nil {
			if len(open) > 0 && errors.Is(err, operation.ErrDeadline) {
				w.Pending, w.Blamed = s.reports(open), false
			}
			return err
		}
		found, err := s.look(ctx)
		var unreachable *cluster.UnreachableError
		switch {
		case err == nil:
			open = found
		case ctx.Err() != nil:
			continue
		case errors.As(w.Classify(err), &unreachable):
			w.say("endpoints", w.redact("waiting for the endpoints of the Services: the API server does not answer: "+explain.Library(err)))
			Pause(ctx, PollEvery)
			continue
		default:
			return w.Classify(err)
		}
		if len(open) == 0 {
			return nil
		}
		for _, g := range open {
			if s.overdue(g) {
				return &NotReadyError{Cause: w.redact(g.String()), Kind: troubleUnserved, Reports: s.reports(open)}
			}
			w.say("endpoints "+g.port(), w.redact("waiting for an endpoint: "+g.String()))
		}
		if look < quickLooks {
			Pause(ctx, endpointsPoll)
		} else {
			Pause(ctx, PollEvery)
		}
	}
}

// look returns the gaps that must be closed, and keeps the others for the result.
func (s *serving) look(ctx context.Context) ([]gap, error) {
	w := s.waiter
	networks := map[string]*network{}
	var open []gap
	var left []string
	for _, id := range s.services {
		n := networks[id.Namespace]
		if n == nil {
			var err error
			if n, err = readNetwork(ctx, w.Kubernetes, id.Namespace); err != nil {
				return nil, err
			}
			networks[id.Namespace] = n
		}
		service := n.services[id.Name]
		if service == nil || service.Annotations[AnnotationEndpoints] == EndpointsOptional {
			continue // one that is gone belongs to another owner by now, and drift shows it
		}
		gaps := n.gaps(service)
		if len(gaps) == 0 {
			continue
		}
		idle, err := wantsNoPods(ctx, w.Kubernetes, n, service)
		if err != nil {
			return nil, err
		}
		if idle {
			continue
		}
		for _, g := range gaps {
			g.home = w.Namespace
			switch {
			case g.cause != podsNotSeen && slices.Contains(w.Endpoints.Without, g.port()):
				left = append(left, w.redact(g.String()+". It had none before this apply either."))
			case !s.makesPods && (g.cause == noPods || g.cause == podsNotReady):
				left = append(left, w.redact(g.String()+". The release has no workload of its own."))
			default:
				open = append(open, g)
			}
		}
	}
	slices.SortFunc(open, func(a, b gap) int { return strings.Compare(a.port(), b.port()) })
	slices.Sort(left)
	w.Endpoints.Left = left
	return open, nil
}

// overdue reports that a gap that does not heal by itself has lasted too long.
func (s *serving) overdue(g gap) bool {
	if !g.cause.lasts() || s.operated && g.cause == noPods {
		delete(s.since, g.port())
		return false
	}
	first, seen := s.since[g.port()]
	if !seen {
		first = time.Now()
		s.since[g.port()] = first
	}
	return time.Since(first) >= s.waiter.Graces.Unserved
}

// reports describe the Services with gaps, with the pods that come nearest to what they select.
func (s *serving) reports(open []gap) []ObjectReport {
	var out []ObjectReport
	byService := map[object.Key]int{}
	for _, g := range open {
		key := g.key()
		at, seen := byService[key]
		if !seen {
			at = len(out)
			byService[key] = at
			out = append(out, ObjectReport{Object: key, Details: g.details()})
		}
		text := s.waiter.redact(g.problem())
		if out[at].Observed != "" {
			text = out[at].Observed + "; " + text
		}
		out[at].Observed = text
	}
	for i := range out {
		for j, line := range out[i].Details {
			out[i].Details[j] = s.waiter.redact(line)
		}
	}
	return out[:min(len(out), maxReports)]
}
