// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// guardPlan refuses to create or change what belongs to another workspace than the one that Terraform runs in. It runs in
// the plan and again before each mutation.
func guardPlan(data *Data, handle environment.Handle) diag.Diagnostics {
	return guardPlanAt(path.Root("environment"), data, handle)
}

// guardPlanAt is guardPlan for a resource whose coordinates are at base.
func guardPlanAt(base path.Path, data *Data, handle environment.Handle) (diags diag.Diagnostics) {
	if data == nil || data.WorkspaceUnknown {
		return nil
	}
	if err := environment.GuardWorkspace(data.Workspace, handle); err != nil {
		diags.Append(diagnostic(base, "change", "anything", handle, err))
	}
	return diags
}

// guardDestroy is guardPlan for a removal. handle comes from the state: this holds where the configuration has nothing to
// say, because the resource is gone from it, or because Terraform runs with -refresh=false.
func guardDestroy(data *Data, handle environment.Handle) (diags diag.Diagnostics) {
	if data == nil {
		return nil
	}
	if data.WorkspaceUnknown {
		diags.AddError("Cannot destroy anything in "+handle.Name(),
			"The attribute workspace of the provider is not known yet, so it cannot be compared with the client and stage in the state.\n\n"+
				"Set it to terraform.workspace, which is always known.")
		return diags
	}
	if err := environment.GuardWorkspace(data.Workspace, handle); err != nil {
		// The path of a resource that may be gone from the configuration would point nowhere.
		diags.Append(pathless(diagnostic(path.Empty(), "destroy", "anything", handle, err)))
	}
	return diags
}

// isNotYetKnown reports that a connection's values are still unknown, as in a plan that makes the cluster itself.
func isNotYetKnown(err error) bool {
	_, ok := errors.AsType[*cluster.UnknownConnectionError](err)
	return ok
}
