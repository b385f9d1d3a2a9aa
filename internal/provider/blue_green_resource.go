// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/traffic/bluegreen"
)

var (
	_ resource.ResourceWithConfigure   = (*BlueGreenResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*BlueGreenResource)(nil)
	_ resource.ResourceWithImportState = (*BlueGreenResource)(nil)
)

// NewBlueGreenResource is the constructor that the provider registers.
func NewBlueGreenResource() resource.Resource { return &BlueGreenResource{} }

// BlueGreenResource is slipway_blue_green: which of two colors of pods a Service has.
type BlueGreenResource struct {
	data *Data
}

// Metadata names the resource type.
func (r *BlueGreenResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_blue_green"
}

// Configure takes the connections that all resources share.
func (r *BlueGreenResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

// previewSuffix makes the name of the preview Service where none is given.
const previewSuffix = "-preview"

var (
	// A Service's name begins with a letter; the suffix of the preview Service must fit as well.
	coloredServicePattern = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,53}[a-z0-9])?$`)
	serviceNamePattern    = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	labelValuePattern     = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	labelKeyPattern       = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
)

// Schema describes slipway_blue_green.
func (r *BlueGreenResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	before, after := analysisBlock(), analysisBlock()
	before.MarkdownDescription = "Analyzes the new color on the preview Service, before the switch. An empty block watches its pods for 5 " +
		"minutes. It is skipped if no other pods have the traffic, and if the same pods were live before without failing, since a " +
		"rollback must not wait."
	after.MarkdownDescription = "Analyzes the new color after the switch. On failure the switch is rolled back at once, the apply " +
		"fails with " +
		"the evidence, and the same pods are quarantined until they, the analysis or `retry_token` change, or `quarantine` is over. The " +
		"annotation " +
		"`slipway.dev/abort` on the ConfigMap `slipway-blue-green-<service>` aborts the switch at once and restores the old color. An empty " +
		"block watches its pods for 5 minutes. In queries, `{{ release }}` is the name of the Service, and there is no `{{ version }}`."
	resp.Schema = schema.Schema{
		MarkdownDescription: "Decides which of two colors of pods is behind a Service. Both colors run at the same time, as two releases of " +
			"one chart whose pods differ in a label. A change of `active` waits until the new color is ready, analyzes it on a preview " +
			"Service, switches the selector of the live Service, waits until only the new pods are behind it, and analyzes again. Only this " +
			"one key of the selector is written; everything else of the Service stays with its owner. A change of the color is an update. " +
			"The live color is read from the Service, so a selector that was changed by hand shows in the next plan.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				MarkdownDescription: "Instance id: a random UUID that is also on the record in the namespace.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"environment": handleAttribute(),
			"service": schema.StringAttribute{
				MarkdownDescription: "Name of the live Service, which exists already. Its selector has at least one label that the pods of " +
					"both colors carry. Changing it replaces the resource. Example: `\"data-collection-service\"`.",
				Required: true,
				Validators: []validator.String{
					stringvalidator.RegexMatches(coloredServicePattern, "must be the name of a Service, of at most 55 characters"),
				},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"preview_service": schema.StringAttribute{
				MarkdownDescription: "Name of a Service that this resource makes, with the ports of the live one and the pods of the color " +
					"that is not live; during a switch, those of the new color. Changing it replaces the resource. " +
					"Default: the name of the live Service with `" + previewSuffix + "`. Example: `\"data-collection-next\"`.",
				Optional:      true,
				Computed:      true,
				Validators:    []validator.String{stringvalidator.RegexMatches(serviceNamePattern, "must be the name of a Service")},
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()},
			},
			"label": schema.StringAttribute{
				MarkdownDescription: "The label of the pods that distinguishes the colors. Changing it replaces the resource. " +
					"Default: `\"" + bluegreen.DefaultLabel + "\"`. Example: `\"color\"`.",
				Optional:      true,
				Computed:      true,
				Default:       stringdefault.StaticString(bluegreen.DefaultLabel),
				Validators:    []validator.String{stringvalidator.RegexMatches(labelKeyPattern, "must be the key of a label")},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"blue_value": colorValueAttribute(bluegreen.Blue,
				"`\"stable\"`, as the pods of a release are called that was there before there were colors"),
			"green_value": colorValueAttribute(bluegreen.Green, "`\"next\"`"),
			"active": schema.StringAttribute{
				MarkdownDescription: "The color that is live: `\"blue\"` or `\"green\"`. In the state it is what the Service's selector says.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.OneOf(bluegreen.Blue, bluegreen.Green)},
			},
			"keep_previous": schema.StringAttribute{
				MarkdownDescription: "How long the other color stays scaled after a switch, at least `\"30s\"`. Nothing acts between " +
					"applies: the first apply after this time scales its Deployments to zero. An autoscaler leaves a Deployment at zero " +
					"alone; a switch back scales it up first. A release with `correct_drift` and without an autoscaler would scale it up: " +
					"ignore `spec.replicas` there. Default: it stays. Example: `\"24h\"`.",
				Optional:   true,
				Validators: []validator.String{duration{least: bluegreen.MinKeepPrevious}},
			},
			"quarantine": schema.StringAttribute{
				MarkdownDescription: "How long pods that failed an analysis are not switched to again. Default: `\"24h\"`. Example: `\"2h\"`.",
				Optional:            true,
				Validators:          []validator.String{duration{}},
			},
			"retry_token": schema.StringAttribute{
				MarkdownDescription: "Any text. Changing it releases pods from quarantine that failed before. Example: `\"the database is back\"`.",
				Optional:            true,
			},
			"data_plane": dataPlaneAttribute(" of the route, with `istio` or `http_route`"),
			"allow_cluster_move": clusterMoveAttribute("UID of the cluster that the switch is allowed to move to together with its " +
				"environment, as in `slipway_environment`. " +
				"The color is then made live there; what is in the old cluster is forgotten, not removed."),
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create: true, Update: true, Delete: true,
				CreateDescription: "How long a switch may take, analyses included, for example `\"30m\"`. Default: `\"10m\"` and the time " +
					"of the analyses. When it is over after the switch, the switch is rolled back.",
				UpdateDescription: "How long a switch may take, analyses included, for example `\"30m\"`. Default: `\"10m\"` and the time " +
					"of the analyses. When it is over after the switch, the switch is rolled back.",
				DeleteDescription: "How long to wait for another run on the environment. Default: `\"10m\"`.",
			}),

			"cluster_uid": schema.StringAttribute{
				MarkdownDescription: "UID of the namespace `kube-system`, by which the cluster is recognized.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"planned_steps": schema.ListAttribute{
				MarkdownDescription: "What the apply does, in order: the analysis on the preview Service, the switch, the analysis after " +
					"it, what is scaled down. It stays in the state until the next change.",
				Computed:    true,
				ElementType: types.StringType,
			},
			"verification": schema.StringAttribute{
				MarkdownDescription: "What an interrupted run has left to do; the next apply resumes it. Null otherwise.",
				Computed:            true,
			},
			"quarantined": schema.StringAttribute{
				MarkdownDescription: "The color whose pods failed and are quarantined, until when, and why. Null otherwise.",
				Computed:            true,
			},
			"scale_down": schema.StringAttribute{
				MarkdownDescription: "The color that the next apply scales to zero, because `keep_previous` is over. Null otherwise.",
				Computed:            true,
			},
		},
		Blocks: map[string]schema.Block{
			"preview_analysis": before, "analysis": after, "istio": istioRouteBlock(), "http_route": httpRouteBlock(),
		},
	}
}

// colorValueAttribute is what the label has on the pods of a color.
func colorValueAttribute(color, example string) schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: "The value of `label` on the pods of " + color + ". Changing it replaces the resource. " +
			"Default: `\"" + color + "\"`. Example: " + example + ".",
		Optional:      true,
		Computed:      true,
		Default:       stringdefault.StaticString(color),
		Validators:    []validator.String{stringvalidator.RegexMatches(labelValuePattern, "must be the value of a label, and not empty")},
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}
