// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// meshGateway is the gateway that stands for all proxies of an Istio mesh, and is meant where a VirtualService names none.
const meshGateway = "mesh"

// CheckAlone finds out whether an own route would be the only one for its requests. Within a mesh, Istio takes one VirtualService for a host, the
// oldest, and leaves out the others without a word; so it is with the HTTPRoutes of a Service that match all requests. In a plan, routes of other
// splits are passed over: the same apply may remove them first, as when a split gets another name. A route in an object of others is not its own.
// Errors: *RoutedElsewhereError, *KindMissingError, others as from cluster.Classify. Who may not list routes is not told.
func CheckAlone(ctx context.Context, target CanaryTarget, planning bool) error {
	made, err := target.router(nil, "", true)
	if err != nil {
		return err
	}
	r, err := plainRouter(made)
	if err != nil || r.shared {
		return err
	}
	all, err := r.all(ctx, r.kind)
	if apierrors.IsForbidden(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range all {
		other := &all[i]
		if _, split := other.GetAnnotations()[AnnotationSplits]; split && planning || other.GetName() == r.name {
			continue
		}
		var both string
		if target.Route.Istio != nil {
			both = sharedHost(*target.Route.Istio, r.handle.Namespace, other)
		} else {
			both = sharedService(r.spec["parentRefs"], r.handle.Namespace, other)
		}
		if both != "" {
			return &RoutedElsewhereError{Kind: r.kind.name, Split: target.Name, Other: other.GetName(), To: both}
		}
	}
	return nil
}

// sharedHost is a host that the mesh has from both VirtualServices, empty where there is none.
func sharedHost(config IstioConfig, namespace string, other *unstructured.Unstructured) string {
	gateways, _, _ := unstructured.NestedStringSlice(other.Object, "spec", "gateways")
	if !inMesh(config.Gateways) || !inMesh(gateways) {
		return ""
	}
	hosts, _, _ := unstructured.NestedStringSlice(other.Object, "spec", "hosts")
	for _, host := range append([]string{config.Host}, config.Hosts...) {
		if slices.ContainsFunc(hosts, func(h string) bool { return fullHost(h, namespace) == fullHost(host, namespace) }) {
			return host
		}
	}
	return ""
}

func inMesh(gateways []string) bool {
	return len(gateways) == 0 || slices.Contains(gateways, meshGateway)
}

// sharedService is a Service whose requests both HTTPRoutes take, all of them; empty where there is none. That a Gateway has several routes is
// usual: they differ in hosts and paths.
func sharedService(wanted any, namespace string, other *unstructured.Unstructured) string {
	rules, _, _ := unstructured.NestedSlice(other.Object, "spec", "rules")
	if !slices.ContainsFunc(objectsIn(any(rules)), takesAll) {
		return ""
	}
	theirs, _, _ := unstructured.NestedSlice(other.Object, "spec", "parentRefs")
	for _, ours := range objectsIn(wanted) {
		if ours["kind"] != "Service" {
			continue
		}
		for _, parent := range objectsIn(any(theirs)) {
			port, ported := number(parent["port"])
			own, ownPorted := number(ours["port"])
			if parent["kind"] == "Service" && parent["name"] == ours["name"] && (!ported || !ownPorted || port == own) &&
				namespaceIn(parent, namespace) == namespaceIn(ours, namespace) {
				return fmt.Sprint(ours["name"])
			}
		}
	}
	return ""
}

func namespaceIn(parent map[string]any, standard string) string {
	if namespace, _ := parent["namespace"].(string); namespace != "" {
		return namespace
	}
	return standard
}

func takesAll(rule map[string]any) bool {
	matches := objectsIn(rule["matches"])
	return len(matches) == 0 || slices.ContainsFunc(matches, func(m map[string]any) bool {
		return reflect.DeepEqual(m, gateway{}.unlimited())
	})
}

// RoutedElsewhereError says that another object of the same kind routes the same requests, so that one of the two is without effect.
type RoutedElsewhereError struct {
	// Kind is "VirtualService" or "HTTPRoute", Other the name of the one that is there, To the host or Service.
	Kind, Split, Other, To string
}

// Explain says it in three paragraphs.
func (e *RoutedElsewhereError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The requests to %s are routed by %s %s already.", e.To, e.Kind, e.Other),
		fmt.Sprintf("A second %s for the same requests would be left out without a word: split %s would say that it divides them, and they would go where %s sends them.", e.Kind, e.Split, e.Other),
		fmt.Sprintf("Divide a route of %s (%s), import it, or remove it.", e.Other, strings.TrimSpace(map[string]string{
			virtualServices.name: "virtual_service and route", httpRoutes.name: "http_route and rule",
		}[e.Kind]))
}

func (e *RoutedElsewhereError) Error() string { return oneLine(e.Explain()) }
