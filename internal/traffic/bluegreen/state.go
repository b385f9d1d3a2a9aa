// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// phase is how far the last apply came. Each is recorded before what it names begins.
type phase string

const (
	steady      phase = "steady"
	switching   phase = "switching"
	verifying   phase = "verifying"
	rollingBack phase = "rolling back"
)

// Quarantine is content that failed.
type Quarantine struct {
	Color   string    `json:"color"`
	Content string    `json:"content"`
	Policy  string    `json:"policy,omitempty"`
	Reason  string    `json:"reason"`
	Until   time.Time `json:"until"`
}

// state is what must outlive an apply. It holds no secret. Which color is live is not in it: the Service says so.
type state struct {
	record.Header
	Phase phase `json:"phase,omitempty"`
	// Target is the color that was switched to last.
	Target string `json:"target,omitempty"`
	// Previous is what the selector had before, nil where it had nothing.
	Previous *string `json:"previous,omitempty"`
	// Moved says that other pods had the traffic before.
	Moved          bool      `json:"moved,omitempty"`
	VerifyingSince time.Time `json:"verifyingSince,omitzero"`
	SwitchedAt     time.Time `json:"switchedAt,omitzero"`
	// PreviousContent is what the color that is not live was when it lost the traffic.
	PreviousContent string `json:"previousContent,omitempty"`
	// Good is the content of each color that was live without failing.
	Good       map[string]string `json:"good,omitempty"`
	RetryToken string            `json:"retryToken,omitempty"`
	Quarantine *Quarantine       `json:"quarantine,omitempty"`
	// Scaled are the replicas that Deployments had before they were scaled to zero, by color and name.
	Scaled map[string]map[string]int32 `json:"scaled,omitempty"`
}

// stored is the state in its ConfigMap.
type stored = record.Stored[state]

// quarantined is the quarantine that forbids to switch to this content, nil where there is none.
func (s *state) quarantined(color, content string, spec Spec, cleared bool, now time.Time) *Quarantine {
	q := s.Quarantine
	if q == nil || cleared || q.Color != color || q.Content != content || q.Policy != spec.Policy || s.RetryToken != spec.RetryToken ||
		!now.Before(q.Until) {
		return nil
	}
	return q
}

// due reports that the color that is not live has been kept for long enough.
func (s *state) due(keep *time.Duration, now time.Time) bool {
	return keep != nil && s.Phase == steady && !s.SwitchedAt.IsZero() && !now.Before(s.SwitchedAt.Add(*keep))
}

// knownGood reports that a color was live with this content without failing.
func (s *state) knownGood(color, content string) bool {
	return content != "" && s.Good[color] == content
}

// begin records that a switch begins. previous is what was live, nil where nothing was; moved says that other pods have the traffic.
func (s *state) begin(to string, previous *string, moved bool) {
	s.Phase, s.Target, s.Previous, s.Moved, s.VerifyingSince = switching, to, previous, moved, time.Time{}
}

// verify records that the color is live and is analyzed.
func (s *state) verify(since time.Time) { s.Phase, s.VerifyingSince = verifying, since }

// finish records that a color is live and good.
func (s *state) finish(color, content, retryToken string) {
	s.Phase, s.Target, s.VerifyingSince, s.RetryToken = steady, color, time.Time{}, retryToken
	if s.Good == nil {
		s.Good = map[string]string{}
	}
	s.Good[color] = content
	delete(s.Scaled, color)
	if q := s.Quarantine; q != nil && q.Color == color {
		s.Quarantine = nil
	}
}

// fail records that a color has failed; without a quarantine the same content may be deployed again.
func (s *state) fail(quarantine *Quarantine, retryToken string) {
	if quarantine != nil {
		s.Quarantine = quarantine
	}
	s.RetryToken = retryToken
}

// analyzeAnew records that the analysis that was made says nothing.
func (s *state) analyzeAnew() { s.VerifyingSince = time.Time{} }

// rollBack records that what was live before comes back, and rolledBack that it has.
func (s *state) rollBack() { s.Phase = rollingBack }

func (s *state) rolledBack(live string) {
	s.Phase, s.VerifyingSince, s.Moved, s.Target = steady, time.Time{}, false, live
}

// scaledDown records the replicas that the Deployments of a color have.
func (s *state) scaledDown(color string, replicas map[string]int32) {
	if s.Scaled == nil {
		s.Scaled = map[string]map[string]int32{}
	}
	s.Scaled[color] = replicas
}
