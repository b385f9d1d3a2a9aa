// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/database"
)

var (
	_ resource.ResourceWithConfigure   = (*DatabaseResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*DatabaseResource)(nil)
	_ resource.ResourceWithImportState = (*DatabaseResource)(nil)
)

// NewDatabaseResource is the constructor that the provider registers.
func NewDatabaseResource() resource.Resource { return &DatabaseResource{} }

// DatabaseResource is slipway_database: a client's PostgreSQL database on a server that is there.
type DatabaseResource struct {
	data *Data
}

// Metadata names the resource type.
func (r *DatabaseResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_database"
}

// Configure takes the connections that all resources share.
func (r *DatabaseResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// defaultAdminVariable is the environment variable with the administrator's password.
const defaultAdminVariable = "SLIPWAY_DATABASE_ADMIN_PASSWORD"

var (
	variablePattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	extensionPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
)

// Schema describes slipway_database. No attribute is Sensitive: what is secret is write-only, or in the cluster only.
func (r *DatabaseResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	derived := func(description string, check validator.String) schema.StringAttribute {
		return schema.StringAttribute{
			MarkdownDescription: description,
			Optional:            true,
			Computed:            true,
			Validators:          []validator.String{check},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
		}
	}
	secretName := stringvalidator.RegexMatches(namespacePattern, namespaceRule)
	resp.Schema = schema.Schema{
		MarkdownDescription: "A PostgreSQL database of one client on a server that is there, with an owner role for migrations and a " +
			"role for the application. Nobody else's role can connect: the right of " +
			"everybody is taken away, and what is another client's is never taken over or dropped. Passwords are made by the provider " +
			"and are in two Secrets of the environment's namespace, nowhere else: not in " +
			"plan, state or logs, and the server only gets their SCRAM verifiers.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				MarkdownDescription: "Instance id of the database: a random UUID that is also in its comment on the server.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"environment": handleAttribute(),
			"name": derived("Name of the database. It cannot be changed. Default: `environment.database.name`, else "+
				"`<client>-<stage>-db`. Example: `\"client-a-db\"`.",
				nameRule{"the name of a database: it " + database.NameRule, database.ValidName}),
			"server": databaseServerAttribute(),
			"admin_password_wo": schema.StringAttribute{
				MarkdownDescription: "Password of the administrator. Write-only: never in plan or state, so that a destroy does not know it " +
					"either and needs the variable or Secret that `server` names. " +
					"Default: that Secret, else that variable. Example: `var.database_admin_password`.",
				Optional:   true,
				WriteOnly:  true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"owner_role": derived("Role that owns the database and runs migrations. It cannot be changed. Default: `<name>-owner`. "+
				"Example: `\"client-a-owner\"`.", nameRule{
				"the name of a role", database.ValidRole,
			}),
			"app_role": derived("Role of the application: it reads and writes what the owner makes, and cannot change the schema. It "+
				"cannot be changed. Default: `<name>-app`. Example: `\"client-a-app\"`.",
				nameRule{"the name of a role", database.ValidRole}),
			"owner_secret": derived("Secret of the namespace with the owner's credentials, for `credentials_secret` of "+
				"`slipway_migration`. Keys: `DATABASE_URL`, `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER`, "+
				"`DB_PASSWORD`, `DB_SSLMODE`. Default: `<name>-owner`. Example: `\"database-owner\"`.", secretName),
			"app_secret": derived("Secret of the namespace with the application's credentials, with the same keys, for `envFrom`. "+
				"Default: `<name>-app`. Example: `\"database\"`.", secretName),
			"pods": schema.SingleNestedAttribute{
				MarkdownDescription: "How pods reach the server, where that is not as Terraform does. It is what the Secrets say. Default: " +
					"`environment.database`, else `server`. Example: `{ host = \"postgres.internal\" }`.",
				Optional: true,
				Attributes: map[string]schema.Attribute{
					"host": hostAttribute("Host name or address. Default: that of `environment.database`, else of `server`. Example: " +
						"`\"client-a-db.example.internal\"`."),
					"port": portAttribute("TCP port. Default: that of `environment.database`, else of `server`. Example: `6432`."),
					"sslmode": sslModeAttribute("`sslmode` in the Secrets. Default: `\"require\"`, since the authority that signed the " +
						"server's certificate is not in the pods; `\"disable\"` where `server` has that. Example: `\"verify-full\"`."),
				},
			},
			"connection_limit": schema.Int64Attribute{
				MarkdownDescription: "How many connections may be open at once, of all roles but superusers; migrations need some too. " +
					"Default: `-1`, no limit. Example: `100`.",
				Optional:   true,
				Computed:   true,
				Default:    int64default.StaticInt64(database.Unlimited),
				Validators: []validator.Int64{int64validator.Any(int64validator.OneOf(database.Unlimited), int64validator.Between(1, 1<<30))},
			},
			"extensions": schema.ListAttribute{
				MarkdownDescription: "Extensions that are created where they are missing. None is ever removed. Default: none. Example: " +
					"`[\"pgcrypto\"]`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators: []validator.List{
					listvalidator.SizeAtLeast(1), listvalidator.UniqueValues(),
					listvalidator.ValueStringsAre(stringvalidator.RegexMatches(extensionPattern, "must be the name of an extension")),
				},
			},
			"password_version": schema.Int64Attribute{
				MarkdownDescription: "Raise it for new passwords of both roles. Pods that run keep their connections and cannot open new " +
					"ones until they start again with the new Secret: put the number into a pod annotation. Default: `1`. Example: `2`.",
				Optional:   true,
				Computed:   true,
				Default:    int64default.StaticInt64(1),
				Validators: []validator.Int64{int64validator.AtLeast(1)},
			},
			"adopt": schema.BoolAttribute{
				MarkdownDescription: "Take over a database and roles that exist and are nobody's. A role keeps its password if the Secret of the " +
					"name (`owner_secret`, `app_secret`) exists and holds it, under a key with `pass` in its name or in a URL; the Secret is taken " +
					"over with its other keys. Else the role gets a new password. Everybody else loses the right to connect. The plan lists what " +
					"is taken over. On destroy they only lose Slipway's comments. What is another client's is never taken " +
					"over. Default: `false`. Example: `true`.",
				Optional: true,
			},
			"deletion_protection": schema.BoolAttribute{
				MarkdownDescription: "Refuse to drop the database. Default: `true`. Example: `false`.",
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(true),
			},
			"allow_cluster_move": clusterMoveAttribute("UID of the cluster that the database is allowed to move to together with its " +
				"environment, as in `slipway_environment`. " +
				"The database stays on its server. The Secrets are made in the new cluster, with new passwords: what still runs in the old " +
				"one can open no new connections."),
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create: true, Update: true, Delete: true,
				CreateDescription: "How long a create may take, for example `\"10m\"`. Default: `\"5m\"`.",
				UpdateDescription: "How long an update may take, for example `\"10m\"`. Default: `\"5m\"`.",
				DeleteDescription: "How long a destroy may take, for example `\"10m\"`. Default: `\"5m\"`.",
			}),
			"cluster_uid": schema.StringAttribute{
				MarkdownDescription: "UID of the namespace `kube-system`, by which the cluster is recognized.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"drift": schema.ListAttribute{
				MarkdownDescription: "What was changed on the server or in the Secrets outside Terraform, in words; the next apply restores " +
					"it. Null when nothing was.",
				Computed:    true,
				ElementType: types.StringType,
			},
		},
	}
}

