// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// IstioConfig is a route of an Istio VirtualService; see NewIstio.
type IstioConfig struct {
	Owner Owner
	// Host is the name of the Service that both tracks are behind, short or full.
	Host string
	// VirtualService is its name, Owner.Name where empty.
	VirtualService string
	// Route is the name of one route in a VirtualService that others own. Only this route is changed, and a header route is put
	// before it. Empty: the VirtualService is our own.
	Route string
	// Gateways and Hosts are for an own VirtualService: Gateways as in Istio, the mesh where empty; Hosts are in addition to Host.
	Gateways, Hosts []string
	// DestinationRule is the name of the one that gets the subsets, Owner.Name where empty. It is made where it does not exist, and
	// subsets are added to it where it belongs to another owner.
	DestinationRule string
	Stable, Canary  Track
	// Settle is how long a subset must have been there before a route refers to it, and a route gone before its subset goes:
	// proxies hear of both one after the other. Two seconds where zero; negative does not wait.
	Settle time.Duration
}

func (c IstioConfig) stableSubset() string { return cmp.Or(c.Stable.Subset, "stable") }

func (c IstioConfig) canarySubset() string { return cmp.Or(c.Canary.Subset, "canary") }

// Validate checks a configuration without asking a cluster. Fields are named as in IstioConfig, in snake case.
func (c IstioConfig) Validate() []Problem {
	var out []Problem
	out = append(out, c.Owner.validate()...)
	out = append(out, hostProblems("host", c.Host)...)
	for i, host := range c.Hosts {
		field := fmt.Sprintf("hosts[%d]", i)
		out = append(out, hostProblems(field, host)...)
		if namespace := c.Owner.Handle.Namespace; host != "" &&
			slices.ContainsFunc(append([]string{c.Host}, c.Hosts[:i]...), func(before string) bool {
				return fullHost(before, namespace) == fullHost(host, namespace)
			}) {
			out = append(out,
				Problem{Field: field, Text: fmt.Sprintf("%q is given twice; the VirtualService has the host of the tracks anyway.", host)})
		}
	}
	for i, name := range c.Gateways {
		if name != "mesh" && !gatewayName.MatchString(name) && len(validation.IsDNS1123Subdomain(name)) > 0 {
			out = append(out, Problem{
				Field: fmt.Sprintf("gateways[%d]", i),
				Text:  fmt.Sprintf("%q is no gateway: write \"<name>\", \"<namespace>/<name>\" or \"mesh\".", name),
			})
		}
	}
	if c.Route != "" && len(c.Gateways)+len(c.Hosts) > 0 {
		out = append(out, Problem{
			Field: "route",
			Text:  "A route in a VirtualService of another owner has the gateways and hosts of that one; leave gateways and hosts out.",
		})
	}
	out = append(out, objectName("virtual_service", c.VirtualService)...)
	out = append(out, objectName("destination_rule", c.DestinationRule)...)
	if c.Route == "" && c.VirtualService != "" && c.VirtualService != c.Owner.Name {
		out = append(out,
			Problem{Field: "route", Text: "A VirtualService is named, and no route in it. An own VirtualService has the name of the split."})
	}
	if c.stableSubset() == c.canarySubset() {
		out = append(out, Problem{Field: "canary.subset", Text: "Both tracks have the same subset."})
	}
	for _, track := range tracks(c.Stable, c.Canary) {
		if track.Subset != "" && len(validation.IsDNS1123Label(track.Subset)) > 0 {
			out = append(out, Problem{
				Field: track.field + ".subset",
				Text:  fmt.Sprintf("%q is no name of a subset: lower case letters, digits and hyphens.", track.Subset),
			})
		}
		if track.Service != "" || track.Port != 0 {
			out = append(out, Problem{
				Field: track.field + ".service",
				Text:  "With Istio, labels, not a Service, distinguish the tracks; leave service and port out.",
			})
		}
	}
	return append(out, trackLabels(c.Stable, c.Canary)...)
}
