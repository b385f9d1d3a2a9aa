// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// CanarySource says where a split is that has no record: one that was divided by hand. All of it may be empty where it can be found out.
type CanarySource struct {
	// VirtualService and Route, or HTTPRoute and Rule or RuleIndex, are as in IstioConfig and GatewayConfig. Without a route the object has the name
	// of the split, and is to be ours.
	VirtualService, Route string
	HTTPRoute, Rule       string
	RuleIndex             *int
	// Stable and Canary are the names of the subsets, or of the Services.
	Stable, Canary string
}

// ImportedCanary is a split as an import finds it.
type ImportedCanary struct {
	Target CanaryTarget
	// Instance is the id on its record or its mark, empty where it has none.
	Instance string
	// Left are the other routes in an object that is to be ours, or beside the route that is imported, which send requests to the canary: they stay as they are.
	Left []string
}

// CanaryImportError says why a split that was made by hand cannot be imported.
type CanaryImportError struct{ Split, Observed, Advice string }

// Explain says it in three paragraphs.
func (e *CanaryImportError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The split %s cannot be imported like this.", e.Split), e.Observed, e.Advice + " Nothing was changed."
}

func (e *CanaryImportError) Error() string { return oneLine(e.Explain()) }

// FindCanary is a split to be imported: by its record where Slipway made it, else by what the namespace has. It writes nothing. Errors:
// *CanaryUnknownError, *CanaryImportError, *ForeignError, *InvalidError, those of Router.Read, others as from cluster.Classify.
func FindCanary(ctx context.Context, c *cluster.Cluster, handle environment.Handle, name string, source CanarySource) (*ImportedCanary, error) {
	target := CanaryTarget{Cluster: c, Handle: handle, Name: name}
	client, err := c.Kubernetes()
	if err != nil {
		return nil, err
	}
	stored, err := readCanaryRecord(ctx, client, target)
	if err != nil {
		return nil, err
	}
	if route := stored.record.Route; stored.there && (route.Istio == nil) != (route.Gateway == nil) {
		if source != (CanarySource{}) {
			return nil, &CanaryImportError{Split: name, Observed: fmt.Sprintf("Its record, ConfigMap %s, says where it is divided.", canaryRecordName(name)),
				Advice: "Leave out what stands behind the question mark in the import id."}
		}
		target.Route = route
		return &ImportedCanary{Target: target, Instance: stored.record.Instance}, nil
	}
	f := &finder{target: target, source: source}
	if f.objects, err = newObjects(c, nil, handle); err != nil {
		return nil, err
	}
	if err := f.find(ctx); err != nil {
		return nil, err
	}
	if problems := f.target.Validate(); len(problems) > 0 {
		return nil, &InvalidError{Object: "split " + name, Problems: problems}
	}
	return f.look(ctx)
}

// finder looks for a split that has no record.
type finder struct {
	*objects
	target CanaryTarget
	source CanarySource

	kind kind
	live *unstructured.Unstructured
}

func (f *finder) refuse(observed, advice string) error {
	return &CanaryImportError{Split: f.target.Name, Observed: observed, Advice: advice}
}

func (f *finder) object() string { return f.kind.name + " " + f.live.GetName() }

// find finds the object and fills in the target's route.
func (f *finder) find(ctx context.Context) error {
	s := f.source
	inIstio, inGateway := s.VirtualService != "" || s.Route != "", s.HTTPRoute != "" || s.Rule != "" || s.RuleIndex != nil
	if inIstio && inGateway {
		return f.refuse("The import id names a VirtualService and an HTTPRoute.", "Name one of them.")
	}
	service, serviceErr := f.get(ctx, virtualServices, firstOf(s.VirtualService, f.target.Name))
	route, routeErr := f.get(ctx, httpRoutes, firstOf(s.HTTPRoute, f.target.Name))
	switch {
	case inIstio && serviceErr != nil:
		return serviceErr
	case inIstio && service == nil:
		return &RouteMissingError{Object: virtualServices.name + " " + firstOf(s.VirtualService, f.target.Name)}
	case inGateway && routeErr != nil:
		return routeErr
	case inGateway && route == nil:
		return &RouteMissingError{Object: httpRoutes.name + " " + firstOf(s.HTTPRoute, f.target.Name)}
	case !inIstio && !inGateway && service == nil && route == nil:
		if err := errors.Join(notMissing(serviceErr), notMissing(routeErr)); err != nil {
			return err
		}
		return &CanaryUnknownError{Split: f.target.Name, Namespace: f.target.Handle.Namespace}
	case !inIstio && !inGateway && service != nil && route != nil:
		return f.refuse(fmt.Sprintf("There are a VirtualService and an HTTPRoute %s.", f.target.Name),
			fmt.Sprintf("Say which one: …/%[1]s?virtual_service=%[1]s or …/%[1]s?http_route=%[1]s.", f.target.Name))
	case service != nil && !inGateway:
		f.kind, f.live = virtualServices, service
		return f.inIstio(ctx)
	}
	f.kind, f.live = httpRoutes, route
	return f.inGateway()
}

