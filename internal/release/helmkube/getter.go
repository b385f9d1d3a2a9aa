// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package helmkube

import (
	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Helm's own default is the name of the binary, which for a provider changes with each version.
func init() { kube.ManagedFieldsManager = environment.FieldManager }

// restGetter gives Helm the cluster's shared discovery and mapper, and a configuration whose mutations are gated.
type restGetter struct {
	cluster   *cluster.Cluster
	config    *rest.Config
	namespace string
}

func (g *restGetter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

func (g *restGetter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.cluster.Discovery()
}

func (g *restGetter) ToRESTMapper() (meta.RESTMapper, error) { return g.cluster.RESTMapper() }

func (g *restGetter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	overrides := &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: g.namespace}}
	return clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), overrides)
}
