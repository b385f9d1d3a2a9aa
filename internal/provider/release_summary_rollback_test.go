// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// Deploying an earlier version with another configuration is more than bringing back what is known to work: it can fail, and reviewers
// have to see what happens then.
func TestSummary_ShowsWhetherARollbackRestoresTheSameConfiguration(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		digest string
		want   []string
	}{
		"the same": {"old", []string{"rollback to known-good v1.1.1 (revision 1)"}},
		"another configuration": {
			"new",
			[]string{"rollback to known-good v1.1.1 (revision 1), with another configuration", "a failure is rolled back to v1.2.0 (revision 2)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := releaseModel{
				Status:       types.StringValue(statusDeployed),
				KnownGood:    types.StringValue("v1.2.0 (revision 2)"),
				Verification: types.StringValue("verified"),
			}
			c := change{state: &state, plan: releaseModel{Version: types.StringValue("v1.1.1")}}
			c.verification.Rollback = &verify.RollbackPolicy{}
			c.facts.Revision = 2
			c.facts.KnownGood = []goodRevision{{Revision: 2, Version: "v1.2.0", Digest: "now"}, {Revision: 1, Version: "v1.1.1", Digest: "old"}}
			next := &render.Result{Digest: tc.digest}
			if got := append(c.history(next), c.onFailure(next)...); !slices.Equal(got, tc.want) {
				t.Errorf("the plan says %q, want %q", got, tc.want)
			}
		})
	}
}
