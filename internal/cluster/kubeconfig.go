// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfigs keeps parsed kubeconfig files for the process. One that changed on disk (size or time) is read again.
type kubeconfigs struct {
	mu    sync.Mutex
	files map[string]kubeconfig
}

type kubeconfig struct {
	size     int64
	modified time.Time
	config   *clientcmdapi.Config
}

var parsedKubeconfigs = kubeconfigs{files: map[string]kubeconfig{}}

func (k *kubeconfigs) load(path string) (*clientcmdapi.Config, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if known, ok := k.files[path]; ok && known.size == info.Size() && known.modified.Equal(info.ModTime()) {
		return known.config, nil
	}
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		return nil, err
	}
	if err := clientcmd.ResolveLocalPaths(config); err != nil {
		return nil, err
	}
	k.files[path] = kubeconfig{size: info.Size(), modified: info.ModTime(), config: config}
	return config, nil
}

// defaultPaths are the files that kubectl reads by default.
func defaultPaths() []string {
	if paths := filepath.SplitList(os.Getenv(clientcmd.RecommendedConfigPathEnvVar)); len(paths) > 0 {
		return slices.DeleteFunc(paths, func(path string) bool { return path == "" })
	}
	return []string{clientcmd.RecommendedHomeFile}
}

func expandHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, rest)
}

// contextConfig finds a context in kubeconfig files. As in kubectl, the first file that defines an entry takes precedence, and
// contexts may refer to entries of other files. The current context is never used.
func contextConfig(paths []string, context string, connections []string) (*rest.Config, error) {
	merged := clientcmdapi.NewConfig()
	unknown := &UnknownContextError{Context: context, Connections: connections}
	for _, path := range paths {
		path = expandHome(path)
		config, err := parsedKubeconfigs.load(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			unknown.Missing = append(unknown.Missing, path)
			continue
		case err != nil:
			return nil, &KubeconfigError{Context: context, File: path, Cause: err}
		}
		unknown.Files = append(unknown.Files, path)
		addMissing(merged.Clusters, config.Clusters)
		addMissing(merged.AuthInfos, config.AuthInfos)
		addMissing(merged.Contexts, config.Contexts)
	}
	found, ok := merged.Contexts[context]
	if !ok {
		unknown.Contexts = slices.Sorted(maps.Keys(merged.Contexts))
		return nil, unknown
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*merged, context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, &KubeconfigError{Context: context, File: found.LocationOfOrigin, Cause: err}
	}
	return config, nil
}

func addMissing[V any](to, from map[string]V) {
	for key, value := range from {
		if _, ok := to[key]; !ok {
			to[key] = value
		}
	}
}

// connectionConfig builds the configuration of a connection that is written in the provider configuration.
func connectionConfig(name string, connection Connection, paths []string) (*rest.Config, error) {
	if connection.ConfigPath != "" || connection.ConfigContext != "" {
		if connection.Host != "" {
			return nil, &KubeconfigError{Context: name, Cause: errors.New("host and config_path or config_context exclude each other")}
		}
		if connection.ConfigPath != "" {
			paths = []string{connection.ConfigPath}
		}
		return contextConfig(paths, firstOf(connection.ConfigContext, name), nil)
	}
	if connection.Host == "" {
		return nil, &KubeconfigError{Context: name, Cause: errors.New("neither host nor config_path nor config_context is set")}
	}

	server := clientcmdapi.NewCluster()
	server.Server = connection.Host
	server.TLSServerName = connection.TLSServerName
	server.InsecureSkipTLSVerify = connection.Insecure
	server.CertificateAuthorityData = []byte(connection.ClusterCACertificate)
	server.ProxyURL = connection.ProxyURL
	user := clientcmdapi.NewAuthInfo()
	user.Token = connection.Token
	user.ClientCertificateData = []byte(connection.ClientCertificate)
	user.ClientKeyData = []byte(connection.ClientKey)
	user.Exec = connection.Exec.kubeconfig()
	context := clientcmdapi.NewContext()
	context.Cluster, context.AuthInfo = name, name

	whole := clientcmdapi.NewConfig()
	whole.Clusters[name], whole.AuthInfos[name], whole.Contexts[name] = server, user, context
	config, err := clientcmd.NewNonInteractiveClientConfig(*whole, name, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, &KubeconfigError{Context: name, Cause: err}
	}
	return config, nil
}

func firstOf(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
