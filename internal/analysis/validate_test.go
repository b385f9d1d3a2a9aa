// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package analysis

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPolicy_ValidateNamesWhatIsWrong(t *testing.T) {
	type want struct {
		kind   ProblemKind
		field  string
		metric int
	}
	tests := map[string]struct {
		change func(*Policy)
		want   want
	}{
		"nothing to watch":       {func(p *Policy) { p.Health, p.Metrics = nil, nil }, want{ProblemMissing, "health", -1}},
		"health without a check": {func(p *Policy) { p.Health.Checks = nil }, want{ProblemMissing, "health", -1}},
		"no duration":            {func(p *Policy) { p.Duration = 0 }, want{ProblemMissing, "duration", -1}},
		"negative delay":         {func(p *Policy) { p.InitialDelay = -1 }, want{ProblemRange, "initial_delay", -1}},
		"interval too short":     {func(p *Policy) { p.Interval = time.Second - 1 }, want{ProblemRange, "interval", -1}},
		"unknown choice":         {func(p *Policy) { p.OnInconclusive = "ignore" }, want{ProblemRange, "on_inconclusive", -1}},
		"negative failures": {
			func(p *Policy) { p.Health.ConsecutiveFailures = -1 }, want{ProblemRange, "health.consecutive_failures", -1},
		},
		"failures never reached": {
			func(p *Policy) { p.Health.ConsecutiveFailures = 31 }, want{ProblemImpossible, "health.consecutive_failures", -1},
		},
		"negative budget":          {func(p *Policy) { p.Health.ErrorBudget = -1 }, want{ProblemRange, "health.error_budget", -1}},
		"one name twice":           {func(p *Policy) { p.Metrics[0].Name = health }, want{ProblemDuplicate, "name", 0}},
		"no name":                  {func(p *Policy) { p.Metrics[0].Name = " " }, want{ProblemMissing, "name", 0}},
		"no query":                 {func(p *Policy) { p.Metrics[0].Query = "" }, want{ProblemMissing, "query", 0}},
		"no limit":                 {func(p *Policy) { p.Metrics[0].Above = nil }, want{ProblemMissing, "above", 0}},
		"two limits":               {func(p *Policy) { p.Metrics[0].Below = limit(0) }, want{ProblemConflict, "below", 0}},
		"NaN as limit":             {func(p *Policy) { p.Metrics[0].Above = limit(math.NaN()) }, want{ProblemRange, "above", 0}},
		"infinity as limit":        {func(p *Policy) { p.Metrics[0].Above = limit(math.Inf(-1)) }, want{ProblemRange, "above", 0}},
		"neither for nor over":     {func(p *Policy) { p.Metrics[0].For = 0 }, want{ProblemMissing, "for", 0}},
		"for and over":             {func(p *Policy) { p.Metrics[0].Over = time.Minute }, want{ProblemConflict, "over", 0}},
		"negative span":            {func(p *Policy) { p.Metrics[0].For = -1 }, want{ProblemRange, "for", 0}},
		"span never reached":       {func(p *Policy) { p.Metrics[0].For = 6 * time.Minute }, want{ProblemImpossible, "for", 0}},
		"metric interval":          {func(p *Policy) { p.Metrics[0].Interval = time.Millisecond }, want{ProblemRange, "interval", 0}},
		"requests without a query": {func(p *Policy) { p.Metrics[0].MinRequests = 1 }, want{ProblemMissing, "requests_query", 0}},
		"a query without requests": {func(p *Policy) { p.Metrics[0].RequestsQuery = "n" }, want{ProblemConflict, "requests_query", 0}},
		"negative requests":        {func(p *Policy) { p.Metrics[0].MinRequests = -1 }, want{ProblemRange, "min_requests", 0}},
		"unknown reducer":          {func(p *Policy) { p.Metrics[0].Reduce = "avg" }, want{ProblemRange, "reduce", 0}},
		"negative metric budget":   {func(p *Policy) { p.Metrics[0].NoDataBudget = -1 }, want{ProblemRange, "no_data_budget", 0}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			policy := ratePolicy()
			policy.Health = healthPolicy().Health
			if err := policy.Validate(); err != nil {
				t.Fatal(err)
			}
			test.change(&policy)
			var invalid *InvalidPolicyError
			if err := policy.Validate(); !errors.As(err, &invalid) {
				t.Fatalf("error %v", err)
			}
			if !slices.ContainsFunc(invalid.Problems, func(p Problem) bool {
				return want{p.Kind, p.Field, p.Metric} == test.want && strings.HasSuffix(p.Text, ".")
			}) {
				t.Errorf("problems %+v, want %+v", invalid.Problems, test.want)
			}
		})
	}
}

func TestPolicy_LongestIncludesWhatSettlingTakes(t *testing.T) {
	policy := ratePolicy()
	policy.Health, policy.InitialDelay = healthPolicy().Health, 30*time.Second
	if got, want := policy.Longest(), 30*time.Second+5*time.Minute+2*time.Minute+20*time.Second; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
