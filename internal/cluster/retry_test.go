// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRetries_RepeatWhatFailedForAMoment(t *testing.T) {
	t.Parallel()
	status := func(code int) func(http.ResponseWriter) { return func(w http.ResponseWriter) { w.WriteHeader(code) } }
	cut := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half") // The test sees what arrives.
	}
	reset := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	later := func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	const pods = "/api/v1/namespaces/a/pods"
	for name, test := range map[string]struct {
		method, path string
		fail         func(http.ResponseWriter)
		fails        int64 // how many requests fail
		want         int64 // how many are sent
		ok           bool
	}{
		"a read, 429":                    {http.MethodGet, pods, status(429), 2, 3, true},
		"a read, 429 with Retry-After":   {http.MethodGet, pods, later, 2, 1, false},
		"a read, 500":                    {http.MethodGet, pods, status(500), 1, 2, true},
		"a read, 503":                    {http.MethodGet, pods, status(503), 4, 5, true},
		"a read, 503 that lasts":         {http.MethodGet, pods, status(503), 99, 5, false},
		"a read, 404":                    {http.MethodGet, pods, status(404), 1, 1, false},
		"a read, a reset":                {http.MethodGet, pods, reset, 2, 3, true},
		"a read, a body that is cut off": {http.MethodGet, pods, cut, 2, 3, true},
		"a write, 429":                   {http.MethodPost, pods, status(429), 2, 3, true},
		"a write, 503":                   {http.MethodPut, pods, status(503), 1, 1, false},
		"a write, a reset":               {http.MethodPost, pods, reset, 1, 1, false},
		"a service through the proxy":    {http.MethodGet, "/api/v1/namespaces/a/services/web/proxy/healthz", status(503), 1, 1, false},
		"a log":                          {http.MethodGet, "/api/v1/namespaces/a/pods/web/log", status(500), 1, 1, false},
		"a watch":                        {http.MethodGet, pods + "?watch=true", status(500), 1, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				body, _ := io.ReadAll(request.Body)
				if sent.Add(1) <= test.fails {
					test.fail(w)
					return
				}
				_, _ = w.Write(append([]byte("whole "), body...)) // Likewise.
			}))
			t.Cleanup(server.Close)
			transport := &retries{next: &http.Transport{DisableKeepAlives: true}, pause: func(context.Context, time.Duration) error { return nil }}
			request, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path, strings.NewReader("object"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := transport.RoundTrip(request)
			text := ""
			if err == nil {
				var body []byte
				body, err = io.ReadAll(response.Body)
				text = string(body)
				_ = response.Body.Close()
			}
			if ok := err == nil && response.StatusCode == http.StatusOK && text == "whole object"; ok != test.ok {
				t.Errorf("ok %v, want %v: %q, %v", ok, test.ok, text, err)
			}
			if got := sent.Load(); got != test.want {
				t.Errorf("%d requests, want %d", got, test.want)
			}
		})
	}
}

func TestRetries_EndWithTheContext(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	transport := &retries{next: http.DefaultTransport, pause: func(ctx context.Context, _ time.Duration) error {
		cancel()
		return sleep(ctx, time.Hour)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %d", response.StatusCode)
	}
}
