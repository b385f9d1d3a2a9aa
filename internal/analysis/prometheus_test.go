// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// answering is a Prometheus whose answers come from handler.
func answering(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func connect(t *testing.T, config PrometheusConfig) *Prometheus {
	t.Helper()
	p, err := NewPrometheus(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// data is a successful answer.
func data(kind, result string) string {
	return `{"status":"success","data":{"resultType":"` + kind + `","result":` + result + `}}`
}

func vector(values ...string) string {
	var parts []string
	for i, v := range values {
		parts = append(parts, fmt.Sprintf(`{"metric":{"pod":"p%d"},"value":[1772366400,%q]}`, i, v))
	}
	return data("vector", "["+strings.Join(parts, ",")+"]")
}

func TestPrometheus_SampleOfEveryAnswer(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		reduce Reduce
		kind   Kind
		value  Number
		text   string
	}{
		"one series, well":      {200, vector("0.01"), "", Pass, 0.01, ""},
		"one series, not well":  {200, vector("0.2"), "", Fail, 0.2, ""},
		"exactly the limit":     {200, vector("0.05"), "", Pass, 0.05, ""},
		"scalar":                {200, data("scalar", `[1772366400,"0.2"]`), "", Fail, 0.2, ""},
		"empty":                 {200, vector(), "", NoData, 0, "no series"},
		"NaN":                   {200, vector("NaN"), "", NoData, 0, "NaN"},
		"+Inf":                  {200, vector("+Inf"), "", NoData, 0, "+Inf"},
		"several":               {200, vector("0.01", "0.02"), "", Error, 0, "several series"},
		"several, max":          {200, vector("0.01", "0.2"), ReduceMax, Fail, 0.2, ""},
		"several, min":          {200, vector("0.2", "0.01"), ReduceMin, Pass, 0.01, ""},
		"several, sum":          {200, vector("0.03", "0.03"), ReduceSum, Fail, 0.06, ""},
		"several, one NaN":      {200, vector("NaN", "0.2"), ReduceMin, Fail, 0.2, ""},
		"several, all NaN":      {200, vector("NaN", "NaN"), ReduceMax, NoData, 0, "no series has a number"},
		"several, one infinite": {200, vector("+Inf", "0.2"), ReduceSum, NoData, 0, "+Inf"},
		"empty, max":            {200, vector(), ReduceMax, NoData, 0, "no series"},
		"matrix":                {200, data("matrix", `[{"metric":{},"values":[[1772366400,"1"]]}]`), "", Error, 0, "returns a range of values"},
		"string":                {200, data("string", `[1772366400,"x"]`), "", Error, 0, "string"},
		"histogram": {
			200, data("vector", `[{"metric":{},"histogram":[1772366400,{"count":"1","sum":"1","buckets":[]}]}]`), "", Error, 0,
			"native histogram",
		},
		"partial": {
			200, strings.Replace(vector("0.01"), `"data"`, `"warnings":["store 10.0.0.1 timed out"],"data"`, 1), "", Error, 0,
			"not complete: store 10.0.0.1 timed out",
		},
		"503": {503, "upstream connect error", "", Error, 0, "server_error: server error: 503: upstream connect error"},
		"503 of Prometheus": {
			503, `{"status":"error","errorType":"unavailable","error":"TSDB not ready"}`, "", Error, 0, "503: TSDB not ready",
		},
		"502 with a page": {502, "<html>" + strings.Repeat("long ", 200), "", Error, 0, "server error: 502"},
		"error with 200":  {200, `{"status":"error","errorType":"timeout","error":"query timed out"}`, "", Error, 0, "query timed out"},
		"bad query": {
			400, `{"status":"error","errorType":"bad_data","error":"1:3: parse error"}`, "", Error, 0,
			"bad_data: 1:3: parse error",
		},
		"execution":           {422, `{"status":"error","errorType":"execution","error":"too many samples"}`, "", Error, 0, "too many samples"},
		"401":                 {401, "who are you", "", Error, 0, "401"},
		"404, another server": {404, "not found", "", Error, 0, "404"},
		"404 of the API server": {
			404,
			`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"services \"prometheus\" not found","code":404}`,
			"", Error, 0, "the API server answers instead of Prometheus: services \"prometheus\" not found",
		},
		"no JSON":               {200, "hello", "", Error, 0, "bad_response"},
		"a number that is none": {200, vector("abc"), "", Error, 0, "parsing \"abc\""},
		"nothing":               {200, "", "", Error, 0, "bad_response"},
		"truncated":             {200, vector("0.2")[:40], "", Error, 0, "bad_response"},
		"elsewhere":             {302, "", "", Error, 0, "302"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := answering(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/prefix/api/v1/query" || r.URL.Query().Get("query") != "job:errors:ratio" ||
					r.URL.Query().Has("time") {
					t.Errorf("asked %s %s", r.Method, r.URL)
				}
				if test.status == 302 {
					w.Header().Set("Location", "http://"+r.Host+"/elsewhere")
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			metric := ratePolicy().Metrics[0]
			metric.Reduce = test.reduce
			got := connect(t, PrometheusConfig{Address: server.URL + "/prefix/"}).Metric(metric, step).Sample(t.Context())
			requireSample(t, got, test.kind, test.text)
			if test.kind != NoData && got.Value != test.value || len(got.Evidence) > longestEvidence+3 {
				t.Errorf("value %v, evidence of %d bytes", got.Value, len(got.Evidence))
			}
		})
	}
}

func TestPrometheus_ThatDoesNotAnswerIsAnError(t *testing.T) {
	release := make(chan struct{})
	hanging := answering(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	metric := ratePolicy().Metrics[0]
	begun := time.Now()
	got := connect(t, PrometheusConfig{Address: hanging.URL, Timeout: 50 * time.Millisecond}).Metric(metric, step).Sample(t.Context())
	requireSample(t, got, Error, "no answer within 50ms")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %s", took)
	}

	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	got = connect(t, PrometheusConfig{Address: closed.URL}).Metric(metric, step).Sample(t.Context())
	requireSample(t, got, Error, "connection refused")

	endless := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range 20 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	got = connect(t, PrometheusConfig{Address: endless.URL}).Metric(metric, step).Sample(t.Context())
	requireSample(t, got, Error, "longer than")
}

func TestPrometheus_TooFewRequestsAreNoData(t *testing.T) {
	for requests, want := range map[string]struct {
		kind Kind
		text string
	}{
		vector("100"):      {Fail, ""},
		vector("99.9"):     {NoData, "99.9 requests are fewer than 100"},
		vector():           {NoData, "0 requests are fewer than 100"},
		vector("NaN"):      {NoData, "NaN requests"},
		vector("50", "60"): {Error, "requests_query returns several series"},
		"broken":           {Error, "requests_query: "},
	} {
		server := answering(t, func(w http.ResponseWriter, r *http.Request) {
			body := vector("0.2")
			if r.URL.Query().Get("query") == "sum(requests)" {
				body = requests
			}
			_, _ = w.Write([]byte(body))
		})
		metric := ratePolicy().Metrics[0]
		metric.MinRequests, metric.RequestsQuery = 100, "sum(requests)"
		requireSample(t, connect(t, PrometheusConfig{Address: server.URL}).Metric(metric, step).Sample(t.Context()), want.kind, want.text)
	}
}

func TestPrometheus_ThatChangesItsMind(t *testing.T) {
	// Bad, away for a minute, well, bad again: neither the outage nor the two halves make it fail.
	bodies := func(n int64) (int, string) {
		switch {
		case n < 8:
			return 200, vector("0.2")
		case n < 14:
			return 503, "gone"
		case n < 20:
			return 200, vector("0.01")
		}
		return 200, vector("0.2")
	}
	var asked atomic.Int64
	server := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		status, body := bodies(asked.Add(1) - 1)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	policy := ratePolicy()
	sampler := connect(t, PrometheusConfig{Address: server.URL}).Metric(policy.Metrics[0], step)
	var samples []Sample
	for i := range 40 {
		s := sampler.Sample(t.Context())
		s.Check, s.At = rate, start.Add(time.Duration(i)*step)
		samples = append(samples, s)
		verdict := Assess(policy, samples, Span{Start: start, Now: s.At})
		// From the 21st on it is bad for good: 13 samples later the rule is complete.
		if want := i >= 32; (verdict.Outcome == Failed) != want {
			t.Fatalf("sample %d: %s, %s", i, verdict.Outcome, verdict.Reason)
		}
	}
}

// past is a Prometheus whose clock is ahead by skew; at is the result of the range query for each series.
func past(t *testing.T, skew time.Duration, at func(query string, at time.Time) []string) *httptest.Server {
	t.Helper()
	return answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/query" {
			_, _ = fmt.Fprint(w, data("scalar", fmt.Sprintf(`[0,"%.3f"]`, float64(time.Now().Add(skew).UnixMilli())/1000)))
			return
		}
		var begin, end, every float64
		for name, target := range map[string]*float64{"start": &begin, "end": &end, "step": &every} {
			if _, err := fmt.Sscanf(r.URL.Query().Get(name), "%g", target); err != nil {
				t.Errorf("%s: %v", r.URL, err)
			}
		}
		streams := map[int][]string{}
		for i := 0; begin+float64(i)*every <= end; i++ {
			stamp := begin + float64(i)*every
			for n, value := range at(r.URL.Query().Get("query"), time.UnixMilli(int64(stamp*1000+0.5)).Add(-skew)) {
				streams[n] = append(streams[n], fmt.Sprintf(`[%.3f,%q]`, stamp, value))
			}
		}
		var series []string
		for n, pairs := range streams {
			series = append(series, fmt.Sprintf(`{"metric":{"n":"%d"},"values":[%s]}`, n, strings.Join(pairs, ",")))
		}
		_, _ = fmt.Fprint(w, data("matrix", "["+strings.Join(series, ",")+"]"))
	})
}

