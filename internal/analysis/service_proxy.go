// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Service is a port of a Kubernetes Service that is reached through the API server, with the credentials for the cluster,
// which need the verb get on services/proxy.
type Service struct {
	Namespace, Name string
	// Port is the number or the name of the port.
	Port string
	// HTTPS means that the port uses TLS. The API server does not verify its certificate.
	HTTPS bool
	// Path is appended, for example "/readyz". It may have a query.
	Path string
}

// ProxyAddress is the URL at which the API server at host forwards requests to a Service.
func ProxyAddress(host string, s Service) (string, error) {
	base, err := url.Parse(host)
	if err != nil || base.Host == "" {
		return "", &ConfigError{Field: "cluster", Problem: "the address of the API server is not a URL"}
	}
	for field, value := range map[string]string{"service.namespace": s.Namespace, "service.name": s.Name, "service.port": s.Port} {
		if value == "" || strings.ContainsAny(value, "/:?#% ") || strings.Trim(value, ".") == "" {
			return "", &ConfigError{Field: field, Problem: strconv.Quote(value) + " is not a name"}
		}
	}
	target, err := url.Parse("/" + strings.TrimPrefix(s.Path, "/"))
	if err != nil {
		return "", &ConfigError{Field: "service.path", Problem: "is not the path of a URL"}
	}
	scheme := "http"
	if s.HTTPS {
		scheme = "https"
	}
	proxy := base.JoinPath("api", "v1", "namespaces", s.Namespace, "services", scheme+":"+s.Name+":"+s.Port, "proxy")
	proxy.Path += target.Path
	proxy.RawPath = ""
	proxy.RawQuery = target.RawQuery
	return proxy.String(), nil
}

// ConfigError means that a sampler's configuration is not valid.
type ConfigError struct {
	// Field is the name of the invalid field.
	Field string
	// Problem describes the mistake, without a value that may be secret.
	Problem string
}

// Explain implements explain.Explainer.
func (e *ConfigError) Explain() (happened, observed, advice string) {
	return "A check of the analysis is not configured right.", fmt.Sprintf("%s: %s.", e.Field, e.Problem), "Correct the analysis block."
}

func (e *ConfigError) Error() string { return e.Field + ": " + e.Problem }
