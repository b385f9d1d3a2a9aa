// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
)

func asked(path, contains string, statuses ...int) Check {
	return Check{Name: "http" + path, HTTP: &HTTPCheck{
		Service: &analysis.Service{Name: "app", Port: "http", Path: path}, Contains: contains, Statuses: statuses,
	}}
}

func (b *bench) scale(replicas int32) {
	b.t.Helper()
	_, err := b.client.AppsV1().Deployments(b.namespace()).UpdateScale(b.t.Context(), "app",
		&autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: b.namespace()},
			Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}, metav1.UpdateOptions{})
	if err != nil {
		b.t.Error(err)
	}
}

func TestHTTPCheck_ThroughTheAPIServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t, moreObjects(podService("app"))))
	for _, check := range []Check{
		asked("/healthz", ""), asked("/version", `"version":"v1.1.1"`), asked("/nope", "", 404),
	} {
		if err := b.check(env, check); err != nil {
			t.Error(err)
		}
	}
	// A definite answer is one.
	for _, tc := range []struct {
		check Check
		want  []string
	}{
		{asked("/nope", ""), []string{"HTTP 404", "http:app:http/nope"}},
		{asked("/version", "v9.9.9"), []string{"HTTP 200", "does not contain", "v9.9.9"}},
		{asked("/healthz", "", 204), []string{"HTTP 200"}},
	} {
		tc.check.Timeout = 10 * time.Minute // which it does not take
		wantFailure(t, b.check(env, tc.check), true, tc.want...)
	}

	missing := asked("/", "")
	missing.HTTP.Service.Name = "nobody"
	wantFailure(t, b.check(env, missing), false, "404", "nobody")

	b.scale(0)
	b.eventually("no pods", func() bool { return len(b.pods("app=app")) == 0 })
	gone := asked("/healthz", "")
	gone.Timeout = 4 * time.Second
	wantFailure(t, b.check(env, gone), true, "no endpoints available", "asked for 4s")
	time.AfterFunc(2*time.Second, func() { b.scale(1) })
	if err := b.check(env, asked("/healthz", "")); err != nil {
		t.Errorf("pods that come are not waited for: %v", err)
	}
}

func TestHTTPCheck_AnAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	env := b.checking(with(t))
	const token = "tok-4711-secret"
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") != token {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = fmt.Fprintf(w, "you sent %s", r.Header.Get("X-Token")) // The test sees when it is missing.
	})}
	check := Check{Name: "address", HTTP: &HTTPCheck{URL: "http://" + address + "/?key=" + token, Header: http.Header{"X-Token": {token}},
		Contains: "you sent"}}

	late := check
	late.Timeout = 3 * time.Second
	silent := b.check(env, late)
	wantFailure(t, silent, true, "connection refused", "asked for 3s")
	done := make(chan struct{})
	time.AfterFunc(1500*time.Millisecond, func() { defer close(done); _ = server.ListenAndServe() })
	t.Cleanup(func() { _ = server.Close(); <-done })
	if err := b.check(env, check); err != nil {
		t.Errorf("a server that comes is not waited for: %v", err)
	}
	check.HTTP.Header = http.Header{"X-Token": {"wrong"}}
	wrong := b.check(env, check)
	wantFailure(t, wrong, true, "HTTP 403")
	for _, err := range []error{silent, wrong} {
		if strings.Contains(err.Error(), token) {
			t.Errorf("it holds the secret: %s", err)
		}
	}
	check.HTTP.URL = "http://no-such-name.invalid/"
	wantFailure(t, b.check(env, check), false, "no-such-name.invalid", "cannot be resolved")
}
