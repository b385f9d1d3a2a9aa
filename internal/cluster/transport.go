// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	dialTimeout = 10 * time.Second
	// An API server ends its own requests after 60 s, so a server that is silent for longer is considered unreachable.
	readTimeout  = 30 * time.Second
	writeTimeout = 75 * time.Second
)

var errNoAnswer = errors.New("no answer")

// share turns a configuration with credentials into one that holds none: all requests go through one authenticated
// transport, which is made here, without a request. Copies of the result may wrap it further.
func share(config *rest.Config, userAgent string) (*rest.Config, error) {
	config.UserAgent = userAgent
	if config.Dial == nil {
		config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	if config.ExecProvider != nil {
		// A provider must not read Terraform's standard input.
		config.ExecProvider.InteractiveMode = clientcmdapi.NeverExecInteractiveMode
		config.ExecProvider.StdinUnavailable = true
		config.ExecProvider.StdinUnavailableMessage = "Terraform providers have no terminal"
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:      config.Host,
		APIPath:   config.APIPath,
		UserAgent: userAgent,
		Transport: newRetries(&patience{next: client.Transport}, userAgent),
		// No limit on our side: the API server has priority and fairness, and client-go's default of 5 requests a second
		// would slow down a plan of many releases.
		QPS: -1,
	}, nil
}

// patience ends a request whose answer does not begin in time, or does not continue. It does not limit the pauses within watches, and
// within what the API server passes on (logs).
type patience struct {
	next http.RoundTripper
	// limit replaces readTimeout; tests shorten it.
	limit time.Duration
}

func (p *patience) RoundTrip(request *http.Request) (*http.Response, error) {
	reading := cmp.Or(p.limit, readTimeout)
	limit := writeTimeout
	if request.Method == http.MethodGet || request.Method == http.MethodHead {
		limit = reading
	}
	ctx, cancel := context.WithCancelCause(request.Context())
	timer := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w within %s", errNoAnswer, limit)) })
	response, err := p.next.RoundTrip(request.WithContext(ctx))
	timer.Stop()
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errNoAnswer) {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	body := &canceledBody{ReadCloser: response.Body, ctx: ctx, cancel: cancel}
	if !isForwarded(request) && !isWatch(request) {
		body.limit, body.timer = reading, timer
	}
	response.Body = body
	return response, nil
}

// WrappedRoundTripper lets client-go reach the transport below.
func (p *patience) WrappedRoundTripper() http.RoundTripper { return p.next }

type canceledBody struct {
	io.ReadCloser
	ctx    context.Context // the attempt's
	cancel context.CancelCauseFunc
	// limit is how long one read may take, zero without a limit; timer ends the attempt.
	limit time.Duration
	timer *time.Timer
}

func (b *canceledBody) Read(p []byte) (int, error) {
	if b.limit == 0 {
		return b.ReadCloser.Read(p)
	}
	b.timer.Reset(b.limit)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(b.ctx), errNoAnswer) {
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *canceledBody) Close() error {
	if b.timer != nil {
		b.timer.Stop()
	}
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
