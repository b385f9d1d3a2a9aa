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

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// describe explains why a request got no answer, without its URL, which may contain credentials. broken is true if the cause is on
// this side: its trust, its name resolution, or the end of its own context.
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
		outage    *cluster.OutageError
	)
	switch {
	case ctx.Err() != nil:
		return "the check was interrupted", true
	case errors.As(err, &outage):
		return "the API server does not answer: " + outage.Error(), true
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer within " + timeout.String(), false
	case errors.As(err, &authority), errors.As(err, &roots):
		return err.Error() + " (give the CA that signed the certificate)", true
	case errors.As(err, &resolve):
		return "the name " + resolve.Name + " cannot be resolved: " + resolve.Err, true
	}
	return err.Error(), false
}

// withoutSecrets is an address for evidence: without user, query and fragment.
func withoutSecrets(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
