// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
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
		fmt.Sprintf("%s; %s.", explain.Capitalize(e.Missing), e.Observed),
		"See why the pods are not ready, or raise the timeout; then apply again."
}

func (e *CapacityError) Error() string { return explain.Text(e.Explain()) }

// abortedError says that the record has the abort annotation.
type abortedError struct{ reason string }

func (e *abortedError) Error() string { return "aborted by hand: " + e.reason }

// verdictError carries a verdict that does not accept.
type verdictError struct{ verdict analysis.Verdict }

func (e *verdictError) Error() string { return e.verdict.Reason }

// failure is a canary that did not pass.
type failure struct {
	split string
	// weight is the one at which it failed, baseline the split from before.
	weight   int
	baseline route.Split
	reason   string
	// verdict has the evidence; it is empty where there was none.
	verdict analysis.Verdict
	// until is how long the content is quarantined, zero where it is not.
	until time.Time
}

// errFailed says that the canary did not pass, and whether the split from before is in effect again.
func errFailed(f failure, rolledBack bool) error {
	happened := fmt.Sprintf("The canary of split %s failed at %d%%, and the old weights were not restored.", f.split, f.weight)
	if rolledBack {
		happened = fmt.Sprintf("The canary of split %s failed at %d%%. The old weights are back: %s.", f.split, f.weight, f.baseline)
	}
	advice := "Correct it and apply again."
	if !f.until.IsZero() {
		advice += fmt.Sprintf(" The same pods get no more requests until %s, unless the analysis or retry_token changes.",
			f.until.Format(time.RFC3339))
	}
	return &explain.Error{Happened: happened, Observed: f.reason + f.verdict.Evidence(), Advice: advice}
}

// errInconclusive says that too little is known of the canary to continue.
func errInconclusive(split string, weight int, reason string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("The analysis of the canary of split %s was inconclusive. The weights stay at %d%%.", split, weight),
		Observed: reason, Advice: "Apply again to repeat the analysis, or set on_inconclusive.",
	}
}

// errQuarantined says that content that failed did not get more requests. Nothing was changed.
func errQuarantined(split string, observed route.Split, q Quarantine) error {
	return &explain.Error{
		Happened: fmt.Sprintf("The canary of split %s is quarantined. Nothing was changed: %s.", split, observed),
		Observed: fmt.Sprintf("The same pods failed at %d%% before: %s", q.Weight, q.Reason),
		Advice: fmt.Sprintf("Release another version as the canary, or change retry_token. The quarantine ends at %s; "+
			"kubectl annotate configmap %s %s=%s ends it now.",
			q.Until.Format(time.RFC3339), record.OfCanary.Object(split), record.AnnotationQuarantine, record.QuarantineCleared),
	}
}

// errStableDown says that the stable track has no ready pods, so that the requests stay where they are.
func errStableDown(split string, observed, baseline route.Split, stable pods.TrackCapacity) error {
	return &explain.Error{
		Happened: fmt.Sprintf("The requests of split %s were not sent back to the stable track.", split),
		Observed: fmt.Sprintf("The stable track has no ready pod%s. To send it more would be worse than what is now: %s.", stable.Because(),
			observed),
		Advice: fmt.Sprintf("Bring the stable track up, then apply with weight %d; or release a better version as the canary.",
			baseline.Weight),
	}
}

// errChangedSincePlan says that others changed the route after the plan was made. Nothing was written. object is for example
// "route primary of VirtualService edge", drift what the plan did not see.
func errChangedSincePlan(split, object string, planned route.Split, seen route.Observed, drift []string) error {
	now := seen.Split.String()
	if !seen.Exists {
		now = "the route does not exist"
	}
	observed := fmt.Sprintf("When it was planned, %s; now %s.", planned, now)
	if len(drift) > 0 {
		observed += fmt.Sprintf(" Since then: %s.", strings.Join(drift, ", "))
	}
	return &explain.Error{
		Happened: fmt.Sprintf("Another user or program changed %s after the plan of split %s was made. Nothing was written.",
			object, split),
		Observed: observed, Advice: "Plan again: the new plan shows what is there now, and its apply continues from that.",
	}
}

// errUnknown says that there is no split to import.
func errUnknown(split, namespace string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("There is no split %s of Slipway in namespace %s.", split, namespace),
		Observed: fmt.Sprintf("ConfigMap %s does not exist, nor a VirtualService or an HTTPRoute of this name.", record.OfCanary.Object(split)),
		Advice: "Where another object has the route that is divided, name both in the import id: …?virtual_service=<name>&route=<name>, " +
			"or …?http_route=<name>&rule=<name>.",
	}
}
