// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Clusters live in 198.18.0.0/15, which RFC 2544 sets aside for benchmarks, so that neither the internet nor a usual
// private network uses it. Each cluster has a /19 of it:
//
//   - 0.0/20     pods
//     +16.0/21     services
//     +31.252/30   the link between host and cluster
const (
	maxClusters  = 16
	apiPort      = 6443
	etcdPort     = 2379
	etcdPeerPort = 2380
)

var clusterRange = netip.MustParsePrefix("198.18.0.0/15")

// addresses are the address block of one cluster.
type addresses struct {
	Block, Pods, Services         netip.Prefix
	Host, Node                    netip.Addr // the two ends of the link
	Gateway                       netip.Addr // of the pods
	KubernetesService, DNSService netip.Addr // fixed ClusterIPs
	LinkPrefixLength              int
	HostLink, NodeLink            string // interface names
}

func addressesOf(index int) addresses {
	base := clusterRange.Addr().As4()
	at := func(third, fourth int) netip.Addr {
		v := int(base[1])<<16 + index<<13 + third<<8 + fourth
		return netip.AddrFrom4([4]byte{base[0], byte(v >> 16), byte(v >> 8), byte(v)})
	}
	return addresses{
		Block:             netip.PrefixFrom(at(0, 0), 19),
		Pods:              netip.PrefixFrom(at(0, 0), 20),
		Gateway:           at(0, 1),
		Services:          netip.PrefixFrom(at(16, 0), 21),
		KubernetesService: at(16, 1),
		DNSService:        at(16, 10),
		Host:              at(31, 253),
		Node:              at(31, 254),
		LinkPrefixLength:  30,
		HostLink:          fmt.Sprintf("slipway%d", index),
		NodeLink:          "eth0",
	}
}

func (c *Cluster) addresses() addresses { return addressesOf(c.instance.Index) }

// Server is the URL of the API server.
func (c *Cluster) Server() string {
	return fmt.Sprintf("https://%s:%d", c.addresses().Node, apiPort)
}

// NodeName is the name of the cluster's one node.
func (c *Cluster) NodeName() string { return c.instance.Name + "-node" }

// chooseIndex returns the lowest block of addresses that no cluster in the same cache directory owns and that no
// interface or route of the host uses. The machine must be locked.
func chooseIndex(others []*Cluster) (int, error) {
	used, err := hostPrefixes()
	if err != nil {
		return 0, err
	}
	for _, c := range others {
		used = append(used, c.addresses().Block)
	}
	for index := range maxClusters {
		if conflict(used, addressesOf(index).Block) == nil {
			return index, nil
		}
	}
	return 0, fmt.Errorf("all %d address blocks of %s are in use on this machine; delete clusters that are not needed (down --purge)",
		maxClusters, clusterRange)
}

func conflict(used []netip.Prefix, block netip.Prefix) *netip.Prefix {
	for _, u := range used {
		// A wider prefix is a default or an aggregate route; ours are more specific.
		if u.Bits() >= clusterRange.Bits() && u.Overlaps(block) {
			return &u
		}
	}
	return nil
}

// hostPrefixes returns the destinations of all IPv4 routes of the host, which include those of its interfaces.
func hostPrefixes() ([]netip.Prefix, error) {
	routes, err := netlink.RouteListFiltered(unix.AF_INET, &netlink.Route{}, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the host's routes: %w", err)
	}
	var prefixes []netip.Prefix
	for _, r := range routes {
		if p, ok := prefixOf(r.Dst); ok {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes, nil
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP.To4())
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr, ones), ok
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
