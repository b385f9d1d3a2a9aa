// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// Gate wraps a transport so that mutating requests (POST, PUT, PATCH, DELETE without dryRun) are refused with a *GateError once ctx has
// ended or the Lease is lost. While the Lease could not be renewed in time and is not lost yet, they wait. Each repetition of a request
// passes the gate again. Reads pass, and so do the POSTs that only ask (access reviews). A nil lease means that only ctx counts. A
// request without a deadline has that of ctx.
func Gate(ctx context.Context, lease *Lease, next http.RoundTripper) http.RoundTripper {
	return &gate{ctx: ctx, lease: lease, next: next}
}

type gate struct {
	ctx   context.Context // as long-lived as the gate itself
	lease *Lease
	next  http.RoundTripper
}

func (g *gate) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := g.check(request); err != nil {
		if request.Body != nil {
			_ = request.Body.Close() // A RoundTripper closes the body also when it fails; its error does not matter.
		}
		return nil, err
	}
	return g.next.RoundTrip(request.WithContext(context.WithValue(request.Context(), passKey{}, g)))
}

// WrappedRoundTripper lets client-go reach the transport below.
func (g *gate) WrappedRoundTripper() http.RoundTripper { return g.next }

// check returns a *GateError where a request may not be sent any more.
func (g *gate) check(request *http.Request) error {
	if !mutates(request) {
		return nil
	}
	err := g.ctx.Err()
	if err != nil {
		err = context.Cause(g.ctx)
	} else if g.lease != nil {
		err = g.wait(request.Context())
	}
	if err != nil {
		return &GateError{Method: request.Method, Path: request.URL.Path, Cause: err}
	}
	return nil
}

// wait waits until the Lease is valid, at most until the request's or the gate's context ends.
func (g *gate) wait(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)()
	return g.lease.Await(ctx)
}

type passKey struct{}

// passOf is the gate that a request has passed, nil where there was none.
func passOf(ctx context.Context) *gate {
	pass, _ := ctx.Value(passKey{}).(*gate)
	return pass
}

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
