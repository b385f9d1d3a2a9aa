// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// CheckFailure is what a smoke test or the acceptance gate said.
type CheckFailure struct {
	Stage, Check string
	// Problem is a sentence; Log the last lines of the pod that ran it, without secrets.
	Problem string
	Log     []string
	// Refused is false where the check could not be made at all, which says nothing about the version.
	Refused bool
}

// Explain says it in three paragraphs.
func (e *CheckFailure) Explain() (happened, observed, advice string) {
	name := e.Stage
	if e.Check != "" {
		name += " " + e.Check
	}
	happened = fmt.Sprintf("The %s did not pass: %s", name, e.Problem)
	advice = "Fix the version or its configuration, and apply again."
	if !e.Refused {
		happened = fmt.Sprintf("The %s could not be made: %s", name, e.Problem)
		advice = "This says nothing about the version. Fix the cause of the error, and apply again."
	}
	if len(e.Log) > 0 {
		observed = "Last lines:\n  " + strings.Join(e.Log, "\n  ")
	}
	return happened, observed, advice
}

func (e *CheckFailure) Error() string { return explain.Text(e.Explain()) }

// CheckConfigError says at plan time what is wrong with smoke tests and the acceptance gate.
type CheckConfigError struct {
	Problems []ConfigProblem
}

// Explain says it in three paragraphs.
func (e *CheckConfigError) Explain() (happened, observed, advice string) {
	return "A check of the release is not configured right.", problemText(e.Problems), "Correct the block that is named."
}

func (e *CheckConfigError) Error() string { return explain.Text(e.Explain()) }

// AnalysisConfigError says what is wrong with an analysis' checks. It is known at plan time, but for what only Prometheus and the
// cluster know (see Preflight).
type AnalysisConfigError struct {
	Problems []ConfigProblem
}

// Explain says it in three paragraphs.
func (e *AnalysisConfigError) Explain() (happened, observed, advice string) {
	return "The analysis cannot be made as it is configured.", problemText(e.Problems), "Correct the block that is named."
}

func (e *AnalysisConfigError) Error() string { return explain.Text(e.Explain()) }

// UntriedQueriesError says that Prometheus did not answer the queries of an analysis at plan time.
type UntriedQueriesError struct {
	// Cause is what the first query met.
	Cause error
}

// Explain says it in three paragraphs.
func (e *UntriedQueriesError) Explain() (happened, observed, advice string) {
	return "Prometheus could not be asked.", e.Cause.Error() + ".",
		"Check the address in analysis.prometheus and the right to it. While it cannot be asked, the metrics say nothing about a version, " +
			"and on_inconclusive decides."
}

func (e *UntriedQueriesError) Error() string { return explain.Text(e.Explain()) }

// Unwrap returns what the first query met.
func (e *UntriedQueriesError) Unwrap() error { return e.Cause }

// PlaceholderError says what is wrong with a placeholder of a query.
type PlaceholderError struct {
	// Placeholder is what stands between the braces.
	Placeholder string
	Problem     string
}

// Explain says it in three paragraphs.
func (e *PlaceholderError) Explain() (happened, observed, advice string) {
	return "A placeholder of a query cannot be filled in.", fmt.Sprintf("{{ %s }}: %s.", e.Placeholder, e.Problem),
		"Use {{ namespace }}, {{ release }}, {{ client }}, {{ stage }} or {{ version }}, within the quotes of a label's value."
}

func (e *PlaceholderError) Error() string { return explain.Text(e.Explain()) }
