// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"fmt"
	"maps"
	"slices"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Config is how clusters are reached. It is the provider's configuration; nothing of it is ever stored.
type Config struct {
	// ConfigPaths are kubeconfig files, merged in order as kubectl does. Empty: KUBECONFIG, else ~/.kube/config.
	ConfigPaths []string
	// Clusters are connections by name, for clusters that are in no kubeconfig. They take precedence over
	// kubeconfig contexts of the same name.
	Clusters map[string]Connection
	// PathsUnknown and ClustersUnknown are set for values that are not known yet. A context that might be defined by unknown values is
	// an *UnknownConnectionError, since using a definition from elsewhere could lead to another cluster.
	PathsUnknown    bool
	ClustersUnknown bool
	// UserAgent is sent with every request, for example "terraform-provider-slipway/0.1.0".
	UserAgent string
}

// Connection is one way to reach an API server. Unknown is set for an entry whose values are not known yet (a plan in
// which the cluster does not exist yet); using it is an *UnknownConnectionError.
type Connection struct {
	Unknown bool

	Host                 string
	TLSServerName        string
	Insecure             bool
	ProxyURL             string
	ClusterCACertificate string // PEM
	Token                string
	ClientCertificate    string // PEM
	ClientKey            string // PEM
	Exec                 *Exec

	// ConfigPath and ConfigContext point at a kubeconfig context under another name.
	ConfigPath    string
	ConfigContext string
}

// Exec is a credential plugin, as in a kubeconfig.
type Exec struct {
	APIVersion string
	Command    string
	Args       []string
	Env        map[string]string
}

func (e *Exec) kubeconfig() *clientcmdapi.ExecConfig {
	if e == nil {
		return nil
	}
	config := &clientcmdapi.ExecConfig{
		APIVersion:      firstOf(e.APIVersion, "client.authentication.k8s.io/v1"),
		Command:         e.Command,
		Args:            e.Args,
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		InstallHint:     fmt.Sprintf("The credential plugin %q was not found. Install it on the machine that runs Terraform.", e.Command),
	}
	for _, key := range slices.Sorted(maps.Keys(e.Env)) {
		config.Env = append(config.Env, clientcmdapi.ExecEnvVar{Name: key, Value: e.Env[key]})
	}
	return config
}
