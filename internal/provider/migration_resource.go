// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/lint"
)

var (
	_ resource.ResourceWithConfigure  = (*MigrationResource)(nil)
	_ resource.ResourceWithModifyPlan = (*MigrationResource)(nil)
)

// NewMigrationResource is the constructor that the provider registers.
func NewMigrationResource() resource.Resource { return &MigrationResource{} }

// MigrationResource is slipway_migration: the migrations of one environment's database, as SQL files or by a tool of the team.
type MigrationResource struct {
	data *Data
}

// Metadata names the resource type.
func (r *MigrationResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_migration"
}

// Configure takes the connections that all resources share.
func (r *MigrationResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

const (
	kindExpand    = "expand"
	kindContract  = "contract"
	blockedDefers = "defer"
	blockedFails  = "fail"
	runnerJob     = "job"
	runnerDirect  = "direct"

	defaultMigrationImage = "ghcr.io/slipway-dev/slipway-migrate:v0.1.0"
)

var migrationNamePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

// Schema describes slipway_migration.
func (r *MigrationResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "SQL migrations of an environment's PostgreSQL database, forward only. The plan lists the pending files " +
			"and lints them without a database: what is unsafe stops it, with " +
			"the safe form. The apply runs them in a Kubernetes Job in the environment's namespace, under a lock in the database, and " +
			"records what was applied. A `contract` migration, which removes what only old " +
			"versions use, waits until none of them runs or could be rolled back to. A tool of your own (Django, Flyway, Atlas, …) takes " +
			"the place of the files with `commands`. Destroying the resource forgets the migrations; the data stays.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				MarkdownDescription: "Instance id of the migration: a random UUID that is also on its record in the namespace.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"environment": handleAttribute(),
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the migration, unique in the namespace; a DNS label of at most 40 characters. Default: " +
					"`kind`. Changing it replaces the resource, and runs nothing again. Example: `\"orders-expand\"`.",
				Optional: true,
				Computed: true,
				Validators: []validator.String{stringvalidator.RegexMatches(migrationNamePattern,
					"must be a DNS label of at most 40 characters: lower-case letters, digits and hyphens")},
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()},
			},
			"directory": schema.StringAttribute{
				MarkdownDescription: "Directory with SQL files in goose's format, run in the order of the numbers that their names start " +
					"with. Use `\"${path.module}/…\"` in modules. A file is at most 900 KiB, all pending ones at most 8 MiB. " +
					"Either this or `commands`. Example: `\"${path.module}/migrations\"`.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"commands": commandsAttribute(),
			"check": checksAttribute("SQL files whose statements must hold before pending files run; where one does not, nothing runs. " + mustHold +
				"With `commands`, it is `commands.check`. Example: `[\"${path.module}/checks/before.sql\"]`."),
			"validate": checksAttribute("SQL files whose statements must hold after the pending files have run: the validation of the " +
				"schema. Where one does not, the apply fails, and what was applied stays and is recorded; " +
				"the next apply validates again, and so it does when a file is changed or new. " + mustHold +
				"With `commands`, it is `commands.validate`. Example: `[\"${path.module}/checks/after.sql\"]`."),
			"kind": schema.StringAttribute{
				MarkdownDescription: "`\"expand\"` runs the files that do not say `-- slipway:kind contract`: additive ones, before the " +
					"application starts. `\"contract\"` runs those that say so, and no other: the clean-up, when " +
					"no old version can come back. Changing it replaces the resource.",
				Required:      true,
				Validators:    []validator.String{stringvalidator.OneOf(kindExpand, kindContract)},
				PlanModifiers: []planmodifier.String{replacedUnlessImported()},
			},
			"postgres_version": schema.Int64Attribute{
				MarkdownDescription: "Major version of the PostgreSQL server, that the linter checks for. Default: unknown, and forms of " +
					"all supported versions are accepted. Example: `17`.",
				Optional:   true,
				Validators: []validator.Int64{int64validator.Between(lint.OldestPostgres, lint.NewestPostgres)},
			},
			"small_tables": schema.ListAttribute{
				MarkdownDescription: "Tables that are read in milliseconds, so that locks as long as that do no harm. Example: `[\"settings\"]`.",
				Optional:            true,
				ElementType:         types.StringType,
			},
			"acknowledge": schema.ListNestedAttribute{
				MarkdownDescription: "Findings of the linter that are accepted. A comment `-- slipway:allow RULE reason=\"…\"` in the file " +
					"does the same.",
				Optional: true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"rule": schema.StringAttribute{
						MarkdownDescription: "Id of the rule. Example: `\"drop-column\"`.",
						Required:            true,
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
					},
					"reason": schema.StringAttribute{
						MarkdownDescription: "Why it does no harm here.",
						Required:            true,
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
					},
					"file":   schema.StringAttribute{MarkdownDescription: "Name of the file. Default: all.", Optional: true},
					"object": schema.StringAttribute{MarkdownDescription: "Table or other object, as the finding names it. Default: all.", Optional: true},
					"until": schema.StringAttribute{
						MarkdownDescription: "Last day on which it holds. Default: without end. Example: `\"2027-03-31\"`.",
						Optional:            true,
					},
				}},
			},
			"image": schema.StringAttribute{
				MarkdownDescription: "Image of the runner `slipway-migrate`, for example from a registry of your own; with `commands`, " +
					"needed: the image of your tool, best with its digest, since the tool runs again when it changes. " +
					"Default: `\"" + defaultMigrationImage + "\"`.",
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(defaultMigrationImage),
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"image_pull_secrets": schema.ListAttribute{
				MarkdownDescription: "Names of Secrets of the namespace with which the image is pulled. Default: none. Example: `[\"registry\"]`.",
				Optional:            true,
				ElementType:         types.StringType,
			},
			"database_url_wo": schema.StringAttribute{
				MarkdownDescription: "Connection URL of the database, with the credentials of a role that may change the schema. " +
					"Write-only: never in plan or state; in the cluster it is in a Secret that lives as long as the Job. Either this or " +
					"`credentials_secret`; with `commands`, neither is needed. " +
					"It must lead to PostgreSQL itself, or to a pooler that keeps sessions. Example: " +
					"`\"postgres://migrator:…@client-a-db.example.internal/data_collection\"`.",
				Optional:   true,
				WriteOnly:  true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"credentials_secret": schema.SingleNestedAttribute{
				MarkdownDescription: "Key of a Secret of the namespace that holds the connection URL. Example: `{ name = \"migrator\", key " +
					"= \"url\" }`.",
				Optional: true,
				Attributes: map[string]schema.Attribute{
					"name": schema.StringAttribute{MarkdownDescription: "Name of the Secret.", Required: true},
					"key":  schema.StringAttribute{MarkdownDescription: "Key in the Secret.", Required: true},
				},
			},
			"runner": schema.StringAttribute{
				MarkdownDescription: "`\"job\"` (default) runs the files in a Kubernetes Job. `\"direct\"` runs them from the provider's " +
					"process, with the same engine, lock and record: for a database that is reachable from where Terraform runs. " +
					"A run that is killed ends there, and the next apply resumes.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.OneOf(runnerJob, runnerDirect)},
			},
			"lock_timeout": schema.StringAttribute{
				MarkdownDescription: "How long a statement waits for a lock on a table before it gives way to other queries and retries. " +
					"Default: `\"3s\"`. Example: `\"1s\"`.",
				Optional:   true,
				Validators: []validator.String{duration{}},
			},
			"statement_timeout": schema.StringAttribute{
				MarkdownDescription: "Limit of each statement. Default: none. Example: `\"10m\"`.",
				Optional:            true,
				Validators:          []validator.String{duration{}},
			},
			"baseline": schema.Int64Attribute{
				MarkdownDescription: "Files up to this number count as applied where the database has no record of migrations: for one " +
					"whose schema is there already. A table of goose is taken over without it. Default: `0`, none. Example: `12`.",
				Optional:   true,
				Computed:   true,
				Default:    int64default.StaticInt64(0),
				Validators: []validator.Int64{int64validator.AtLeast(0)},
			},
			"safe_after": schema.StringAttribute{
				MarkdownDescription: "For `contract`: the first version of the application that works with the migrated schema. Needed " +
					"there. Example: `\"v1.2.0\"`.",
				Optional:   true,
				Validators: []validator.String{semanticVersion{}},
			},
			"release": schema.StringAttribute{
				MarkdownDescription: "For `contract`: name of the release whose versions count; its pods carry it in the label " +
					"`app.kubernetes.io/instance`. Default: everything in the namespace counts. Example: `\"data-collection-service\"`.",
				Optional: true,
			},
			"soak": schema.StringAttribute{
				MarkdownDescription: "For `contract`: how long the release must have been known good, since no rollback is possible " +
					"afterwards. Default: `\"0s\"`. Example: `\"24h\"`.",
				Optional:   true,
				Validators: []validator.String{duration{zero: true}},
			},
			"also_used_by": schema.MapAttribute{
				MarkdownDescription: "For `contract`: who else uses the database, from outside the namespace, with the version. Example: `{ " +
					"reports = \"v1.2.0\" }`.",
				Optional:    true,
				ElementType: types.StringType,
			},
			"on_blocked": schema.StringAttribute{
				MarkdownDescription: "For `contract`: what to do while an old version runs or could be rolled back to. `\"defer\"` " +
					"(default) runs nothing, says why in `blocked_by`, and lets the apply continue; a later plan runs it. `\"fail\"` is an error.",
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(blockedDefers),
				Validators: []validator.String{stringvalidator.OneOf(blockedDefers, blockedFails)},
			},
			"allow_cluster_move": clusterMoveAttribute("UID of the cluster that the migration is allowed to move to together with its " +
				"environment, as in `slipway_environment`. " +
				"The next apply asks the database what is applied, and records it there; what is in the old cluster is forgotten."),
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create: true, Update: true, Delete: true,
				CreateDescription: "How long all migrations may take together, for example `\"1h\"`. Default: `\"15m\"`.",
				UpdateDescription: "How long all migrations may take together, for example `\"1h\"`. Default: `\"15m\"`.",
				DeleteDescription: "How long to wait for another run on the environment. Default: `\"15m\"`.",
			}),

			"cluster_uid": schema.StringAttribute{
				MarkdownDescription: "UID of the namespace `kube-system`, by which the cluster is recognized.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"files": schema.MapAttribute{
				MarkdownDescription: "The files of this kind in the directory, name to checksum. Null with `commands`.",
				Computed:            true,
				ElementType:         types.StringType,
			},
			"checks": schema.MapAttribute{
				MarkdownDescription: "The files of `check` and `validate`, `check/` or `validate/` and name to checksum. Null without them.",
				Computed:            true,
				ElementType:         types.StringType,
			},
			"applied": schema.MapAttribute{
				MarkdownDescription: "The files that were applied, name to checksum, as recorded in the namespace. With `commands`, the " +
					"versions up to the present one, version to image. The database is not asked in a plan.",
				Computed:    true,
				ElementType: types.StringType,
			},
			"pending": schema.ListAttribute{
				MarkdownDescription: "The files that the apply runs, in order, and `validate` where the validation is pending; or the " +
					"phases of `commands`. Unknown when the resource is created, since the database may have some. What an apply ran stays in the " +
					"state until the next change.",
				Computed:    true,
				ElementType: types.StringType,
			},
			"schema_version": schema.StringAttribute{
				MarkdownDescription: "With `commands`, the version that the schema is at, as recorded in the namespace.",
				Computed:            true,
			},
			"phases": schema.MapAttribute{
				MarkdownDescription: "With `commands`, the phases `run` and `validate` where they have succeeded for the present version, " +
					"with a digest of what ran. With `validate`, that phase, with a digest of what was validated. Null otherwise.",
				Computed:    true,
				ElementType: types.StringType,
			},
			"findings": schema.ListAttribute{
				MarkdownDescription: "What the linter says of the pending files: warnings, and errors that are acknowledged. Null where " +
					"there is nothing to say.",
				Computed:    true,
				ElementType: types.StringType,
			},
			"blocked_by": schema.ListAttribute{
				MarkdownDescription: "Why a `contract` migration was not run yet. Null otherwise.",
				Computed:            true,
				ElementType:         types.StringType,
			},
			"recorded": schema.BoolAttribute{
				MarkdownDescription: "Whether the record in the namespace is there and complete. Where it is lost, or a run was cut off, " +
					"the next apply asks the database and writes it.",
				Computed: true,
			},
		},
	}
}
