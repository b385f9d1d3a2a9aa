// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// Stages of a verified run, as errors and history name it.
const (
	StageRollout    = "rollout"
	StageSmokeTest  = "smoke test"
	StageAnalysis   = "analysis"
	StageAcceptance = "acceptance"
	StageManual     = "manual abort"
)

// Evidence is what a failed stage saw.
type Evidence struct {
	// Verdict and Samples are those of the analysis; nil and empty in other stages.
	Verdict *analysis.Verdict
	Samples []analysis.Sample
	// Check is the name of the smoke test or of the acceptance gate; Log its last lines.
	Check string
	Log   []string
}

// Text prints evidence: a table of the samples that decided, or the log of the check.
func (e Evidence) Text() string {
	var lines []string
	if v := e.Verdict; v != nil && v.Trigger != nil {
		t := v.Trigger
		lines = append(lines, t.Queries()...)
		samples := t.Samples
		if hidden := len(samples) - maxShownSamples; hidden > 0 {
			lines = append(lines, fmt.Sprintf("The last %d of %d samples that decided:", maxShownSamples, len(samples)))
			samples = samples[hidden:]
		} else if len(samples) > 0 {
			lines = append(lines, "The samples that decided:")
		}
		for _, s := range samples {
			line := fmt.Sprintf("  %s  %s  %s", s.At.UTC().Format("15:04:05"), s.Check, s.Kind)
			if s.Series > 0 && s.BaselineSeries == 0 { // A comparison has its values in its evidence.
				line += "  " + s.Value.String()
			}
			if s.Evidence != "" {
				line += "  " + explain.Shorten(s.Evidence, maxShownEvidence)
			}
			lines = append(lines, line)
		}
	}
	if len(e.Log) > 0 {
		lines = append(lines, "Last lines of "+e.Check+":")
		for _, l := range e.Log {
			lines = append(lines, "  "+l)
		}
	}
	return strings.Join(lines, "\n")
}

const (
	maxShownSamples  = 12
	maxShownEvidence = 200
)
