// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// Data planes are what can divide requests; each is a value of the argument data_plane.
const (
	DataPlaneSidecar   = "sidecar"
	DataPlaneAmbient   = "ambient"
	DataPlaneProxyless = "proxyless"
	DataPlaneGateway   = "gateway"
)

// Labels by which pods get a proxy.
const (
	labelInjection = "istio-injection"
	labelRevision  = "istio.io/rev"
	labelInject    = "sidecar.istio.io/inject"
	labelDataPlane = "istio.io/dataplane-mode"
	labelWaypoint  = "istio.io/use-waypoint"
	linkerdInject  = "linkerd.io/inject"
)

// sidecars are the names of the containers of proxies that divide the requests of their pod.
var sidecars = []string{"istio-proxy", "linkerd-proxy"}

// NoProxyError says that nobody divides the requests of a route: they go to the pods of both tracks, whatever it says.
type NoProxyError struct {
	// Route and Namespace are where.
	Route, Namespace string
	// Found is what was seen of the namespace and its pods, in sentences.
	Found string
	// Cure is how the pods get proxies.
	Cure string
	// Partly says that a gateway divides the requests that pass it.
	Partly bool
}

// Explain returns the three parts of the error.
func (e *NoProxyError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("No proxy divides the requests of %s.", e.Route)
	if e.Partly {
		happened = fmt.Sprintf("Only the gateways of %s divide requests, and no proxy those within the cluster.", e.Route)
	}
	return happened, e.Found + " Requests without a proxy go to the pods of both tracks, whatever the route says.",
		e.Cure + " If the clients have proxies that are not seen here, set data_plane to what divides their requests: \"sidecar\" (in other " +
			"namespaces), \"ambient\", \"proxyless\" (gRPC) or \"gateway\"."
}

func (e *NoProxyError) Error() string { return explain.Text(e.Explain()) }

// CheckProxies finds out whether a proxy can divide the requests of a route: the gateway that it is bound to, sidecars in its namespace, or
// a waypoint of the ambient mode. A namespace that does not exist yet is no error, and so are pods that do not run yet and will get a
// sidecar. Errors: *NoProxyError, those of Router.Read, others as from cluster.Classify.
func CheckProxies(ctx context.Context, made Router) error {
	r, err := plainRouter(made)
	if err != nil {
		return err
	}
	spec := r.spec
	if r.shared {
		if err := r.load(ctx); err != nil || r.live == nil {
			return err
		}
		spec, _ = r.live.Object["spec"].(map[string]any)
	}
	mesh, gateways := binding(r.kind.name, spec)
	if !mesh {
		return nil
	}
	client, err := r.cluster.Kubernetes()
	if err != nil {
		return err
	}
	namespace := r.owner.Handle.Namespace
	found, err := client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return r.cluster.Classify(fmt.Errorf("reading namespace %s: %w", namespace, err))
	}
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return r.cluster.Classify(fmt.Errorf("listing the pods of namespace %s: %w", namespace, err))
	}
	services, err := client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return r.cluster.Classify(fmt.Errorf("listing the Services of namespace %s: %w", namespace, err))
	}
	m := meshed{namespace: found, pods: pods.Items, services: services.Items}
	if problem, cure := m.problem(); problem != "" {
		return &NoProxyError{Route: r.Object(), Namespace: namespace, Found: problem, Cure: cure, Partly: gateways}
	}
	return nil
}

// IsNoProxy returns the error that says so, nil for others.
func IsNoProxy(err error) *NoProxyError {
	found, _ := errors.AsType[*NoProxyError](err)
	return found
}

// binding reports whether a route is for requests within the mesh, and whether for those through gateways.
func binding(kind string, spec map[string]any) (mesh, gateways bool) {
	if kind == virtualServices.name {
		list, _, _ := unstructured.NestedStringSlice(spec, "gateways")
		mesh = len(list) == 0
		for _, name := range list {
			mesh, gateways = mesh || name == "mesh", gateways || name != "mesh"
		}
		return mesh, gateways
	}
	parents, _ := spec["parentRefs"].([]any)
	for _, parent := range parents {
		fields, _ := parent.(map[string]any)
		service := fields["kind"] == "Service"
		mesh, gateways = mesh || service, gateways || !service
	}
	return mesh, gateways
}

