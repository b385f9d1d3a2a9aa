// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"context"
	"fmt"
)

// CheckHeaders finds out whether requests with these headers can be distinguished from the other requests to a route: its own matches
// may ask for other values of them. A route that is not there has none. Errors: *HeaderClashError, those of Router.Read.
func CheckHeaders(ctx context.Context, made Router, headers []HeaderMatch) error {
	if len(headers) == 0 {
		return nil
	}
	r, err := plainRouter(made)
	if err != nil {
		return err
	}
	if err := r.load(ctx); err != nil || r.live == nil {
		return err
	}
	found, err := r.look(r.live)
	if err != nil || found.base() == nil {
		return err
	}
	_, err = headerRoute(r.dialect, found.route(), r.ref.header, found.base(), headers)
	return err
}

// plainRouter is the one within.
func plainRouter(made Router) (*router, error) {
	switch typed := made.(type) {
	case *router:
		return typed, nil
	case *istioRouter:
		return typed.router, nil
	}
	return nil, fmt.Errorf("%T divides no route of an object", made)
}
