// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/faults"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/examples/data-collection/internal/store"
)

func newService(t *testing.T, change func(*Options)) *Service {
	t.Helper()
	o := Options{
		Info:           Info{Version: "v1.1.1", Commit: "abc123", Client: "client-a", Stage: "prod"},
		Store:          store.NewMemory(100, 1<<20),
		MaxRecordBytes: 1000,
		ReadyTimeout:   100 * time.Millisecond,
		Registry:       prometheus.NewRegistry(),
		Log:            slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	return New(o)
}

// do sends one request to a service and returns code and body of the answer.
func do(t *testing.T, s *Service, method, target, body string, headers ...string) (int, string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, request)
	return answer.Code, strings.TrimSpace(answer.Body.String())
}

const sample = `{"source":"sensor-1","payload":{"t":21.5}}`

func TestHTTP_StoresAndListsRecords(t *testing.T) {
	s := newService(t, nil)
	if code, body := do(t, s, "GET", "/records", ""); code != 200 || body != `{"records":[]}` {
		t.Errorf("an empty store: %d %s", code, body)
	}
	for id := 1; id <= 3; id++ {
		code, body := do(t, s, "POST", "/records", sample)
		var answer struct {
			ID         int       `json:"id"`
			ReceivedAt time.Time `json:"received_at"`
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || code != 201 || answer.ID != id || answer.ReceivedAt.IsZero() {
			t.Errorf("record %d: %d %s (%v)", id, code, body, err)
		}
	}

	code, body := do(t, s, "GET", "/records?limit=2", "")
	var list struct{ Records []record.Record }
	if err := json.Unmarshal([]byte(body), &list); err != nil || code != 200 {
		t.Fatalf("%d %s (%v)", code, body, err)
	}
	if len(list.Records) != 2 || list.Records[0].ID != 3 || list.Records[0].Source != "sensor-1" ||
		string(list.Records[0].Payload) != `{"t":21.5}` {
		t.Errorf("got %+v", list.Records)
	}
}

func TestHTTP_AnswersBadRequestsWithTheReason(t *testing.T) {
	for name, test := range map[string]struct {
		method, target, body string
		code                 int
		want                 string
	}{
		"bad record": {"POST", "/records", `{"source":"a"}`, 400, "payload is missing"},
		"too large": {
			"POST", "/records", `{"source":"a","payload":{"x":"` + strings.Repeat("x", 1000) + `"}}`, 413,
			"larger than 1000 bytes",
		},
		"limit of 0":       {"GET", "/records?limit=0", "", 400, `limit is \"0\": a whole number from 1 to 1000`},
		"limit too high":   {"GET", "/records?limit=1001", "", 400, "from 1 to 1000"},
		"limit in words":   {"GET", "/records?limit=all", "", 400, `limit is \"all\"`},
		"unknown path":     {"GET", "/nothing", "", 404, "there is nothing at /nothing"},
		"wrong method":     {"DELETE", "/records", "", 405, "DELETE is not possible on /records"},
		"wrong method too": {"POST", "/version", "", 405, "POST is not possible on /version"},
	} {
		t.Run(name, func(t *testing.T) {
			code, body := do(t, newService(t, nil), test.method, test.target, test.body)
			if code != test.code || !strings.Contains(body, test.want) || !json.Valid([]byte(body)) {
				t.Errorf("got %d %s, want %d with %q", code, body, test.code, test.want)
			}
		})
	}
}

func TestHTTP_ReportsWhichVersionRunsForWhichClient(t *testing.T) {
	want := `{"service":"data-collection","version":"v1.1.1","commit":"abc123","client":"client-a","stage":"prod","store":"memory"}`
	if code, body := do(t, newService(t, nil), "GET", "/version", ""); code != 200 || body != want {
		t.Errorf("got %d %s, want %s", code, body, want)
	}
}

func TestHTTP_ReportsWhichVersionAnsweredWithAnError(t *testing.T) {
	s := newService(t, func(o *Options) { o.Faults = faults.NewInjector(faults.Faults{ErrorShare: 1}) })
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/version", nil))
	if got := answer.Header().Get("Server"); answer.Code != 500 || got != "data-collection/v1.1.1" {
		t.Errorf("got %d from the server %q", answer.Code, got)
	}
}

func TestHTTP_RequiresTheTokenIfOneIsSet(t *testing.T) {
	s := newService(t, func(o *Options) { o.Token = "token-1" })
	for header, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "token-1": 401, "Basic token-1": 401, "Bearer token-2": 401, "Bearer token-1": 201,
	} {
		if code, body := do(t, s, "POST", "/records", sample, "Authorization", header); code != want {
			t.Errorf("%q: got %d %s, want %d", header, code, body, want)
		}
	}
	if code, _ := do(t, s, "GET", "/records", ""); code != 401 {
		t.Errorf("records are read without the token: %d", code)
	}
	for _, open := range []string{"/version", "/healthz", "/readyz", "/metrics"} {
		if code, body := do(t, s, "GET", open, ""); code != 200 {
			t.Errorf("%s needs the token: %d %s", open, code, body)
		}
	}
}

// brokenStore fails as a database does that is away, or never answers.
type brokenStore struct {
	Store
	hangs bool
}

func (b brokenStore) fail(ctx context.Context) error {
	if b.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.New("connecting to db as canary: refused")
}

func (b brokenStore) Ready(ctx context.Context) error { return b.fail(ctx) }

func (b brokenStore) Add(ctx context.Context, _ record.Record) (record.Record, error) {
	return record.Record{}, b.fail(ctx)
}

func (b brokenStore) List(ctx context.Context, _ int) ([]record.Record, error) {
	return nil, b.fail(ctx)
}

