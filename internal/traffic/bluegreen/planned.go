// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// asPlanned refuses a switch that the plan did not show, because others made another color live since. What is live already as wanted, and the
// way back that a run before had begun, overwrite nothing of others.
func (b *blueGreen) asPlanned() error {
	planned, live := b.options.Planned, b.service.color
	if planned == nil || live == *planned || live == b.spec.Active || b.stored.record.Phase == phaseReturning {
		return nil
	}
	return &ChangedError{Service: b.target.Service, Planned: *planned, Live: live, Wanted: b.spec.Active}
}

// ChangedError says that others made another color live after the plan. Nothing was written.
type ChangedError struct{ Service, Planned, Live, Wanted string }

// Explain returns the three parts of the error.
func (e *ChangedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Somebody else switched Service %s after the plan was made. Nothing was written.", e.Service),
		fmt.Sprintf("When it was planned, %s was live; now it is %s.", orWord(e.Planned), orWord(e.Live)),
		fmt.Sprintf("Plan again: the new plan shows that %s is made live instead.", e.Wanted)
}

func (e *ChangedError) Error() string { return explain.Text(e.Explain()) }
