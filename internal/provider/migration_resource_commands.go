// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/job"
)

// migrationCommandsModel is the tool of a team that migrates in place of SQL files.
type migrationCommandsModel struct {
	Version       types.String `tfsdk:"version"`
	Check         types.List   `tfsdk:"check"`
	Run           types.List   `tfsdk:"run"`
	Validate      types.List   `tfsdk:"validate"`
	Status        types.List   `tfsdk:"status"`
	Rollback      types.List   `tfsdk:"rollback"`
	AllowRollback types.Bool   `tfsdk:"allow_rollback"`
	Env           types.Map    `tfsdk:"env"`
	SecretEnv     types.Map    `tfsdk:"secret_env"`
	URLVariable   types.String `tfsdk:"url_variable"`
	RunAsUser     types.Int64  `tfsdk:"run_as_user"`
}

var environmentVariablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

func commandsAttribute() schema.SingleNestedAttribute {
	variable := stringvalidator.RegexMatches(environmentVariablePattern, "must be the name of an environment variable")
	command := func(description string, required bool) schema.ListAttribute {
		return schema.ListAttribute{
			MarkdownDescription: description, ElementType: types.StringType, Required: required, Optional: !required,
			Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.NoNullValues()},
		}
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "A tool of your own that migrates, in place of `directory`: commands of `image`, each run in a " +
			"Kubernetes Job of its own, in the order `check`, `run`, `validate`. A command is a program with its arguments, without a shell; " +
			"it has succeeded when it ends with exit code 0. `$(NAME)` in it is the value of an environment variable. Each phase that " +
			"has succeeded is recorded, and the next apply resumes after it. " +
			"All get the variables `SLIPWAY_CLIENT`, `SLIPWAY_STAGE`, `SLIPWAY_NAMESPACE`, `SLIPWAY_MIGRATION`, `SLIPWAY_PHASE`, " +
			"`SLIPWAY_VERSION`, `SLIPWAY_FROM_VERSION`, and the database's URL.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"version": schema.StringAttribute{
				MarkdownDescription: "What the schema is at when `run` has succeeded. Another version is pending, and so is the same one " +
					"with another image, command or variable. One that ran before the present one is a rollback, see `rollback`. " +
					"Example: `\"v1.2.0\"`.",
				Required:   true,
				Validators: []validator.String{stringvalidator.LengthBetween(1, 100)},
			},
			"run": command("Migrates. It must know itself what it has done, since it is run again after a failure, and when its pod "+
				"loses its node. Example: `[\"python\", \"manage.py\", \"migrate\", \"--noinput\"]`.", true),
			"check": command("What must hold before; it must change nothing. Where it fails, nothing is run. Default: none. Example: "+
				"`[\"python\", \"manage.py\", \"check\", \"--database\", \"default\"]`.",
				false),
			"validate": command("What must hold afterwards: it validates the schema and must change nothing. Where it fails, the next "+
				"apply validates again, and runs nothing again. Default: none. Example: `[\"python\", \"manage.py\", \"migrate\", \"--check\"]`.",
				false),
			"status": command("Ends with exit code 0 where there is nothing to run; it must change nothing. It is asked where nothing is "+
				"recorded yet, the record is lost, or how `run` ended is not known. Default: none, and `run` is run then. "+
				"Example: `[\"python\", \"manage.py\", \"migrate\", \"--check\"]`.", false),
			"rollback": command("Goes back from the present version to the earlier one in `version`, in the image that has made the "+
				"present one, and only with `allow_rollback`. Default: none, and `version` cannot go back. "+
				"Example: `[\"flyway\", \"undo\", \"-target=$(SLIPWAY_VERSION)\"]`.", false),
			"allow_rollback": schema.BoolAttribute{
				MarkdownDescription: "Allows `rollback`. What only the newer schema holds may be lost. Set it for the one apply. Default: " +
					"`false`, and a plan of a rollback is an error.",
				Optional: true,
			},
			"env": schema.MapAttribute{
				MarkdownDescription: "Environment variables, in plan and state: no secrets. Default: none. Example: `{ " +
					"DJANGO_SETTINGS_MODULE = \"shop.settings\" }`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.Map{mapvalidator.KeysAre(variable)},
			},
			"secret_env": schema.MapNestedAttribute{
				MarkdownDescription: "Environment variables from Secrets of the namespace. Default: none. Example: `{ FLYWAY_PASSWORD = { " +
					"name = \"migrator\", key = \"password\" } }`.",
				Optional: true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name": schema.StringAttribute{MarkdownDescription: "Name of the Secret.", Required: true},
					"key":  schema.StringAttribute{MarkdownDescription: "Key in the Secret.", Required: true},
				}},
				Validators: []validator.Map{mapvalidator.KeysAre(variable)},
			},
			"url_variable": schema.StringAttribute{
				MarkdownDescription: "Environment variable that holds the URL of `database_url_wo` or `credentials_secret`. " +
					"Default: `\"" + job.DefaultURLVariable + "\"`.",
				Optional:   true,
				Validators: []validator.String{variable},
			},
			"run_as_user": schema.Int64Attribute{
				MarkdownDescription: "Number of the user that the commands run as. Default: that of the image, which must be a number and " +
					"not root. Example: `1000`.",
				Optional:   true,
				Validators: []validator.Int64{int64validator.AtLeast(1)},
			},
		},
	}
}

