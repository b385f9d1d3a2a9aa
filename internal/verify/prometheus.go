// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"maps"
	"net/http"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// PrometheusSource says how a Prometheus is reached: a Service through the API server's service proxy, or an address with
// credentials of its own. Exactly one of Service and Address is set. Credentials are kept in memory only.
type PrometheusSource struct {
	Service *analysis.Service
	Address string
	// Username, Password, BearerToken, Header and CA belong to Address.
	Username, Password, BearerToken string
	Header                          http.Header
	CA                              []byte
	Timeout                         time.Duration
}

func (s *PrometheusSource) check(p *problems) {
	p.add((s.Service == nil) == (s.Address == ""), "url", "exactly one of service and url is needed.")
	p.add(s.Timeout < 0, "timeout", "it is negative.")
	config := s.config()
	if s.Service != nil {
		p.service("service.", *s.Service)
		config.Address, config.Transport = "http://service", http.DefaultTransport
	}
	client, err := analysis.NewPrometheus(config)
	if err == nil {
		client.Close()
	}
	p.config("", err)
}

func (s *PrometheusSource) config() analysis.PrometheusConfig {
	return analysis.PrometheusConfig{
		Address: s.Address, Username: s.Username, Password: s.Password, BearerToken: s.BearerToken,
		Header: maps.Clone(s.Header), CA: s.CA, Timeout: s.Timeout,
	}
}

// connect makes no request.
func (s *PrometheusSource) connect(target ownership.Release) (*analysis.Prometheus, error) {
	config := s.config()
	var err error
	if s.Service != nil {
		if config.Address, err = proxyAddress(target, *s.Service); err == nil {
			config.Transport, err = proxyTransport(target.Cluster)
		}
		if err != nil {
			return nil, err
		}
	}
	return analysis.NewPrometheus(config)
}
