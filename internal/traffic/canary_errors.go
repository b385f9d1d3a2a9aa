// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"fmt"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
)

// words says a split in words.
func (s Split) words() string {
	return fmt.Sprintf("%d%% of the requests go to the canary%s", s.Weight, headersText(s.Headers))
}

// TrackServiceError says that a Service does not have the pods of a track.
type TrackServiceError struct{ Service, Key, Value, Selects string }

// Explain says it in three paragraphs.
func (e *TrackServiceError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Service %s does not have the pods with %s=%s.", e.Service, e.Key, e.Value),
		fmt.Sprintf("Its selector has %s=%s.", e.Key, e.Selects), "Name a Service that is before both tracks, or correct the labels of the track."
}

func (e *TrackServiceError) Error() string { return oneLine(e.Explain()) }

// CapacityError says that a track did not get ready in time for the requests that it was to have.
type CapacityError struct {
	Split    string
	Observed Split
	Wanted   int
	Missing  string
}

// Explain says it in three paragraphs.
func (e *CapacityError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Split %s was not moved to %d%%: the pods for it did not get ready in time.", e.Split, e.Wanted),
		fmt.Sprintf("%s; %s.", upper(e.Missing), e.Observed.words()), "See why the pods are not ready, or raise the timeout; then apply again."
}

func (e *CapacityError) Error() string { return oneLine(e.Explain()) }

// CanaryFailedError says that the canary did not pass.
type CanaryFailedError struct {
	Split string
	// Weight is the one at which it failed, Baseline the split from before; Back says that it is in effect again.
	Weight   int
	Baseline Split
	Back     bool
	Reason   string
	// Verdict has the evidence; it is empty where there was none.
	Verdict analysis.Verdict
	// Until is how long the content is held back, zero where it is not.
	Until time.Time
}

// Explain says it in three paragraphs.
func (e *CanaryFailedError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("The canary of split %s failed at %d%%, and the old weights were not put back.", e.Split, e.Weight)
	if e.Back {
		happened = fmt.Sprintf("The canary of split %s failed at %d%%. The old weights are back: %s.", e.Split, e.Weight, e.Baseline.words())
	}
	observed = e.Reason
	if t := e.Verdict.Trigger; t != nil && len(t.Samples) > 0 {
		const most = 10
		for _, s := range t.Samples[max(0, len(t.Samples)-most):] {
			text := s.Evidence
			if text == "" {
				text = s.Value.String()
			}
			observed += fmt.Sprintf("\n  %s %s %s: %s", s.At.UTC().Format(time.RFC3339), s.Check, s.Kind, text)
		}
		for _, line := range t.Queries() {
			observed += "\n  " + line
		}
	}
	advice = "Correct it and apply again."
	if !e.Until.IsZero() {
		advice = fmt.Sprintf("Correct it and apply again. The same pods get no more requests until %s, unless the analysis or retry_token changes.", e.Until.Format(time.RFC3339))
	}
	return happened, observed, advice
}

func (e *CanaryFailedError) Error() string { return oneLine(e.Explain()) }

// CanaryHeldError says that too little is known of the canary to go on.
type CanaryHeldError struct {
	Split  string
	Weight int
	Reason string
}

// Explain says it in three paragraphs.
func (e *CanaryHeldError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("It could not be told whether the canary of split %s does well. The weights stay at %d%%.", e.Split, e.Weight),
		e.Reason, "Apply again to judge it once more, or set on_inconclusive."
}

func (e *CanaryHeldError) Error() string { return oneLine(e.Explain()) }

// CanaryQuarantinedError says that content that failed did not get more requests. Nothing was changed.
type CanaryQuarantinedError struct {
	Split, Record string
	Observed      Split
	Quarantine    CanaryQuarantine
}

// Explain says it in three paragraphs.
func (e *CanaryQuarantinedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The canary of split %s is held back. Nothing was changed: %s.", e.Split, e.Observed.words()),
		fmt.Sprintf("The same pods failed at %d%% before: %s", e.Quarantine.Weight, e.Quarantine.Reason),
		fmt.Sprintf("Release another version as the canary, or change retry_token. The hold ends at %s; kubectl annotate configmap %s %s=%s ends it now.",
			e.Quarantine.Until.Format(time.RFC3339), e.Record, AnnotationCanaryHold, canaryHoldCleared)
}

func (e *CanaryQuarantinedError) Error() string { return oneLine(e.Explain()) }

// CanaryNoWayBackError says that the stable side has no ready pods, so that the traffic stays.
type CanaryNoWayBackError struct {
	Split              string
	Observed, Baseline Split
	// Lacking says which pods are not ready; see TrackCapacity.
	Lacking string
}

// Explain says it in three paragraphs.
func (e *CanaryNoWayBackError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The requests of split %s were not sent back to the stable side.", e.Split),
		fmt.Sprintf("The stable side has no ready pod%s. To send it more would be worse than what is now: %s.",
			TrackCapacity{Lacking: e.Lacking}.because(), e.Observed.words()),
		fmt.Sprintf("Bring the stable side up, then apply with weight %d; or release a better version as the canary.", e.Baseline.Weight)
}

func (e *CanaryNoWayBackError) Error() string { return oneLine(e.Explain()) }

// CanaryOwnerError says that another resource manages this split.
type CanaryOwnerError struct{ Split, Record string }

// Explain says it in three paragraphs.
func (e *CanaryOwnerError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Split %s is managed by another Terraform resource.", e.Split),
		fmt.Sprintf("ConfigMap %s carries another instance id than this state: another state took it over, or this state is an old copy.", e.Record),
		"Use the state that manages it. If this is the one, forget the resource (terraform state rm) and import it again."
}

func (e *CanaryOwnerError) Error() string { return oneLine(e.Explain()) }

// NewerCanaryError says that a newer provider wrote the record.
type NewerCanaryError struct {
	Record        string
	SchemaVersion int
}

// Explain says it in three paragraphs.
func (e *NewerCanaryError) Explain() (happened, observed, advice string) {
	return "A newer version of the provider manages this split.", fmt.Sprintf("ConfigMap %s has schema version %d, this provider writes %d.", e.Record, e.SchemaVersion, canarySchemaVersion),
		"Use a provider that is at least as new."
}

func (e *NewerCanaryError) Error() string { return oneLine(e.Explain()) }

// CanaryUnknownError says that there is no record of a split to import.
type CanaryUnknownError struct{ Split, Namespace string }

// Explain says it in three paragraphs.
func (e *CanaryUnknownError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("There is no split %s of Slipway in namespace %s.", e.Split, e.Namespace),
		fmt.Sprintf("ConfigMap %s does not exist, nor a VirtualService or an HTTPRoute of this name.", canaryRecordName(e.Split)),
		"Where another object has the route that is divided, name both in the import id: …?virtual_service=<name>&route=<name>, or …?http_route=<name>&rule=<name>."
}

func (e *CanaryUnknownError) Error() string { return oneLine(e.Explain()) }
