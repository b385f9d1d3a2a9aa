// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/job"
)

var _ resource.ResourceWithValidateConfig = (*MigrationResource)(nil)

// ValidateConfig refuses arguments that do not go together: SQL files and a tool are two ways of migrating.
func (r *MigrationResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var config migrationModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	given := func(value attr.Value) bool { return !value.IsNull() && !value.IsUnknown() }
	if given(config.Directory) && given(config.Commands) {
		resp.Diagnostics.AddAttributeError(path.Root("commands"), "Either SQL files or a tool",
			"directory and commands are two ways of migrating.\n\nGive one of them; for both, make two migrations.")
		return
	}
	if config.Directory.IsNull() && config.Commands.IsNull() {
		resp.Diagnostics.AddAttributeError(path.Root("directory"), "Nothing to migrate with",
			"Neither directory nor commands is given.\n\nGive a directory with SQL files, or the commands of a tool of your own.")
		return
	}
	if !config.DatabaseURL.IsNull() && given(config.CredentialsSecret) {
		resp.Diagnostics.AddAttributeError(path.Root("database_url_wo"), "The database's URL is given twice",
			"database_url_wo and credentials_secret both say where the database is.\n\nGive one of them.")
	}
	if config.Commands.IsNull() {
		if config.DatabaseURL.IsNull() && config.CredentialsSecret.IsNull() && !config.Directory.IsUnknown() {
			resp.Diagnostics.AddAttributeError(path.Root("database_url_wo"), "The database's URL is missing",
				"Neither database_url_wo nor credentials_secret is given, so that it is not known where the database is.\n\nGive one of them.")
		}
		return
	}
	if !given(config.Commands) {
		return
	}
	resp.Diagnostics.Append(config.validateCommands(ctx)...)
}

// validateCommands refuses what a tool cannot use.
func (m migrationModel) validateCommands(ctx context.Context) (diags diag.Diagnostics) {
	forFiles := func(name, why string) {
		diags.AddAttributeError(path.Root(name), name+" is for SQL files", why+"\n\nRemove it, or give directory in place of commands.")
	}
	const linted = "It is for the linter of SQL files, which cannot see what a tool does."
	for _, argument := range []struct {
		name, why string
		value     attr.Value
	}{
		{"postgres_version", linted, m.PostgresVersion},
		{"small_tables", linted, m.SmallTables},
		{"acknowledge", linted, m.Acknowledge},
		{"check", "A tool has a phase of that name: commands.check, a command that fails where something does not hold.", m.Check},
		{"validate", "A tool has a phase of that name: commands.validate, a command that fails where something does not hold.", m.Validate},
		{"lock_timeout", "It is for the runner of SQL files. Give it to the tool, with its own options.", m.LockTimeout},
		{"statement_timeout", "It is for the runner of SQL files. Give it to the tool, with its own options.", m.StatementTimeout},
		{"baseline", "It is for the runner of SQL files. A tool says with commands.status that nothing is left to run.", m.Baseline},
	} {
		if !argument.value.IsNull() {
			forFiles(argument.name, argument.why)
		}
	}
	if m.Runner.ValueString() == runnerDirect {
		forFiles("runner", "A tool is run from its image, which the provider's process cannot do: commands run in Jobs.")
	}
	if m.Image.IsNull() {
		diags.AddAttributeError(path.Root("image"), "The image of the tool is missing",
			"commands are those of a tool of your own, and it is not said which image holds it.\n\n"+
				"Give image, best with its digest, or with the tag of a version that is never moved.")
	}
	var c migrationCommandsModel
	diags.Append(m.Commands.As(ctx, &c, basetypes.ObjectAsOptions{})...)
	if diags.HasError() {
		return diags
	}
	at := path.Root("commands")
	if c.AllowRollback.ValueBool() && c.Rollback.IsNull() {
		diags.AddAttributeError(at.AtName("allow_rollback"), "There is no rollback to allow",
			"allow_rollback is true, and there is no command for it.\n\nGive rollback, or remove allow_rollback.")
	}
	url := job.DefaultURLVariable
	if !c.URLVariable.IsNull() {
		url = c.URLVariable.ValueString()
		if m.DatabaseURL.IsNull() && m.CredentialsSecret.IsNull() {
			diags.AddAttributeError(at.AtName("url_variable"), "There is no URL for the variable",
				"Neither database_url_wo nor credentials_secret is given.\n\nGive one of them, or remove url_variable.")
		}
	}
	if m.DatabaseURL.IsNull() && m.CredentialsSecret.IsNull() {
		url = ""
	}
	taken := func(name string) string {
		switch {
		case strings.HasPrefix(name, "SLIPWAY_"):
			return "Names that begin with SLIPWAY_ are Slipway's own"
		case name == url:
			return "The variable holds the database's URL"
		}
		return ""
	}
	for _, field := range []struct {
		name   string
		values types.Map
	}{{"env", c.Env}, {"secret_env", c.SecretEnv}} {
		for name := range field.values.Elements() {
			why := taken(name)
			if _, twice := c.Env.Elements()[name]; why == "" && twice && field.name == "secret_env" {
				why = "It is in env, too"
			}
			if why != "" {
				diags.AddAttributeError(at.AtName(field.name).AtMapKey(name), "The variable "+name+" is taken", why+".\n\nGive it another name.")
			}
		}
	}
	return diags
}
