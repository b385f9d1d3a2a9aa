// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// Planned is what a plan saw of a route: the apply overwrites it, and nothing that others wrote after the plan.
type Planned struct {
	Split route.Split
	// Changed is route.Observed.Changed as it was.
	Changed []string
	// Rewritten says that the configuration gives the route in other words than the plan saw it by, as after an import: what counts as changed in
	// it is then another matter, and is not compared.
	Rewritten bool
}

// check refuses a route in which others changed what is ours after the plan. It is no change that the split is already as wanted, or that a run
// of ours that was cut off moved it; nil checks nothing. Errors: *ChangedError.
func (p *Planned) check(w *walk) error {
	if p == nil || w.record.Phase == canaryReturning || w.record.resumes(w.seen.Split) {
		return nil
	}
	var more []string
	for _, change := range w.seen.Changed {
		if !p.Rewritten && !slices.Contains(p.Changed, change) {
			more = append(more, change)
		}
	}
	wanted := route.Split{Weight: w.spec.Weight, Headers: w.spec.Headers}
	if len(more) == 0 && (w.seen.Split.SameAsText(p.Split) || w.seen.Split.SameAsText(wanted)) {
		return nil
	}
	return &ChangedError{Split: w.name, Route: w.router.Object(), Planned: p.Split, Observed: w.seen.Split, Gone: !w.seen.Exists, Changed: more}
}

// ChangedError says that others changed the route after the plan was made. Nothing was written.
type ChangedError struct {
	// Route is for example "route primary of VirtualService edge".
	Split, Route      string
	Planned, Observed route.Split
	// Gone says that the route does not exist any more.
	Gone bool
	// Changed is what is not as the plan saw it, beside the split.
	Changed []string
}

// Explain returns the three parts of the error.
func (e *ChangedError) Explain() (happened, observed, advice string) {
	now := e.Observed.String()
	if e.Gone {
		now = "the route does not exist"
	}
	observed = fmt.Sprintf("When it was planned, %s; now %s.", e.Planned.String(), now)
	if len(e.Changed) > 0 {
		observed += fmt.Sprintf(" Since then: %s.", strings.Join(e.Changed, ", "))
	}
	return fmt.Sprintf("%s was changed by somebody else after the plan of split %s was made. Nothing was written.", explain.Capitalize(e.Route), e.Split), observed,
		"Plan again: the new plan shows what is there now, and its apply goes on from that."
}

func (e *ChangedError) Error() string { return explain.Text(e.Explain()) }
