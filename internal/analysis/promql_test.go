// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseQuery_ReportsQueriesThatCanNeverReturnASample(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		`sum(rate(http_requests_total{code=~"5.."}[1m])) / sum(rate(http_requests_total[1m]))`, `up == 0 or vector(1)`, `scalar(up) * 2`, `1`,
		`quantile_over_time(0.9, x[5m:10s] offset 1m)`,
	} {
		if err := ParseQuery(query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	for query, want := range map[string]string{
		"": "not PromQL", "sum(": "not PromQL", "rate(x)": "expected type range vector", "x[1m]": "a range of values", `"text"`: "a string",
		"nonsense(x)": "unknown function",
		`x{a="b"`:     "not PromQL",
	} {
		err := ParseQuery(query)
		var wrong *QueryError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) || wrong.Query != query {
			t.Errorf("%q: %v, want %s", query, err, want)
		}
	}
}

func TestQueryReach_IsHowFarAQueryLooksBack(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]time.Duration{
		`up`: 0, `1`: 0, `nonsense(`: 0, `up offset 5m`: 5 * time.Minute, `up offset -5m`: 0,
		`rate(x[1m])`: time.Minute,
		`(sum(rate(x[1m])) or vector(0)) / sum(rate(y[3m]))`:       3 * time.Minute,
		`rate(x[1m] offset 5m)`:                                    6 * time.Minute,
		`max_over_time(rate(x[1m])[10m:30s] offset 1m) > bool (2)`: 12 * time.Minute,
	} {
		if got := QueryReach(query); got != want {
			t.Errorf("%s looks back %s, want %s", query, got, want)
		}
	}
}

func TestHTTPProbe_DistinguishesAnAnswerFromNone(t *testing.T) {
	t.Parallel()
	server := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("all is well")) // The caller sees what is missing.
	})
	for _, tc := range []struct {
		probe    HTTPProbe
		kind     Kind
		answered bool
		want     string
	}{
		{HTTPProbe{URL: server.URL, Contains: "is well"}, Pass, true, "HTTP 200"},
		{HTTPProbe{URL: server.URL, Contains: "is ill"}, Fail, true, `does not contain "is ill"`},
		{HTTPProbe{URL: server.URL, Statuses: []int{204}}, Fail, true, "HTTP 200"},
		{HTTPProbe{URL: "http://127.0.0.1:1/"}, Fail, false, "connection refused"},
		{HTTPProbe{URL: "ftp://x"}, Error, false, "not an http"},
	} {
		tc.probe.Client = server.Client()
		s, answered := tc.probe.Ask(t.Context())
		if s.Kind != tc.kind || answered != tc.answered || !strings.Contains(s.Evidence, tc.want) {
			t.Errorf("%+v: %+v, answered %v", tc.probe, s, answered)
		}
	}
}
