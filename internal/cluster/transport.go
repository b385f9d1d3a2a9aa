// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
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
		Transport: &retries{next: &patience{next: client.Transport}, pause: sleep},
		// No limit on our side: the API server has priority and fairness, and client-go's default of 5 requests a second
		// would slow down a plan of many releases.
		QPS: -1,
	}, nil
}

// patience ends a request whose answer does not begin in time. It does not limit bodies, which may be long (logs, watches).
type patience struct {
	next http.RoundTripper
}

func (p *patience) RoundTrip(request *http.Request) (*http.Response, error) {
	limit := writeTimeout
	if request.Method == http.MethodGet || request.Method == http.MethodHead {
		limit = readTimeout
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
	response.Body = &canceledBody{ReadCloser: response.Body, cancel: cancel}
	return response, nil
}

// WrappedRoundTripper lets client-go reach the transport below.
func (p *patience) WrappedRoundTripper() http.RoundTripper { return p.next }

type canceledBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *canceledBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
