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
	// HTTPS says that the port speaks TLS. The API server does not verify its certificate.
	HTTPS bool
	// Path is appended, for example "/readyz". A query is kept.
	Path string
}

// ProxyAddress is the URL under which the API server at host passes requests on to a Service.
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

// ConfigError means that a sampler is not configured right.
type ConfigError struct {
	// Field is the name of what is wrong.
	Field string
	// Problem says what is wrong, without the value where that may be secret.
	Problem string
}

// Explain implements the explanation that diagnostics print.
func (e *ConfigError) Explain() (happened, observed, advice string) {
	return "A check of the analysis is not configured right.", fmt.Sprintf("%s: %s.", e.Field, e.Problem), "Correct the analysis block."
}

func (e *ConfigError) Error() string { return e.Field + ": " + e.Problem }