// notMissing leaves out that a kind of object is not served.
func notMissing(err error) error {
	var missing *KindMissingError
	if errors.As(err, &missing) {
		return nil
	}
	return err
}

// look reads the split that was found, as its resource will.
func (f *finder) look(ctx context.Context) (*ImportedCanary, error) {
	out := &ImportedCanary{Target: f.target}
	out.Target.Adopt = string(f.live.GetUID())
	if by := ownedBy(f.live); by != "" && !f.shared() {
		return nil, f.refuse(fmt.Sprintf("%s is written by %s, which would put its own weights back.", f.object(), by),
			"Name the one route in it that is divided, with the subsets: …?virtual_service=…&route=…; or let its owner let go of it first.")
	}
	made, err := out.Target.router(nil, "", true)
	if err != nil {
		return nil, err
	}
	seen, err := made.Read(ctx)
	if err != nil {
		return nil, err
	}
	if seen.Managed {
		out.Target.Adopt, out.Instance = "", seen.InstanceID
		return out, nil
	}
	r, err := plainRouter(made)
	if err != nil {
		return nil, err
	}
	found, err := r.look(r.live)
	if err != nil {
		return nil, err
	}
	base := found.base()
	switch {
	case base == nil && f.shared():
		return nil, missing(found.routes(), r.ref, r.object())
	case base == nil || !divided(r.dialect, base):
		return nil, f.refuse(fmt.Sprintf("%s does not send its requests to the two tracks and nowhere else.", upper(r.Object())),
			"What is not divided yet needs no import where it is a route of somebody else: declare the resource and apply.")
	case r.dialect.unfit(base) != "":
		return nil, &RouteShapeError{Object: r.Object(), Reason: r.dialect.unfit(base)}
	case !exactWeight(r.dialect, base):
		return nil, f.refuse(fmt.Sprintf("The weights of %s are no whole percentages: about %d%% go to the canary.", r.Object(), weightOf(r.dialect, base)),
			"Make them whole percentages first, so that taking it over moves nothing.")
	}
	for i, route := range found.routes() {
		entry, _ := route.(map[string]any)
		if i == found.place.base || i == found.place.header {
			continue
		}
		if slices.ContainsFunc(objectsIn(entry[r.dialect.destinations()]), func(to map[string]any) bool { return r.dialect.role(to) == toCanary }) {
			name := nameOf(route)
			if name == "" {
				name = fmt.Sprintf("number %d", i)
			}
			out.Left = append(out.Left, fmt.Sprintf("%s %s", r.dialect.word(), name))
		}
	}
	return out, nil
}

func (f *finder) shared() bool {
	if i := f.target.Route.Istio; i != nil {
		return i.Route != ""
	}
	g := f.target.Route.Gateway
	return g.Rule != "" || g.RuleIndex != nil
}

// looked are the routes in which tracks are looked for: the named ones, or all.
func (f *finder) looked(d dialect, name string, index *int) []map[string]any {
	all := objectsIn(any(routesOf(d, f.live)))
	var out []map[string]any
	for i, route := range all {
		if name == "" && index == nil || name != "" && nameOf(route) == name || index != nil && (i == *index || i == *index+1) {
			out = append(out, route)
		}
	}
	return out
}

// pair finds out which of the names are the tracks. used are those in the routes, there all that there are.
func (f *finder) pair(what string, used, there []string) (stable, canary string, err error) {
	stable, canary = f.source.Stable, f.source.Canary
	two := there
	if len(two) != 2 {
		two = used
	}
	other := func(name string) string {
		if len(two) != 2 || !slices.Contains(two, name) {
			return ""
		}
		if two[0] == name {
			return two[1]
		}
		return two[0]
	}
	switch {
	case stable == "" && canary == "" && slices.Contains(there, "stable") && slices.Contains(there, "canary"):
		stable, canary = "stable", "canary"
	case stable == "" && canary != "":
		stable = other(canary)
	case canary == "" && stable != "":
		canary = other(stable)
	}
	if stable == "" || canary == "" || stable == canary {
		return "", "", f.refuse(fmt.Sprintf("%s sends requests to the %ss %s, and nothing says which of them is the canary.", f.object(), what, namesOrNone(used)),
			fmt.Sprintf("Name both behind a question mark in the import id: …?stable=<%[1]s>&canary=<%[1]s>.", what))
	}
	return stable, canary, nil
}

func namesOrNone(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, ", ")
}
