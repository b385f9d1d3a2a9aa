// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// Schema describes the provider configuration.
func (p *Provider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Ships one service to many isolated client environments: environments, releases and what belongs to them, " +
			"one Terraform workspace for each client and stage. One provider instance serves any number of clusters. All of the " +
			"configuration is optional and may be unknown in a plan or ephemeral; nothing of it is stored.",
		Attributes: map[string]schema.Attribute{
			"workspace": schema.StringAttribute{
				MarkdownDescription: "The Terraform workspace of this run: always write `terraform.workspace`. Every resource then refuses to " +
					"create, change or destroy anything of a client and stage other than `<client>-<stage>`, in every kind of run. " +
					"Default: no such guard. Example: `terraform.workspace`.",
				Optional: true,
			},
			"config_paths": schema.ListAttribute{
				MarkdownDescription: "Kubeconfig files, merged in order as kubectl does: the first file that defines a context, cluster or " +
					"user takes precedence. A path " +
					"may begin with `~/`. The current context of a file is never used. Default: the files in the variable `KUBECONFIG`, else " +
					"`~/.kube/config`. Example: `[\"~/.kube/clients\"]`.",
				Optional:    true,
				ElementType: types.StringType,
			},
			"clusters": schema.MapNestedAttribute{
				MarkdownDescription: "Connections to clusters that are in no kubeconfig, by name. `cluster = { context = \"<name>\" }` uses " +
					"the entry; it takes precedence over a " +
					"kubeconfig context of the same name. Single entries may be unknown while their cluster is still to be made. Default: " +
					"none. Example: " +
					"`{ client-a-prod = { host = \"https://10.0.0.1:6443\", token = var.token, cluster_ca_certificate = var.ca } }`.",
				Optional:     true,
				NestedObject: schema.NestedAttributeObject{Attributes: connectionAttributes()},
			},
			"registries": schema.ListNestedAttribute{
				MarkdownDescription: "Credentials of chart repositories and OCI registries. The longest `url` that a chart's source begins " +
					"with is used. Default: " +
					"charts are pulled without credentials. Example: `[{ url = \"oci://registry.company.com/charts\", username = \"ci\", " +
					"password = var.password }]`.",
				Optional: true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"url": schema.StringAttribute{
						MarkdownDescription: "Beginning of the chart sources that this is for: `oci://host[/path]` or `https://host[/path]`. " +
							"Example: `\"oci://registry.company.com\"`.",
						Required:   true,
						Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
					},
					"username": schema.StringAttribute{
						MarkdownDescription: "User name. Default: none. Example: `\"ci\"`.",
						Optional:            true,
					},
					"password": schema.StringAttribute{
						MarkdownDescription: "Password or token. Default: none. Example: `var.registry_password`.",
						Optional:            true,
						Sensitive:           true,
					},
				}},
			},
		},
	}
}

func connectionAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"host": schema.StringAttribute{
			MarkdownDescription: "Address of the API server. Required unless `config_path` or `config_context` is set. Example: " +
				"`\"https://10.0.0.1:6443\"`.",
			Optional: true,
		},
		"token": schema.StringAttribute{
			MarkdownDescription: "Bearer token. Default: none. Example: `var.token`.",
			Optional:            true,
			Sensitive:           true,
		},
		"cluster_ca_certificate": schema.StringAttribute{
			MarkdownDescription: "Certificate authorities that the API server's certificate is checked against, in PEM. Default: those " +
				"of the system. Example: `file(\"ca.pem\")`.",
			Optional: true,
		},
		"client_certificate": schema.StringAttribute{
			MarkdownDescription: "Client certificate, in PEM. Default: none. Example: `file(\"client.pem\")`.",
			Optional:            true,
		},
		"client_key": schema.StringAttribute{
			MarkdownDescription: "Key of the client certificate, in PEM. Default: none. Example: `var.client_key`.",
			Optional:            true,
			Sensitive:           true,
		},
		"tls_server_name": schema.StringAttribute{
			MarkdownDescription: "Name that the API server's certificate must be for, where it is not the one in `host`. Default: the " +
				"host. Example: `\"api.client-a.example\"`.",
			Optional: true,
		},
		"insecure": schema.BoolAttribute{
			MarkdownDescription: "Do not check the API server's certificate. Only for tests: anyone on the way can then read the " +
				"credentials. Default: `false`. Example: `true`.",
			Optional: true,
		},
		"proxy_url": schema.StringAttribute{
			MarkdownDescription: "Proxy through which the API server is reached: `http://`, `https://` or `socks5://`. Default: the " +
				"variables `HTTPS_PROXY` and `NO_PROXY`. " +
				"Example: `\"socks5://localhost:1080\"`.",
			Optional:   true,
			Sensitive:  true,
			Validators: []validator.String{proxyAddress{}},
		},
		"exec": schema.SingleNestedAttribute{
			MarkdownDescription: "Credential plugin, as in a kubeconfig. It has no terminal and no standard input. Default: none. Example: " +
				"`{ command = \"aws\", args = [\"eks\", \"get-token\", \"--cluster-name\", \"client-a-prod\"] }`.",
			Optional: true,
			Attributes: map[string]schema.Attribute{
				"api_version": schema.StringAttribute{
					MarkdownDescription: "Version of the plugin protocol. Default: `client.authentication.k8s.io/v1`. Example: " +
						"`\"client.authentication.k8s.io/v1beta1\"`.",
					Optional: true,
				},
				"command": schema.StringAttribute{
					MarkdownDescription: "Program to run, from `PATH` or with a path. Example: `\"aws\"`.",
					Required:            true,
				},
				"args": schema.ListAttribute{
					MarkdownDescription: "Arguments. Default: none. Example: `[\"eks\", \"get-token\", \"--cluster-name\", \"client-a-prod\"]`.",
					Optional:            true,
					ElementType:         types.StringType,
				},
				"env": schema.MapAttribute{
					MarkdownDescription: "Environment variables in addition to those of Terraform. Default: none. Example: `{ AWS_PROFILE = " +
						"\"client-a\" }`.",
					Optional:    true,
					ElementType: types.StringType,
				},
			},
		},
		"config_path": schema.StringAttribute{
			MarkdownDescription: "Take the connection from this kubeconfig file instead. Default: the files in `config_paths`. Example: " +
				"`\"~/.kube/client-a\"`.",
			Optional: true,
		},
		"config_context": schema.StringAttribute{
			MarkdownDescription: "Take the connection from this kubeconfig context, so that a context has another name here. Default " +
				"with `config_path`: the context of the " +
				"entry's own name. Example: `\"arn:aws:eks:eu-west-1:111111111111:cluster/client-a-prod\"`.",
			Optional: true,
		},
	}
}

type providerModel struct {
	Workspace   types.String `tfsdk:"workspace"`
	ConfigPaths types.List   `tfsdk:"config_paths"`
	Clusters    types.Map    `tfsdk:"clusters"`
	Registries  types.List   `tfsdk:"registries"`
}

type connectionModel struct {
	Host                 types.String `tfsdk:"host"`
	Token                types.String `tfsdk:"token"`
	ClusterCACertificate types.String `tfsdk:"cluster_ca_certificate"`
	ClientCertificate    types.String `tfsdk:"client_certificate"`
	ClientKey            types.String `tfsdk:"client_key"`
	TLSServerName        types.String `tfsdk:"tls_server_name"`
	Insecure             types.Bool   `tfsdk:"insecure"`
	ProxyURL             types.String `tfsdk:"proxy_url"`
	Exec                 types.Object `tfsdk:"exec"`
	ConfigPath           types.String `tfsdk:"config_path"`
	ConfigContext        types.String `tfsdk:"config_context"`
}

type execModel struct {
	APIVersion types.String `tfsdk:"api_version"`
	Command    types.String `tfsdk:"command"`
	Args       types.List   `tfsdk:"args"`
	Env        types.Map    `tfsdk:"env"`
}