func databaseServerAttribute() schema.SingleNestedAttribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			MarkdownDescription: description, Optional: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
		}
	}
	variable := text("Environment variable of Terraform with the administrator's password, where `admin_password_wo` is not set. " +
		"Default: `\"" + defaultAdminVariable + "\"`. Example: `\"CLIENT_A_ADMIN_PASSWORD\"`.")
	variable.Validators = append(variable.Validators,
		stringvalidator.RegexMatches(variablePattern, "must be the name of an environment variable"),
		stringvalidator.ConflictsWith(path.MatchRelative().AtParent().AtName("admin_password_secret")))
	certificate := text("Authorities that the server's certificate is checked against, in PEM. Default: those of the system. " +
		"Example: `file(\"rds-ca.pem\")`.")
	certificate.Validators = append(certificate.Validators, certificates{})
	return schema.SingleNestedAttribute{
		MarkdownDescription: "The server, as Terraform reaches it: directly, or through a pooler that keeps sessions. Example: `{ " +
			"host = \"client-a.abc.eu-central-1.rds.amazonaws.com\", ca_certificate = file(\"rds-ca.pem\") }`.",
		Required: true,
		Attributes: map[string]schema.Attribute{
			"host": hostAttribute("Host name or address. Default: that of `environment.database`. Example: " +
				"`\"client-a.abc.eu-central-1.rds.amazonaws.com\"`."),
			"port": portAttribute("TCP port. Default: `5432`. Example: `5433`."),
			"sslmode": sslModeAttribute("How the connection is encrypted: `\"verify-full\"` (default), `\"verify-ca\"`, " +
				"`\"require\"` (without verification) or `\"disable\"`."),
			"ca_certificate": certificate,
			"admin_user": text("Role that makes databases and roles: with `CREATEDB` and `CREATEROLE`, or a superuser. Default: " +
				"`\"postgres\"`. Example: `\"master\"`."),
			"admin_database": text("Database that the administrator connects to. Default: `\"postgres\"`. Example: `\"defaultdb\"`."),
			"admin_password_secret": schema.SingleNestedAttribute{
				MarkdownDescription: "Key of a Secret of the environment's namespace with the administrator's password, where " +
					"`admin_password_wo` is not set. Example: `{ name = \"postgres-admin\", key = \"password\" }`.",
				Optional: true,
				Attributes: map[string]schema.Attribute{
					"name": schema.StringAttribute{
						MarkdownDescription: "Name of the Secret.",
						Required:            true,
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
					},
					"key": schema.StringAttribute{
						MarkdownDescription: "Key in the Secret.",
						Required:            true,
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
					},
				},
			},
			"admin_password_variable": variable,
		},
	}
}

func hostAttribute(description string) schema.StringAttribute {
	return schema.StringAttribute{MarkdownDescription: description, Optional: true, Validators: []validator.String{optionalHost{}}}
}

func portAttribute(description string) schema.Int64Attribute {
	return schema.Int64Attribute{
		MarkdownDescription: description, Optional: true, Validators: []validator.Int64{int64validator.Between(1, 65535)},
	}
}

func sslModeAttribute(description string) schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: description,
		Optional:            true,
		Validators:          []validator.String{stringvalidator.OneOf(database.SSLModes...)},
	}
}

// secretNameOf makes the name of a Secret of that of a database, which may have underscores.
func secretNameOf(name, suffix string) string { return strings.ReplaceAll(name, "_", "-") + suffix }
