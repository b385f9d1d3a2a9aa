// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// Source says where a split is that has no record: one that was divided by hand. All of it may be empty where it can be found out.
type Source struct {
	// VirtualService and Route, or HTTPRoute and Rule or RuleIndex, are as in IstioConfig and GatewayConfig. Without a route the
	// object has the name of the split, and is to be ours.
	VirtualService, Route string
	HTTPRoute, Rule       string
	RuleIndex             *int
	// Stable and Canary are the names of the subsets, or of the Services.
	Stable, Canary string
}

// Found is a route that was divided by hand or by another resource.
type Found struct {
	Config Config
	// Adopt is the UID of the object that the first Set takes over; empty where the route is managed already.
	Adopt string
	// Instance is the id of the resource that manages the route, empty where it has none.
	Instance string
	// Left are the other routes of the object that send requests to the canary: they stay as they are.
	Left []string
}

// Find looks for a divided route by what the namespace has. It writes nothing. It returns nil where no object is named and none
// has the name of the split. Errors: *MissingError, *ForeignError, *InvalidError, those of Router.Read, others as from
// cluster.Classify.
func Find(ctx context.Context, c *cluster.Cluster, owner Owner, source Source) (*Found, error) {
	access, err := newObjects(c, nil, owner.Handle)
	if err != nil {
		return nil, err
	}
	f := &finder{objects: access, owner: owner, source: source}
	if err := f.find(ctx); err != nil || f.live == nil {
		return nil, err
	}
	if problems := f.config.Validate(owner); len(problems) > 0 {
		return nil, &InvalidError{Object: "split " + owner.Name, Problems: problems}
	}
	return f.look(ctx)
}

// ErrNotImportable says why a split that was made by hand cannot be imported.
func ErrNotImportable(split, observed, advice string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("The split %s cannot be imported like this.", split), Observed: observed, Advice: advice + " Nothing was changed.",
	}
}

// finder looks for a split that has no record.
type finder struct {
	*objects
	owner  Owner
	source Source
	config Config

	kind kind
	live *unstructured.Unstructured
}

func (f *finder) refuse(observed, advice string) error {
	return ErrNotImportable(f.owner.Name, observed, advice)
}

func (f *finder) object() string { return f.kind.name + " " + f.live.GetName() }

