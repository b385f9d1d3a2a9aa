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
		record  state
		refused bool
	}{
		"as planned":                        {new(Blue), Blue, Green, state{}, false},
		"nothing was planned":               {nil, Blue, Green, state{}, false},
		"as wanted already":                 {new(Blue), Green, Green, state{}, false},
		"a switch that nobody planned":      {new(Blue), Green, Blue, state{Phase: steady}, true},
		"no color any more":                 {new(Blue), "", Green, state{}, true},
		"a value that is no color's":        {new(Blue), "purple", Green, state{}, true},
		"it was no color's when planned":    {new("purple"), "purple", Green, state{}, false},
		"the rollback of a run before":      {new(Blue), Green, Blue, state{Phase: rollingBack, Target: Green}, false},
		"a switch of a run that nobody saw": {new(Blue), Green, Blue, state{Phase: verifying, Target: Green}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &session{
				target: Target{Service: "app"}, spec: Spec{Active: test.wanted}, options: Options{Planned: test.planned},
				service: &liveService{color: test.live, has: test.live != ""}, state: &test.record,
			}
			err := s.asPlanned()
			if !test.refused {
				if err != nil {
					t.Error(err)
				}
				return
			}
			traffictest.WantExplained(t, err, "Another user or program switched Service app", "blue was live; now it is "+orNone(test.live),
				"Plan again")
		})
	}
}
