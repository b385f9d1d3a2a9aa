// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// sidesPolicy compares the errors of two services, and the share of the first with a weight, in the time of a test.
func sidesPolicy(canary, stable *service, weight int) Policy {
	requests := func(s *service, more string) string {
		return fmt.Sprintf(`sum(increase(http_requests_total{job=%q%s}[3s]))`, s.job, more)
	}
	errors := func(s *service) string { return requests(s, `,code=~"5.."`) + " / " + requests(s, "") }
	return Policy{
		Health: &Health{Checks: []string{health}, ConsecutiveFailures: 3, ErrorBudget: 5 * time.Second, NoDataBudget: 5 * time.Second},
		Metrics: []Metric{{
			Name: rate, Query: errors(canary), For: 4 * time.Second, MinRequests: 5, RequestsQuery: requests(canary, ""),
			Baseline:    &Baseline{Query: errors(stable), MaxRatio: limit(2), MaxDifference: limit(0.02), RequestsQuery: requests(stable, "")},
			ErrorBudget: 5 * time.Second, NoDataBudget: 5 * time.Second,
		}},
		SampleRatio: &SampleRatio{
			CanaryQuery: requests(canary, ""), StableQuery: requests(stable, ""), Weight: weight, Significance: DefaultSignificance, Tolerance: 0.5,
			MinRequests: 20,
			ErrorBudget: 5 * time.Second, NoDataBudget: 10 * time.Second,
		},
		Duration: 12 * time.Second, Interval: time.Second,
	}
}

// Two services that get equally many requests are the two tracks of a split, whose counters a real Prometheus has.
func TestRun_ComparesTwoSidesWithARealPrometheus(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	bad, worse, good := newService(t, "bad"), newService(t, "worse"), newService(t, "good")
	bad.percent.Store(20)
	worse.percent.Store(25)
	address, _ := runPrometheus(t, bad, worse, good)
	time.Sleep(4 * time.Second) // The first window is to be full.
	for name, test := range map[string]struct {
		canary, stable *service
		weight         int
		rule           Rule
		parts          []string
	}{
		"as good as the other, half of the requests": {canary: good, stable: good, weight: 50},
		"bad, and the other one too":                 {canary: worse, stable: bad, weight: 50},
		"worse than the other": {
			canary: bad,
			stable: good,
			weight: 50,
			rule:   EverySample,
			parts:  []string{"above 2 times the baseline plus 0.02", "baseline 0)"},
		},
		"half of the requests at a tenth": {
			canary: good, stable: bad, weight: 10, rule: SampleRatioMismatch, parts: []string{"its weight is 10%"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := connect(t, PrometheusConfig{Address: address, Timeout: 5 * time.Second})
			policy := sidesPolicy(test.canary, test.stable, test.weight)
			samplers := []Sampler{&HTTPProbe{Name: health, URL: test.canary.server.URL + "/metrics", Client: test.canary.server.Client()}}
			for _, m := range policy.Queried() {
				if err := client.Probe(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				samplers = append(samplers, client.Metric(m, policy.Interval))
			}
			begun := time.Now()
			verdict, samples, err := Run(t.Context(), Options{Policy: policy, Samplers: samplers, Progress: func(line string) { t.Log(line) }})
			if err != nil {
				t.Fatal(err)
			}
			if test.rule == "" {
				requireVerdict(t, verdict, Passed, "")
				return
			}
			requireVerdict(t, verdict, Failed, test.rule)
			t.Log(verdict.Reason)
			for _, part := range test.parts {
				if !strings.Contains(verdict.Reason, part) {
					t.Errorf("the reason does not contain %q: %s", part, verdict.Reason)
				}
			}
			if queries := verdict.Trigger.Queries(); len(queries) != 2 || len(samples) == 0 {
				t.Errorf("queries %q, %d samples", queries, len(samples))
			}
			// Taken up again, it is known from the history.
			verdict, _, err = Run(t.Context(), Options{Policy: policy, Samplers: samplers, Start: begun})
			if err != nil {
				t.Fatal(err)
			}
			requireVerdict(t, verdict, Failed, test.rule)
		})
	}
}
