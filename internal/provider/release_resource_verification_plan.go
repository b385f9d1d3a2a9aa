// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// checkVerification refuses a verification that does not fit what is rendered.
func (c change) checkVerification(resp *resource.ModifyPlanResponse, next *render.Result) bool {
	if !c.verification.known {
		return true
	}
	if next.VolatileSet == "" {
		resp.Diagnostics.Append(verificationDiagnostics(c.verification.ValidateHooks(next.Raw.Hooks))...)
	}
	watched := c.verification.Analysis
	if watched == nil {
		return !resp.Diagnostics.HasError()
	}
	resp.Diagnostics.Append(verificationDiagnostics(watched.ValidateObjects(next.Objects))...)
	if watched.UsesVersion() && c.plan.Version.IsNull() {
		resp.Diagnostics.AddAttributeError(path.Root("version"), "A query needs the version",
			"A metric's query has the placeholder {{ version }}, and version is not set.\n\nSet version, or take the placeholder out of the query.")
	}
	return !resp.Diagnostics.HasError()
}

// askAhead asks before anything is changed what would be noticed only when the new version is live: a query that can give no sample,
// and a rollback that would be refused.
func (c change) askAhead(ctx context.Context, resp *resource.ModifyPlanResponse, target release.Target, next *render.Result) {
	if !c.verification.known {
		return
	}
	resp.Diagnostics.Append(preflightQueries(ctx, c.verification.Analysis, target, c.plan.Version.ValueString(), "release "+target.Name)...)
	_, back := c.facts.back(c.plan.Version.ValueString(), next.Digest)
	if c.state == nil || c.verification.Rollback == nil && !back {
		return
	}
	seen, err := release.Observe(ctx, target)
	if err == nil && back {
		err = release.RefuseBack(ctx, target, seen, c.plan.Version.ValueString(), next.Digest)
		if _, refused := errors.AsType[*release.RollbackError](err); refused {
			resp.Diagnostics.Append(errorDiagnostic("plan", "the rollback of release "+target.Name, c.handle, err))
			return
		}
	}
	var readiness release.Readiness
	if err == nil && c.verification.Rollback != nil {
		readiness, err = release.RollbackReady(ctx, target, seen)
	}
	switch {
	case err != nil:
		resp.Diagnostics.AddWarning("Whether release "+target.Name+" could be rolled back was not seen", detailOf(err))
	case c.verification.Rollback == nil:
	case !readiness.Ready:
		resp.Diagnostics.AddWarning("Release "+target.Name+" could not be rolled back automatically",
			readiness.Why+"\n\nA version that fails would stay live. Where that is not acceptable, deploy a version first that a "+
				"rollback can go back to.")
	}
}
