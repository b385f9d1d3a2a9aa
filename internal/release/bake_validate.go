// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

// Validate says at plan time what is wrong with an analysis: *AnalysisConfigError or *analysis.InvalidPolicyError.
func (a *Analysis) Validate() error { return a.Policy.Validate() }

// AnalysisConfigError says what is wrong with an analysis' checks.
type AnalysisConfigError struct {
	Problems []ConfigProblem
}

// ConfigProblem is one thing that is wrong, in the words of the configuration.
type ConfigProblem struct {
	// Field is the path within the block, for example "probe.name" or "prometheus.address"; Index that of the block among its
	// kind, -1 where there is only one.
	Field string
	Index int
	// Text says what is wrong, without the value where that may be secret.
	Text string
}

// Explain says it in three paragraphs.
func (e *AnalysisConfigError) Explain() (happened, observed, advice string) {
	for _, p := range e.Problems {
		observed += p.Field + " " + p.Text + "\n"
	}
	return "The analysis is not configured right.", observed, "Put right what is named above."
}

func (e *AnalysisConfigError) Error() string { return oneLine(e.Explain()) }