func TestPrometheus_History(t *testing.T) {
	begin := time.Now().Add(-10 * time.Minute).Truncate(time.Millisecond)
	for _, skew := range []time.Duration{0, 3 * time.Hour, -90 * time.Second} {
		server := past(t, skew, func(query string, at time.Time) []string {
			minute := int((at.Sub(begin) + 2*time.Second).Minutes())
			if query == "requests" {
				return []string{[]string{"50", "5"}[minute%2]}
			}
			return [][]string{{"0.01"}, {"0.2"}, {"0.2"}, {}, {"NaN"}, {"0.1", "0.2"}}[minute]
		})
		metric := ratePolicy().Metrics[0]
		sampler := connect(t, PrometheusConfig{Address: server.URL}).Metric(metric, 20*time.Second)
		samples, err := sampler.History(t.Context(), begin, begin.Add(350*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, s := range samples {
			if !s.At.Equal(begin.Add(time.Duration(i)*20*time.Second)) || s.Check != rate {
				t.Errorf("skew %s: sample %d is of %s at %s", skew, i, s.Check, s.At)
			}
			got = append(got, string(s.Kind))
		}
		want := "pass pass pass fail fail fail fail fail fail no_data no_data no_data no_data no_data no_data error error error"
		if strings.Join(got, " ") != want {
			t.Errorf("skew %s: %v", skew, got)
		}

		metric.MinRequests, metric.RequestsQuery = 10, "requests"
		sampler = connect(t, PrometheusConfig{Address: server.URL}).Metric(metric, time.Minute)
		samples, err = sampler.History(t.Context(), begin, begin.Add(2*time.Minute))
		if err != nil || len(samples) != 3 || samples[0].Kind != Pass || samples[1].Kind != NoData || samples[2].Kind != Fail {
			t.Errorf("skew %s: %+v, %v", skew, samples, err)
		}
	}
}

func TestPrometheus_ProbeDistinguishesErrorsOfTheQueryFromThoseOfPrometheus(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		broken bool
		want   string
	}{
		"fine":           {200, vector("0.1"), false, ""},
		"no data":        {200, vector(), false, ""},
		"several series": {200, vector("0.1", "0.1"), true, "2 series"},
		"parse error":    {400, `{"status":"error","errorType":"bad_data","error":"parse error"}`, true, "parse error"},
		"matrix":         {200, data("matrix", "[]"), true, "range of values"},
		"away":           {503, "", false, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			server := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			err := connect(t, PrometheusConfig{Address: server.URL}).Probe(t.Context(), ratePolicy().Metrics[0])
			var broken *QueryError
			var away *UnavailableError
			switch {
			case test.want == "":
				if err != nil {
					t.Error(err)
				}
			case test.broken && (!errors.As(err, &broken) || broken.Query == "" || !strings.Contains(err.Error(), test.want)),
				!test.broken && (!errors.As(err, &away) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%T: %v", err, err)
			}
		})
	}
}
