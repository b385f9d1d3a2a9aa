// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"reflect"
	"slices"
)

// CanaryRoute is where the traffic of a split is divided, so that an import knows it. Exactly one of both is set.
type CanaryRoute struct {
	Istio   *IstioConfig
	Gateway *GatewayConfig
}

// Same reports that two routes of a split mean the same in a namespace, however they are written: with defaults or without, hosts short or in full.
func (r CanaryRoute) Same(other CanaryRoute, split, namespace string) bool {
	return reflect.DeepEqual(r.full(split, namespace), other.full(split, namespace))
}

// full writes out what is left to defaults.
func (r CanaryRoute) full(split, namespace string) (out CanaryRoute) {
	if r.Istio != nil {
		i := *r.Istio
		i.Host = fullHost(i.Host, namespace)
		i.VirtualService, i.DestinationRule = firstOf(i.VirtualService, split), firstOf(i.DestinationRule, split)
		i.Stable, i.Canary = i.Stable.full(i.stableSubset()), i.Canary.full(i.canarySubset())
		i.Hosts, i.Gateways = sortedTexts(i.Hosts), sortedTexts(i.Gateways)
		if slices.Equal(i.Gateways, []string{"mesh"}) {
			i.Gateways = nil
		}
		out.Istio = &i
	}
	if r.Gateway != nil {
		g := *r.Gateway
		g.HTTPRoute = firstOf(g.HTTPRoute, split)
		g.Stable, g.Canary = g.Stable.full(""), g.Canary.full("")
		g.Hostnames, g.Parents = sortedTexts(g.Hostnames), slices.Clone(g.Parents)
		for i := range g.Parents {
			g.Parents[i].Namespace = firstOf(g.Parents[i].Namespace, namespace)
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
