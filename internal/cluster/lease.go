// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"net/http"
)

// Lease is this Terraform run's right to mutate one namespace: the Kubernetes Lease "slipway" in it. All operations of
// one Terraform run (holder: its process, parent pid, start time, host) share it, counted; others wait.
type Lease struct{}

// Hold takes the Lease of a namespace or joins it where this process holds it already, waiting for another holder until
// ctx ends. A Lease is taken over only after it was seen unchanged for 30 s on our own clock. It is renewed every 10 s.
// waiting is called, at most every 10 s, with the holder that is waited for. Errors: *HeldError when ctx ends first,
// others as from Classify.
func (c *Cluster) Hold(ctx context.Context, namespace string, waiting func(holder string)) (*Lease, error)

// Release gives the Lease back when the last user of it in this process releases it. It works although the operation's
// context has ended.
func (l *Lease) Release(ctx context.Context) error

// Valid returns an error when the last successful renewal is older than 20 s by the wall clock or the monotonic clock.
func (l *Lease) Valid() error

// Holder is who holds it, in words, as written into the Lease.
func (l *Lease) Holder() string

// Gate wraps a transport so that mutating requests (POST, PUT, PATCH, DELETE without dryRun) are refused with a
// *GateError once ctx has ended or the lease is no longer valid. Reads pass.
func Gate(ctx context.Context, lease *Lease, next http.RoundTripper) http.RoundTripper
