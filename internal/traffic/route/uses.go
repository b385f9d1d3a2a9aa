// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// Use is one route that sends requests to certain pods.
type Use struct {
	// Split is the name of the split that the route belongs to, Object what contains it, for example "VirtualService app".
	Split, Object string
	// Weight is the percentage of the route's requests that its destination gets.
	Weight int
	// Headers says that these are the requests with one of the split's headers.
	Headers bool
	// Live says that no route but a Service's selector sends them: these are the pods of the color that is live.
	Live bool
}

// String says it in words.
func (u Use) String() string {
	if u.Live {
		return fmt.Sprintf("they are the live color of blue-green switch %s (%s)", u.Split, u.Object)
	}
	if u.Headers {
		return fmt.Sprintf("split %s sends it the requests with its headers (%s)", u.Split, u.Object)
	}
	return fmt.Sprintf("split %s sends it %d%% of the requests (%s)", u.Split, u.Weight, u.Object)
}

// To finds the routes divided by Slipway, in the namespace of an environment, that send requests to pods with one of these sets
// of labels, and the Services of blue-green switches that have such pods alone. Routes of others are not looked at, and a kind of
// route that the cluster does not have has none. Errors as from cluster.Classify.
func To(ctx context.Context, c *cluster.Cluster, handle environment.Handle, pods []map[string]string) ([]Use, error) {
	access, err := newObjects(c, nil, handle)
	if err != nil {
		return nil, err
	}
	// Who divided a route in this process has asked for its kind already; a fleet without a mesh is not asked again for each release.
	access.trusting = true
	u := &uses{objects: access, pods: pods}
	var out []Use
	for _, look := range []struct {
		kind    kind
		dialect dialect
		reaches func(context.Context, map[string]any) (bool, error)
	}{
		{virtualServices, istio{}, u.byHost},
		{httpRoutes, gateway{}, u.byService},
	} {
		found, err := u.in(ctx, look.kind, look.dialect, look.reaches)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	switched, err := u.switched(ctx)
	if err != nil {
		return nil, err
	}
	out = append(out, switched...)
	slices.SortStableFunc(out, func(a, b Use) int { return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Split, b.Split)) })
	return out, nil
}

// uses looks things up once, and only where a divided route is found.
type uses struct {
	*objects
	pods []map[string]string

	selectors map[string]map[string]string
	// previews are the selectors of preview Services by the live Service that they belong to.
	previews  map[string]map[string]string
	rules     []unstructured.Unstructured
	rulesRead bool
}

func (u *uses) in(ctx context.Context, k kind, d dialect, reaches func(context.Context, map[string]any) (bool, error)) ([]Use, error) {
	all, err := u.all(ctx, k)
	var missing *KindMissingError
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Use
	for i := range all {
		object := &all[i]
		annotated, err := readAnnotations(object)
		if err != nil {
			return nil, err
		}
		for name, m := range annotated {
			for _, route := range objectsIn(routesOf(d, object)) {
				header := isHeader(route, name, m)
				if !header && !isBase(d, route, m) {
					continue
				}
				found, err := u.ofRoute(ctx, d, route, reaches)
				if err != nil {
					return nil, err
				}
				if found > 0 {
					out = append(out, Use{Split: name, Object: k.name + " " + object.GetName(), Weight: found, Headers: header})
				}
			}
		}
	}
	return out, nil
}

func isHeader(route map[string]any, split string, m annotation) bool {
	name := nameOf(route)
	return name == headerRouteName(Owner{Name: split}) || name == "" && m.Header != "" && digest(route) == m.Header
}

func isBase(d dialect, route map[string]any, m annotation) bool {
	if m.Route != "" {
		return nameOf(route) == m.Route
	}
	return m.Fixed != "" && nameOf(route) == "" && fixedDigest(d, route) == m.Fixed
}

// ofRoute is the percentage of a route's requests that comes to the pods.
func (u *uses) ofRoute(
	ctx context.Context, d dialect, route map[string]any, reaches func(context.Context, map[string]any) (bool, error),
) (int, error) {
	destinations := objectsIn(route[d.destinations()])
	var sum, ours int64
	for _, destination := range destinations {
		weight := d.weight(destination, len(destinations))
		sum += weight
		if weight == 0 {
			continue
		}
		hit, err := reaches(ctx, destination)
		if err != nil {
			return 0, err
		}
		if hit {
			ours += weight
		}
	}
	if ours == 0 {
		return 0, nil
	}
	// A share below one half per cent is a share.
	return max(1, int((ours*200+sum)/(2*sum))), nil
}

