// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import "fmt"

// asPlanned refuses a switch that the plan did not show, because others made another color live since. What is live already as wanted, and the
// way back that a run before had begun, overwrite nothing of others.
func (b *blueGreen) asPlanned() error {
	planned, live := b.options.Planned, b.service.color
	if planned == nil || live == *planned || live == b.spec.Active || b.stored.record.Phase == phaseReturning {
		return nil
	}
	return &BlueGreenChangedError{Service: b.target.Service, Planned: *planned, Live: live, Wanted: b.spec.Active}
}

// BlueGreenChangedError says that others made another color live after the plan. Nothing was written.
type BlueGreenChangedError struct{ Service, Planned, Live, Wanted string }

// Explain says it in three paragraphs.
func (e *BlueGreenChangedError) Explain() (happened, observed, advice string) {
	return fmt.Sprintf("Somebody else switched Service %s after the plan was made. Nothing was written.", e.Service),
		fmt.Sprintf("When it was planned, %s was live; now it is %s.", orWord(e.Planned), orWord(e.Live)),
		fmt.Sprintf("Plan again: the new plan shows that %s is made live instead.", e.Wanted)
}

func (e *BlueGreenChangedError) Error() string { return oneLine(e.Explain()) }
