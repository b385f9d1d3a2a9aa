// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package traffic

import "testing"

// A route that others take away, or change beside its weight, after the plan.
func TestCanary_PlannedRefusesWhatThePlanDidNotSee(t *testing.T) {
	walked := func(phase string) *canaryRecord {
		return &canaryRecord{Phase: phase, Baseline: &Split{}, Passed: 0, Stage: 50}
	}
	two := []HeaderMatch{{Name: "canary", Value: "true"}, {Name: "canary", Value: "yes"}}
	for name, test := range map[string]struct {
		planned CanaryPlanned
		seen    Observed
		record  *canaryRecord
		want    string
	}{
		"as planned":               {CanaryPlanned{Split: Split{Weight: 5}}, Observed{Exists: true, Split: Split{Weight: 5}}, &canaryRecord{}, ""},
		"another weight":           {CanaryPlanned{}, Observed{Exists: true, Split: Split{Weight: 5}}, &canaryRecord{}, "now 5% of the requests"},
		"another header":           {CanaryPlanned{}, Observed{Exists: true, Split: Split{Headers: two[:1]}}, &canaryRecord{}, "and those with canary: true"},
		"gone":                     {CanaryPlanned{Split: Split{Weight: 5}}, Observed{}, &canaryRecord{}, "now the route does not exist"},
		"more than the plan saw":   {CanaryPlanned{Changed: []string{"a"}}, Observed{Exists: true, Changed: []string{"a", "b"}}, &canaryRecord{}, "Since then: b."},
		"what the plan saw":        {CanaryPlanned{Changed: []string{"a", "b"}}, Observed{Exists: true, Changed: []string{"b"}}, &canaryRecord{}, ""},
		"the route in other words": {CanaryPlanned{Rewritten: true}, Observed{Exists: true, Changed: []string{"b"}}, &canaryRecord{}, ""},
		"moved, in other words":    {CanaryPlanned{Rewritten: true}, Observed{Exists: true, Split: Split{Weight: 5}}, &canaryRecord{}, "now 5%"},
		"as wanted already":        {CanaryPlanned{}, Observed{Exists: true, Split: Split{Weight: 50}}, &canaryRecord{}, ""},
		"moved by a run cut off":   {CanaryPlanned{}, Observed{Exists: true, Split: Split{Weight: 20}}, walked(canaryWalking), ""},
		"beyond the run cut off":   {CanaryPlanned{}, Observed{Exists: true, Split: Split{Weight: 60}}, walked(canaryWalking), "now 60%"},
		"on the way back":          {CanaryPlanned{}, Observed{Exists: true, Split: Split{Weight: 60}}, walked(canaryReturning), ""},
		"two values of one header": {CanaryPlanned{Split: Split{Headers: []HeaderMatch{{Name: "canary", Value: "true or yes"}}}}, Observed{Exists: true, Split: Split{Headers: two}}, &canaryRecord{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newWalk(Split{}, CanarySpec{Weight: 50}, both(1))
			w.seen, w.record = test.seen, test.record
			err := test.planned.check(w)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError[*CanaryChangedError](t, err, test.want)
		})
	}
	if err := (*CanaryPlanned)(nil).check(nil); err != nil {
		t.Errorf("nothing was planned: %v", err)
	}
}
