// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// Stage of a guarded run, as errors and history name it.
const (
	StageRollout    = "rollout"
	StageSmokeTest  = "smoke test"
	StageAnalysis   = "analysis"
	StageAcceptance = "acceptance"
	StageManual     = "manual abort"
)

// Kinds and outcomes of a Run.
const (
	KindInstall  = "install"
	KindUpgrade  = "upgrade"
	KindRollback = "rollback"

	OutcomePassed       = "passed"
	OutcomeFailed       = "failed"
	OutcomeInconclusive = "inconclusive"
	OutcomeCanceled     = "canceled"
	OutcomeUnverified   = "unverified"
	OutcomeRolledBack   = "rolled back"
)

// Quarantine is content whose verdict was failed. It is not deployed again before it expires, unless an input or Guard.Retry
// changes, or somebody annotates the record with slipway.dev/release-hold=cleared.
type Quarantine struct {
	// Key is the content's ContentKey.
	Key      string    `json:"key"`
	Version  string    `json:"version"`
	Revision int       `json:"revision"`
	At       time.Time `json:"at"`
	Expires  time.Time `json:"expires"`
	// Reason is a sentence: "error_rate 7.1% was above 5% for 2m0s".
	Reason string `json:"reason"`
}

// Run is one attempt to bring a revision live, as the record keeps it.
type Run struct {
	Revision int       `json:"revision"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	// Kind is "install", "upgrade" or "rollback": the deployment of an earlier known-good version is a rollback as well.
	Kind string `json:"kind"`
	// Outcome is "passed", "failed", "inconclusive", "canceled", "unverified" or "rolled back".
	Outcome string `json:"outcome"`
	// Stage is where it failed, empty where it did not.
	Stage  string `json:"stage,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Restored is the revision that a rollback made, RestoredVersion its application version.
	Restored        int    `json:"restored,omitempty"`
	RestoredVersion string `json:"restoredVersion,omitempty"`
}

// Evidence is what a failed stage saw.
type Evidence struct {
	// Verdict and Samples are those of the analysis; nil and empty in other stages.
	Verdict *analysis.Verdict
	Samples []analysis.Sample
	// Check is the name of the smoke test or of the acceptance gate; Log its last lines.
	Check string
	Log   []string
}

// CheckFailure is what a smoke test or the acceptance gate said.
type CheckFailure struct {
	Stage, Check string
	// Problem is a sentence; Log the last lines of the pod that ran it, without secrets.
	Problem string
	Log     []string
	// Refused is false where the check could not be made at all, which says nothing about the version.
	Refused bool
}

// text prints evidence: a table of the samples that decided, or the log of the check.
func (e Evidence) text() string {
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
