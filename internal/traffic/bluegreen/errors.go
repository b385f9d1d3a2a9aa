// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// errNoCommonLabels says that a Service's selector has nothing besides the color, or no selector at all.
func errNoCommonLabels(service, label string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Service %s does not say which pods both colors have in common.", service),
		Observed: fmt.Sprintf("Its selector has no label besides %s, so that it would choose pods of other applications with the same color.", label),
		Advice:   "Give the Service a selector that all pods of the application have, for example slipway.dev/app.",
	}
}

// OwnerError says that another resource switches this Service.
type OwnerError struct{ Service, Record string }

// Explain returns the three parts of the error.
func (e *OwnerError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Service %s is switched by another Terraform resource.", e.Service),
		fmt.Sprintf("ConfigMap %s carries another instance id than this state: another state took it over, or this state is an old copy.", e.Record),
		"Use the state that manages it. If this is the one, forget the resource (terraform state rm) and import it again."
}

func (e *OwnerError) Error() string { return explain.Text(e.Explain()) }

// NewerError says that a newer provider wrote the record.
type NewerError struct {
	Record        string
	SchemaVersion int
}

// Explain returns the three parts of the error.
func (e *NewerError) Explain() (happened, observed, advice string) {
	return "A newer version of the provider switches this Service.", fmt.Sprintf("ConfigMap %s has schema version %d, this provider writes %d.", e.Record, e.SchemaVersion, blueGreenSchemaVersion),
		"Use a provider that is at least as new."
}

func (e *NewerError) Error() string { return explain.Text(e.Explain()) }

// NotReadyError says that something that was waited for did not come about in time.
type NotReadyError struct {
	// What was waited for: "Service app-preview has 2 ready pods of green and no others".
	What string
	// Observed is what was seen last, in sentences.
	Observed      string
	Service, Live string
}

// Explain returns the three parts of the error.
func (e *NotReadyError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("It was waited in vain until %s.", e.What), strings.TrimSpace(e.Observed),
		fmt.Sprintf("Service %s has %s in its selector. See why the pods are not ready, or raise the timeout; then apply again.", e.Service, e.Live)
}

func (e *NotReadyError) Error() string { return explain.Text(e.Explain()) }

// FailedError says that a color did not pass.
type FailedError struct {
	Color, Service string
	// After says that the color was live already; Back that it is not any more. Live is the color that is.
	After, Back bool
	Live        string
	Reason      string
	// Verdict has the evidence; it is empty where there was none.
	Verdict analysis.Verdict
	// Until is how long the content is held back, zero where it is not.
	Until time.Time
}

// Explain returns the three parts of the error.
func (e *FailedError) Explain() (happened, observed, advice string) {
	switch {
	case e.Back:
		happened = fmt.Sprintf("%s failed after the switch. Service %s was switched back: %s is live.", explain.Capitalize(e.Color), e.Service, orWord(e.Live))
	case e.After:
		happened = fmt.Sprintf("%s failed after the switch, and Service %s was not switched back.", explain.Capitalize(e.Color), e.Service)
	default:
		happened = fmt.Sprintf("%s failed before the switch. Service %s was not switched: %s is live.", explain.Capitalize(e.Color), e.Service, orWord(e.Live))
	}
	return happened, e.Reason + evidenceOf(e.Verdict), afterFailure(e.Until, "are not switched to")
}

// evidenceOf are the samples that decided, as further lines.
func evidenceOf(v analysis.Verdict) string {
	t := v.Trigger
	if t == nil || len(t.Samples) == 0 {
		return ""
	}
	const most = 10
	var out strings.Builder
	for _, s := range t.Samples[max(0, len(t.Samples)-most):] {
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

// afterFailure says what to do about pods that failed, and until when they are held back.
func afterFailure(until time.Time, held string) string {
	if until.IsZero() {
		return "Correct it and apply again."
	}
	return fmt.Sprintf("Correct it and apply again. The same pods %s until %s, unless the analysis or retry_token changes.", held, until.Format(time.RFC3339))
}

func (e *FailedError) Error() string { return explain.Text(e.Explain()) }

// HeldError says that too little is known of a color to switch, or to keep it without doubt.
type HeldError struct {
	Color, Service, Live string
	After                bool
	Reason               string
}

// Explain returns the three parts of the error.
func (e *HeldError) Explain() (happened, observed, advice string) {
	when := "before the switch"
	if e.After {
		when = "after the switch"
	}
	return fmt.Sprintf("It could not be told %s whether %s does well. Service %s stays as it is: %s is live.", when, e.Color, e.Service, orWord(e.Live)),
		e.Reason, "Apply again to judge it once more, or set on_inconclusive."
}

func (e *HeldError) Error() string { return explain.Text(e.Explain()) }

// QuarantinedError says that content that failed was not switched to again. Nothing was changed in the live Service.
type QuarantinedError struct {
	Color, Service, Live, Record string
	Quarantine                   Quarantine
}

// Explain returns the three parts of the error.
func (e *QuarantinedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("%s is held back. Service %s was not switched: %s is live.", explain.Capitalize(e.Color), e.Service, orWord(e.Live)),
		fmt.Sprintf("The same pods failed before: %s", e.Quarantine.Reason),
		fmt.Sprintf("Release another version to %s, or change retry_token. The hold ends at %s; kubectl annotate configmap %s %s=%s ends it now.",
			e.Color, e.Quarantine.Until.Format(time.RFC3339), e.Record, AnnotationHold, colorHoldCleared)
}

func (e *QuarantinedError) Error() string { return explain.Text(e.Explain()) }

// NoWayBackError says that the color from before the switch has no ready pods, so that the traffic stays.
type NoWayBackError struct{ Service, Color, Previous string }

// Explain returns the three parts of the error.
func (e *NoWayBackError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Service %s was not switched back to %s.", e.Service, e.Previous),
		fmt.Sprintf("%s has no ready pod: to switch back would be worse than to stay with %s.", explain.Capitalize(e.Previous), e.Color),
		fmt.Sprintf("Bring %s up, then set active to it; or release a better version to %s.", e.Previous, e.Color)
}

func (e *NoWayBackError) Error() string { return explain.Text(e.Explain()) }

func orNone(color *string) string {
	if color == nil {
		return "no color"
	}
	return *color
}

func orWord(color string) string {
	if color == "" {
		return "no color"
	}
	return color
}
