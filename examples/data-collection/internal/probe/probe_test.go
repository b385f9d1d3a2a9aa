// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package probe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestProbe_SucceedsOnlyWithTheExpectedAnswer(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/version":
			_, _ = fmt.Fprint(w, `{"version":"v1.1.1"}`)
		case "/text":
			_, _ = fmt.Fprint(w, "hello")
		default:
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
	for name, test := range map[string]struct {
		args []string
		want string // in the error; empty: success
	}{
		"2xx":               {[]string{url + "/text"}, ""},
		"expected version":  {[]string{"-expect", "version=v1.1.1", url + "/version"}, ""},
		"503":               {[]string{url + "/readyz"}, "503 Service Unavailable: not ready"},
		"other version":     {[]string{"-expect=version=v1.2.0", url + "/version"}, `answered version "v1.1.1", expected "v1.2.0"`},
		"not JSON":          {[]string{"-expect", "version=v1.1.1", url + "/text"}, "is not a JSON object"},
		"no server":         {[]string{"http://127.0.0.1:1/"}, "connection refused"},
		"not a URL":         {[]string{"://"}, "missing protocol scheme"},
		"unfit expectation": {[]string{"-expect", "version", url}, `wrong arguments: -expect "version" is not key=value`},
		"no URL":            {nil, "wrong arguments: probe needs exactly one URL, 0 are given"},
		"two URLs":          {[]string{url, url}, "exactly one URL, 2 are given"},
		"unknown option":    {[]string{"-quick", url}, "wrong arguments: flag provided but not defined: -quick"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := Run(t.Context(), test.args, &stdout, &stderr)
			switch {
			case test.want == "" && (err != nil || stdout.Len() == 0):
				t.Errorf("got error %v and output %q", err, stdout.String())
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

func TestProbe_RepeatsUntilTheAnswerIsAsExpected(t *testing.T) {
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	if err := Run(t.Context(), []string{"-retry", "30s", url}, &bytes.Buffer{}, &bytes.Buffer{}); err != nil || asked.Load() != 3 {
		t.Errorf("after %d requests: %v", asked.Load(), err)
	}
}

func TestLoad_ReportsHowRequestsWereAnswered(t *testing.T) {
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch asked.Add(1) % 4 {
		case 0:
			w.Header().Set("Server", "data-collection/v1.2.0")
			http.Error(w, "broken", http.StatusInternalServerError)
		case 1:
			_, _ = fmt.Fprint(w, `{"version":"v1.2.0"}`)
		default:
			_, _ = fmt.Fprint(w, `{"version":"v1.1.1"}`)
		}
	})
	var stdout, stderr bytes.Buffer
	err := RunLoad(t.Context(), []string{"-duration=300ms", "-rate=200", url}, &stdout, &stderr)
	var report Report
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	n := int(asked.Load())
	if n < 8 || report.Requests != n || report.Failed != n/4 || report.Codes["500"] != n/4 || report.Unserved != 0 ||
		report.Versions["v1.2.0"].Requests != n/4+(n+3)/4 || report.Versions["v1.2.0"].Failed != n/4 ||
		report.Versions["v1.1.1"].Requests != n-n/4-(n+3)/4 || report.Versions["v1.1.1"].Failed != 0 {
		t.Errorf("the server had %d requests, the report says %+v", n, report)
	}
	if v := report.Versions["v1.2.0"]; v.First.IsZero() || !v.Last.After(v.First) {
		t.Errorf("v1.2.0 answered from %s to %s", v.First, v.Last)
	}
	if want := fmt.Sprintf("load: %d of %d requests failed", n/4, n); err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
}

func TestLoad_CountsRequestsWithoutAnAnswerAsFailed(t *testing.T) {
	var stdout bytes.Buffer
	err := RunLoad(t.Context(), []string{"-duration=100ms", "http://127.0.0.1:1/"}, &stdout, &bytes.Buffer{})
	var report Report
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, stdout.String())
	}
	if err == nil || report.Requests == 0 || report.Failed != report.Requests || report.Codes["none"] != report.Requests ||
		report.Unserved != report.Requests || len(report.Errors) != 1 {
		t.Errorf("got error %v and report %+v", err, report)
	}
}

func TestLoad_PrintsTheReportSoFar(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	var stdout bytes.Buffer
	if err := RunLoad(t.Context(), []string{"-duration=500ms", "-rate=100", "-every=100ms", url}, &stdout, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	lines, last := strings.Split(strings.TrimSpace(stdout.String()), "\n"), 0
	for _, line := range lines {
		var report Report
		if err := json.Unmarshal([]byte(line), &report); err != nil || report.Requests < last {
			t.Errorf("after %d requests: %s (%v)", last, line, err)
		}
		last = report.Requests
	}
	if len(lines) < 3 || last == 0 {
		t.Errorf("%d reports, the last after %d requests", len(lines), last)
	}
}
