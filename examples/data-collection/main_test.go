// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/pgtest"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/probe"
)

// running is a service in this process.
type running struct {
	url  string
	grpc string
	stop context.CancelFunc
	done chan error
}

// start serves with the given environment, on ports that the system chooses.
func start(t *testing.T, env map[string]string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	r := &running{stop: stop, done: make(chan error, 1)}
	up := make(chan listening, 1)
	go func() { r.done <- serve(ctx, environment(env), io.Discard, func(l listening) { up <- l }) }()
	select {
	case l := <-up:
		r.url, r.grpc = "http://"+l.http.String(), "passthrough:///"+l.grpc.String()
	case err := <-r.done:
		t.Fatalf("the service ended: %v", err)
	}
	return r
}

func environment(env map[string]string) func(string) string {
	return func(name string) string {
		if value, ok := env[name]; ok {
			return value
		}
		if name == "HTTP_ADDR" || name == "GRPC_ADDR" {
			return "127.0.0.1:0"
		}
		return ""
	}
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the service does not end")
		return nil
	}
}

func get(ctx context.Context, method, url, body string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	content, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(content), errors.Join(err, answer.Body.Close())
}

// eventually asks until the answer has the code.
func eventually(t *testing.T, url string, want int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		code, body, err := get(t.Context(), http.MethodGet, url, "")
		if err == nil && code == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: got %d %s %v, want %d", url, code, body, err, want)
		}
	}
}

func TestServe_FinishesRequestsOnShutdown(t *testing.T) {
	r := start(t, map[string]string{"LATENCY": "700ms"})
	answered := make(chan error, 1)
	go func() {
		code, _, err := get(t.Context(), http.MethodGet, r.url+"/version", "")
		if err == nil && code != http.StatusOK {
			err = errors.New(http.StatusText(code))
		}
		answered <- err
	}()
	time.Sleep(200 * time.Millisecond) // the request is under way now
	r.stop()
	if err := <-answered; err != nil {
		t.Errorf("the request was cut off: %v", err)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("the service ended with %v", err)
	}
}

func TestServe_DoesNotWaitForeverOnShutdown(t *testing.T) {
	r := start(t, map[string]string{"LATENCY": "1h", "SHUTDOWN_TIMEOUT": "200ms"})
	answered := make(chan error, 1)
	go func() {
		_, _, err := get(t.Context(), http.MethodGet, r.url+"/version", "")
		answered <- err
	}()
	time.Sleep(200 * time.Millisecond)
	r.stop()
	if err := r.wait(t); err == nil || !strings.Contains(err.Error(), "within 200ms") {
		t.Errorf("got error %v, want that requests were not finished in time", err)
	}
	if err := <-answered; err == nil {
		t.Error("the request was answered")
	}
}

func TestServe_CrashesOnRequest(t *testing.T) {
	var crash *exitError
	err := serve(t.Context(), environment(map[string]string{"CRASH_ON_START": "1"}), io.Discard, func(listening) {
		t.Error("it listened")
	})
	if !errors.As(err, &crash) || crash.code != crashCode || !strings.Contains(err.Error(), "CRASH_ON_START") {
		t.Errorf("got %v", err)
	}

	r := start(t, map[string]string{"CRASH_AFTER": "300ms"})
	if code, body, err := get(t.Context(), http.MethodGet, r.url+"/healthz", ""); err != nil || code != http.StatusOK {
		t.Errorf("before the crash: %d %s %v", code, body, err)
	}
	if err := r.wait(t); !errors.As(err, &crash) || !strings.Contains(err.Error(), "CRASH_AFTER=300ms") {
		t.Errorf("got %v", err)
	}
}

func TestServe_RefusesBadSettings(t *testing.T) {
	err := serve(t.Context(), environment(map[string]string{"ERROR_SHARE": "2"}), io.Discard, func(listening) {})
	if err == nil || !strings.Contains(err.Error(), `ERROR_SHARE is "2"`) {
		t.Errorf("got error %v", err)
	}
}

