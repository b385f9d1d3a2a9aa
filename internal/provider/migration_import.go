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

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/job"
)

var _ resource.ResourceWithImportState = (*MigrationResource)(nil)

// ImportState imports "<context>/<namespace>/<name>", parsed from the right, because a context may contain slashes. What was
// applied comes from the record in the namespace. Where there is none, as next to a table that only goose has kept, the next
// apply asks the database and writes one. Directory, kind and everything else that only the configuration knows stay null, so
// that the next plan shows them as an update.
func (r *MigrationResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	s, diags := importForm{noun: "migration", last: "migration", example: "expand", valid: migrationNamePattern.MatchString}.parse(req.ID)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	p, uid, diags := openToImport(ctx, r.data, s)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	seen, err := job.Observe(ctx, migrationIn(p))
	if err != nil {
		resp.Diagnostics.Append(pathless(p.subject.failed("import", err)))
		return
	}
	name, handle := s.name, p.subject.handle
	id := seen.InstanceID
	if id == "" {
		id = uuid.NewString()
		resp.Diagnostics.AddWarning("Migration "+name+" in "+handle.Name()+" has no record yet",
			fmt.Sprintf("Namespace %s does not say what was applied, and an import asks no database.\n\n"+
				"The next apply asks it, takes over what a table of goose says, and runs only what is missing there. Set baseline to the "+
				"number of the last file that is applied, so that the plan does not lint the files before it.", handle.Namespace))
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
	known := func(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
		resp.RequiresReplace = !req.StateValue.IsNull()
	}
	return stringplanmodifier.RequiresReplaceIf(known, description, description)
}
