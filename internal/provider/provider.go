// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package provider is the Terraform layer: schemas, models, plans and diagnostics. What is done to clusters is in the
// packages below it.
package provider

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

var (
	_ provider.Provider              = (*Provider)(nil)
	_ provider.ProviderWithFunctions = (*Provider)(nil)
)

// Provider is the Slipway provider. One instance serves any number of clusters.
type Provider struct {
	version string

	data atomic.Pointer[Data] // once configured
}

// New returns the constructor that a provider server wants. version is the provider's own, for example "0.1.0".
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &Provider{version: version} }
}

// Data is what the provider hands to every resource.
type Data struct {
	// Workspace is the Terraform workspace of this run; empty where the configuration does not say.
	Workspace string
	// WorkspaceUnknown is set while the workspace is not known yet.
	WorkspaceUnknown bool
	Connections      *cluster.Connections
	Charts           *chart.Loader
	// Version of the provider.
	Version string

	// instances are the instance ids of what this run has created or attempted to create.
	instances sync.Map
	adoptions adoptions
}

// newInstance returns the instance id of a resource that this run creates. It is remembered, since no other resource of the run
// may take over what it creates.
func (d *Data) newInstance() string {
	id := uuid.NewString()
	d.instances.Store(id, nil)
	return id
}

// madeInThisRun reports whether the id belongs to a resource that this run creates.
func (d *Data) madeInThisRun(id string) bool {
	_, ok := d.instances.Load(id)
	return ok
}

// Metadata names the provider.
func (p *Provider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "slipway"
	resp.Version = p.version
}

// Configure keeps the configuration. It connects to nothing: values may be unknown in a plan, and a cluster that is not used
// need not answer.
func (p *Provider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var model providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	config, diags := model.clusterConfig(ctx)
	resp.Diagnostics.Append(diags...)
	registries, diags := model.chartRegistries(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	config.UserAgent = "terraform-provider-slipway/" + p.version
	data := &Data{
		Workspace:        model.Workspace.ValueString(),
		WorkspaceUnknown: model.Workspace.IsUnknown(),
		Connections:      cluster.NewConnections(config),
		Charts:           chart.NewLoader("", registries),
		Version:          p.version,
	}
	p.data.Store(data)
	resp.ResourceData, resp.DataSourceData = data, data
}

// configuredData takes the provider's data in a resource's Configure. It is nil while Terraform only validates.
func configuredData(providerData any, diags *diag.Diagnostics) *Data {
	if providerData == nil {
		return nil
	}
	data, ok := providerData.(*Data)
	if !ok {
		diags.AddError("Cannot configure the resource", "The provider handed over data of an unexpected type. This is a bug in the provider.")
	}
	return data
}

// Resources lists the resource types.
func (p *Provider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		NewBlueGreenResource,
		NewCanaryResource,
		NewDatabaseResource,
		NewEnvironmentResource,
		NewMigrationResource,
		NewReleaseResource,
	}
}

// DataSources lists the data source types.
func (p *Provider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		NewFleetDataSource,
		NewReleaseHistoryDataSource,
		NewValuesDataSource,
	}
}

// Functions lists the provider functions. They work without a configured provider.
func (p *Provider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{
		NewExplainValueFunction,
		NewMergeValuesFunction,
		NewValuesYAMLFunction,
		NewWorkspaceNameFunction,
	}
}
