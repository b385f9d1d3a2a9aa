// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"time"
)

// describe says why a request got no answer, without its URL, which may hold credentials. broken is true where the one
// who asks is to blame rather than the one who is asked: its trust, its name resolution, its own time being over.
func describe(ctx context.Context, err error, timeout time.Duration) (text string, broken bool) {
	var wrapped *url.Error
	for errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var (
		authority x509.UnknownAuthorityError
		roots     x509.SystemRootsError
		resolve   *net.DNSError
		network   net.Error
	)
	switch {
	case ctx.Err() != nil:
		return "the check was interrupted", true
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer within " + timeout.String(), false
	case errors.As(err, &authority), errors.As(err, &roots):
		return err.Error() + " (give the CA that signed the certificate)", true
	case errors.As(err, &resolve):
		return "the name " + resolve.Name + " cannot be resolved: " + resolve.Err, true
	}
	return err.Error(), false
}

// withoutSecrets is an address as evidence may show it: without user, query and fragment.
func withoutSecrets(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
