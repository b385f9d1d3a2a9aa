// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"fmt"
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

// Capabilities are what charts can query about a cluster, cached for the process. A group whose own API server does not
// answer is left out, as Helm does. Errors as from Classify.
func (c *Cluster) Capabilities(ctx context.Context) (Capabilities, error) {
	c.mu.Lock()
	known := c.capabilities
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	answer, err := c.ask(ctx, "capabilities", func(context.Context) (any, error) {
		found, err := c.discoverCapabilities()
		if err != nil {
			return nil, c.Classify(fmt.Errorf("reading the API resources of the cluster: %w", err))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.capabilities = found
		return found, nil
	})
	if err != nil {
		return Capabilities{}, err
	}
	found, ok := answer.(*Capabilities)
	if !ok {
		return Capabilities{}, fmt.Errorf("capabilities of %s: unexpected %T", c.config.Host, answer)
	}
	return *found, nil
}

func (c *Cluster) discoverCapabilities() (*Capabilities, error) {
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
