// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

const (
	// maxRetries is how often a request is repeated, after pauses of 0.25, 0.5, 1 and 2 seconds.
	maxRetries = 4
	firstPause = 250 * time.Millisecond
)

// retries repeats what failed for a moment and may be sent again: reads, and writes that the server has refused unread (429). An answer
// with Retry-After is left to client-go, which waits for as long as it says. What cannot be reached at all is not asked again: callers
// report that at once.
type retries struct {
	next http.RoundTripper
	// pause waits, or returns an error when ctx ends first.
	pause func(ctx context.Context, d time.Duration) error
}

func (r *retries) RoundTrip(request *http.Request) (*http.Response, error) {
	attempt := request
	for n := 0; ; n++ {
		response, err := r.once(attempt)
		if n == maxRetries || !again(request, response, err) {
			return response, err
		}
		next, ok := copyOf(request)
		if !ok || r.pause(request.Context(), firstPause<<n) != nil {
			return response, err
		}
		if response != nil {
			_ = response.Body.Close() // The answer is not used.
		}
		attempt = next
	}
}

// once sends a request. Of a read it also receives the whole answer, so that one that is cut off counts as failed.
func (r *retries) once(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err != nil || !rereads(request) {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // It was read to its end, or failed.
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// WrappedRoundTripper lets client-go reach the transport below.
func (r *retries) WrappedRoundTripper() http.RoundTripper { return r.next }

// again reports that the same request may succeed a moment later, and does no harm.
func again(request *http.Request, response *http.Response, err error) bool {
	if err != nil {
		return rereads(request) && (utilnet.IsConnectionReset(err) || utilnet.IsHTTP2ConnectionLost(err) || utilnet.IsProbableEOF(err))
	}
	if response.Header.Get("Retry-After") != "" || isForwarded(request) {
		return false
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return rereads(request)
	}
	return false
}

// rereads reports a read whose answer has an end, and is the API server's own.
func rereads(request *http.Request) bool {
	if request.Method != http.MethodGet || isForwarded(request) {
		return false
	}
	return request.URL.Query().Get("watch") == "" && !strings.Contains(request.URL.Path, "/watch/")
}

// isForwarded reports a request that the API server passes on, to a service, a pod or a node: its answer is theirs.
func isForwarded(request *http.Request) bool {
	for _, part := range []string{"/proxy", "/log", "/exec", "/attach", "/portforward"} {
		if strings.Contains(request.URL.Path+"/", part+"/") {
			return true
		}
	}
	return false
}

// copyOf is a request that can be sent once more; false where its body cannot.
func copyOf(request *http.Request) (*http.Request, bool) {
	next := request.Clone(request.Context())
	if request.Body == nil || request.Body == http.NoBody {
		return next, true
	}
	if request.GetBody == nil {
		return nil, false
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, false
	}
	next.Body = body
	return next, true
}

// sleep waits, or returns why ctx has ended.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
