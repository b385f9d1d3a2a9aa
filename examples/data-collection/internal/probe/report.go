// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package probe

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Report is how the requests of a load were answered.
type Report struct {
	Requests int `json:"requests"`
	// Failed counts answers other than 2xx, or OK of gRPC, and requests without an answer.
	Failed int `json:"failed"`
	// Codes counts answers by status code; "none" are requests without an answer.
	Codes map[string]int `json:"codes"`
	// Versions are the answers by the version that gave them, from the header Server or the JSON field "version".
	Versions map[string]Answers `json:"versions"`
	// Unserved counts failed requests that no version answered: those that the service itself did not see.
	Unserved int `json:"unserved"`
	// Reselected counts how often a gRPC client chose a route again because its balancer did not know yet where it leads. Nothing had
	// been sent then.
	Reselected int `json:"reselected,omitempty"`
	// Errors are the first few different reasons why requests had no answer.
	Errors []string `json:"errors,omitempty"`
}

// Answers are what one version answered.
type Answers struct {
	Requests int `json:"requests"`
	Failed   int `json:"failed"`
	// First and Last are when the first and the last of these requests were sent.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// keptErrors is how many different reasons a Report holds.
const keptErrors = 10

// tally makes a Report of answers that come from several workers.
type tally struct {
	mu     sync.Mutex
	report Report
}

func newTally() *tally {
	return &tally{report: Report{Codes: map[string]int{}, Versions: map[string]Answers{}}}
}

func (t *tally) count(sent time.Time, got answer, err error) {
	failed := err != nil || !got.good
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.Requests++
	t.report.Reselected += got.reselected
	if failed {
		t.report.Failed++
	}
	if err == nil {
		t.report.Codes[got.code]++
	} else {
		t.report.Codes["none"]++
		if reason := err.Error(); len(t.report.Errors) < keptErrors && !slices.Contains(t.report.Errors, reason) {
			t.report.Errors = append(t.report.Errors, reason)
		}
	}
	if got.version == "" {
		if failed {
			t.report.Unserved++
		}
		return
	}
	answers := t.report.Versions[got.version]
	answers.Requests++
	if failed {
		answers.Failed++
	}
	if answers.First.IsZero() || sent.Before(answers.First) {
		answers.First = sent
	}
	if sent.After(answers.Last) {
		answers.Last = sent
	}
	t.report.Versions[got.version] = answers
}

// soFar is a copy of the report as it is now.
func (t *tally) soFar() Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	report := t.report
	report.Codes, report.Versions = maps.Clone(report.Codes), maps.Clone(report.Versions)
	report.Errors = slices.Clone(report.Errors)
	return report
}
