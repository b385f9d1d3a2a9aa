// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

// A route that others remove after the plan, or change in something other than its weight.
func TestCanary_PlannedRefusesWhatThePlanDidNotSee(t *testing.T) {
	interrupted := func(phase phase) *state {
		return &state{Phase: phase, Baseline: &route.Split{}, Passed: 0, Step: 50}
	}
	two := []route.HeaderMatch{{Name: "canary", Value: "true"}, {Name: "canary", Value: "yes"}}
	for name, test := range map[string]struct {
		planned Planned
		seen    route.Observed
		record  *state
		want    string
	}{
		"as planned": {
			Planned{Split: route.Split{Weight: 5}}, route.Observed{Exists: true, Split: route.Split{Weight: 5}}, &state{}, "",
		},
		"another weight": {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 5}}, &state{}, "now 5% of the requests"},
		"another header": {
			Planned{}, route.Observed{Exists: true, Split: route.Split{Headers: two[:1]}}, &state{},
			"and those with canary: true",
		},
		"gone": {Planned{Split: route.Split{Weight: 5}}, route.Observed{}, &state{}, "now the route does not exist"},
		"more than the plan saw": {
			Planned{Drift: []string{"a"}}, route.Observed{Exists: true, Drift: []string{"a", "b"}}, &state{}, "Since then: b.",
		},
		"what the plan saw":        {Planned{Drift: []string{"a", "b"}}, route.Observed{Exists: true, Drift: []string{"b"}}, &state{}, ""},
		"the route in other words": {Planned{Rewritten: true}, route.Observed{Exists: true, Drift: []string{"b"}}, &state{}, ""},
		"moved, in other words":    {Planned{Rewritten: true}, route.Observed{Exists: true, Split: route.Split{Weight: 5}}, &state{}, "now 5%"},
		"as wanted already":        {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 50}}, &state{}, ""},
		"moved by a run cut off":   {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 20}}, interrupted(shifting), ""},
		"beyond the run cut off":   {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 60}}, interrupted(shifting), "now 60%"},
		"during the rollback":      {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 60}}, interrupted(rollingBack), ""},
		"two values of one header": {
			Planned{Split: route.Split{Headers: []route.HeaderMatch{{Name: "canary", Value: "true or yes"}}}},
			route.Observed{Exists: true, Split: route.Split{Headers: two}}, &state{}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.planned.check("app", "a route", test.record, route.Split{Weight: 50}, test.seen)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			traffictest.WantExplained(t, err, "Another user or program changed", test.want)
		})
	}
	if err := (*Planned)(nil).check("app", "a route", nil, route.Split{}, route.Observed{}); err != nil {
		t.Errorf("nothing was planned: %v", err)
	}
}
