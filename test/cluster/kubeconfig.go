// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfig returns a kubeconfig with one context per name in contexts, all for the same user; the first is the current
// one.
func kubeconfig(server string, authority []byte, user keyPair, userName string, contexts []string) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	cluster := contexts[0]
	config.Clusters[cluster] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos[userName] = &clientcmdapi.AuthInfo{ClientCertificateData: user.certificate, ClientKeyData: user.key}
	for _, name := range contexts {
		config.Contexts[name] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: userName}
	}
	config.CurrentContext = cluster
	return clientcmd.Write(*config)
}

// writeKubeconfig writes the administrator's kubeconfig with all contexts that were requested so far.
func (c *Cluster) writeKubeconfig() error {
	authority, err1 := os.ReadFile(c.path("pki", "ca.crt"))
	certificate, err2 := os.ReadFile(c.path("pki", "admin.crt"))
	key, err3 := os.ReadFile(c.path("pki", "admin.key"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	contexts := append([]string{c.Name()}, c.instance.Contexts...)
	data, err := kubeconfig(c.Server(), authority, keyPair{certificate, key}, c.Name()+"-admin", contexts)
	if err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return writeFileAtomically(c.Kubeconfig(), data, 0o600)
}

// RESTConfig returns an administrator's client configuration, without client-side rate limits.
func (c *Cluster) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of cluster %s: %w", c.Name(), err)
	}
	config.QPS = -1
	return config, nil
}
