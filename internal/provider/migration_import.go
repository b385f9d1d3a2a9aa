// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/job"
)

var _ resource.ResourceWithImportState = (*MigrationResource)(nil)

// ImportState imports "<context>/<namespace>/<name>", parsed from the right, because a context may contain slashes. What was
// applied comes from the record in the namespace. Where there is none, as next to a table that only goose has kept, the next
// apply asks the database and writes one. Directory, kind and everything else that only the configuration knows stay null, so
// that the next plan shows them as an update.
func (r *MigrationResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	rest, name, ok := cutLast(req.ID)
	contextName, namespace, ok2 := cutLast(rest)
	if !ok || !ok2 || contextName == "" || namespace == "" || !migrationNamePattern.MatchString(name) {
		resp.Diagnostics.AddError("Cannot import migration "+req.ID,
			fmt.Sprintf("The import id %q is not of the form <context>/<namespace>/<migration>, for example "+
				"client-a-prod/data-collection-client-a/expand.", req.ID))
		return
	}
	coordinate := cluster.Coordinate{Context: contextName}
	handle := environment.Handle{Cluster: coordinate, Namespace: namespace}
	live, err := r.data.Connections.Cluster(ctx, coordinate)
	if err == nil {
		handle, err = environment.FromNamespace(ctx, live, coordinate, namespace)
	}
	if err == nil {
		resp.Diagnostics.Append(guardPlan(r.data, handle)...)
		if resp.Diagnostics.HasError() {
			return
		}
	}
	var uid string
	var seen *job.State
	if err == nil {
		uid, err = live.UID(ctx)
	}
	if err == nil {
		seen, err = job.Observe(ctx, job.Target{Cluster: live, Handle: handle, Name: name})
	}
	if err != nil {
		resp.Diagnostics.Append(pathless(errorDiagnostic("import", "migration "+name, handle, err)))
		return
	}
	id := seen.InstanceID
	if id == "" {
		id = uuid.NewString()
		resp.Diagnostics.AddWarning("Migration "+name+" in "+handle.Name()+" has no record yet",
			fmt.Sprintf("Namespace %s does not say what was applied, and an import asks no database.\n\n"+
				"The next apply asks it, takes over what a table of goose says, and runs only what is missing there. Set baseline to the "+
				"number of the last file that is applied, so that the plan does not lint the files before it.", namespace))
	}
	for at, value := range map[string]attr.Value{
		"id": types.StringValue(id), "environment": handleValue(handle), "name": types.StringValue(name), "cluster_uid": types.StringValue(uid),
		"image": types.StringValue(defaultMigrationImage), "baseline": types.Int64Value(0), "on_blocked": types.StringValue(blockedDefers),
	} {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(at), value)...)
	}
}

// replacedUnlessImported replaces the resource when the attribute changes, but for an import, after which it is not known.
func replacedUnlessImported() planmodifier.String {
	const description = "Changing it replaces the resource."
	return stringplanmodifier.RequiresReplaceIf(func(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
		resp.RequiresReplace = !req.StateValue.IsNull()
	}, description, description)
}
