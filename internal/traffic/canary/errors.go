// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"fmt"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// CapacityError says that a track did not get ready in time for the requests that it was to have.
type CapacityError struct {
	Split    string
	Observed route.Split
	Wanted   int
	Missing  string
}

// Explain returns the three parts of the error.
func (e *CapacityError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Split %s was not moved to %d%%: the pods for it did not get ready in time.", e.Split, e.Wanted),
		fmt.Sprintf("%s; %s.", explain.Capitalize(e.Missing), e.Observed.String()), "See why the pods are not ready, or raise the timeout; then apply again."
}

func (e *CapacityError) Error() string { return explain.Text(e.Explain()) }

// FailedError says that the canary did not pass.
type FailedError struct {
	Split string
	// Weight is the one at which it failed, Baseline the split from before; Back says that it is in effect again.
	Weight   int
	Baseline route.Split
	Back     bool
	Reason   string
	// Verdict has the evidence; it is empty where there was none.
	Verdict analysis.Verdict
	// Until is how long the content is held back, zero where it is not.
	Until time.Time
}

// Explain returns the three parts of the error.
func (e *FailedError) Explain() (happened, observed, advice string) {
	happened = fmt.Sprintf("The canary of split %s failed at %d%%, and the old weights were not put back.", e.Split, e.Weight)
	if e.Back {
		happened = fmt.Sprintf("The canary of split %s failed at %d%%. The old weights are back: %s.", e.Split, e.Weight, e.Baseline.String())
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

func (e *FailedError) Error() string { return explain.Text(e.Explain()) }

// HeldError says that too little is known of the canary to go on.
type HeldError struct {
	Split  string
	Weight int
	Reason string
}

// Explain returns the three parts of the error.
func (e *HeldError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("It could not be told whether the canary of split %s does well. The weights stay at %d%%.", e.Split, e.Weight),
		e.Reason, "Apply again to judge it once more, or set on_inconclusive."
}

func (e *HeldError) Error() string { return explain.Text(e.Explain()) }

// QuarantinedError says that content that failed did not get more requests. Nothing was changed.
type QuarantinedError struct {
	Split, Record string
	Observed      route.Split
	Quarantine    Quarantine
}

// Explain returns the three parts of the error.
func (e *QuarantinedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The canary of split %s is held back. Nothing was changed: %s.", e.Split, e.Observed.String()),
		fmt.Sprintf("The same pods failed at %d%% before: %s", e.Quarantine.Weight, e.Quarantine.Reason),
		fmt.Sprintf("Release another version as the canary, or change retry_token. The hold ends at %s; kubectl annotate configmap %s %s=%s ends it now.",
			e.Quarantine.Until.Format(time.RFC3339), e.Record, AnnotationHold, canaryHoldCleared)
}

func (e *QuarantinedError) Error() string { return explain.Text(e.Explain()) }

// NoWayBackError says that the stable side has no ready pods, so that the traffic stays.
type NoWayBackError struct {
	Split              string
	Observed, Baseline route.Split
	// Lacking says which pods are not ready; see pods.TrackCapacity.
	Lacking string
}

// Explain returns the three parts of the error.
func (e *NoWayBackError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("The requests of split %s were not sent back to the stable side.", e.Split),
		fmt.Sprintf("The stable side has no ready pod%s. To send it more would be worse than what is now: %s.",
			pods.TrackCapacity{Lacking: e.Lacking}.Because(), e.Observed.String()),
		fmt.Sprintf("Bring the stable side up, then apply with weight %d; or release a better version as the canary.", e.Baseline.Weight)
}

func (e *NoWayBackError) Error() string { return explain.Text(e.Explain()) }

// OwnerError says that another resource manages this split.
type OwnerError struct{ Split, Record string }

// Explain returns the three parts of the error.
func (e *OwnerError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Split %s is managed by another Terraform resource.", e.Split),
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
	return "A newer version of the provider manages this split.", fmt.Sprintf("ConfigMap %s has schema version %d, this provider writes %d.", e.Record, e.SchemaVersion, canarySchemaVersion),
		"Use a provider that is at least as new."
}

func (e *NewerError) Error() string { return explain.Text(e.Explain()) }

// errUnknown says that there is no split to import.
func errUnknown(split, namespace string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("There is no split %s of Slipway in namespace %s.", split, namespace),
		Observed: fmt.Sprintf("ConfigMap %s does not exist, nor a VirtualService or an HTTPRoute of this name.", canaryRecordName(split)),
		Advice: "Where another object has the route that is divided, name both in the import id: …?virtual_service=<name>&route=<name>, " +
			"or …?http_route=<name>&rule=<name>.",
	}
}