// clusterConfig turns the configuration into connections. What is not known yet is Unknown, never left out: leaving it out
// would lead to another cluster.
func (m providerModel) clusterConfig(ctx context.Context) (cluster.Config, diag.Diagnostics) {
	var diags diag.Diagnostics
	config := cluster.Config{
		PathsUnknown:    !wholly(m.ConfigPaths),
		ClustersUnknown: m.Clusters.IsUnknown(),
		Clusters:        map[string]cluster.Connection{},
	}
	if !config.PathsUnknown {
		diags.Append(m.ConfigPaths.ElementsAs(ctx, &config.ConfigPaths, false)...)
	}
	for name, element := range m.Clusters.Elements() {
		object, ok := element.(basetypes.ObjectValue)
		if !ok || !wholly(object) {
			config.Clusters[name] = cluster.Connection{Unknown: true}
			continue
		}
		connection, d := connectionFrom(ctx, object)
		for _, problem := range d {
			diags.Append(diag.WithPath(path.Root("clusters").AtMapKey(name), problem))
		}
		config.Clusters[name] = connection
	}
	return config, diags
}

func connectionFrom(ctx context.Context, object types.Object) (cluster.Connection, diag.Diagnostics) {
	var model connectionModel
	diags := object.As(ctx, &model, basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true})
	connection := cluster.Connection{
		Host:                 model.Host.ValueString(),
		Token:                model.Token.ValueString(),
		ClusterCACertificate: model.ClusterCACertificate.ValueString(),
		ClientCertificate:    model.ClientCertificate.ValueString(),
		ClientKey:            model.ClientKey.ValueString(),
		TLSServerName:        model.TLSServerName.ValueString(),
		Insecure:             model.Insecure.ValueBool(),
		ProxyURL:             model.ProxyURL.ValueString(),
		ConfigPath:           model.ConfigPath.ValueString(),
		ConfigContext:        model.ConfigContext.ValueString(),
	}
	if model.Exec.IsNull() || diags.HasError() {
		return connection, diags
	}
	var exec execModel
	diags.Append(model.Exec.As(ctx, &exec, basetypes.ObjectAsOptions{})...)
	connection.Exec = &cluster.Exec{APIVersion: exec.APIVersion.ValueString(), Command: exec.Command.ValueString()}
	diags.Append(exec.Args.ElementsAs(ctx, &connection.Exec.Args, false)...)
	diags.Append(exec.Env.ElementsAs(ctx, &connection.Exec.Env, false)...)
	return connection, diags
}

// chartRegistries leaves out what is not known yet: a chart that needs it cannot be pulled in this plan.
func (m providerModel) chartRegistries(ctx context.Context) ([]chart.Registry, diag.Diagnostics) {
	var (
		registries []chart.Registry
		diags      diag.Diagnostics
	)
	for _, element := range m.Registries.Elements() {
		object, ok := element.(basetypes.ObjectValue)
		if !ok || !wholly(object) {
			continue
		}
		var model struct {
			URL      types.String `tfsdk:"url"`
			Username types.String `tfsdk:"username"`
			Password types.String `tfsdk:"password"`
		}
		diags.Append(object.As(ctx, &model, basetypes.ObjectAsOptions{})...)
		registries = append(registries,
			chart.Registry{URL: model.URL.ValueString(), Username: model.Username.ValueString(), Password: model.Password.ValueString()})
	}
	return registries, diags
}

// wholly reports that a value and all that is in it is known.
func wholly(value attr.Value) bool {
	if value.IsUnknown() {
		return false
	}
	switch value := value.(type) {
	case basetypes.ObjectValue:
		for _, inner := range value.Attributes() {
			if !wholly(inner) {
				return false
			}
		}
	case basetypes.ListValue:
		for _, inner := range value.Elements() {
			if !wholly(inner) {
				return false
			}
		}
	case basetypes.MapValue:
		for _, inner := range value.Elements() {
			if !wholly(inner) {
				return false
			}
		}
	}
	return true
}
