// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package analysis decides whether a new version is healthy: health checks and Prometheus metrics are sampled for a while, and
// a pure function, Assess, turns the samples into a verdict. Run takes the samples and calls Assess after each one.
package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind is the result of one sample.
type Kind string

// The four kinds. Only pass and fail are results about the version; no_data and error mean that it could not be analyzed.
const (
	// Pass means that the check was made and succeeded.
	Pass Kind = "pass"
	// Fail means that the check was made and failed.
	Fail Kind = "fail"
	// NoData means that the check was made and returned nothing to analyze: no series, NaN, too few requests.
	NoData Kind = "no_data"
	// Error means that the check could not be made: Prometheus does not answer, a permission is missing.
	Error Kind = "error"
)

// Sample is one observation by one check. It contains no credentials and may be stored.
type Sample struct {
	// Check is the name of the health check or metric that the sample belongs to.
	Check string `json:"check"`
	// At is when the sample began. Two samples of one check at one instant count as one, the worse one.
	At time.Time `json:"at"`
	// Kind is the result. For metrics, Assess compares Value with the policy again if Kind is pass, fail or empty.
	Kind Kind `json:"kind"`
	// Value is the value of a metric; nothing for a health check.
	Value Number `json:"value,omitzero"`
	// Series is how many series the query returned, after the reducer.
	Series int `json:"series,omitempty"`
	// Requests is the result of the requests query, if the metric has one.
	Requests Number `json:"requests,omitzero"`
	// Baseline, BaselineSeries and BaselineRequests are the same for the baseline, if the metric is compared with one.
	Baseline         Number `json:"baseline,omitzero"`
	BaselineSeries   int    `json:"baselineSeries,omitempty"`
	BaselineRequests Number `json:"baselineRequests,omitzero"`
	// Evidence describes the observation, for example "HTTP 503".
	Evidence string `json:"evidence,omitempty"`
}

// with adds the result of a query. No series of requests means no requests.
func (s Sample) with(field string, answer Sample) Sample {
	requests := field == fieldRequests || field == fieldBaselineRequests
	switch {
	case requests && answer.Series > 1:
		return Sample{Kind: Error, Evidence: field + " returns several series: use sum(…)", Series: answer.Series}
	case field == fieldRequests && answer.Kind == "":
		s.Requests = answer.Value
	case field == fieldBaselineRequests && answer.Kind == "":
		s.BaselineRequests = answer.Value
	case field == fieldBaseline:
		s.Baseline, s.BaselineSeries, s.Kind = answer.Value, answer.Series, answer.Kind
		if answer.Evidence != "" {
			s.Evidence = "baseline: " + answer.Evidence
		}
	case field == fieldQuery:
		return answer
	}
	return s
}

// Number is a float whose JSON also supports NaN and infinity, as strings.
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.finite() {
		return json.Marshal(n.String())
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		var value float64
		if err := json.Unmarshal(data, &value); err != nil {
			return fmt.Errorf("read the number of a sample: %w", err)
		}
		*n = Number(value)
		return nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("read the number of a sample: %w", err)
	}
	*n = Number(value)
	return nil
}

func (n Number) finite() bool { return !math.IsNaN(float64(n)) && !math.IsInf(float64(n), 0) }

// String is the number with at most six significant digits.
func (n Number) String() string { return strconv.FormatFloat(float64(n), 'g', 6, 64) }

