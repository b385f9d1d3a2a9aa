// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

// Config is how clusters are reached. It is the provider's configuration; nothing of it is ever stored.
type Config struct {
	// ConfigPaths are kubeconfig files, merged in order as kubectl does. Empty: KUBECONFIG, else ~/.kube/config.
	ConfigPaths []string
	// Clusters are connections by name, for clusters that are in no kubeconfig. They win over kubeconfig contexts
	// of the same name.
	Clusters map[string]Connection
	// PathsUnknown and ClustersUnknown mark values that are not known yet. A context that might be in what is unknown is
	// an *UnknownConnectionError, since taking it from elsewhere could lead to another cluster.
	PathsUnknown    bool
	ClustersUnknown bool
	// UserAgent is sent with every request, for example "terraform-provider-slipway/0.1.0".
	UserAgent string
}

// Connection is one way to reach an API server. Unknown marks an entry whose values are not known yet (a plan in
// which the cluster itself is still to be made); using it is an *UnknownConnectionError.
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