// commands are the tool of a resource that has one. known is false while a part is not known yet.
func (m migrationModel) commands(ctx context.Context) (out *job.Commands, known bool, diags diag.Diagnostics) {
	if !wholly(m.Commands) || m.Image.IsUnknown() {
		return nil, false, nil
	}
	var c migrationCommandsModel
	diags = m.Commands.As(ctx, &c, basetypes.ObjectAsOptions{})
	out = &job.Commands{
		Version: c.Version.ValueString(), Image: m.Image.ValueString(), AllowRollback: c.AllowRollback.ValueBool(),
		URLVariable: c.URLVariable.ValueString(), User: c.RunAsUser.ValueInt64(), SecretEnv: map[string]job.SecretKey{},
	}
	for _, field := range []struct {
		from types.List
		to   *[]string
	}{{c.Check, &out.Check}, {c.Run, &out.Run}, {c.Validate, &out.Validate}, {c.Status, &out.Status}, {c.Rollback, &out.Rollback}} {
		diags.Append(field.from.ElementsAs(ctx, field.to, false)...)
	}
	diags.Append(c.Env.ElementsAs(ctx, &out.Env, false)...)
	var secrets map[string]credentialsModel
	diags.Append(c.SecretEnv.ElementsAs(ctx, &secrets, false)...)
	for name, key := range secrets {
		out.SecretEnv[name] = job.SecretKey{Name: key.Name.ValueString(), Key: key.Key.ValueString()}
	}
	return out, !diags.HasError(), diags
}

// progress is what the state says of the phases. It is empty where the state is that of SQL files.
func (m migrationModel) progress(ctx context.Context) (out job.Progress, diags diag.Diagnostics) {
	if m.Commands.IsNull() {
		return out, nil
	}
	out.Version = m.SchemaVersion.ValueString()
	diags = m.Applied.ElementsAs(ctx, &out.Images, false)
	var passed map[string]string
	diags.Append(m.Phases.ElementsAs(ctx, &passed, false)...)
	out.Passed = map[job.Phase]string{}
	for phase, digest := range passed {
		out.Passed[job.Phase(phase)] = digest
	}
	return out, diags
}

// took puts recorded progress into a state. Phases that are not configured are left out: nobody waits for them.
func (m *migrationModel) took(ctx context.Context, now job.Progress) (diags diag.Diagnostics) {
	commands, known, diags := m.commands(ctx)
	passed := map[string]string{}
	if known {
		for phase := range commands.Passed() {
			if digest := now.Passed[phase]; digest != "" {
				passed[string(phase)] = digest
			}
		}
	}
	var d diag.Diagnostics
	m.Applied, d = types.MapValueFrom(ctx, types.StringType, now.Images)
	diags.Append(d...)
	m.Phases, d = types.MapValueFrom(ctx, types.StringType, passed)
	diags.Append(d...)
	m.SchemaVersion = types.StringNull()
	if now.Version != "" {
		m.SchemaVersion = types.StringValue(now.Version)
	}
	return diags
}

func phaseNames(phases []job.Phase) []string {
	var out []string
	for _, phase := range phases {
		out = append(out, string(phase))
	}
	return out
}
