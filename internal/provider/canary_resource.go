// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var (
	_ resource.ResourceWithConfigure      = (*CanaryResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*CanaryResource)(nil)
	_ resource.ResourceWithImportState    = (*CanaryResource)(nil)
	_ resource.ResourceWithValidateConfig = (*CanaryResource)(nil)
)

// NewCanaryResource is the constructor that the provider registers.
func NewCanaryResource() resource.Resource { return &CanaryResource{} }

// CanaryResource is slipway_canary: how the requests to a host are divided between two tracks of pods.
type CanaryResource struct {
	data *Data
}

// Metadata names the resource type.
func (r *CanaryResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_canary"
}

// Configure takes the connections that all resources share.
func (r *CanaryResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// Schema describes slipway_canary.
func (r *CanaryResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Divides the requests to a host between two tracks of pods, stable and canary, by an Istio " +
			"VirtualService or a Gateway API HTTPRoute. Weight moves step by step, only to pods that are ready, and each step is " +
			"analyzed within the apply. On failure the old weights are restored at once and the apply fails with the evidence. The same " +
			"pods get no more requests until they, the analysis or `retry_token` change. Weights that were changed by hand show in the " +
			"next plan. A route that was divided before is taken over at its present weights.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				MarkdownDescription: "Instance id: a random UUID that is also on the route and on the record in the namespace.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"environment": handleAttribute(),
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the split, unique in the environment. Objects that this resource makes have it. Changing it " +
					"replaces the resource. Example: `\"data-collection\"`.",
				Required:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"weight": schema.Int64Attribute{
				MarkdownDescription: "The percentage of requests that goes to the canary, 0 to 100. In the state it is what the route says. " +
					"Example: `10`.",
				Required:   true,
				Validators: []validator.Int64{int64validator.Between(0, 100)},
			},
			"headers": schema.MapAttribute{
				MarkdownDescription: "Headers, each of which alone sends a request to the canary whatever `weight` is. Names are in lower " +
					"case. Default: none. Example: `{ canary = \"true\" }`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.Map{mapvalidator.NoNullValues()},
			},
			"quarantine": schema.StringAttribute{
				MarkdownDescription: "How long pods that failed get no more requests than before. Default: `\"24h\"`. Example: `\"2h\"`.",
				Optional:            true,
				Validators:          []validator.String{duration{}},
			},
			"retry_token": schema.StringAttribute{
				MarkdownDescription: "Any text. Changing it releases pods from quarantine that failed before. Example: `\"the database is back\"`.",
				Optional:            true,
			},
			"data_plane": dataPlaneAttribute(""),
			"allow_cluster_move": clusterMoveAttribute("UID of the cluster that the split is allowed to move to together with its " +
				"environment, as in `slipway_environment`. " +
				"The requests are then divided there, from nothing; the route in the old cluster is forgotten, not removed."),
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create: true, Update: true, Delete: true,
				CreateDescription: "How long all steps may take, analyses included, for example `\"1h\"`. Default: `\"10m\"` and the time " +
					"of pauses and analyses. When it is over, the old weights are restored.",
				UpdateDescription: "How long all steps may take, analyses included, for example `\"1h\"`. Default: `\"10m\"` and the time " +
					"of pauses and analyses. When it is over, the old weights are restored.",
				DeleteDescription: "How long it may take until the stable track has all requests. Default: `\"10m\"`.",
			}),

			"cluster_uid": schema.StringAttribute{
				MarkdownDescription: "UID of the namespace `kube-system`, by which the cluster is recognized.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"planned_steps": schema.ListAttribute{
				MarkdownDescription: "What the apply does, in order: each weight and how it is analyzed. It stays in the state until the next " +
					"change.",
				Computed:    true,
				ElementType: types.StringType,
			},
			"drift": schema.ListAttribute{
				MarkdownDescription: "What others changed in the route other than weights and headers; the next apply repairs it. After an " +
					"import: that the next apply takes over the route. Null otherwise.",
				Computed:    true,
				ElementType: types.StringType,
			},
			"verification": schema.StringAttribute{
				MarkdownDescription: "What an interrupted run has left to do; the next apply resumes it. Null otherwise.",
				Computed:            true,
			},
			"quarantined": schema.StringAttribute{
				MarkdownDescription: "Why the canary gets no more requests, and until when. Null otherwise.",
				Computed:            true,
			},
		},
		Blocks: canaryBlocks(),
	}
}

func canaryBlocks() map[string]schema.Block {
	steps := canaryAnalysisBlock()
	steps.MarkdownDescription = "Analyzes the canary at each step and at `weight`. An empty block watches its pods for 5 minutes. " +
		"On failure " +
		"the weights from before the apply are restored. The annotation `slipway.dev/abort` on the ConfigMap `slipway-canary-<name>` " +
		"aborts the traffic shift at once and restores the old weights. In queries, `{{ release }}` is the name of the split, and there is " +
		"no `{{ version }}`."
	return map[string]schema.Block{
		"istio":       canaryIstioBlock(),
		"gateway_api": canaryGatewayBlock(),
		"stable":      trackBlock("stable", "v1"),
		"canary":      trackBlock("canary", "v2"),
		"analysis":    steps,
		"step": schema.ListNestedBlock{
			MarkdownDescription: "A weight on the way up to `weight`. Steps go upwards; those that are not between the present weight " +
				"and `weight` are left out.",
			NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
				"weight": schema.Int64Attribute{
					MarkdownDescription: "The percentage of this step, 1 to 99. Example: `10`.",
					Required:            true,
					Validators:          []validator.Int64{int64validator.Between(1, 99)},
				},
				"pause": schema.StringAttribute{
					MarkdownDescription: "How long requests flow before the step is analyzed. Default: `\"0s\"`. Example: `\"1m\"`.",
					Optional:            true,
					Validators:          []validator.String{duration{zero: true}},
				},
			}},
		},
	}
}

