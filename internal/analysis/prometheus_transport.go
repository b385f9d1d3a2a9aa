// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
)

const (
	// longestQuery is the length of a query string up to which a POST becomes a GET; servers accept 8 KiB in total.
	longestQuery = 6 << 10
	// longestAnswer is the limit for an answer. One number needs less; a query of thousands of series is a mistake.
	longestAnswer = 8 << 20
)

// promTransport adds credentials, and turns the POST that the client library prefers into a GET: reading through the API server
// must not need the permission to create, and must work where mutations are gated.
type promTransport struct {
	next   http.RoundTripper
	config PrometheusConfig
}

// RoundTrip implements http.RoundTripper.
func (t *promTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	request, err := asGet(request)
	if err != nil {
		return nil, err
	}
	for name, values := range t.config.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	switch {
	case t.config.BearerToken != "":
		request.Header.Set("Authorization", "Bearer "+t.config.BearerToken)
	case t.config.Username != "" || t.config.Password != "":
		request.SetBasicAuth(t.config.Username, t.config.Password)
	}
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = &limitedBody{ReadCloser: response.Body, left: longestAnswer}
	return response, nil
}

// CloseIdleConnections is used by http.Client. A given transport belongs to the caller.
func (t *promTransport) CloseIdleConnections() {
	if transport, own := t.next.(*http.Transport); own && t.config.Transport == nil {
		transport.CloseIdleConnections()
	}
}

// asGet is a copy of a request, as a GET if its form fits into the URL.
func asGet(request *http.Request) (*http.Request, error) {
	copied := request.Clone(request.Context())
	if request.Method != http.MethodPost || request.ContentLength < 0 || request.ContentLength > longestQuery {
		return copied, nil
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, fmt.Errorf("read the form of a query: %w", err)
	}
	if err := request.Body.Close(); err != nil {
		return nil, fmt.Errorf("read the form of a query: %w", err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("read the form of a query: %w", err)
	}
	query := copied.URL.Query()
	for name, values := range form {
		query[name] = values
	}
	copied.Method, copied.Body, copied.GetBody, copied.ContentLength = http.MethodGet, nil, nil, 0
	copied.URL.RawQuery = query.Encode()
	copied.Header.Del("Content-Type")
	return copied, nil
}

// limitedBody fails beyond its limit; io.LimitReader would silently end the answer there.
type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, fmt.Errorf("the answer is longer than %d bytes: does the query aggregate?", longestAnswer)
	}
	return n, err
}
