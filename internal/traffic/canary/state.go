// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// phase is how far the last apply came. Each is recorded before what it names begins.
type phase string

const (
	steady      phase = "steady"
	shifting    phase = "shifting"
	rollingBack phase = "rolling back"
)

// Quarantine is content that failed.
type Quarantine struct {
	Content string    `json:"content"`
	Policy  string    `json:"policy,omitempty"`
	Weight  int       `json:"weight"`
	Reason  string    `json:"reason"`
	Until   time.Time `json:"until"`
}

// state is what must outlive an apply. It holds no secret. Which weights are in effect is not in it: the route says so.
type state struct {
	record.Header
	Phase phase `json:"phase,omitempty"`
	// Baseline is the split from before the steps that are under way. Passed is the last weight that was good, Step the one that is next.
	Baseline *route.Split `json:"baseline,omitempty"`
	Passed   int          `json:"passed,omitempty"`
	Step     int          `json:"stepWeight,omitempty"`
	// StableReady is how many pods of the stable track served its share of Baseline.
	StableReady int `json:"stableReady,omitempty"`
	// Since is when the analysis of this step began.
	Since      time.Time    `json:"since,omitzero"`
	RetryToken string       `json:"retryToken,omitempty"`
	Quarantine *Quarantine  `json:"quarantine,omitempty"`
	Route      route.Config `json:"route"`
}

// stored is the state in its ConfigMap.
type stored = record.Stored[state]

// quarantined is the quarantine that keeps this content from getting more requests, nil where there is none.
func (s *state) quarantined(content string, spec Spec, cleared bool, now time.Time) *Quarantine {
	q := s.Quarantine
	if q == nil || cleared || q.Content != content || q.Policy != spec.Policy || s.RetryToken != spec.RetryToken || !now.Before(q.Until) {
		return nil
	}
	return q
}

// resumes reports that steps were interrupted, and that the split may be what they had got to.
func (s *state) resumes(seen route.Split) bool {
	return s.Phase == shifting && s.Baseline != nil && s.Passed <= seen.Weight && seen.Weight <= s.Step
}

// returns reports that a rollback was interrupted before the split was that of before.
func (s *state) returns(seen route.Split) bool {
	return s.Phase == rollingBack && s.Baseline != nil && seen.Raises(*s.Baseline)
}

// begin records that steps begin at a split, which so many pods of the stable track serve.
func (s *state) begin(baseline route.Split, stableReady int) {
	s.Phase, s.Baseline, s.Passed, s.Step, s.StableReady, s.Since = shifting, &baseline, baseline.Weight, 0, stableReady, time.Time{}
}

// enter records that a step is next. What the analysis of another step saw says nothing about it.
func (s *state) enter(weight int) {
	if s.Step != weight {
		s.Since = time.Time{}
	}
	s.Step = weight
}

// finish records that the split is as wanted.
func (s *state) finish(raised bool, retryToken string) {
	s.rest()
	s.RetryToken = retryToken
	if raised {
		s.Quarantine = nil
	}
}

// fail records that the step has failed; without a quarantine the same content may be deployed again.
func (s *state) fail(quarantine *Quarantine, retryToken string) {
	if quarantine != nil {
		s.Quarantine = quarantine
	}
	s.RetryToken = retryToken
}

// rollBack records that the split from before comes back.
func (s *state) rollBack() { s.Phase = rollingBack }

// rest records that nothing is under way.
func (s *state) rest() {
	s.Phase, s.Baseline, s.Since, s.Passed, s.Step, s.StableReady = steady, nil, time.Time{}, 0, 0, 0
}
