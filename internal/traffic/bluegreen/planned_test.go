// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

// Others switch between the plan and its apply.
func TestBlueGreen_DoesNotOverwriteWhatThePlanDidNotSee(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		planned *string
		live    string
		wanted  string
		record  blueGreenRecord
		refused bool
	}{
		"as planned":                        {new(Blue), Blue, Green, blueGreenRecord{}, false},
		"nothing was planned":               {nil, Blue, Green, blueGreenRecord{}, false},
		"as wanted already":                 {new(Blue), Green, Green, blueGreenRecord{}, false},
		"a switch that nobody planned":      {new(Blue), Green, Blue, blueGreenRecord{Phase: phaseSteady}, true},
		"no color any more":                 {new(Blue), "", Green, blueGreenRecord{}, true},
		"a value that is no color's":        {new(Blue), "purple", Green, blueGreenRecord{}, true},
		"it was no color's when planned":    {new("purple"), "purple", Green, blueGreenRecord{}, false},
		"the way back of a run before":      {new(Blue), Green, Blue, blueGreenRecord{Phase: phaseReturning, Target: Green}, false},
		"a switch of a run that nobody saw": {new(Blue), Green, Blue, blueGreenRecord{Phase: phaseVerifying, Target: Green}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := &blueGreen{
				target: Target{Service: "app"}, spec: Spec{Active: test.wanted}, options: Options{Planned: test.planned},
				service: &liveService{color: test.live, has: test.live != ""}, stored: storedRecord{record: test.record},
			}
			err := b.asPlanned()
			if !test.refused {
				if err != nil {
					t.Error(err)
				}
				return
			}
			traffictest.WantError[*ChangedError](t, err, "blue was live; now it is "+orWord(test.live), "Plan again")
		})
	}
}