func TestHTTP_KeepsTheReasonOfItsOwnFailuresInTheLog(t *testing.T) {
	var log bytes.Buffer
	s := newService(t, func(o *Options) {
		o.Store = brokenStore{Store: o.Store}
		o.Log = slog.New(slog.NewJSONHandler(&log, nil))
	})
	for _, method := range []string{"GET", "POST"} {
		code, body := do(t, s, method, "/records", sample)
		if code != 500 || strings.Contains(body, "canary") {
			t.Errorf("%s: got %d %s", method, code, body)
		}
	}
	if !strings.Contains(log.String(), "canary") {
		t.Errorf("the log does not contain the cause: %s", log.String())
	}
}

func TestReadiness_FollowsStoreFaultsAndShutdown(t *testing.T) {
	s := newService(t, nil)
	if code, body := do(t, s, "GET", "/readyz", ""); code != 200 {
		t.Errorf("ready: got %d %s", code, body)
	}
	s.Stop()
	if code, body := do(t, s, "GET", "/readyz", ""); code != 503 || !strings.Contains(body, "shutting down") {
		t.Errorf("shutting down: got %d %s", code, body)
	}
	if code, body := do(t, s, "POST", "/records", sample); code != 201 {
		t.Errorf("requests are refused while it shuts down: %d %s", code, body)
	}

	broken := newService(t, func(o *Options) { o.Store = brokenStore{Store: o.Store} })
	if code, body := do(t, broken, "GET", "/readyz", ""); code != 503 || !strings.Contains(body, "memory: connecting") {
		t.Errorf("database away: got %d %s", code, body)
	}
	if code, _ := do(t, broken, "GET", "/healthz", ""); code != 200 {
		t.Errorf("the process is restarted because its database is away: %d", code)
	}

	hanging := newService(t, func(o *Options) { o.Store = brokenStore{Store: o.Store, hangs: true} })
	begin := time.Now()
	if code, body := do(t, hanging, "GET", "/readyz", ""); code != 503 || !strings.Contains(body, "deadline") {
		t.Errorf("database hangs: got %d %s", code, body)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the answer took %v", took)
	}

	late := newService(t, func(o *Options) { o.Faults = faults.NewInjector(faults.Faults{ReadinessDelay: time.Hour}) })
	if code, body := do(t, late, "GET", "/readyz", ""); code != 503 || !strings.Contains(body, "READINESS_DELAY") {
		t.Errorf("readiness delay: got %d %s", code, body)
	}
}

func TestMetrics_CountRequestsByCodeMethodHandlerAndVersion(t *testing.T) {
	s := newService(t, nil)
	do(t, s, "POST", "/records", sample)
	do(t, s, "POST", "/records", sample)
	do(t, s, "POST", "/records", `{}`)
	do(t, s, "GET", "/version", "")
	do(t, s, "GET", "/a", "")
	do(t, s, "GET", "/b", "")
	do(t, s, "BREW", "/records", "")
	for _, probe := range []string{"/healthz", "/readyz", "/metrics"} {
		do(t, s, "GET", probe, "")
	}

	_, body := do(t, s, "GET", "/metrics", "")
	var got []string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "http_requests_total{") || strings.HasPrefix(line, "http_request_duration_seconds_count{") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		`http_request_duration_seconds_count{handler="/records",method="POST",version="v1.1.1"} 3`,
		`http_request_duration_seconds_count{handler="/version",method="GET",version="v1.1.1"} 1`,
		`http_request_duration_seconds_count{handler="other",method="GET",version="v1.1.1"} 2`,
		`http_request_duration_seconds_count{handler="other",method="other",version="v1.1.1"} 1`,
		`http_requests_total{code="201",handler="/records",method="POST",version="v1.1.1"} 2`,
		`http_requests_total{code="200",handler="/version",method="GET",version="v1.1.1"} 1`,
		`http_requests_total{code="400",handler="/records",method="POST",version="v1.1.1"} 1`,
		`http_requests_total{code="404",handler="other",method="GET",version="v1.1.1"} 2`,
		`http_requests_total{code="405",handler="other",method="other",version="v1.1.1"} 1`,
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%s is missing", line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d series, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
}

func TestFaults_FailTheShareOfRequestsButNoProbes(t *testing.T) {
	s := newService(t, func(o *Options) { o.Faults = faults.NewInjector(faults.Faults{ErrorShare: 0.2}) })
	codes := map[int]int{}
	for range 50 {
		code, _ := do(t, s, "GET", "/version", "")
		codes[code]++
		for _, probe := range []string{"/healthz", "/readyz", "/metrics"} {
			if code, body := do(t, s, "GET", probe, ""); code != 200 {
				t.Errorf("%s fails: %d %s", probe, code, body)
			}
		}
	}
	if codes[200] != 40 || codes[500] != 10 {
		t.Errorf("got %v, want 40 × 200 and 10 × 500", codes)
	}
	if _, body := do(t, s, "GET", "/metrics", ""); !strings.Contains(body,
		`http_requests_total{code="500",handler="/version",method="GET",version="v1.1.1"} 10`) {
		t.Error("the metrics do not show the failures")
	}
}

func TestHTTP_DoesNotBlameItselfForASenderWhoLeft(t *testing.T) {
	s := newService(t, func(o *Options) { o.Store = brokenStore{Store: o.Store, hangs: true} })
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/records", strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := server.Client().Do(request); err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		t.Fatalf("the request was answered: %v", errors.Join(answer.Body.Close()))
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, body := do(t, s, "GET", "/metrics", "")
		if strings.Contains(body, `http_requests_total{code="499"`) && !strings.Contains(body, `code="500"`) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the request is not counted as 499:\n%s", body)
		}
	}
}
