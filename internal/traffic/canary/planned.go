// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"slices"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// Planned is what a plan saw of a route: the apply overwrites it, and nothing that others wrote after the plan.
type Planned struct {
	Split route.Split
	// Drift is route.Observed.Drift as it was.
	Drift []string
	// Rewritten says that the configuration describes the route in other words than the plan saw it by, as after an import: its drift then
	// means something else, and is not compared.
	Rewritten bool
}

// check refuses a route in which others changed what is ours after the plan. It is no change that the split is already as wanted,
// or that an interrupted apply of ours moved it; nil checks nothing.
func (p *Planned) check(split, object string, recorded *state, wanted route.Split, seen route.Observed) error {
	if p == nil || recorded.Phase == rollingBack || recorded.resumes(seen.Split) {
		return nil
	}
	var more []string
	for _, drift := range seen.Drift {
		if !p.Rewritten && !slices.Contains(p.Drift, drift) {
			more = append(more, drift)
		}
	}
	if len(more) == 0 && (seen.Split.SameAsText(p.Split) || seen.Split.SameAsText(wanted)) {
		return nil
	}
	return errChangedSincePlan(split, object, p.Split, seen, more)
}
