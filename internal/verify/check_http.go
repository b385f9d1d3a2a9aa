// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"fmt"
	"net/http"
	"time"

	"k8s.io/client-go/rest"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
)

// httpRetryEvery is the pause between two attempts of an HTTP smoke test.
const httpRetryEvery = time.Second

// HTTPCheck is one GET request, to a Service of the cluster through the API server, or to a URL.
type HTTPCheck struct {
	Name string
	// Service is asked through the API server's service proxy. Its namespace is the environment's where empty. Exactly one
	// of Service and URL is set.
	Service *analysis.Service
	URL     string
	// Header is sent along; its values count as secret.
	Header http.Header
	// Statuses pass. Without any, 200 to 399 do.
	Statuses []int
	// Contains must be in the answer's body where it is set. Only smoke tests look at the body.
	Contains string
	Timeout  time.Duration
}

// probe makes the sampler of a check, and says how the connections that it keeps are closed. Errors: *analysis.ConfigError.
func (h *HTTPCheck) probe(target ownership.Release) (*analysis.HTTPProbe, func(), error) {
	probe := &analysis.HTTPProbe{
		Name: h.Name, URL: h.URL, Header: h.Header, Statuses: h.Statuses, Contains: h.Contains, Timeout: h.Timeout,
	}
	if h.Service == nil {
		// Each request makes a connection of its own: a kept one would go to the same pod again and again.
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
		probe.Client = &http.Client{Transport: transport}
		return probe, transport.CloseIdleConnections, probe.Validate()
	}
	address, err := proxyAddress(target, *h.Service)
	if err != nil {
		return nil, nil, err
	}
	transport, err := proxyTransport(target.Cluster)
	if err != nil {
		return nil, nil, err
	}
	probe.URL, probe.Proxied, probe.Client = address, true, &http.Client{Transport: transport}
	return probe, func() {}, probe.Validate()
}

// askHTTP asks once and believes the answer: a wrong status and a body without what is wanted fail at once. Where nothing answers
// (connection refused, no endpoint, no answer in time) it asks again until the check's time is over, since routes follow the readiness of
// pods with a delay. Where it is not the service's fault (a right is missing, a name is unknown, a certificate is not trusted), it
// gives up after the grace that refusals have.
func askHTTP(r *checkRun) error {
	probe, closeIdle, err := r.check.HTTP.probe(r.env.Target)
	if err != nil {
		return r.notMade(err.Error())
	}
	defer closeIdle()
	var hindered time.Time
	last := analysis.Sample{Kind: analysis.Error, Evidence: "nothing was asked"}
	for r.endOf(r.ctx) == nil {
		sample, answered := probe.Ask(r.ctx)
		if r.ctx.Err() != nil {
			break // A request that was cut off says less than the one before.
		}
		last = sample
		switch {
		case sample.Kind == analysis.Pass:
			return nil
		case answered:
			return r.refused(sample.Evidence)
		case sample.Kind != analysis.Error:
			hindered = time.Time{}
		case hindered.IsZero():
			hindered = time.Now()
		case time.Since(hindered) >= r.env.Graces.Refused:
			return r.notMade(sample.Evidence)
		}
		r.env.Op.Doing("asking again: " + r.env.Secrets.Text(sample.Evidence))
		rollout.Pause(r.ctx, httpRetryEvery)
	}
	out := r.notMade(fmt.Sprintf("%s (asked for %s)", last.Evidence, r.check.timeout()))
	out.Refused = last.Kind == analysis.Fail
	return out
}

// proxyAddress is the URL of a Service behind the API server. Its namespace is the environment's where it has none.
func proxyAddress(target ownership.Release, s analysis.Service) (string, error) {
	if s.Namespace == "" {
		s.Namespace = target.Handle.Namespace
	}
	return analysis.ProxyAddress(target.Cluster.Host(), s)
}

// proxyTransport brings the credentials for the cluster, and is shared with all other requests to it.
func proxyTransport(c *cluster.Cluster) (http.RoundTripper, error) {
	transport, err := rest.TransportFor(c.RESTConfig())
	if err != nil {
		return nil, fmt.Errorf("using the connection to the cluster for a check: %w", err)
	}
	return transport, nil
}
