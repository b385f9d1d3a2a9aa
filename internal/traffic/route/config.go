// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// Config says which route is divided. Exactly one of both is set. It is stored in records as it is.
type Config struct {
	Istio   *IstioConfig
	Gateway *GatewayConfig
}

// Router makes the router for an owner. It sends no request. For client see NewIstio. Errors: *InvalidError.
func (c Config) Router(live *cluster.Cluster, client dynamic.Interface, owner Owner) (Router, error) {
	if c.Istio != nil {
		config := *c.Istio
		config.Owner = owner
		return NewIstio(live, client, config)
	}
	config := *c.Gateway
	config.Owner = owner
	return NewGateway(live, client, config)
}

// Validate checks the configuration without asking a cluster.
func (c Config) Validate(owner Owner) []Problem {
	if c.Istio == nil {
		config := *c.Gateway
		config.Owner = owner
		return config.Validate()
	}
	config := *c.Istio
	config.Owner = owner
	out := config.Validate()
	namespace := owner.Handle.Namespace
	if _, ok := ServiceOfHost(config.Host, namespace); !ok && len(out) == 0 && namespace != "" {
		out = append(out, Problem{Field: "host", Text: fmt.Sprintf("%q is not a Service of namespace %s.", config.Host, namespace)})
	}
	return out
}

// ServiceOfHost is the name of the Service in a namespace that a host names; false where the host is elsewhere.
func ServiceOfHost(host, namespace string) (string, bool) {
	return strings.CutSuffix(fullHost(host, namespace), "."+namespace+".svc")
}

// shared says that the route is in an object that others own.
func (c Config) shared() bool {
	if c.Istio != nil {
		return c.Istio.Route != ""
	}
	return c.Gateway.Rule != "" || c.Gateway.RuleIndex != nil
}

// Same reports that two configurations of a split mean the same in a namespace, however they are written: with defaults or without, hosts
// short or in full.
func (c Config) Same(other Config, split, namespace string) bool {
	return reflect.DeepEqual(c.full(split, namespace), other.full(split, namespace))
}

// full writes out what is left to defaults.
func (c Config) full(split, namespace string) (out Config) {
	if c.Istio != nil {
		i := *c.Istio
		i.Host = fullHost(i.Host, namespace)
		i.VirtualService, i.DestinationRule = cmp.Or(i.VirtualService, split), cmp.Or(i.DestinationRule, split)
		i.Stable, i.Canary = i.Stable.full(i.stableSubset()), i.Canary.full(i.canarySubset())
		i.Hosts, i.Gateways = sortedTexts(i.Hosts), sortedTexts(i.Gateways)
		if slices.Equal(i.Gateways, []string{"mesh"}) {
			i.Gateways = nil
		}
		out.Istio = &i
	}
	if c.Gateway != nil {
		g := *c.Gateway
		g.HTTPRoute = cmp.Or(g.HTTPRoute, split)
		g.Stable, g.Canary = g.Stable.full(""), g.Canary.full("")
		g.Hostnames, g.Parents = sortedTexts(g.Hostnames), slices.Clone(g.Parents)
		for i := range g.Parents {
			g.Parents[i].Namespace = cmp.Or(g.Parents[i].Namespace, namespace)
		}
		out.Gateway = &g
	}
	return out
}

func (t Track) full(subset string) Track {
	if len(t.Labels) == 0 {
		t.Labels = nil
	}
	t.Subset = subset
	return t
}

// sortedTexts is nil where there are none.
func sortedTexts(texts []string) []string {
	out := slices.Sorted(slices.Values(texts))
	if len(out) == 0 {
		return nil
	}
	return out
}

// Track is a set of pods in a namespace.
type Track struct {
	// Labels are on its pods, and not on those of the other track.
	Labels map[string]string
	// Subset is the name of a subset of the DestinationRule; Istio only. Empty is "stable" or "canary".
	Subset string
	// Service and Port are a Service that has only pods of this track; Gateway API only.
	Service string
	Port    int32
}
