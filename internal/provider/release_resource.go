// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"maps"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var (
	_ resource.ResourceWithConfigure   = (*ReleaseResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*ReleaseResource)(nil)
	_ resource.ResourceWithImportState = (*ReleaseResource)(nil)
)

// NewReleaseResource is the constructor that the provider registers.
func NewReleaseResource() resource.Resource { return &ReleaseResource{} }

// ReleaseResource is slipway_release: one Helm release in one environment.
type ReleaseResource struct {
	data *Data
}

// Metadata names the resource type.
func (r *ReleaseResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_release"
}

// Configure takes the connections that all resources share.
func (r *ReleaseResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.data = configuredData(req.ProviderData, &resp.Diagnostics)
}

var (
	releaseNamePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$`)
	imageTagPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	valuePathPattern   = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
)

// Defaults that the schema and an import share.
const (
	defaultVersionPath = "image.tag"
	defaultCRDs        = crdsCreate
	defaultOnPending   = "recover"
	defaultMaxHistory  = 10
)

const releaseNameRule = "must be a DNS label of at most 53 characters: lower-case letters, digits and hyphens"

// Schema describes slipway_release.
func (r *ReleaseResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A Helm release in a client's environment. The plan shows the rendered Kubernetes objects leaf by leaf, " +
			"with secrets masked, and validates the changed ones with a dry run on the API server. The apply installs exactly what was " +
			"planned and waits until the pods are ready. Then it verifies the new version as `smoke_test`, `analysis` and `acceptance` " +
			"say, and rolls back automatically when verification fails (`rollback`). The next apply finishes what an interrupted one has left.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				MarkdownDescription: "Instance id of the release: a random UUID that is also in the record in its namespace. A release that " +
					"carries another id is " +
					"never removed by this resource, only forgotten.",
				Computed:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"environment": handleAttribute(),
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the Helm release, unique in the namespace; at most 53 characters. Default: the chart's name. " +
					"Changing it " +
					"replaces the release. Example: `\"data-collection-service\"`.",
				Optional:      true,
				Computed:      true,
				Validators:    []validator.String{stringvalidator.RegexMatches(releaseNamePattern, releaseNameRule)},
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()},
			},
			"chart": schema.SingleNestedAttribute{
				MarkdownDescription: "Where the chart comes from: either `path`, or `repository`, `name` and `version`.",
				Required:            true,
				Validators:          []validator.Object{chartSource{}},
				Attributes: map[string]schema.Attribute{
					"path": schema.StringAttribute{
						MarkdownDescription: "Chart directory or packed `.tgz` file, relative to the directory in which Terraform runs; use " +
							"`\"${path.module}/…\"` in modules. Example: `\"charts/data-collection-service\"`.",
						Optional:   true,
						Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
					},
					"repository": schema.StringAttribute{
						MarkdownDescription: "Chart repository: `\"https://…\"` with an `index.yaml`, or an OCI registry as " +
							"`\"oci://registry.company.com/charts\"`. " +
							"Credentials come from the provider's `registries`.",
						Optional: true,
						Validators: []validator.String{
							stringvalidator.RegexMatches(regexp.MustCompile(`^(https?|oci)://.+`), "must start with https://, http:// or oci://"),
						},
					},
					"name": schema.StringAttribute{
						MarkdownDescription: "Name of the chart in the repository. Example: `\"data-collection-service\"`.",
						Optional:            true,
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
					},
					"version": schema.StringAttribute{
						MarkdownDescription: "Exact version of the chart, as SemVer. A range is refused, since a plan must name what the apply installs. " +
							"Example: `\"0.1.0\"`.",
						Optional:   true,
						Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
					},
				},
			},
			"version": schema.StringAttribute{
				MarkdownDescription: "Version of the application, written into the values at `version_path` as the image tag. Example: `\"v1.2.0\"`, " +
					"`\"sha-abc123f456\"`. Default: what the chart and the values say.",
				Optional: true,
				Validators: []validator.String{stringvalidator.RegexMatches(imageTagPattern,
					"must be a valid image tag: letters, digits, '_', '.', '-', at most 128 characters")},
			},
			"version_path": schema.StringAttribute{
				MarkdownDescription: "Where the chart's values hold the image tag, as a dotted path. Default: `\"image.tag\"`.",
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString(defaultVersionPath),
				Validators: []validator.String{
					stringvalidator.RegexMatches(valuePathPattern, "must be a dotted path of keys, for example image.tag"),
				},
			},
			"values_files": schema.ListAttribute{
				MarkdownDescription: "Values files, later ones win, read with Helm's YAML rules (`yamldecode()` reads some values differently). " +
					"They are public: secrets belong into `sensitive_values` or `values_wo`. Example: `[\"values.yaml\", \"values-client-a.yaml\"]`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.List{listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))},
			},
			"values": schema.DynamicAttribute{
				MarkdownDescription: "Values as an object, merged over `values_files` and `version` with Helm's rules; the plan shows their " +
					"changes leaf by leaf. They are public: " +
					"a sensitive value in here is hidden by Terraform in this attribute but printed in `objects`. Example: " +
					"`{ autoscaling = { maxReplicas = 50 } }`.",
				Optional: true,
			},
			"sensitive_values": schema.DynamicAttribute{
				MarkdownDescription: "Secret values as an object, merged over `values`. They are kept in the state (as sensitive) and " +
					"masked in every other " +
					"attribute, wherever the chart writes them. Terraform's own debug log (`TF_LOG=DEBUG`) prints what is in the state; what " +
					"must not be there either belongs into `values_wo`. Example: `{ database = { password = var.password } }`.",
				Optional:  true,
				Sensitive: true,
			},
			"values_wo": schema.DynamicAttribute{
				MarkdownDescription: "Secret values as an object, merged last. Write-only: never in plan or state, sent again with every " +
					"update; may be ephemeral. Whatever depends on " +
					"them is masked. A change of them alone is seen only when `values_wo_version` changes; the plan warns if that is missing. " +
					"Example: `{ apiToken = var.api_token }`.",
				Optional:  true,
				WriteOnly: true,
			},
			"values_wo_version": schema.Int64Attribute{
				MarkdownDescription: "Counter that says that `values_wo` changed: raise it to roll out new secrets. Example: `2`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.AlsoRequires(path.MatchRoot("values_wo"))},
			},
			"on_pending": schema.StringAttribute{
				MarkdownDescription: "What to do when another tool left the release pending (\"another operation is in progress\"): " +
					"`\"recover\"` (default) " +
					"waits for what still runs, marks it failed and continues; `\"fail\"` stops with an error. What Slipway itself left is " +
					"always recovered.",
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(defaultOnPending),
				Validators: []validator.String{stringvalidator.OneOf("recover", "fail")},
			},
			"take_ownership": schema.BoolAttribute{
				MarkdownDescription: "Take over objects that run already and that the chart renders: those made by `kubectl`, Argo CD, Flux or " +
					"another program, and a Helm release of this name that Slipway did not make. The plan lists each of them with its owner, and " +
					"says whose pods are replaced. Fields that the chart does not set stay. Objects of another Helm release are refused unless " +
					"`take_ownership_from` names it. Default: `false`. Example: `true`.",
				Optional: true,
			},
			"take_ownership_from": schema.ListAttribute{
				MarkdownDescription: "Other Helm releases in the namespace of which objects are taken over. Their records still list the objects: " +
					"remove the records after the apply, without `helm uninstall`. Default: none. Example: `[\"old-release\"]`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators: []validator.List{
					listvalidator.SizeAtLeast(1), listvalidator.AlsoRequires(path.MatchRoot("take_ownership")),
					listvalidator.ValueStringsAre(stringvalidator.RegexMatches(releaseNamePattern, releaseNameRule)),
				},
			},
			"max_history": schema.Int64Attribute{
				MarkdownDescription: "How many revisions of the release are kept; at least 2. The deployed revision, the last known-good " +
					"one, the one before it, and " +
					"pending ones are always kept. Default: `10`.",
				Optional:   true,
				Computed:   true,
				Default:    int64default.StaticInt64(defaultMaxHistory),
				Validators: []validator.Int64{int64validator.AtLeast(2)},
			},
			"lookup_namespaces": lookupAttribute(),
			"allow_cluster_move": clusterMoveAttribute("UID of the cluster that the release is allowed to move to together with its " +
				"environment, as in `slipway_environment`. " +
				"It is then installed there; what is in the old cluster is forgotten, not removed."),
			"retry_token": schema.StringAttribute{
				MarkdownDescription: "Any text. Changing it releases content from quarantine that failed before (see `quarantined`), for " +
					"example after its dependencies are repaired. " +
					"Example: `\"queue is back\"`.",
				Optional: true,
			},
			"max_apply": schema.StringAttribute{
				MarkdownDescription: "How long an apply of this release may take at most, rollout, tests, analysis and rollback together. " +
					"What is configured to take longer is an error in the plan: " +
					"a job that ends in the middle leaves a version that is not verified. Default: `\"45m\"`. Example: `\"90m\"`.",
				Optional:   true,
				Validators: []validator.String{duration{}},
			},
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create: true, Update: true, Delete: true,
				CreateDescription: "How long install hooks and pods may take together, for example `\"10m\"`. Default: `\"5m\"`.",
				UpdateDescription: "How long upgrade hooks and the rollout may take together, for example `\"10m\"`. Default: `\"5m\"`.",
				DeleteDescription: "How long the removal of all objects may take, for example `\"10m\"`. Default: `\"5m\"`.",
			}),

			"revision": schema.Int64Attribute{
				MarkdownDescription: "Newest revision of the Helm release.",
				Computed:            true,
			},
			"status": schema.StringAttribute{
				MarkdownDescription: "Helm's status of the newest revision (`deployed`, `failed`, `pending-upgrade`, …), or `modified` when " +
					"a revision was made outside Slipway. " +
					"Anything but `deployed` is repaired by the next apply.",
				Computed: true,
			},
			"cluster_uid": schema.StringAttribute{
				MarkdownDescription: "UID of the namespace `kube-system`, by which the cluster is recognized.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"chart_version": schema.StringAttribute{
				MarkdownDescription: "Version of the chart.",
				Computed:            true,
			},
			"chart_digest": schema.StringAttribute{
				MarkdownDescription: "Digest of the chart's content (`sha256:…`). It is planned, and the apply installs nothing else.",
				Computed:            true,
			},
			"values_digest": schema.StringAttribute{
				MarkdownDescription: "Digest of the merged public values (`values_files`, `version`, `values`); it changes when the content " +
					"of a values file does.",
				Computed: true,
			},
			"manifest_digest": schema.StringAttribute{
				MarkdownDescription: "Digest of `objects`. Unknown in the plan when the chart renders differently each time.",
				Computed:            true,
			},
			"objects": schema.MapAttribute{
				MarkdownDescription: "Every Kubernetes object as the chart renders it, hooks included: a map from " +
					"`apps/v1/Deployment/data-collection-service` to canonical JSON. " +
					"Data of Secrets, and every leaf that depends on a secret value, is masked. Objects that the chart renders differently " +
					"each time are unknown in the plan.",
				Computed:    true,
				ElementType: types.StringType,
			},
			"change_summary": schema.ListAttribute{
				MarkdownDescription: "The planned change in words, for reviewers: `Deployment/data-collection-service: image v1.1.1 → " +
					"v1.2.0`. It stays in the state until the next change.",
				Computed:    true,
				ElementType: types.StringType,
			},
			"verification": schema.StringAttribute{
				MarkdownDescription: "Whether the newest revision is verified: `verified` (it passed its tests and analysis), `unverified " +
					"since …` (the run was interrupted, or came to no verdict; " +
					"the next apply resumes without a new revision), or `failed: …`. Null where nothing verifies the release.",
				Computed: true,
			},
			"known_good": schema.StringAttribute{
				MarkdownDescription: "The newest revision that is known to work, which a rollback restores. Example: `v1.1.1 (revision 3)`.",
				Computed:            true,
			},
			"rollback_ready": schema.StringAttribute{
				MarkdownDescription: "`yes` where a failed update could be rolled back automatically, otherwise why not: as of the last " +
					"apply with a `rollback` block. A plan that changes something asks again, and " +
					"warns where it could not. Null without that block.",
				Computed: true,
			},
			"quarantined": schema.StringAttribute{
				MarkdownDescription: "Set in a plan whose content failed not long ago: what failed, when, why, and until when it is " +
					"quarantined. The apply of this release then stops before it changes anything, " +
					"unless an input or `retry_token` changes. Null otherwise.",
				Computed: true,
			},
			"findings": schema.ListAttribute{
				MarkdownDescription: "What a review of the chart found that would lose requests or capacity in a rollout, with the cure. " +
					"Null when nothing was found.",
				Computed:    true,
				ElementType: types.StringType,
			},
		},
		Blocks: verificationBlocks(),
	}
	maps.Copy(resp.Schema.Attributes, driftAttributes())
	maps.Copy(resp.Schema.Attributes, crdAttributes())
	resp.Schema.Blocks["drift_ignore"] = driftIgnoreBlock()
}
