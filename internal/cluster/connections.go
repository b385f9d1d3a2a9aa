// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"maps"
	"slices"
	"sync"

	"k8s.io/client-go/rest"
)

// Connections makes and shares one Cluster per Coordinate for the life of the process. Safe for concurrent use.
type Connections struct {
	config Config

	mu       sync.Mutex
	clusters map[string]*Cluster
}

// NewConnections keeps config; it reads no file and sends no request.
func NewConnections(config Config) *Connections {
	return &Connections{config: config, clusters: map[string]*Cluster{}}
}

// Cluster returns the shared Cluster of a coordinate. It reads kubeconfig but sends no request. Errors:
// *NoCoordinateError, *UnknownContextError, *UnknownConnectionError, *KubeconfigError, *UnsupportedError.
func (c *Connections) Cluster(ctx context.Context, coordinate Coordinate) (*Cluster, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch {
	case coordinate.Context != "" && coordinate.EKS != nil:
		return nil, &NoCoordinateError{Both: true}
	case coordinate.EKS != nil:
		return nil, &UnsupportedError{What: "cluster.eks"}
	case coordinate.Context == "":
		return nil, &NoCoordinateError{}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.clusters[coordinate.Context]; ok {
		return known, nil
	}
	config, err := c.restConfig(coordinate.Context)
	if err != nil {
		return nil, err
	}
	shared, err := share(config, c.config.UserAgent)
	if err != nil {
		return nil, &KubeconfigError{Context: coordinate.Context, Cause: err}
	}
	made := &Cluster{coordinate: coordinate, config: shared, leases: map[string]*sharedLease{}, timing: defaultTiming}
	c.clusters[coordinate.Context] = made
	return made, nil
}

func (c *Connections) restConfig(context string) (*rest.Config, error) {
	paths := c.config.ConfigPaths
	if len(paths) == 0 {
		paths = defaultPaths()
	}
	connection, ok := c.config.Clusters[context]
	if !ok {
		if c.config.ClustersUnknown || c.config.PathsUnknown {
			return nil, &UnknownConnectionError{Name: context}
		}
		return contextConfig(paths, context, slices.Sorted(maps.Keys(c.config.Clusters)))
	}
	if connection.Unknown || c.config.PathsUnknown && connection.Host == "" && connection.ConfigPath == "" {
		return nil, &UnknownConnectionError{Name: context}
	}
	return connectionConfig(context, connection, paths)
}