// find finds the object and fills in the target's route.
func (f *finder) find(ctx context.Context) error {
	s := f.source
	inIstio, inGateway := s.VirtualService != "" || s.Route != "", s.HTTPRoute != "" || s.Rule != "" || s.RuleIndex != nil
	if inIstio && inGateway {
		return f.refuse("The import id names a VirtualService and an HTTPRoute.", "Name one of them.")
	}
	service, serviceErr := f.get(ctx, virtualServices, cmp.Or(s.VirtualService, f.owner.Name))
	route, routeErr := f.get(ctx, httpRoutes, cmp.Or(s.HTTPRoute, f.owner.Name))
	switch {
	case inIstio && serviceErr != nil:
		return serviceErr
	case inIstio && service == nil:
		return &MissingError{Object: virtualServices.name + " " + cmp.Or(s.VirtualService, f.owner.Name)}
	case inGateway && routeErr != nil:
		return routeErr
	case inGateway && route == nil:
		return &MissingError{Object: httpRoutes.name + " " + cmp.Or(s.HTTPRoute, f.owner.Name)}
	case !inIstio && !inGateway && service == nil && route == nil:
		return errors.Join(notMissing(serviceErr), notMissing(routeErr))
	case !inIstio && !inGateway && service != nil && route != nil:
		return f.refuse(fmt.Sprintf("There are a VirtualService and an HTTPRoute %s.", f.owner.Name),
			fmt.Sprintf("Say which one: …/%[1]s?virtual_service=%[1]s or …/%[1]s?http_route=%[1]s.", f.owner.Name))
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
func (f *finder) look(ctx context.Context) (*Found, error) {
	out := &Found{Config: f.config, Adopt: string(f.live.GetUID())}
	if by := ownedBy(f.live); by != "" && !f.config.shared() {
		return nil, f.refuse(fmt.Sprintf("%s is written by %s, which would put its own weights back.", f.object(), by),
			"Name the one route in it that is divided, with the subsets: …?virtual_service=…&route=…; or ask its owner to remove it first.")
	}
	owner := f.owner
	owner.Adopt, owner.TakeOver = out.Adopt, true
	made, err := f.config.Router(f.cluster, nil, owner)
	if err != nil {
		return nil, err
	}
	seen, err := made.Read(ctx)
	if err != nil {
		return nil, err
	}
	if seen.Managed {
		out.Adopt, out.Instance = "", seen.InstanceID
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
	case base == nil && f.config.shared():
		return nil, missing(found.routes(), r.ref, r.object())
	case base == nil || !divided(r.dialect, base):
		return nil, f.refuse(fmt.Sprintf("%s does not send its requests to the two tracks and nowhere else.", explain.Capitalize(r.Object())),
			"What is not divided yet needs no import if it is a route of another owner: declare the resource and apply.")
	case r.dialect.unfit(base) != "":
		return nil, &ShapeError{Object: r.Object(), Reason: r.dialect.unfit(base)}
	case !exactWeight(r.dialect, base):
		return nil, f.refuse(fmt.Sprintf("The weights of %s are no whole percentages: about %d%% go to the canary.", r.Object(),
			weightOf(r.dialect, base)),
			"Make them whole percentages first, so that taking it over moves nothing.")
	}
	for i, route := range found.routes() {
		entry, _ := route.(map[string]any)
		if i == found.place.base || i == found.place.header {
			continue
		}
		if slices.ContainsFunc(objectsIn(entry[r.dialect.destinations()]),
			func(to map[string]any) bool { return r.dialect.role(to) == toCanary }) {
			name := nameOf(route)
			if name == "" {
				name = fmt.Sprintf("number %d", i)
			}
			out.Left = append(out.Left, fmt.Sprintf("%s %s", r.dialect.word(), name))
		}
	}
	return out, nil
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
		return "", "", f.refuse(fmt.Sprintf("%s sends requests to the %ss %s, and nothing says which of them is the canary.", f.object(), what,
			namesOrNone(used)),
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

// inIstio reads the configuration of a split off a VirtualService and the DestinationRules of its host.
func (f *finder) inIstio(ctx context.Context) error {
	namespace := f.owner.Handle.Namespace
	looked := f.looked(istio{}, f.source.Route, nil)
	if len(looked) == 0 {
		return missing(routesOf(istio{}, f.live), reference{name: f.source.Route}, f.object())
	}
	var hosts, used []string
	for _, route := range looked {
		for _, destination := range objectsIn(route["route"]) {
			to, _ := destination["destination"].(map[string]any)
			host, _ := to["host"].(string)
			subset, _ := to["subset"].(string)
			if host == "" || subset == "" {
				continue
			}
			if !slices.ContainsFunc(hosts, func(h string) bool { return fullHost(h, namespace) == fullHost(host, namespace) }) {
				hosts = append(hosts, host)
			}
			if !slices.Contains(used, subset) {
				used = append(used, subset)
			}
		}
	}
	switch {
	case len(hosts) == 0:
		return f.refuse(fmt.Sprintf("No route of %s leads to a subset of a host.", f.object()),
			"What is not divided yet needs no import: declare the resource and apply.")
	case len(hosts) > 1:
		return f.refuse(fmt.Sprintf("%s leads to subsets of several hosts: %s.", f.object(), strings.Join(hosts, ", ")),
			"Name the route that is divided: …?virtual_service=…&route=….")
	}
	config := &IstioConfig{Host: hosts[0], Route: f.source.Route}
	if name := f.live.GetName(); name != f.owner.Name {
		config.VirtualService = name
	}
	if config.Route == "" {
		if config.VirtualService != "" {
			return f.refuse(fmt.Sprintf("%s has another name than the split, so that it can only be shared.", f.object()),
				fmt.Sprintf("Name the route in it that is divided: …?virtual_service=%s&route=…; or import it under its own name.", f.live.GetName()))
		}
		if err := f.ownHosts(config); err != nil {
			return err
		}
	}
	if err := f.istioTracks(ctx, config, used); err != nil {
		return err
	}
	f.config = Config{Istio: config}
	return nil
}

// ownHosts are the hosts and gateways of a VirtualService that is to be ours.
func (f *finder) ownHosts(config *IstioConfig) error {
	spec, _ := f.live.Object["spec"].(map[string]any)
	namespace := f.owner.Handle.Namespace
	service := ""
	for _, host := range textsIn(spec["hosts"]) {
		if service == "" && fullHost(host, namespace) == fullHost(config.Host, namespace) {
			service = host
		} else {
			config.Hosts = append(config.Hosts, host)
		}
	}
	if service == "" {
		return f.refuse(fmt.Sprintf("%s is not for the host %s, to which it leads.", f.object(), config.Host),
			fmt.Sprintf("Name the route in it that is divided, so that it is shared: …/%s?route=….", f.owner.Name))
	}
	config.Host, config.Gateways = service, textsIn(spec["gateways"])
	return nil
}

// istioTracks are the subsets as the DestinationRules of the namespace define them.
func (f *finder) istioTracks(ctx context.Context, config *IstioConfig, used []string) error {
	defined := &subsets{router: &router{objects: f.objects, owner: f.owner}, host: config.Host}
	if err := defined.load(ctx); err != nil {
		return err
	}
	labels, in := map[string]map[string]string{}, map[string]string{}
	var there []string
	for i := range defined.rules {
		rule := &defined.rules[i]
		if !defined.concerns(rule) {
			continue
		}
		for _, entry := range subsetsOf(rule) {
			name, _ := entry["name"].(string)
			if _, known := labels[name]; !known {
				labels[name], in[name] = labelsOf(entry), rule.GetName()
				there = append(there, name)
			}
		}
	}
	stable, canary, err := f.pair("subset", used, there)
	if err != nil {
		return err
	}
	for _, name := range []string{stable, canary} {
		if len(labels[name]) == 0 {
			return f.refuse(fmt.Sprintf("No DestinationRule of namespace %s defines subset %s of host %s by labels of its pods. Defined are: %s.",
				f.owner.Handle.Namespace, name, config.Host, namesOrNone(there)),
				"Define it first, or name the subsets: …?stable=<subset>&canary=<subset>.")
		}
	}
	config.Stable, config.Canary = Track{Labels: labels[stable]}, Track{Labels: labels[canary]}
	if stable != config.stableSubset() {
		config.Stable.Subset = stable
	}
	if canary != config.canarySubset() {
		config.Canary.Subset = canary
	}
	if name := in[canary]; name != f.owner.Name {
		config.DestinationRule = name
	}
	return nil
}

// inGateway reads the configuration of a split off an HTTPRoute.
func (f *finder) inGateway() error {
	looked := f.looked(gateway{}, f.source.Rule, f.source.RuleIndex)
	if len(looked) == 0 {
		return missing(routesOf(gateway{}, f.live), reference{name: f.source.Rule, index: f.source.RuleIndex}, f.object())
	}
	ports := map[string]int32{}
	var used []string
	for _, rule := range looked {
		for _, destination := range objectsIn(rule["backendRefs"]) {
			name, _ := destination["name"].(string)
			if at, ok := number(destination["port"]); ok && name != "" {
				ports[name] = int32(max(0, min(at, 65535))) //nolint:gosec // bounded
			}
			if name != "" && !slices.Contains(used, name) {
				used = append(used, name)
			}
		}
	}
	stable, canary, err := f.pair("Service", used, nil)
	if err != nil {
		return err
	}
	config := &GatewayConfig{
		Rule:      f.source.Rule,
		RuleIndex: f.source.RuleIndex,
		Stable:    Track{Service: stable, Port: ports[stable]},
		Canary:    Track{Service: canary, Port: ports[canary]},
	}
	if config.Stable.Port == 0 {
		config.Stable.Port = config.Canary.Port
	}
	if config.Canary.Port == 0 {
		config.Canary.Port = config.Stable.Port
	}
	if name := f.live.GetName(); name != f.owner.Name {
		config.HTTPRoute = name
	}
	f.config = Config{Gateway: config}
	if f.config.shared() {
		return nil
	}
	if config.HTTPRoute != "" {
		return f.refuse(fmt.Sprintf("%s has another name than the split, so that it can only be shared.", f.object()),
			fmt.Sprintf("Name the rule in it that is divided: …?http_route=%s&rule=…; or import it under its own name.", f.live.GetName()))
	}
	spec, _ := f.live.Object["spec"].(map[string]any)
	config.Hostnames = textsIn(spec["hostnames"])
	for _, parent := range objectsIn(spec["parentRefs"]) {
		kind, _ := parent["kind"].(string)
		name, _ := parent["name"].(string)
		in, _ := parent["namespace"].(string)
		section, _ := parent["sectionName"].(string)
		at, _ := number(parent["port"])
		config.Parents = append(config.Parents, Parent{Kind: kind, Name: name, Namespace: in, SectionName: section,
			Port: int32(max(0, min(at, 65535)))}) //nolint:gosec // bounded
	}
	return nil
}

// textsIn are the texts of a JSON list.
func textsIn(list any) []string {
	entries, _ := list.([]any)
	var out []string
	for _, entry := range entries {
		if text, ok := entry.(string); ok {
			out = append(out, text)
		}
	}
	return out
}
