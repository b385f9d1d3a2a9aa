// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package canary

import (
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/route"
	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/traffictest"
)

// A route that others take away, or change beside its weight, after the plan.
func TestCanary_PlannedRefusesWhatThePlanDidNotSee(t *testing.T) {
	walked := func(phase string) *canaryRecord {
		return &canaryRecord{Phase: phase, Baseline: &route.Split{}, Passed: 0, Stage: 50}
	}
	two := []route.HeaderMatch{{Name: "canary", Value: "true"}, {Name: "canary", Value: "yes"}}
	for name, test := range map[string]struct {
		planned Planned
		seen    route.Observed
		record  *canaryRecord
		want    string
	}{
		"as planned":               {Planned{Split: route.Split{Weight: 5}}, route.Observed{Exists: true, Split: route.Split{Weight: 5}}, &canaryRecord{}, ""},
		"another weight":           {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 5}}, &canaryRecord{}, "now 5% of the requests"},
		"another header":           {Planned{}, route.Observed{Exists: true, Split: route.Split{Headers: two[:1]}}, &canaryRecord{}, "and those with canary: true"},
		"gone":                     {Planned{Split: route.Split{Weight: 5}}, route.Observed{}, &canaryRecord{}, "now the route does not exist"},
		"more than the plan saw":   {Planned{Changed: []string{"a"}}, route.Observed{Exists: true, Changed: []string{"a", "b"}}, &canaryRecord{}, "Since then: b."},
		"what the plan saw":        {Planned{Changed: []string{"a", "b"}}, route.Observed{Exists: true, Changed: []string{"b"}}, &canaryRecord{}, ""},
		"the route in other words": {Planned{Rewritten: true}, route.Observed{Exists: true, Changed: []string{"b"}}, &canaryRecord{}, ""},
		"moved, in other words":    {Planned{Rewritten: true}, route.Observed{Exists: true, Split: route.Split{Weight: 5}}, &canaryRecord{}, "now 5%"},
		"as wanted already":        {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 50}}, &canaryRecord{}, ""},
		"moved by a run cut off":   {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 20}}, walked(canaryWalking), ""},
		"beyond the run cut off":   {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 60}}, walked(canaryWalking), "now 60%"},
		"on the way back":          {Planned{}, route.Observed{Exists: true, Split: route.Split{Weight: 60}}, walked(canaryReturning), ""},
		"two values of one header": {Planned{Split: route.Split{Headers: []route.HeaderMatch{{Name: "canary", Value: "true or yes"}}}}, route.Observed{Exists: true, Split: route.Split{Headers: two}}, &canaryRecord{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newWalk(route.Split{}, Spec{Weight: 50}, both(1))
			w.seen, w.record = test.seen, test.record
			err := test.planned.check(w)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			traffictest.WantError[*ChangedError](t, err, test.want)
		})
	}
	if err := (*Planned)(nil).check(nil); err != nil {
		t.Errorf("nothing was planned: %v", err)
	}
}