// byService says whether a destination of an HTTPRoute leads to the pods.
func (u *uses) byService(ctx context.Context, destination map[string]any) (bool, error) {
	name, _ := destination["name"].(string)
	namespace, _ := destination["namespace"].(string)
	if namespace != "" && namespace != u.handle.Namespace {
		return false, nil
	}
	return u.selects(ctx, name, nil)
}

// byHost says whether a destination of a VirtualService leads to the pods.
func (u *uses) byHost(ctx context.Context, destination map[string]any) (bool, error) {
	to, _ := destination["destination"].(map[string]any)
	host, _ := to["host"].(string)
	subset, _ := to["subset"].(string)
	host = fullHost(host, u.handle.Namespace)
	if err := u.readServices(ctx); err != nil {
		return false, err
	}
	for name := range u.selectors {
		if fullHost(name, u.handle.Namespace) != host {
			continue
		}
		of, err := u.subset(ctx, host, subset)
		if err != nil {
			return false, err
		}
		return u.selects(ctx, name, of)
	}
	return false, nil
}

// subset are the labels of a subset, none where nobody defines it.
func (u *uses) subset(ctx context.Context, host, name string) (map[string]string, error) {
	if name == "" {
		return nil, nil
	}
	if !u.rulesRead {
		rules, err := u.all(ctx, destinationRules)
		if err != nil {
			return nil, err
		}
		u.rules, u.rulesRead = rules, true
	}
	for i := range u.rules {
		spec, _ := u.rules[i].Object["spec"].(map[string]any)
		of, _ := spec["host"].(string)
		if at := findSubset(&u.rules[i], name); at >= 0 && fullHost(of, u.handle.Namespace) == host {
			return labelsOf(subsetsOf(&u.rules[i])[at]), nil
		}
	}
	return nil, nil
}

// selects reports that a Service, and a subset of it, has some of the pods.
func (u *uses) selects(ctx context.Context, service string, subset map[string]string) (bool, error) {
	if err := u.readServices(ctx); err != nil {
		return false, err
	}
	selector := u.selectors[service]
	if len(selector) == 0 {
		return false, nil
	}
	for _, pod := range u.pods {
		if labels.SelectorFromSet(selector).Matches(labels.Set(pod)) && labels.SelectorFromSet(subset).Matches(labels.Set(pod)) {
			return true, nil
		}
	}
	return false, nil
}

func (u *uses) readServices(ctx context.Context) error {
	if u.selectors != nil {
		return nil
	}
	client, err := u.cluster.Kubernetes()
	if err != nil {
		return err
	}
	services, err := client.CoreV1().Services(u.handle.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return u.cluster.Classify(fmt.Errorf("listing Services in namespace %s: %w", u.handle.Namespace, err))
	}
	u.selectors, u.previews = map[string]map[string]string{}, map[string]map[string]string{}
	for _, service := range services.Items {
		u.selectors[service.Name] = service.Spec.Selector
		if of := service.Labels[record.LabelBlueGreen]; of != "" && service.Labels[cluster.LabelManagedBy] == cluster.FieldManager {
			u.previews[of] = service.Spec.Selector
		}
	}
	return nil
}

// switched finds the Services that a blue-green switch has given to the pods, and to nobody else who is ready. Where it switches
// a route, its Service has the pods of both colors, and no label of one.
func (u *uses) switched(ctx context.Context) ([]Use, error) {
	if err := u.readServices(ctx); err != nil {
		return nil, err
	}
	var out []Use
	for name, preview := range u.previews {
		selector := u.selectors[name]
		if !maps.EqualFunc(selector, preview, func(string, string) bool { return true }) {
			continue // They have other labels: no selector is switched.
		}
		hit, err := u.selects(ctx, name, nil)
		if err == nil && hit {
			hit, err = u.alone(ctx, selector)
		}
		if err != nil {
			return nil, err
		}
		if hit {
			out = append(out, Use{Split: name, Object: "Service " + name, Weight: 100, Live: true})
		}
	}
	return out, nil
}

// alone reports that no ready pod of others is behind a selector.
func (u *uses) alone(ctx context.Context, selector map[string]string) (bool, error) {
	client, err := u.cluster.Kubernetes()
	if err != nil {
		return false, err
	}
	found, err := client.CoreV1().Pods(u.handle.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.Set(selector).String()})
	if err != nil {
		return false, u.cluster.Classify(fmt.Errorf("listing pods in namespace %s: %w", u.handle.Namespace, err))
	}
	return !slices.ContainsFunc(found.Items, func(pod corev1.Pod) bool {
		own := slices.ContainsFunc(u.pods, func(of map[string]string) bool { return labels.SelectorFromSet(of).Matches(labels.Set(pod.Labels)) })
		return !own && pod.DeletionTimestamp == nil && podReady(&pod)
	}), nil
}

func podReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
