// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"fmt"
	"strings"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/pods"
)

// abortedError says that the record has the abort annotation.
type abortedError struct{ reason string }

func (e *abortedError) Error() string { return "aborted by hand: " + e.reason }

// verdict is that of an analysis that a user aborted.
func (e *abortedError) verdict() analysis.Verdict {
	return analysis.Verdict{Outcome: analysis.Failed, Action: analysis.Rollback, Reason: "The apply was aborted by hand: " + e.reason}
}

// errNoCommonLabels says that a Service's selector has no label but the color, or no selector at all.
func errNoCommonLabels(service, label string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Service %s does not say which pods both colors have in common.", service),
		Observed: fmt.Sprintf("Its selector has no label other than %s, so that it would choose pods of other applications with the same color.",
			label),
		Advice: "Give the Service a selector that all pods of the application have, for example slipway.dev/app.",
	}
}

// errSelectsOneColor says that the Service has the pods of one color only, so that no route can reach the other through it.
func errSelectsOneColor(service, label, color string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Service %s cannot have its route switched.", service),
		Observed: fmt.Sprintf("Its selector has %s for %s, so that it never has the pods of the other color.", label, color),
		Advice: fmt.Sprintf("Take %s out of the selector once the route leads to %s: "+
			"kubectl patch service %s --type merge -p '{\"spec\":{\"selector\":{%q:null}}}'.", label, color, service, label),
	}
}

// errSwitchedSincePlan says that others made another color live after the plan. Nothing was written.
func errSwitchedSincePlan(service, planned, live, wanted string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Another user or program switched Service %s after the plan was made. Nothing was written.", service),
		Observed: fmt.Sprintf("When it was planned, %s was live; now it is %s.", orNone(planned), orNone(live)),
		Advice:   fmt.Sprintf("Plan again: the new plan shows that %s is made live instead.", wanted),
	}
}

// errNotReady says that something that was waited for did not come about in time: "Service app-preview has 2 ready pods of green
// and no others". seen is what was seen last, in sentences.
func errNotReady(what, seen, service, live string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("The time was over before %s.", what), Observed: strings.TrimSpace(seen),
		Advice: fmt.Sprintf("Service %s has %s in its selector. See why the pods are not ready, or raise the timeout; then apply again.", service,
			live),
	}
}

// errNoPods says that nothing has the labels of a color. there are the sets of labels of the Service's pods.
func errNoPods(color, service string, wanted map[string]string, there []string) error {
	observed := "The Service's selector matches no pod."
	if len(there) > 0 {
		observed = "Pods that the Service's selector matches have: " + strings.Join(there, "; ") + "."
	}
	return &explain.Error{
		Happened: fmt.Sprintf("Service %s was not switched: no pod and no Deployment of %s has the labels %s.", service, color,
			pods.LabelText(wanted)),
		Observed: observed,
		Advice: fmt.Sprintf("Set label, and the values of the colors, to what the pods of %s have; or deploy %s before the switch, "+
			"for example with depends_on.", color, color),
	}
}

// failure is a color that did not pass.
type failure struct {
	color, service string
	// after says that the color was live already. live is the color that is now.
	after  bool
	live   string
	reason string
	// verdict has the evidence; it is empty where there was none.
	verdict analysis.Verdict
	// until is how long the content is quarantined, zero where it is not.
	until time.Time
}

// errFailed says that a color did not pass, and whether the other one is live again.
func errFailed(f failure, rolledBack bool) error {
	var happened string
	switch {
	case rolledBack:
		happened = fmt.Sprintf("%s failed after the switch. Service %s was switched back: %s is live.", explain.Capitalize(f.color), f.service,
			orNone(f.live))
	case f.after:
		happened = fmt.Sprintf("%s failed after the switch, and Service %s was not switched back.", explain.Capitalize(f.color), f.service)
	default:
		happened = fmt.Sprintf("%s failed before the switch. Service %s was not switched: %s is live.",
			explain.Capitalize(f.color), f.service, orNone(f.live))
	}
	advice := "Correct it and apply again."
	if !f.until.IsZero() {
		advice += fmt.Sprintf(" The same pods are not switched to until %s, unless the analysis or retry_token changes.",
			f.until.Format(time.RFC3339))
	}
	return &explain.Error{Happened: happened, Observed: f.reason + f.verdict.Evidence(), Advice: advice}
}

// errInconclusive says that too little is known of a color to switch, or to keep it without doubt.
func errInconclusive(color, service, live string, after bool, reason string) error {
	when := "before the switch"
	if after {
		when = "after the switch"
	}
	return &explain.Error{
		Happened: fmt.Sprintf("The analysis of %s %s was inconclusive. Service %s stays as it is: %s is live.", color, when, service,
			orNone(live)),
		Observed: reason, Advice: "Apply again to repeat the analysis, or set on_inconclusive.",
	}
}

// errQuarantined says that content that failed was not switched to again. Nothing was changed in the live Service.
func errQuarantined(color, service, live string, q Quarantine) error {
	return &explain.Error{
		Happened: fmt.Sprintf("%s is quarantined. Service %s was not switched: %s is live.", explain.Capitalize(color), service, orNone(live)),
		Observed: fmt.Sprintf("The same pods failed before: %s", q.Reason),
		Advice: fmt.Sprintf("Release another version to %s, or change retry_token. The quarantine ends at %s; "+
			"kubectl annotate configmap %s %s=%s ends it now.",
			color, q.Until.Format(time.RFC3339), record.OfBlueGreen.Object(service), record.AnnotationQuarantine, record.QuarantineCleared),
	}
}

// errPreviousDown says that what was live before the switch has no ready pods, so that the requests stay where they are.
func errPreviousDown(service, color, previous string) error {
	return &explain.Error{
		Happened: fmt.Sprintf("Service %s was not switched back to %s.", service, previous),
		Observed: fmt.Sprintf("%s has no ready pod: to switch back would be worse than to stay with %s.", explain.Capitalize(previous), color),
		Advice:   fmt.Sprintf("Bring %s up, then set active to it; or release a better version to %s.", previous, color),
	}
}

func orNone(color string) string {
	if color == "" {
		return "no color"
	}
	return color
}
