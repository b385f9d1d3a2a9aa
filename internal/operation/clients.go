// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package operation

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Writes says until when a client may write.
type Writes int

const (
	// WhileItRuns ends with the operation's context and with the Lease.
	WhileItRuns Writes = iota
	// WhileHeld ends only with the Lease, for what is recorded or rolled back after the operation's context has ended. Each request
	// is limited to a minute.
	WhileHeld
)

// durableTimeout bounds each request that may be made after the operation's context has ended: Helm's storage, for example, passes
// no context of its own.
const durableTimeout = time.Minute

// timeLimit bounds a request including its body.
type timeLimit struct {
	limit time.Duration
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
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

// WrappedRoundTripper lets client-go reach the transport below.
func (t *timeLimit) WrappedRoundTripper() http.RoundTripper { return t.next }

// endingBody ends a request's context with its body.
type endingBody struct {
	io.ReadCloser
	end context.CancelFunc
}

// Close implements io.Closer.
func (b *endingBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}