func canaryIstioBlock() schema.ListNestedBlock {
	return atMostOne("Divides a route of an Istio VirtualService. One of `istio` and `gateway_api` must be given. Changing it "+
		"replaces the resource.", schema.NestedBlockObject{
		Attributes: map[string]schema.Attribute{
			"host": schema.StringAttribute{
				MarkdownDescription: "The Service that both tracks are behind. Example: `\"data-collection-service\"`.",
				Required:            true,
			},
			"virtual_service": schema.StringAttribute{
				MarkdownDescription: "Name of the VirtualService that another owner manages; needs `route`. Default: one of our own with the " +
					"name of the split. Example: `\"edge\"`.",
				Optional: true,
			},
			"route": schema.StringAttribute{
				MarkdownDescription: "Name of the one route in `virtual_service` that is divided; all others stay as they are. Default: " +
					"none. Example: `\"primary\"`.",
				Optional: true,
			},
			"destination_rule": schema.StringAttribute{
				MarkdownDescription: "Name of the DestinationRule that gets the subsets. Default: the name of the split. Example: " +
					"`\"data-collection\"`.",
				Optional: true,
			},
			"gateways": schema.ListAttribute{
				MarkdownDescription: "Gateways of an own VirtualService. Default: the mesh. Example: `[\"istio-system/public\", \"mesh\"]`.",
				Optional:            true,
				ElementType:         types.StringType,
			},
			"hosts": schema.ListAttribute{
				MarkdownDescription: "Hosts of an own VirtualService in addition to `host`. Default: none. Example: `[\"collect.example.com\"]`.",
				Optional:            true,
				ElementType:         types.StringType,
			},
		},
	})
}

func canaryGatewayBlock() schema.ListNestedBlock {
	return atMostOne("Divides a rule of a Gateway API HTTPRoute. One of `istio` and `gateway_api` must be given. Changing it "+
		"replaces the resource.", schema.NestedBlockObject{
		Attributes: map[string]schema.Attribute{
			"http_route": schema.StringAttribute{
				MarkdownDescription: "Name of the HTTPRoute that another owner manages; needs `rule` or `rule_index`. Default: one of our own " +
					"with the name of the split. Example: `\"edge\"`.",
				Optional: true,
			},
			"rule": schema.StringAttribute{
				MarkdownDescription: "Name of the one rule in `http_route` that is divided; all others stay as they are. Default: none. " +
					"Example: `\"primary\"`.",
				Optional: true,
			},
			"rule_index": schema.Int64Attribute{
				MarkdownDescription: "Place of the rule, from 0, where it has no name. Default: none. Example: `0`.",
				Optional:            true,
			},
			"hostnames": schema.ListAttribute{
				MarkdownDescription: "Host names of an own HTTPRoute. Default: none. Example: `[\"collect.example.com\"]`.",
				Optional:            true,
				ElementType:         types.StringType,
			},
		},
		Blocks: map[string]schema.Block{
			"parent": schema.ListNestedBlock{
				MarkdownDescription: "What an own HTTPRoute is attached to: the Service that clients in a mesh call, or a Gateway.",
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"kind": schema.StringAttribute{
						MarkdownDescription: "`\"Service\"` or `\"Gateway\"`.",
						Required:            true,
					},
					"name": schema.StringAttribute{
						MarkdownDescription: "Its name. Example: `\"data-collection-service\"`.",
						Required:            true,
					},
					"namespace": schema.StringAttribute{
						MarkdownDescription: "Its namespace. Default: the environment's. Example: `\"gateways\"`.",
						Optional:            true,
					},
					"port": schema.Int64Attribute{
						MarkdownDescription: "Port of a Service. Default: all. Example: `80`.",
						Optional:            true,
						Validators:          []validator.Int64{int64validator.Between(1, 65535)},
					},
					"section_name": schema.StringAttribute{
						MarkdownDescription: "Listener of a Gateway. Default: all. Example: `\"https\"`.",
						Optional:            true,
					},
				}},
			},
		},
	})
}

func trackBlock(name, version string) schema.ListNestedBlock {
	b := atMostOne("The "+name+" track. Changing it replaces the resource.", schema.NestedBlockObject{
		Attributes: map[string]schema.Attribute{
			"labels": schema.MapAttribute{
				MarkdownDescription: "Labels that pods of this track have, and those of the other one have not; with `istio`. Default: " +
					"none. Example: `{ version = \"" + version + "\" }`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.Map{mapvalidator.NoNullValues()},
			},
			"subset": schema.StringAttribute{
				MarkdownDescription: "Name of the subset; with `istio`. Default: `\"" + name + "\"`. Example: `\"" + version + "\"`.",
				Optional:            true,
			},
			"service": schema.StringAttribute{
				MarkdownDescription: "A Service that has only pods of this track; with `gateway_api`. Default: none. Example: " +
					"`\"data-collection-" + name + "\"`.",
				Optional: true,
			},
			"port": schema.Int64Attribute{
				MarkdownDescription: "Port of `service`. Default: none. Example: `80`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
		},
	})
	b.Validators = append(b.Validators, listvalidator.IsRequired())
	return b
}
