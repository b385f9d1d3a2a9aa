// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// Helm's own default is the name of the binary, which for a provider changes with each version.
func init() { kube.ManagedFieldsManager = environment.FieldManager }

// storageTimeout bounds each request to Helm's storage and to our record. They go on after the operation's context has
// ended, so that what happened is written down; this is what ends them.
const storageTimeout = 20 * time.Second

// wrapStorage lets tests make storage fail.
type wrapStorage func(driver.Driver) driver.Driver

// clients are the two ways in which an operation writes.
type clients struct {
	// gated is refused mutations as soon as the operation's context has ended or the lease is lost.
	gated *rest.Config
	// durable is refused them only when the lease is lost: another run may then be at work on the same revision.
	durable kubernetes.Interface
}

func newClients(ctx context.Context, c *cluster.Cluster, lease *cluster.Lease) (*clients, error) {
	gated := c.RESTConfig()
	gated.Wrap(func(next http.RoundTripper) http.RoundTripper { return cluster.Gate(ctx, lease, next) })

	unended := context.WithoutCancel(ctx)
	config := c.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &timeLimit{limit: storageTimeout, next: cluster.Gate(unended, lease, next)}
	})
	durable, err := cluster.NewKubernetes(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for Helm's storage: %w", err)
	}
	return &clients{gated: gated, durable: durable}, nil
}

// timeLimit bounds a request including its body; Helm's storage passes no context of its own.
type timeLimit struct {
	limit time.Duration
	next  http.RoundTripper
}

func (t *timeLimit) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), t.limit)
	response, err := t.next.RoundTrip(request.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	response.Body = &endingBody{ReadCloser: response.Body, end: cancel}
	return response, nil
}

// helmConfiguration is what one Helm action works with. It is never shared: Helm changes it while it runs.
func (o *operation) helmConfiguration(capabilities *cluster.Capabilities, wrap wrapStorage) *action.Configuration {
	getter := &restGetter{cluster: o.target.Cluster, config: o.clients.gated, namespace: o.target.Handle.Namespace}
	client := kube.New(getter)
	client.Namespace = o.target.Handle.Namespace
	o.kube = &ctxKube{op: o, client: client}
	return &action.Configuration{
		RESTClientGetter: getter,
		Releases:         o.newStorage(wrap),
		KubeClient:       o.kube,
		Capabilities:     render.HelmCapabilities(capabilities),
		Log:              func(string, ...any) {},
	}
}

// newStorage is Helm's storage of releases in Secrets. It has no limit of revisions: Helm would prune known-good ones.
func (o *operation) newStorage(wrap wrapStorage) *storage.Storage {
	var d driver.Driver = driver.NewSecrets(o.clients.durable.CoreV1().Secrets(o.target.Handle.Namespace))
	if wrap != nil {
		d = wrap(d)
	}
	return storage.Init(d)
}

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
