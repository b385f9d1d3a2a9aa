// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// reviewConnections warns of selectors that match nothing, and of Services that have no endpoint already. These are no findings: they
// depend on the live cluster, and planned values do not.
func (c *change) reviewConnections(ctx context.Context, resp *resource.ModifyPlanResponse, target release.Target, next *render.Result) {
	found := release.ReviewConnections(ctx, target, next)
	if len(found.Unmatched) > 0 {
		detail := strings.Join(sorted(found.Unmatched), "\n")
		if found.Unread != "" {
			detail += "\n\nThe cluster may have what they select; it was not asked: " + found.Unread
		}
		resp.Diagnostics.AddWarning(fmt.Sprintf("Release %s in %s has selectors that match nothing", target.Name, c.handle.Name()), detail)
	}
	if len(found.Unserved) > 0 {
		resp.Diagnostics.AddWarning(fmt.Sprintf("Release %s in %s has Services without an endpoint now", target.Name, c.handle.Name()),
			"These ports of Services have no ready endpoint: "+strings.Join(found.Unserved, ", ")+
				".\n\nThe apply does not fail if that stays so. It fails if another Service has no endpoint after the rollout.")
	}
}
