// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
)

// Each state, and the one action that follows.
func TestDecide(t *testing.T) {
	t.Parallel()
	at := func(weight int) route.Split { return route.Split{Weight: weight} }
	up := state{Phase: shifting, Baseline: &route.Split{}, Passed: 10, Step: 50}
	passed := func(weight int) state {
		s := up
		s.Passed = weight
		return s
	}
	down := state{Phase: shifting, Baseline: &route.Split{Weight: 80}, Passed: 0, Step: 0}
	for name, test := range map[string]struct {
		situation situation
		want      action
	}{
		"no record":                          {situation{wanted: at(50), reached: nothing}, begin},
		"at rest":                            {situation{recorded: state{Phase: steady}, split: at(10), wanted: at(50), reached: nothing}, begin},
		"at rest, as wanted":                 {situation{recorded: state{Phase: steady}, split: at(50), wanted: at(50), reached: nothing}, begin},
		"steps interrupted":                  {situation{recorded: up, split: at(30), wanted: at(100), reached: nothing}, resume},
		"steps interrupted, moved by others": {situation{recorded: up, split: at(70), wanted: at(100), reached: nothing}, begin},
		"rollback interrupted": {
			situation{recorded: state{Phase: rollingBack, Baseline: &route.Split{}}, split: at(30), wanted: at(100), reached: nothing},
			finishRollback,
		},
		"rollback interrupted at its end": {
			situation{recorded: state{Phase: rollingBack, Baseline: &route.Split{}}, wanted: at(100), reached: nothing}, begin,
		},
		"begun":                         {situation{recorded: up, split: at(10), wanted: at(100), reached: between}, shift},
		"at the step":                   {situation{recorded: up, split: at(50), wanted: at(100), reached: shifted}, verify},
		"the step has passed":           {situation{recorded: passed(50), split: at(50), wanted: at(100), reached: verified}, shift},
		"the last step has passed":      {situation{recorded: passed(100), split: at(100), wanted: at(100), reached: verified}, finish},
		"requests taken away":           {situation{recorded: down, wanted: at(0), reached: verified}, finish},
		"requests taken away, recorded": {situation{recorded: state{Phase: steady}, wanted: at(0), reached: complete}, done},
		"complete":                      {situation{recorded: state{Phase: steady}, split: at(100), wanted: at(100), reached: complete}, done},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := decide(test.situation); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Of two steps, the next one is the first that was not passed.
func TestSituation_Step(t *testing.T) {
	t.Parallel()
	steps := []Step{{Weight: 10}, {Weight: 50}}
	for passed, want := range map[int]int{0: 10, 10: 50, 30: 50, 50: 100, 100: 100} {
		s := situation{recorded: state{Passed: passed}, wanted: route.Split{Weight: 100}, steps: steps}
		if got := s.step().Weight; got != want {
			t.Errorf("after %d%%: got %d%%, want %d%%", passed, got, want)
		}
	}
}
