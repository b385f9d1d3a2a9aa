// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
)

// GatewayConfig is a rule of a Gateway API HTTPRoute; see NewGateway.
type GatewayConfig struct {
	Owner Owner
	// HTTPRoute is its name, Owner.Name where empty.
	HTTPRoute string
	// Rule is the name of one rule in an HTTPRoute that others own; RuleIndex is its place, from 0, where the rule has no name
	// (counted without the header rule that is put before it). Without both the HTTPRoute is our own.
	Rule      string
	RuleIndex *int
	// Parents and Hostnames are for an own HTTPRoute. A parent is a Service (of a mesh: GAMMA) or a Gateway.
	Parents        []Parent
	Hostnames      []string
	Stable, Canary Track
}

// Parent is what an HTTPRoute is attached to.
type Parent struct {
	// Kind is "Service" or "Gateway".
	Kind string
	// Namespace is the environment's where empty.
	Name, Namespace string
	// Port is that of a Service, SectionName the listener of a Gateway; both may be empty.
	Port        int32
	SectionName string
}

// Validate checks a configuration without asking a cluster. Fields are named as in GatewayConfig, in snake case.
func (c GatewayConfig) Validate() []Problem {
	var out []Problem
	out = append(out, c.Owner.validate()...)
	shared := c.Rule != "" || c.RuleIndex != nil
	switch {
	case c.Rule != "" && c.RuleIndex != nil:
		out = append(out, Problem{Field: "rule_index", Text: "A rule has a name or a place; leave one of rule and rule_index out."})
	case c.RuleIndex != nil && (*c.RuleIndex < 0 || *c.RuleIndex > 15):
		out = append(out, Problem{Field: "rule_index", Text: fmt.Sprintf("%d is no place of a rule: an HTTPRoute has at most 16.", *c.RuleIndex)})
	case shared && len(c.Parents)+len(c.Hostnames) > 0:
		out = append(out, Problem{
			Field: "parents",
			Text:  "A rule in an HTTPRoute of another owner has the parents and hostnames of that one; leave parents and hostnames out.",
		})
	case !shared && c.HTTPRoute != "" && c.HTTPRoute != c.Owner.Name:
		out = append(out, Problem{Field: "rule", Text: "An HTTPRoute is named, and no rule in it. An own HTTPRoute has the name of the split."})
	case !shared && len(c.Parents) == 0:
		out = append(out,
			Problem{Field: "parents", Text: "An own HTTPRoute must be attached to something: the Service that clients call, or a Gateway."})
	}
	out = append(out, objectName("http_route", c.HTTPRoute)...)
	for i, parent := range c.Parents {
		if parent.Kind != "Service" && parent.Kind != "Gateway" {
			out = append(out,
				Problem{Field: fmt.Sprintf("parents[%d].kind", i), Text: fmt.Sprintf("%q is neither Service nor Gateway.", parent.Kind)})
		}
		if parent.Name == "" {
			out = append(out, Problem{Field: fmt.Sprintf("parents[%d].name", i), Text: "The name is empty."})
		}
		out = append(out, objectName(fmt.Sprintf("parents[%d].name", i), parent.Name)...)
	}
	for i, host := range c.Hostnames {
		out = append(out, hostProblems(fmt.Sprintf("hostnames[%d]", i), host)...)
	}
	for _, track := range tracks(c.Stable, c.Canary) {
		if len(validation.IsDNS1035Label(track.Service)) > 0 {
			out = append(out, Problem{Field: track.field + ".service", Text: fmt.Sprintf("%q is no name of a Service.", track.Service)})
		}
		if track.Port < 1 || track.Port > 65535 {
			out = append(out, Problem{Field: track.field + ".port", Text: fmt.Sprintf("%d is no port; it must be between 1 and 65535.", track.Port)})
		}
		if len(track.Labels) > 0 || track.Subset != "" {
			out = append(out, Problem{
				Field: track.field + ".labels",
				Text:  "With the Gateway API, a Service, not labels, distinguishes the tracks; leave labels and subset out.",
			})
		}
	}
	if c.Stable.Service == c.Canary.Service && c.Stable.Service != "" {
		out = append(out, Problem{
			Field: "canary.service",
			Text:  "Both tracks have the same Service. The Gateway API knows no subsets: each track needs one of its own.",
		})
	}
	return out
}
