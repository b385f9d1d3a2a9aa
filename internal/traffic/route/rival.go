// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// RivalError says that another object has the requests that one of our own would be for. Within a mesh, Istio takes one
// VirtualService for a host, the oldest; so it is with the HTTPRoutes of a Service that match all requests.
type RivalError struct {
	// Object is the one that was to be made, Rival the one that is there, for example "VirtualService data-collection".
	Object, Rival string
	// Host is the host or Service that both are for.
	Host string
}

// Explain returns the three parts of the error.
func (e *RivalError) Explain() (happened, observed, advice string) {
	kind, name, _ := strings.Cut(e.Rival, " ")
	arguments := [2]string{"virtual_service", "route"}
	if kind == httpRoutes.name {
		arguments = [2]string{"http_route", "rule"}
	}
	return fmt.Sprintf("%s was not made: %s has routes for the same requests.", explain.Capitalize(e.Object), e.Rival),
		fmt.Sprintf("Both are for %s within the mesh, which silently takes one of the two, so that weights would have no effect.",
			e.Host),
		fmt.Sprintf("Name %s in %s, and in %s what should be divided in it: then only this is changed. Or remove it, if this is to "+
			"take its place. Nothing was changed.", name, arguments[0], arguments[1])
}

func (e *RivalError) Error() string { return explain.Text(e.Explain()) }

// meshGateway means all proxies of the mesh; a VirtualService that names no gateway is for them.
const meshGateway = "mesh"

// sharedHost is the full name of a host that the mesh has from two VirtualServices, empty where there is none. Those of a gateway
// are put together.
func sharedHost(ours, theirs map[string]any, namespace string) string {
	inMesh := func(spec map[string]any) bool {
		gateways := listed(spec["gateways"])
		return len(gateways) == 0 || slices.Contains(gateways, meshGateway)
	}
	if !inMesh(ours) || !inMesh(theirs) {
		return ""
	}
	for _, one := range listed(ours["hosts"]) {
		for _, other := range listed(theirs["hosts"]) {
			if fullHost(one, namespace) == fullHost(other, namespace) {
				return "host " + fullHost(one, namespace)
			}
		}
	}
	return ""
}

// sharedService is a Service whose requests two HTTPRoutes take, and the second one all of them; empty where there is none. That
// a Gateway has several is usual: they differ in hosts and paths.
func sharedService(ours, theirs map[string]any, namespace string) string {
	if !slices.ContainsFunc(objectsIn(theirs["rules"]), takesAll) {
		return ""
	}
	for _, one := range objectsIn(ours["parentRefs"]) {
		for _, other := range objectsIn(theirs["parentRefs"]) {
			port, ported := number(one["port"])
			itsPort, itsPorted := number(other["port"])
			if one["kind"] == "Service" && other["kind"] == "Service" && one["name"] == other["name"] &&
				namespaceIn(one, namespace) == namespaceIn(other, namespace) &&
				(!ported || !itsPorted || port == itsPort) {
				return fmt.Sprintf("Service %s", one["name"])
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
	return len(matches) == 0 || slices.ContainsFunc(matches,
		func(m map[string]any) bool { return reflect.DeepEqual(m, gateway{}.unlimited()) })
}

func listed(value any) (out []string) {
	values, _ := value.([]any)
	for _, each := range values {
		if text, ok := each.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// CheckRivals finds out at plan what a route would be refused for when it is divided first: another object for the same requests,
// subsets of the tracks' names that mean other pods, or destinations of a shared route that cannot be divided. What is managed
// for the same environment may be what this one replaces, so it is left to the apply. Errors: *RivalError, *SubsetError,
// *ForeignError, *ShapeError, those of Router.Read.
func CheckRivals(ctx context.Context, made Router) error {
	plain, err := plainRouter(made)
	if err != nil {
		return err
	}
	handle := plain.owner.Handle
	ours := func(object *unstructured.Unstructured) bool {
		labels := object.GetLabels()
		return labels[environment.LabelClient] == handle.Client && labels[environment.LabelStage] == handle.Stage
	}
	if err := plain.load(ctx); err != nil {
		return err
	}
	if plain.live == nil && !plain.shared {
		if err := findRival(ctx, plain, ours); err != nil {
			return err
		}
	}
	r, ok := made.(*istioRouter)
	if !ok {
		return nil
	}
	if err := r.unfit(ctx); err != nil {
		return err
	}
	if err := r.subsets.load(ctx); err != nil {
		return err
	}
	r.subsets.rules = slices.DeleteFunc(r.subsets.rules, func(rule unstructured.Unstructured) bool { return ours(&rule) })
	if _, _, err := r.subsets.compare(); err != nil {
		return err
	}
	_, err = r.subsets.target()
	return err
}

// findRival looks for an object of the namespace that routes requests which ours, not made yet, would be for. Errors: *RivalError.
// Those that mine reports true for are left alone. Who may not list them is not refused for that.
func findRival(ctx context.Context, r *router, mine func(*unstructured.Unstructured) bool) error {
	all, err := r.all(ctx, r.kind)
	var forbidden *cluster.ForbiddenError
	if errors.As(err, &forbidden) {
		return nil
	}
	if err != nil {
		return err
	}
	both := sharedHost
	if r.kind.name == httpRoutes.name {
		both = sharedService
	}
	for i := range all {
		other := &all[i]
		spec, _ := other.Object["spec"].(map[string]any)
		if other.GetName() == r.name || len(routesOf(r.dialect, other)) == 0 || mine(other) {
			continue
		}
		if host := both(r.spec, spec, r.handle.Namespace); host != "" {
			return &RivalError{Object: r.object(), Rival: r.kind.name + " " + other.GetName(), Host: host}
		}
	}
	return nil
}
