// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

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
		config.Parents = append(config.Parents, Parent{Kind: kind, Name: name, Namespace: in, SectionName: section, Port: int32(max(0, min(at, 65535)))}) //nolint:gosec // bounded
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
