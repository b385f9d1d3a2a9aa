// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"cmp"

	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// NewGateway makes the router for a rule of a Gateway API HTTPRoute. It sends no request. Client is the one to write with, for example
// one that stops writing when the namespace's Lease is lost; nil is the cluster's. The caller holds the Lease. Errors: *InvalidError.
func NewGateway(c *cluster.Cluster, client dynamic.Interface, config GatewayConfig) (Router, error) {
	name := cmp.Or(config.HTTPRoute, config.Owner.Name)
	if problems := config.Validate(); len(problems) > 0 {
		return nil, &InvalidError{Object: httpRoutes.name + " " + name, Problems: problems}
	}
	access, err := newObjects(c, client, config.Owner.Handle)
	if err != nil {
		return nil, err
	}
	speaks := gateway{namespace: config.Owner.Handle.Namespace, stable: config.Stable, canary: config.Canary}
	out := &router{
		objects: access, owner: config.Owner, kind: httpRoutes, dialect: speaks, name: name,
		shared: config.Rule != "" || config.RuleIndex != nil,
		ref:    reference{name: config.Rule, index: config.RuleIndex, header: headerRouteName(config.Owner)},
		spec:   map[string]any{"parentRefs": parents(config)},
	}
	if len(config.Hostnames) > 0 {
		out.spec["hostnames"] = texts(config.Hostnames)
	}
	if !out.shared {
		first := 0
		// Where the installed Gateway API keeps no names, ours is the first that is not for the headers.
		out.ref.name, out.ref.index = config.Owner.Name, &first
		out.plain = map[string]any{
			"name": config.Owner.Name, "matches": []any{speaks.unlimited()},
			"backendRefs": []any{speaks.destination(map[string]any{}, toStable, -1)},
		}
	}
	return out, nil
}

// headerRouteName is the name of the route for the headers.
func headerRouteName(owner Owner) string { return owner.Name + "-canary-header" }

// parents writes out what the API server would fill in.
func parents(config GatewayConfig) []any {
	var out []any
	for _, parent := range config.Parents {
		entry := map[string]any{"group": "", "kind": parent.Kind, "name": parent.Name}
		if parent.Kind == "Gateway" {
			entry["group"] = httpRoutes.group
		}
		if parent.Namespace != "" {
			entry["namespace"] = parent.Namespace
		}
		if parent.Port != 0 {
			entry["port"] = int64(parent.Port)
		}
		if parent.SectionName != "" {
			entry["sectionName"] = parent.SectionName
		}
		out = append(out, entry)
	}
	return out
}
