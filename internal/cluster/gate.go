// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// Gate wraps a transport so that mutating requests (POST, PUT, PATCH, DELETE without dryRun) are refused with a
// *GateError once ctx has ended or the lease is no longer valid. Reads pass, and so do the POSTs that only ask
// (access reviews). A nil lease means that only ctx counts.
func Gate(ctx context.Context, lease *Lease, next http.RoundTripper) http.RoundTripper {
	return &gate{ctx: ctx, lease: lease, next: next}
}

type gate struct {
	ctx   context.Context // as long-lived as the gate itself
	lease *Lease
	next  http.RoundTripper
}

func (g *gate) RoundTrip(request *http.Request) (*http.Response, error) {
	if !mutates(request) {
		return g.next.RoundTrip(request)
	}
	err := g.ctx.Err()
	if err != nil {
		err = context.Cause(g.ctx)
	} else if g.lease != nil {
		err = g.lease.Valid()
	}
	if err != nil {
		if request.Body != nil {
			_ = request.Body.Close() // A RoundTripper closes the body also when it fails; its error does not matter.
		}
		return nil, &GateError{Method: request.Method, Path: request.URL.Path, Cause: err}
	}
	return g.next.RoundTrip(request)
}

// WrappedRoundTripper lets client-go reach the transport below.
func (g *gate) WrappedRoundTripper() http.RoundTripper { return g.next }

func mutates(request *http.Request) bool {
	switch request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	if slices.Contains(request.URL.Query()["dryRun"], "All") {
		return false
	}
	return !strings.HasPrefix(request.URL.Path, "/apis/authorization.k8s.io/") &&
		!strings.HasPrefix(request.URL.Path, "/apis/authentication.k8s.io/")
}
