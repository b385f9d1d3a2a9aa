// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// connectHost makes the host's side of the network: one veth pair whose other end is in the network namespace of process
// pid, and one route each to the pods and to the services. Both routes vanish with the link, and the link vanishes when
// the namespace does.
func (c *Cluster) connectHost(pid int) error {
	a := c.addresses()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = a.HostLink
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: a.NodeLink, PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("making link %s: %w", a.HostLink, err)
	}
	// The alias names the owner of the link, for `ip link` and for removeLink.
	if err := netlink.LinkSetAlias(veth, c.dir); err != nil {
		return fmt.Errorf("naming the owner of link %s: %w", a.HostLink, err)
	}
	if err := giveAddress(a.HostLink, netip.PrefixFrom(a.Host, a.LinkPrefixLength)); err != nil {
		return err
	}
	for _, dst := range []netip.Prefix{a.Pods, a.Services} {
		if err := addRoute(a.HostLink, dst, a.Node); err != nil {
			return err
		}
	}
	return nil
}

// connectNode makes the cluster's side of the network, from inside its network namespace. There is no default route:
// nothing in the cluster reaches anything but the cluster and this host, so an image that was not loaded fails at once
// instead of being pulled.
func (c *Cluster) connectNode() error {
	a := c.addresses()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback interface: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bringing up the loopback interface: %w", err)
	}
	if err := giveAddress(a.NodeLink, netip.PrefixFrom(a.Node, a.LinkPrefixLength)); err != nil {
		return err
	}
	// A connection to a ClusterIP is looked up in the routes before kube-proxy's rules rewrite it, so there must be some
	// route for it; the rules then replace it.
	if err := addRoute(a.NodeLink, a.Services, a.Host); err != nil {
		return err
	}
	// Pods reach each other, and the host them, through the node.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1\n"), 0); err != nil {
		return fmt.Errorf("letting the cluster's network forward packets: %w", err)
	}
	return nil
}

func giveAddress(name string, address netip.Prefix) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", name, err)
	}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: ipNet(address)}); err != nil {
		return fmt.Errorf("giving %s to link %s: %w", address, name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("bringing up link %s: %w", name, err)
	}
	return nil
}

func addRoute(linkName string, dst netip.Prefix, via netip.Addr) error {
	link, err := netlink.LinkByName(linkName)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", linkName, err)
	}
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(dst), Gw: via.AsSlice()}
	if err := netlink.RouteAdd(route); err != nil {
		return fmt.Errorf("adding the route to %s via %s: %w", dst, via, err)
	}
	return nil
}

// errAddressesTaken means that the addresses of this cluster, which does not run, are used by a cluster that does and that
// was made in another cache directory. What carries the block's number, link and cgroup, is then the other's.
var errAddressesTaken = errors.New("its addresses are used by a cluster with another SLIPWAY_CACHE")

// removeLink removes the link that an earlier run of this cluster left, if any. The error is errAddressesTaken if the
// link is another cluster's. The machine must be locked: then a link without an owner is one whose maker was killed
// before it could say so.
func (c *Cluster) removeLink() error {
	name := c.addresses().HostLink
	link, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("finding link %s: %w", name, err)
	}
	if owner := link.Attrs().Alias; owner != c.dir && owner != "" {
		return fmt.Errorf("%w: %s", errAddressesTaken, owner)
	}
	// It may go by itself at the same moment, because its namespace does.
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("removing link %s: %w", name, err)
	}
	return nil
}

// linkTaken returns an error if the host uses this cluster's addresses for something else.
func (c *Cluster) linkTaken() error {
	used, err := hostPrefixes()
	if err != nil {
		return err
	}
	if p := conflict(used, c.addresses().Block); p != nil {
		return fmt.Errorf("the host has a route to %s, inside %s, which cluster %s was given when it was made; remove that route (`ip "+
			"route` shows it), or delete this cluster's data (down --purge) so that it gets other addresses",
			p, c.addresses().Block, c.Name())
	}
	return nil
}