// exact is the shortest text that parses to the same number.
func exact(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// Outcome is the result of a run.
type Outcome string

// The outcomes. Pending is the only one that another sample may change, but see Assess.
const (
	// Pending means that the run is not over.
	Pending Outcome = "pending"
	// Passed means that every check was made often enough and none triggered.
	Passed Outcome = "passed"
	// Failed means that a rule triggered or that a person aborted the run.
	Failed Outcome = "failed"
	// Inconclusive means that too little is known for either.
	Inconclusive Outcome = "inconclusive"
)

// Action is what the policy requires for an outcome.
type Action string

// The actions.
const (
	// Wait is the action of Pending.
	Wait Action = "wait"
	// Accept keeps the new version.
	Accept Action = "accept"
	// Hold changes nothing and fails the apply.
	Hold Action = "hold"
	// Rollback restores the last known-good version.
	Rollback Action = "rollback"
)

// Rule is the cause of a verdict other than passed.
type Rule string

// The rules.
const (
	// ConsecutiveFailures: a health check failed more often in a row than allowed.
	ConsecutiveFailures Rule = "consecutive_failures"
	// EverySample: every sample of a metric over its span was beyond the limit.
	EverySample Rule = "for"
	// Average: the average of a metric over its span was beyond the limit.
	Average Rule = "over"
	// SampleRatioMismatch: in every sample over its span, the share of the requests that reached the canary was not its weight.
	SampleRatioMismatch Rule = "sample_ratio_mismatch"
	// ErrorBudget: a check could not be made for longer than its budget.
	ErrorBudget Rule = "error_budget"
	// NoDataBudget: a check had no data for longer than its budget.
	NoDataBudget Rule = "no_data_budget"
	// TooFewSamples: a check has fewer samples than its rule needs in order to trigger.
	TooFewSamples Rule = "too_few_samples"
	// StillFailing: a check was failing when the run ended, and the time beyond the end did not settle it.
	StillFailing Rule = "still_failing"
	// InvalidPolicy: nothing can be assessed by this policy.
	InvalidPolicy Rule = "invalid_policy"
	// Manual: a person aborted the run.
	Manual Rule = "manual"
)

// Trigger is the rule that decided, with its evidence.
type Trigger struct {
	Rule Rule `json:"rule"`
	// Check is the name of the check; empty for a manual abort.
	Check string `json:"check,omitempty"`
	// Query is the metric's query, BaselineQuery the query of its baseline.
	Query         string `json:"query,omitempty"`
	BaselineQuery string `json:"baselineQuery,omitempty"`
	// Since is when the first sample of the evidence was taken, At when the rule was complete.
	Since time.Time `json:"since,omitzero"`
	At    time.Time `json:"at"`
	// Samples are the evidence: those that completed the rule, or the latest of those that spent a budget.
	Samples []Sample `json:"samples,omitempty"`
}

// Queries are the queries that the samples come from, as lines for people.
func (t *Trigger) Queries() (lines []string) {
	if t.Query != "" {
		lines = append(lines, "Query: "+t.Query)
	}
	if t.BaselineQuery != "" {
		lines = append(lines, "Compared with: "+t.BaselineQuery)
	}
	return lines
}

// Verdict is the result of an assessment.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	Action  Action  `json:"action"`
	// Reason is a sentence for people.
	Reason string `json:"reason"`
	// Trigger is nil for pending and passed.
	Trigger *Trigger `json:"trigger,omitempty"`
	// Checks is the state of each check, in the order of the policy.
	Checks []Standing `json:"checks,omitempty"`
}

// mostEvidence is how many samples an error shows.
const mostEvidence = 10

// Evidence returns the newest samples that decided and the queries that they come from, each after a line break. It is empty where no rule
// decided.
func (v Verdict) Evidence() string {
	t := v.Trigger
	if t == nil || len(t.Samples) == 0 {
		return ""
	}
	var out strings.Builder
	for _, s := range t.Samples[max(0, len(t.Samples)-mostEvidence):] {
		text := s.Evidence
		if text == "" {
			text = s.Value.String()
		}
		fmt.Fprintf(&out, "\n  %s %s %s: %s", s.At.UTC().Format(time.RFC3339), s.Check, s.Kind, text)
	}
	for _, line := range t.Queries() {
		out.WriteString("\n  " + line)
	}
	return out.String()
}

// Standing is the state of one check.
type Standing struct {
	Check  string `json:"check"`
	Passed int    `json:"passed"`
	Failed int    `json:"failed"`
	NoData int    `json:"no_data"`
	Errors int    `json:"errors"`
	// Streak is the number of failures since the last pass; for metrics, since the last gap too.
	Streak int `json:"streak"`
	// Since is when the streak began, zero without one.
	Since time.Time `json:"since,omitzero"`
	// Missing is the time for which samples are missing.
	Missing time.Duration `json:"missing,omitempty"`
}
