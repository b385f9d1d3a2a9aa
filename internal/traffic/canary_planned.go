// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import (
	"fmt"
	"maps"
	"slices"
)

// CanaryPlanned is what a plan saw of a route: the apply overwrites it, and nothing that others wrote after the plan.
type CanaryPlanned struct {
	Split Split
	// Changed is Observed.Changed as it was.
	Changed []string
	// Rewritten says that the configuration gives the route in other words than the plan saw it by, as after an import: what counts as changed in
	// it is then another matter, and is not compared.
	Rewritten bool
}

// check refuses a route in which others changed what is ours after the plan. It is no change that the split is already as wanted, or that a run
// of ours that was cut off moved it; nil checks nothing. Errors: *CanaryChangedError.
func (p *CanaryPlanned) check(w *walk) error {
	if p == nil || w.record.Phase == canaryReturning || w.record.resumes(w.seen.Split) {
		return nil
	}
	var more []string
	for _, change := range w.seen.Changed {
		if !p.Rewritten && !slices.Contains(p.Changed, change) {
			more = append(more, change)
		}
	}
	wanted := Split{Weight: w.spec.Weight, Headers: w.spec.Headers}
	if len(more) == 0 && (w.seen.Split.reads(p.Split) || w.seen.Split.reads(wanted)) {
		return nil
	}
	return &CanaryChangedError{Split: w.name, Route: w.router.Object(), Planned: p.Split, Observed: w.seen.Split, Gone: !w.seen.Exists, Changed: more}
}

// reads reports that both are the same where a header has one text, as in a state: several values of it stand there as one.
func (s Split) reads(other Split) bool {
	return s.Weight == other.Weight && maps.Equal(s.valuesOfHeaders(), other.valuesOfHeaders())
}

// valuesOfHeaders are the headers by name, several values of one joined with "or".
func (s Split) valuesOfHeaders() map[string]string {
	out := map[string]string{}
	for _, h := range sortedHeaders(s.Headers) {
		if before, ok := out[h.Name]; ok {
			out[h.Name] = before + " or " + h.Value
		} else {
			out[h.Name] = h.Value
		}
	}
	return out
}

// CanaryChangedError says that others changed the route after the plan was made. Nothing was written.
type CanaryChangedError struct {
	// Route is for example "route primary of VirtualService edge".
	Split, Route      string
	Planned, Observed Split
	// Gone says that the route does not exist any more.
	Gone bool
	// Changed is what is not as the plan saw it, beside the split.
	Changed []string
}

// Explain says it in three paragraphs.
func (e *CanaryChangedError) Explain() (happened, observed, advice string) {
	now := e.Observed.words()
	if e.Gone {
		now = "the route does not exist"
	}
	observed = fmt.Sprintf("When it was planned, %s; now %s.", e.Planned.words(), now)
	if len(e.Changed) > 0 {
		observed += fmt.Sprintf(" Since then: %s.", join(e.Changed))
	}
	return fmt.Sprintf("%s was changed by somebody else after the plan of split %s was made. Nothing was written.", upper(e.Route), e.Split), observed,
		"Plan again: the new plan shows what is there now, and its apply goes on from that."
}

func (e *CanaryChangedError) Error() string { return oneLine(e.Explain()) }
