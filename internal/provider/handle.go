// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

var (
	clientPattern    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	stagePattern     = regexp.MustCompile(`^[a-z0-9]{1,63}$`)
	namespacePattern = clientPattern
)

const (
	clientRule    = "must be a DNS label: lower-case letters, digits and hyphens, at most 63 characters"
	stageRule     = "must be lower-case letters and digits without a hyphen, so that the workspace <client>-<stage> has one meaning only"
	namespaceRule = clientRule
)

// handleAttribute is the attribute "environment" of every resource that lives in an environment. It takes a whole
// slipway_environment; Terraform drops what the handle does not have. Nothing in it is Computed or Sensitive, so that
// every coordinate is known at plan even before the environment exists.
func handleAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "The environment that this belongs to: pass the whole resource, `slipway_environment.this`. Another " +
			"client, stage or namespace " +
			"replaces this resource; another way to the same cluster does not touch it.",
		Required:      true,
		Attributes:    handleAttributes(),
		PlanModifiers: []planmodifier.Object{replaceWhenIdentityChanges()},
	}
}

func handleAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"client":  clientAttribute(),
		"stage":   stageAttribute(),
		"cluster": clusterAttribute(),
		"namespace": schema.SingleNestedAttribute{
			MarkdownDescription: "The environment's namespace.",
			Required:            true,
			Attributes:          map[string]schema.Attribute{"name": namespaceNameAttribute()},
		},
		"database": databaseAttribute(),
	}
}

func clientAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: "Name of the client, a DNS label. With the stage it names the workspace that may manage the environment, " +
			"`<client>-<stage>`. Example: `\"client-a\"`.",
		Required:   true,
		Validators: []validator.String{stringvalidator.RegexMatches(clientPattern, clientRule)},
	}
}

func stageAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: "Stage of the environment: lower-case letters and digits, without a hyphen. Example: `\"prod\"`.",
		Required:            true,
		Validators:          []validator.String{stringvalidator.RegexMatches(stagePattern, stageRule)},
	}
}

func namespaceNameAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: "Name of the namespace, a DNS label. Example: `\"data-collection-client-a\"`.",
		Required:            true,
		Validators:          []validator.String{stringvalidator.RegexMatches(namespacePattern, namespaceRule)},
	}
}

func clusterAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "The cluster: either `context` or `eks`. There is no default. Credentials are no part of it; they come " +
			"from kubeconfig or the provider configuration.",
		Required:   true,
		Validators: []validator.Object{oneCluster{}},
		Attributes: map[string]schema.Attribute{
			"context": schema.StringAttribute{
				MarkdownDescription: "Name of an entry under `clusters` in the provider configuration or, where there is none, of a " +
					"kubeconfig context. Example: `\"client-a-prod\"`.",
				Optional: true,
			},
			"eks": schema.SingleNestedAttribute{
				MarkdownDescription: "An Amazon EKS cluster, reached without kubeconfig. Not supported yet: it is an error at plan.",
				Optional:            true,
				Attributes: map[string]schema.Attribute{
					"name": schema.StringAttribute{
						MarkdownDescription: "Name of the EKS cluster. Example: `\"client-a-prod\"`.",
						Required:            true,
					},
					"region": schema.StringAttribute{
						MarkdownDescription: "AWS region. Example: `\"eu-west-1\"`.",
						Required:            true,
					},
					"account_id": schema.StringAttribute{
						MarkdownDescription: "AWS account that the cluster must be in. Example: `\"111111111111\"`.",
						Required:            true,
					},
					"role_arn": schema.StringAttribute{
						MarkdownDescription: "Role that is assumed to reach the cluster. Default: the credentials of the run. Example: " +
							"`\"arn:aws:iam::111111111111:role/deployer\"`.",
						Optional: true,
					},
				},
			},
		},
	}
}

func databaseAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Where the environment's database is, for migrations and network policies. No credentials belong here. " +
			"Default: none. Example: " +
			"`{ host = \"client-a-db.example.internal\", name = \"data_collection\" }`.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"host": schema.StringAttribute{
				MarkdownDescription: "Host name or address of the database. Example: `\"client-a-db.example.internal\"`.",
				Required:            true,
				Validators:          []validator.String{host{}},
			},
			"port": schema.Int64Attribute{
				MarkdownDescription: "TCP port. Default: 5432. Example: `5433`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the database. Example: `\"data_collection\"`.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
		},
	}
}

// handleModel is the attribute "environment" of other resources, and a part of slipway_environment itself.
type handleModel struct {
	Client    types.String `tfsdk:"client"`
	Stage     types.String `tfsdk:"stage"`
	Cluster   types.Object `tfsdk:"cluster"`
	Namespace types.Object `tfsdk:"namespace"`
	Database  types.Object `tfsdk:"database"`
}

type clusterModel struct {
	Context types.String `tfsdk:"context"`
	EKS     types.Object `tfsdk:"eks"`
}

type eksModel struct {
	Name      types.String `tfsdk:"name"`
	Region    types.String `tfsdk:"region"`
	AccountID types.String `tfsdk:"account_id"`
	RoleARN   types.String `tfsdk:"role_arn"`
}

type databaseModel struct {
	Host types.String `tfsdk:"host"`
	Port types.Int64  `tfsdk:"port"`
	Name types.String `tfsdk:"name"`
}

var (
	eksTypes = map[string]attr.Type{
		"name": types.StringType, "region": types.StringType, "account_id": types.StringType, "role_arn": types.StringType,
	}
	clusterTypes  = map[string]attr.Type{"context": types.StringType, "eks": types.ObjectType{AttrTypes: eksTypes}}
	databaseTypes = map[string]attr.Type{"host": types.StringType, "port": types.Int64Type, "name": types.StringType}
	// handleNamespaceTypes is the handle's own namespace; slipway_environment has more in it.
	handleNamespaceTypes = map[string]attr.Type{"name": types.StringType}
	handleTypes          = map[string]attr.Type{
		"client": types.StringType, "stage": types.StringType,
		"cluster":   types.ObjectType{AttrTypes: clusterTypes},
		"namespace": types.ObjectType{AttrTypes: handleNamespaceTypes},
		"database":  types.ObjectType{AttrTypes: databaseTypes},
	}
)

// handleFrom turns the attribute "environment" into a handle. known is false while any part is not known yet, and the
// handle is then empty: an unknown coordinate must lead nowhere.
func handleFrom(ctx context.Context, object types.Object) (handle environment.Handle, known bool, diags diag.Diagnostics) {
	if object.IsUnknown() || object.IsNull() {
		return environment.Handle{}, false, nil
	}
	var model handleModel
	diags = object.As(ctx, &model, basetypes.ObjectAsOptions{})
	if diags.HasError() {
		return environment.Handle{}, false, diags
	}
	return model.handle(ctx)
}

func (m handleModel) handle(ctx context.Context) (environment.Handle, bool, diag.Diagnostics) {
	var diags diag.Diagnostics
	name, nameKnown := namespaceName(m.Namespace)
	if !nameKnown || m.Client.IsUnknown() || m.Stage.IsUnknown() || !wholly(m.Cluster) || !wholly(m.Database) {
		return environment.Handle{}, false, diags
	}
	handle := environment.Handle{Client: m.Client.ValueString(), Stage: m.Stage.ValueString(), Namespace: name}

	var at clusterModel
	diags.Append(m.Cluster.As(ctx, &at, basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true})...)
	handle.Cluster.Context = at.Context.ValueString()
	if !at.EKS.IsNull() && !diags.HasError() {
		var eks eksModel
		diags.Append(at.EKS.As(ctx, &eks, basetypes.ObjectAsOptions{})...)
		handle.Cluster.EKS = &cluster.EKS{
			Name: eks.Name.ValueString(), Region: eks.Region.ValueString(), AccountID: eks.AccountID.ValueString(),
			RoleARN: eks.RoleARN.ValueString(),
		}
	}
	if !m.Database.IsNull() && !diags.HasError() {
		var database databaseModel
		diags.Append(m.Database.As(ctx, &database, basetypes.ObjectAsOptions{})...)
		handle.Database = &environment.Database{
			Host: database.Host.ValueString(), Port: environment.DefaultDatabasePort, Name: database.Name.ValueString(),
		}
		if !database.Port.IsNull() {
			handle.Database.Port = database.Port.ValueInt64()
		}
	}
	if diags.HasError() {
		return environment.Handle{}, false, diags
	}
	return handle, true, diags
}

