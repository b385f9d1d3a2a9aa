// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package service

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts requests. Probes and scrapes are not counted: they would water down the share of errors.
type metrics struct {
	version      string
	httpRequests *prometheus.CounterVec
	httpDuration *prometheus.HistogramVec
	grpcRequests *prometheus.CounterVec
	grpcDuration *prometheus.HistogramVec
}

func newMetrics(registry *prometheus.Registry, info Info) *metrics {
	m := &metrics{
		version: info.Version,
		httpRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total",
			Help: "HTTP requests answered, without probes and scrapes.",
		}, []string{"code", "method", "handler", "version"}),
		httpDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds",
			Help: "Time to answer an HTTP request.",
		}, []string{"method", "handler", "version"}),
		grpcRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_requests_total",
			Help: "gRPC calls answered, without health checks and reflection.",
		}, []string{"code", "method", "version"}),
		grpcDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "grpc_request_duration_seconds",
			Help: "Time to answer a gRPC call.",
		}, []string{"method", "version"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "data_collection_build_info",
		Help:        "Always 1; its labels describe what runs.",
		ConstLabels: prometheus.Labels{"version": info.Version, "commit": info.Commit, "store": info.Store},
	})
	build.Set(1)
	registry.MustRegister(m.httpRequests, m.httpDuration, m.grpcRequests, m.grpcDuration, build)
	return m
}

func (m *metrics) countHTTP(code, method, handler string, took time.Duration) {
	m.httpRequests.WithLabelValues(code, method, handler, m.version).Inc()
	m.httpDuration.WithLabelValues(method, handler, m.version).Observe(took.Seconds())
}

func (m *metrics) countGRPC(code, method string, took time.Duration) {
	m.grpcRequests.WithLabelValues(code, method, m.version).Inc()
	m.grpcDuration.WithLabelValues(method, m.version).Observe(took.Seconds())
}
