// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package operation

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// Writes says until when a client may write.
type Writes int

const (
	// WhileItRuns ends with the operation's context and with the Lease.
	WhileItRuns Writes = iota
	// WhileHeld ends only with the Lease, for what is recorded or rolled back after the operation's context has ended. Each request
	// is limited to 20 s.
	WhileHeld
)

// durableTimeout bounds each request that may be made after the operation's context has ended: Helm's storage, for example, passes
// no context of its own.
const durableTimeout = 20 * time.Second

// connect makes the clients.
func (o *Operation) connect() (err error) {
	if o.Gated, err = cluster.NewKubernetes(o.Config(WhileItRuns)); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	if o.Durable, err = cluster.NewKubernetes(o.Config(WhileHeld)); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// Config is a configuration for clients that write as long as writes says.
func (o *Operation) Config(writes Writes) *rest.Config {
	config := o.options.Cluster.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		if writes == WhileItRuns {
			return cluster.Gate(o.ctx, o.lease, next)
		}
		return &timeLimit{limit: durableTimeout, next: cluster.Gate(context.WithoutCancel(o.ctx), o.lease, next)}
	})
	return config
}

// Dynamic is a client for objects of any kind that writes as long as writes says.
func (o *Operation) Dynamic(writes Writes) (dynamic.Interface, error) {
	client, err := dynamic.NewForConfig(o.Config(writes))
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return client, nil
}

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
