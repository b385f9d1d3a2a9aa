// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Connections makes and shares one Cluster per Coordinate for the life of the process. Safe for concurrent use.
type Connections struct{}

// NewConnections keeps config; it reads no file and sends no request.
func NewConnections(config Config) *Connections

// Cluster returns the shared Cluster of a coordinate. It reads kubeconfig but sends no request. Errors:
// *NoCoordinateError, *UnknownContextError, *UnknownConnectionError, *UnsupportedError.
func (c *Connections) Cluster(ctx context.Context, coordinate Coordinate) (*Cluster, error)

// Cluster is one API server with everything that is shared between the operations on it: transport, typed, dynamic and
// metadata clients, discovery and REST mapper (each built on first use, behind singleflight).
type Cluster struct{}

func (c *Cluster) Coordinate() Coordinate

// UID is the UID of namespace kube-system, by which a cluster is recognised whatever its address is. Asked once per
// process. Errors as from Classify.
func (c *Cluster) UID(ctx context.Context) (string, error)

// RESTConfig is a copy, so that a caller may wrap its transport (see Gate).
func (c *Cluster) RESTConfig() *rest.Config

func (c *Cluster) Kubernetes() (kubernetes.Interface, error)
func (c *Cluster) Dynamic() (dynamic.Interface, error)
func (c *Cluster) Metadata() (metadata.Interface, error)

// Discovery and RESTMapper are cached for the process; Invalidate drops what they know (after CRDs were made).
func (c *Cluster) Discovery() (discovery.CachedDiscoveryInterface, error)
func (c *Cluster) RESTMapper() (meta.ResettableRESTMapper, error)
func (c *Cluster) Invalidate()

// Capabilities is what charts can ask about a cluster: its version, and every group/version and group/version/kind it
// serves, as Helm lists them. Cached for the process.
func (c *Cluster) Capabilities(ctx context.Context) (Capabilities, error)

// Capabilities of a cluster.
type Capabilities struct {
	Version     version.Info
	APIVersions []string
}