// namespaceName reads the name out of the attribute "namespace" of a handle or of slipway_environment.
func namespaceName(namespace types.Object) (name string, known bool) {
	value, ok := namespace.Attributes()["name"].(types.String)
	if !ok || value.IsUnknown() {
		return "", false
	}
	return value.ValueString(), true
}

// handleValue is the attribute "environment" of a handle, for imports.
func handleValue(handle environment.Handle) types.Object {
	database := types.ObjectNull(databaseTypes)
	if d := handle.Database; d != nil {
		database = types.ObjectValueMust(databaseTypes, map[string]attr.Value{
			"host": types.StringValue(d.Host), "port": types.Int64Value(d.Port), "name": types.StringValue(d.Name),
		})
	}
	return types.ObjectValueMust(handleTypes, map[string]attr.Value{
		"client":    types.StringValue(handle.Client),
		"stage":     types.StringValue(handle.Stage),
		"cluster":   clusterValue(handle.Cluster),
		"namespace": types.ObjectValueMust(handleNamespaceTypes, map[string]attr.Value{"name": types.StringValue(handle.Namespace)}),
		"database":  database,
	})
}

func clusterValue(coordinate cluster.Coordinate) types.Object {
	eks := types.ObjectNull(eksTypes)
	if e := coordinate.EKS; e != nil {
		eks = types.ObjectValueMust(eksTypes, map[string]attr.Value{
			"name": types.StringValue(e.Name), "region": types.StringValue(e.Region),
			"account_id": types.StringValue(e.AccountID), "role_arn": stringOrNull(e.RoleARN),
		})
	}
	return types.ObjectValueMust(clusterTypes, map[string]attr.Value{"context": stringOrNull(coordinate.Context), "eks": eks})
}

// sameIdentity reports that two handles are of the same client, stage and namespace as far as is known: what is not known
// yet is not taken for a change.
func sameIdentity(_ context.Context, a, b types.Object) bool {
	if a.IsUnknown() || b.IsUnknown() {
		return true
	}
	one, other := a.Attributes(), b.Attributes()
	for _, name := range []string{"client", "stage"} {
		if differs(one[name], other[name]) {
			return false
		}
	}
	oneNamespace, ok := one["namespace"].(types.Object)
	otherNamespace, ok2 := other["namespace"].(types.Object)
	return !ok || !ok2 || !differs(oneNamespace.Attributes()["name"], otherNamespace.Attributes()["name"])
}

func differs(a, b attr.Value) bool {
	return a != nil && b != nil && !a.IsUnknown() && !b.IsUnknown() && !a.Equal(b)
}

// replaceWhenIdentityChanges replaces a resource whose environment became another one: it belongs to a place that it
// cannot leave. Other coordinates of the same place (another context, another database host) change nothing in it.
func replaceWhenIdentityChanges() planmodifier.Object {
	const description = "Another client, stage or namespace replaces the resource."
	differs := func(ctx context.Context, req planmodifier.ObjectRequest, resp *objectplanmodifier.RequiresReplaceIfFuncResponse) {
		resp.RequiresReplace = !sameIdentity(ctx, req.StateValue, req.PlanValue)
	}
	return objectplanmodifier.RequiresReplaceIf(differs, description, description)
}