func TestServe_KeepsRecordsInPostgreSQLAcrossRestarts(t *testing.T) {
	server := pgtest.Start(t)
	env := map[string]string{"DATABASE_URL": server.URL("postgres"), "DB_CREATE_TABLE": "true", "CLIENT": "client-a"}
	first := start(t, env)
	eventually(t, first.url+"/readyz", http.StatusOK)
	code, body, err := get(t.Context(), http.MethodPost, first.url+"/records", `{"source":"sensor-1","payload":{"t":21.5}}`)
	if err != nil || code != http.StatusCreated || !strings.Contains(body, `"id":1,`) {
		t.Errorf("got %d %s %v", code, body, err)
	}
	if _, body, _ := get(t.Context(), http.MethodGet, first.url+"/version", ""); !strings.Contains(body, `"store":"postgresql"`) {
		t.Errorf("/version is %s", body)
	}
	first.stop()
	if err := first.wait(t); err != nil {
		t.Error(err)
	}

	second := start(t, env)
	eventually(t, second.url+"/readyz", http.StatusOK)
	if _, body, err := get(t.Context(), http.MethodGet, second.url+"/records", ""); err != nil ||
		!strings.Contains(body, `"payload":{"t": 21.5}`) && !strings.Contains(body, `"payload":{"t":21.5}`) {
		t.Errorf("the record is gone: %s %v", body, err)
	}

	server.Stop(t)
	eventually(t, second.url+"/readyz", http.StatusServiceUnavailable)
	eventually(t, second.url+"/healthz", http.StatusOK)
	server.Run(t)
	eventually(t, second.url+"/readyz", http.StatusOK)
}

func TestLoad_UsesGRPC(t *testing.T) {
	r := start(t, nil)
	report, err := probe.Load(t.Context(), probe.LoadOptions{
		URL: r.grpc, Headers: map[string]string{"canary": "true"}, Duration: 300 * time.Millisecond, Rate: 100, Workers: 2,
		Timeout: 5 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := report.Requests; n == 0 || report.Failed != 0 || report.Codes["OK"] != n || report.Versions[version].Requests != n {
		t.Errorf("got %+v", report)
	}

	faulty := start(t, map[string]string{"ERROR_SHARE": "1"})
	report, err = probe.Load(t.Context(),
		probe.LoadOptions{URL: faulty.grpc, Duration: 300 * time.Millisecond, Rate: 100, Workers: 2, Timeout: 5 * time.Second})
	if err != nil || report.Requests == 0 || report.Failed != report.Requests || report.Codes["Internal"] != report.Requests {
		t.Errorf("of a service that answers with errors: %+v (%v)", report, err)
	}

	report, err = probe.Load(t.Context(),
		probe.LoadOptions{URL: "passthrough:///127.0.0.1:1", Duration: 300 * time.Millisecond, Rate: 100, Workers: 2, Timeout: 5 * time.Second})
	if err != nil || report.Requests == 0 || report.Codes["none"] != report.Requests || len(report.Errors) == 0 {
		t.Errorf("of nobody: %+v (%v)", report, err)
	}
}

func TestRun_ExplainsItsCommands(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{
		"dance",
	}, &stdout, &stderr); !errors.Is(err, probe.ErrUsage) || !strings.Contains(err.Error(), `unknown command "dance"`) {
		t.Errorf("got %v", err)
	}
	if err := run(t.Context(), []string{"version"}, &stdout, &stderr); err != nil || stdout.String() != "dev\n" {
		t.Errorf("got %v, %s", err, stdout.String())
	}
	begin := time.Now()
	if err := run(t.Context(), []string{"sleep", "50ms"}, &stdout, &stderr); err != nil || time.Since(begin) < 50*time.Millisecond {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
	for _, args := range [][]string{{"sleep"}, {"sleep", "long"}, {"probe"}, {"load"}} {
		if err := run(t.Context(), args, &stdout, &stderr); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
