// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
)

// Capabilities is what charts can query about a cluster.
type Capabilities struct {
	Version version.Info
	// APIVersions are every group/version and group/version/kind that is served, as Helm lists them, sorted.
	APIVersions []string
}

func discoverCapabilities(c *Cluster) (*Capabilities, error) {
	client, err := c.Discovery()
	if err != nil {
		return nil, err
	}
	serverVersion, err := client.ServerVersion()
	if err != nil {
		return nil, err
	}
	groups, lists, err := client.ServerGroupsAndResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, err
	}
	versions := map[string]struct{}{}
	for _, group := range groups {
		for _, v := range group.Versions {
			versions[v.GroupVersion] = struct{}{}
		}
	}
	for _, list := range lists {
		for _, resource := range list.APIResources {
			versions[list.GroupVersion+"/"+resource.Kind] = struct{}{}
		}
	}
	return &Capabilities{Version: *serverVersion, APIVersions: slices.Sorted(maps.Keys(versions))}, nil
}
