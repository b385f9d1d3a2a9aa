// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// The plan lists what the apply does, and nothing where the apply has nothing to do.
func TestBlueGreen_PlannedSteps(t *testing.T) {
	t.Parallel()
	model := func(active string, change func(*blueGreenModel)) *blueGreenModel {
		m := &blueGreenModel{
			Service: types.StringValue("app"), PreviewService: types.StringValue("app-preview"), Active: types.StringValue(active),
			PlannedSteps: types.ListNull(types.StringType),
		}
		if change != nil {
			change(m)
		}
		return m
	}
	keep := func(m *blueGreenModel) { m.KeepPrevious = types.StringValue("24h") }
	for name, tc := range map[string]struct {
		plan, state *blueGreenModel
		before      bool
		want        []string
	}{
		"a new switch": {plan: model("blue", nil), want: []string{
			"wait until the pods of blue are ready", "switch Service app to blue, unless it is live already", "analyze blue on Service app for 2m",
		}},
		"another color": {plan: model("green", keep), state: model("blue", keep), before: true, want: []string{
			"wait until the pods of green are ready",
			"analyze green on Service app-preview for 1m, unless the same pods were live before without failing",
			"switch Service app: blue → green", "analyze green on Service app for 2m",
			"keep blue scaled for 24h; the first apply after that scales it to zero",
		}},
		"a color that failed": {
			plan:  model("green", nil),
			state: model("blue", func(m *blueGreenModel) { m.Quarantined = types.StringValue("green failed") }),
			want: []string{
				"blocked unless the pods, the analysis or retry_token change: green failed", "wait until the pods of green are ready",
				"switch Service app: blue → green", "analyze green on Service app for 2m",
			},
		},
		"nothing to do": {plan: model("blue", nil), state: model("blue", nil)},
		"an interrupted run": {
			plan: model("blue", nil), state: model("blue", func(m *blueGreenModel) { m.Verification = types.StringValue("the analysis of blue") }),
			want: []string{"first what an interrupted run has left: the analysis of blue"},
		},
		"the time of the other color is over": {
			plan: model("blue", keep), state: model("blue", func(m *blueGreenModel) { keep(m); m.ScaleDown = types.StringValue("green") }),
			want: []string{"scale green to zero: keep_previous is over"},
		},
		"keep_previous is new": {
			plan: model("blue", keep), state: model("blue", nil),
			want: []string{"scale green to zero if the switch away from it was more than 24h ago"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			analyses := blueGreenAnalyses{known: true, after: &verify.Analysis{Policy: analysis.Policy{Duration: 2 * time.Minute}}}
			if tc.before {
				analyses.before = &verify.Analysis{Policy: analysis.Policy{Duration: time.Minute}}
			}
			tc.plan.describe(tc.state, analyses)
			var got []string
			for _, v := range tc.plan.PlannedSteps.Elements() {
				got = append(got, v.(types.String).ValueString()) //nolint:forcetypeassert // a list of strings
			}
			if !slices.Equal(got, tc.want) || tc.plan.PlannedSteps.IsNull() != (len(tc.want) == 0) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	for name, m := range map[string]*blueGreenModel{
		"active":       model("", func(m *blueGreenModel) { m.Active = types.StringUnknown() }),
		"the analysis": model("blue", nil),
	} {
		m.describe(nil, blueGreenAnalyses{known: name == "active"})
		if !m.PlannedSteps.IsUnknown() {
			t.Errorf("while %s is not known, the steps are %s", name, attr.Value(m.PlannedSteps))
		}
	}
}
