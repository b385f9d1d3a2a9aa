// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"net/http"
	"time"
)

const leaseName = "slipway"

type timing struct{ takeover, renew, valid time.Duration }

var defaultTiming = timing{30 * time.Second, 10 * time.Second, 20 * time.Second}

type sharedLease struct{}

// Lease is this Terraform run's right to mutate one namespace: the Kubernetes Lease "slipway" in it.
type Lease struct{}

// Hold takes the Lease of a namespace or joins it.
func (c *Cluster) Hold(ctx context.Context, namespace string, waiting func(holder string)) (*Lease, error) {
	return &Lease{}, nil
}

// Release gives the Lease back.
func (l *Lease) Release(ctx context.Context) error { return nil }

// Valid returns an error when the last successful renewal is too old.
func (l *Lease) Valid() error { return nil }

// Holder is who holds it, in words, as written into the Lease.
func (l *Lease) Holder() string { return "" }

// Gate wraps a transport.
func Gate(ctx context.Context, lease *Lease, next http.RoundTripper) http.RoundTripper { return next }
