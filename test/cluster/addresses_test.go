// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"net/netip"
	"testing"
)

func TestAddresses_BlocksAreApartAndHoldTheirParts(t *testing.T) {
	var blocks []netip.Prefix
	for index := range maxClusters {
		a := addressesOf(index)
		if !clusterRange.Contains(a.Block.Addr()) {
			t.Errorf("block %d, %s, is outside %s", index, a.Block, clusterRange)
		}
		if c := conflict(blocks, a.Block); c != nil {
			t.Errorf("block %d, %s, overlaps %s", index, a.Block, c)
		}
		blocks = append(blocks, a.Block)

		link := netip.PrefixFrom(a.Host, a.LinkPrefixLength).Masked()
		parts := []netip.Prefix{a.Pods, a.Services, link}
		for i, p := range parts {
			if p != p.Masked() || !a.Block.Contains(p.Addr()) || conflict(parts[:i], p) != nil {
				t.Errorf("block %d: part %s is not aligned, outside %s or overlaps another of %v", index, p, a.Block, parts)
			}
		}
		if !link.Contains(a.Node) || a.Node == a.Host || !a.Services.Contains(a.DNSService) || !a.Services.Contains(a.KubernetesService) ||
			!a.Pods.Contains(a.Gateway) {
			t.Errorf("block %d: an address is not in its range: %+v", index, a)
		}
		if len(a.HostLink) > 15 {
			t.Errorf("interface name %s is too long for Linux", a.HostLink)
		}
	}
	if last := blocks[maxClusters-1]; conflict(blocks[:maxClusters-1], last) != nil || addressesOf(maxClusters).Block.Overlaps(clusterRange) {
		t.Errorf("maxClusters = %d does not fill %s exactly", maxClusters, clusterRange)
	}
}

func TestConflict_IgnoresRoutesThatAreWiderThanTheWholeRange(t *testing.T) {
	block := addressesOf(3).Block
	for route, want := range map[string]bool{
		"0.0.0.0/0":      false,
		"192.0.2.0/24":   false,
		"198.16.0.0/12":  false,
		"198.18.0.0/15":  true,
		"198.18.96.0/20": true,
		"198.18.96.7/32": true,
		"198.18.64.0/19": false,
	} {
		if got := conflict([]netip.Prefix{netip.MustParsePrefix(route)}, block) != nil; got != want {
			t.Errorf("route to %s conflicts with %s: %t; want %t", route, block, got, want)
		}
	}
}
