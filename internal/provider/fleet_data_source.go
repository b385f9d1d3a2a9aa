// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/fleet"
)

var _ datasource.DataSource = (*FleetDataSource)(nil)

// NewFleetDataSource is the constructor that the provider registers.
func NewFleetDataSource() datasource.DataSource { return &FleetDataSource{} }

// FleetDataSource is data.slipway_fleet: the environments of a described fleet.
type FleetDataSource struct{}

// Metadata names the data source type.
func (*FleetDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_fleet"
}

// Schema describes data.slipway_fleet.
func (*FleetDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Computed: true}
	}
	texts := func(description string) schema.MapAttribute {
		return schema.MapAttribute{MarkdownDescription: description, Computed: true, ElementType: types.StringType}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The environments of a fleet, as `fleet.yaml` and each client's `client.yaml` describe them, for " +
			"`for_each` and for pipelines. " +
			"It reads files only. The guide \"From one client to two hundred\" has the format.",
		Attributes: map[string]schema.Attribute{
			"directory": fleetDirectoryAttribute(),
			"select": schema.StringAttribute{
				MarkdownDescription: "Which environments, as a selector over tags, `client` and `stage`, in the form of Kubernetes' label " +
					"selectors. A tag that no environment has is an error. " +
					"Default: all. Example: `\"stage=prod,ring in (canary, early)\"`.",
				Optional: true,
			},
			"environments": schema.MapNestedAttribute{
				MarkdownDescription: "The environments by name, which is `<client>-<stage>`.",
				Computed:            true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"client":      text("Name of the client."),
					"stage":       text("Stage."),
					"workspace":   text("The Terraform workspace that manages it."),
					"tags":        texts("Tags of the client, and those of the stage over them."),
					"facts":       texts("What else is known of the environment: from `fleet.yaml`, `client.yaml` and its `.tfvars`."),
					"wave":        text("Name of the wave in which a release reaches it."),
					"wave_number": schema.Int64Attribute{MarkdownDescription: "Place of that wave in the order, counted from 0.", Computed: true},
					"values_file": text("Where `slipway generate` writes its values."),
				}},
			},
			"waves": schema.ListNestedAttribute{
				MarkdownDescription: "The waves in the order in which a release reaches them, with the names of the selected environments. " +
					"Waves without any are left out.",
				Computed: true,
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":         text("Name of the wave."),
					"environments": schema.ListAttribute{MarkdownDescription: "Names of its environments.", Computed: true, ElementType: types.StringType},
				}},
			},
			"clients": schema.ListAttribute{
				MarkdownDescription: "Names of the clients that have a selected environment, sorted.",
				Computed:            true,
				ElementType:         types.StringType,
			},
			"stages": schema.ListAttribute{
				MarkdownDescription: "All stages in the order of promotion.", Computed: true, ElementType: types.StringType,
			},
		},
	}
}

type fleetModel struct {
	Directory    types.String                     `tfsdk:"directory"`
	Select       types.String                     `tfsdk:"select"`
	Environments map[string]fleetEnvironmentModel `tfsdk:"environments"`
	Waves        []fleetWaveModel                 `tfsdk:"waves"`
	Clients      []string                         `tfsdk:"clients"`
	Stages       []string                         `tfsdk:"stages"`
}

type fleetEnvironmentModel struct {
	Client     string            `tfsdk:"client"`
	Stage      string            `tfsdk:"stage"`
	Workspace  string            `tfsdk:"workspace"`
	Tags       map[string]string `tfsdk:"tags"`
	Facts      map[string]string `tfsdk:"facts"`
	Wave       string            `tfsdk:"wave"`
	WaveNumber int64             `tfsdk:"wave_number"`
	ValuesFile string            `tfsdk:"values_file"`
}

type fleetWaveModel struct {
	Name         string   `tfsdk:"name"`
	Environments []string `tfsdk:"environments"`
}

// Read reads the description.
func (*FleetDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model fleetModel
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("directory"), &model.Directory)...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("select"), &model.Select)...)
	if resp.Diagnostics.HasError() {
		return
	}
	selector, err := fleet.ParseSelector(model.Select.ValueString())
	if err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("select"), "Cannot read the fleet", capitalized(err.Error())+".")
		return
	}
	described, err := fleet.Read(ctx, model.Directory.ValueString())
	if err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("directory"), "Cannot read the fleet", detailOf(err))
		return
	}
	if err := described.CheckPlaces(); err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("directory"), "Cannot use the fleet", detailOf(err))
		return
	}
	if err := described.CheckSelector(selector); err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("select"), "Cannot read the fleet", ended(capitalized(err.Error())))
		return
	}
	model.fill(described, described.Select(selector))
	resp.Diagnostics.Append(resp.State.Set(ctx, &model)...)
}

func (m *fleetModel) fill(described *fleet.Fleet, environments []*fleet.Environment) {
	m.Environments, m.Stages = map[string]fleetEnvironmentModel{}, described.Stages
	m.Waves, m.Clients = []fleetWaveModel{}, []string{}
	for _, e := range environments {
		name := e.Client + "-" + e.Stage
		m.Environments[name] = fleetEnvironmentModel{
			Client: e.Client, Stage: e.Stage, Workspace: name, Tags: e.Tags, Facts: e.Facts, Wave: e.WaveName, WaveNumber: int64(e.Wave),
			ValuesFile: filepath.ToSlash(filepath.Join(described.Dir, described.Output, e.Client, e.Stage, fleet.ValuesFile)),
		}
		if !slices.Contains(m.Clients, e.Client) {
			m.Clients = append(m.Clients, e.Client)
		}
	}
	for i, wave := range described.WaveNames() {
		group := fleetWaveModel{Name: wave}
		for _, e := range environments {
			if e.Wave == i {
				group.Environments = append(group.Environments, e.Client+"-"+e.Stage)
			}
		}
		if len(group.Environments) > 0 {
			m.Waves = append(m.Waves, group)
		}
	}
}