// meshed is a namespace as a mesh sees it.
type meshed struct {
	namespace *corev1.Namespace
	pods      []corev1.Pod
	services  []corev1.Service
}

// problem says why no proxy of the namespace divides requests, and what gives it one; empty where one does.
func (m meshed) problem() (found, cure string) {
	running, asking := 0, m.injects()
	ambient := m.namespace.Labels[labelDataPlane] == DataPlaneAmbient
	for i := range m.pods {
		p := &m.pods[i]
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed || isGateway(p) {
			continue
		}
		if hasSidecar(p) {
			return "", ""
		}
		running++
		asking = asking || p.Labels[labelInject] == "true" || p.Annotations[labelInject] == "true" ||
			p.Annotations[linkerdInject] == "enabled"
		ambient = ambient || p.Labels[labelDataPlane] == DataPlaneAmbient
	}
	name := m.namespace.Name
	switch {
	case ambient && m.waypoint():
		return "", ""
	case ambient:
		return fmt.Sprintf("Namespace %s is in ambient mode, and neither it nor a Service in it has the label %s: ztunnel divides no requests.",
			name, labelWaypoint), fmt.Sprintf("Make a waypoint and label the namespace with %s=<its name>.", labelWaypoint)
	case asking && running == 0:
		return "", ""
	case asking:
		return fmt.Sprintf(
			"Namespace %s asks for sidecars, and none of its %s has the container %s. Pods that started before the label have none.",
			name,
			count(running, "running pod"),
			sidecars[0],
		), "Restart the pods of the clients."
	}
	return fmt.Sprintf("Namespace %s has none of the labels %s=enabled, %s and %s=ambient; it has %s. None of its %s has the container %s.",
			name, labelInjection, labelRevision, labelDataPlane, m.meshLabels(), count(running, "running pod"), sidecars[0]),
		fmt.Sprintf("Label the namespace with %s=enabled, and restart the pods of the clients.", labelInjection)
}

// injects reports that new pods get a sidecar.
func (m meshed) injects() bool {
	labels := m.namespace.Labels
	if m.namespace.Annotations[linkerdInject] == "enabled" || labels[labelInjection] == "enabled" {
		return true
	}
	return labels[labelRevision] != "" && labels[labelInjection] != "disabled"
}

func (m meshed) waypoint() bool {
	uses := func(labels map[string]string) bool {
		return labels[labelWaypoint] != "" && labels[labelWaypoint] != "none"
	}
	return uses(m.namespace.Labels) || slices.ContainsFunc(m.services, func(s corev1.Service) bool { return uses(s.Labels) })
}

// meshLabels are the labels of the namespace that are about a mesh, as text.
func (m meshed) meshLabels() string {
	var out []string
	for _, key := range []string{labelInjection, labelRevision, labelDataPlane, labelWaypoint} {
		if value, has := m.namespace.Labels[key]; has {
			out = append(out, key+"="+value)
		}
	}
	if len(out) == 0 {
		return "none of a mesh"
	}
	return strings.Join(out, ", ")
}

// isGateway reports that the proxy in a pod is a gateway, which divides nobody's requests within the mesh.
func isGateway(p *corev1.Pod) bool {
	return p.Annotations["inject.istio.io/templates"] == "gateway" || p.Labels["gateway.networking.k8s.io/gateway-name"] != "" ||
		p.Labels["istio"] == "ingressgateway" || p.Labels["istio"] == "egressgateway"
}

func hasSidecar(p *corev1.Pod) bool {
	named := func(c corev1.Container) bool { return slices.Contains(sidecars, c.Name) }
	return slices.ContainsFunc(p.Spec.Containers, named) || slices.ContainsFunc(p.Spec.InitContainers, named)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
