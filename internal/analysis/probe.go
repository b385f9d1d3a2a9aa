// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultTimeout is the time limit of one check.
const DefaultTimeout = 5 * time.Second

// HTTPProbe is a health check by one GET request.
//
// It passes when the status is expected. It fails on any other status, when there is no answer in time, when
// the connection is refused or cut, and when the certificate is expired or made for another name. An unknown certificate authority, a name
// that does not resolve, and an API server that refuses to forward the request are errors: they are no result about the version.
type HTTPProbe struct {
	// Name is the name of the check.
	Name string
	// URL of the request. Neither its user nor its query appears in evidence.
	URL string
	// Client makes the request: with its TLS configuration, or through the API server. Redirects are not followed.
	Client *http.Client
	// Header is sent with the request. It does not appear in evidence.
	Header http.Header
	// Statuses that pass. Empty means 200 to 399, as for the kubelet.
	Statuses []int
	// Contains, if set, must be in the first MiB of the body.
	Contains string
	// Timeout is DefaultTimeout where zero.
	Timeout time.Duration
	// Proxied means that URL comes from ProxyAddress, so that an answer may be the API server's own.
	Proxied bool
}

// Validate returns a *ConfigError if the probe is not valid.
func (p *HTTPProbe) Validate() error {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return &ConfigError{Field: "http.url", Problem: "is not an http or https URL"}
	case p.Client == nil:
		return &ConfigError{Field: "http", Problem: "has no HTTP client"}
	case p.Timeout < 0:
		return &ConfigError{Field: "http.timeout", Problem: "is negative"}
	}
	for _, status := range p.Statuses {
		if status < 100 || status > 599 {
			return &ConfigError{Field: "http.statuses", Problem: fmt.Sprintf("%d is not an HTTP status", status)}
		}
	}
	return nil
}

// Check implements Sampler.
func (p *HTTPProbe) Check() string { return p.Name }

// Sample implements Sampler.
func (p *HTTPProbe) Sample(ctx context.Context) Sample {
	s, _ := p.Ask(ctx)
	return s
}

// Ask is Sample, and reports whether the service itself answered: a refused connection, or an API server that finds no endpoint, may
// be temporary; an answer of the service is not.
func (p *HTTPProbe) Ask(ctx context.Context) (s Sample, answered bool) {
	if err := p.Validate(); err != nil {
		return Sample{Kind: Error, Evidence: err.Error()}, false
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return Sample{Kind: Error, Evidence: "the URL cannot be parsed"}, false
	}
	kind, text, answered := p.ask(ctx)
	return Sample{Kind: kind, Evidence: p.redactor(u).text("GET " + p.shown(u) + ": " + text)}, answered
}

func (p *HTTPProbe) ask(ctx context.Context) (kind Kind, text string, answered bool) {
	timeout := p.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodGet, p.URL, nil)
	if err != nil {
		return Error, "the request cannot be made", false
	}
	maps.Copy(request.Header, p.Header.Clone())
	if host := p.Header.Get("Host"); host != "" {
		request.Host = host
	}
	client := *p.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		text, broken := describe(ctx, err, timeout)
		if broken {
			return Error, text, false
		}
		return Fail, text, false
	}
	limit := int64(16 << 10)
	if p.Contains != "" {
		limit = 1 << 20
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, limit))
	err = errors.Join(err, response.Body.Close())
	if p.Proxied {
		if kind, text := proxyAnswer(response, body); kind != "" {
			return kind, text, false
		}
	}
	if !p.expected(response.StatusCode) {
		return Fail, fmt.Sprintf("HTTP %d", response.StatusCode), true
	}
	if err != nil {
		text, broken := describe(ctx, err, timeout)
		if broken {
			return Error, text, false
		}
		return Fail, fmt.Sprintf("HTTP %d, but the body was cut off: %s", response.StatusCode, text), false
	}
	if p.Contains != "" && !strings.Contains(string(body), p.Contains) {
		return Fail, fmt.Sprintf("HTTP %d, but the body of %d bytes does not contain %q", response.StatusCode, len(body), p.Contains), true
	}
	return Pass, fmt.Sprintf("HTTP %d", response.StatusCode), true
}

// shown is the URL for evidence: behind the API server's proxy, the service and the path.
func (p *HTTPProbe) shown(u *url.URL) string {
	if p.Proxied {
		if _, service, ok := strings.Cut(u.Path, "/services/"); ok {
			return strings.Replace(service, "/proxy/", "/", 1)
		}
	}
	return withoutSecrets(u)
}

func (p *HTTPProbe) expected(status int) bool {
	if len(p.Statuses) > 0 {
		return slices.Contains(p.Statuses, status)
	}
	return status >= 200 && status < 400
}

func (p *HTTPProbe) redactor(u *url.URL) redactor {
	var secrets []string
	if password, ok := u.User.Password(); ok {
		secrets = append(secrets, password)
	}
	for _, values := range u.Query() {
		secrets = append(secrets, guesses(values)...)
	}
	for name, values := range p.Header {
		if http.CanonicalHeaderKey(name) != "Host" {
			secrets = append(secrets, guesses(values)...)
		}
	}
	return newRedactor(secrets...)
}

// proxyAnswer recognizes an answer of the API server itself instead of the service. A missing endpoint, or one that does not answer,
// is the version's failure; everything else is not.
func proxyAnswer(response *http.Response, body []byte) (Kind, string) {
	if response.StatusCode < 400 {
		return "", ""
	}
	message, own := apiServerMessage(body)
	if !own {
		return "", ""
	}
	text := fmt.Sprintf("the API server answers %d: %s", response.StatusCode, message)
	switch response.StatusCode {
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return Fail, text
	}
	return Error, text
}

// apiServerMessage is the message of a Kubernetes API server, if the answer is its own.
func apiServerMessage(body []byte) (message string, found bool) {
	var status struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
		Message    string `json:"message"`
	}
	if json.Unmarshal(body, &status) != nil || status.Kind != "Status" || status.APIVersion != "v1" {
		return "", false
	}
	return status.Message, true
}
