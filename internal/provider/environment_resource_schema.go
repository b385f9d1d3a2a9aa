// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment/namespace"
)

var (
	rolePattern = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$`)
)

// Schema describes slipway_environment. No attribute is Sensitive, and no Computed attribute has a name that the handle
// has: either would make the handle in every dependent unreadable or unknown.
func (r *EnvironmentResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "One client in one stage: a namespace that carries the client's labels, with what belongs to it " +
			"(ServiceAccount, network policies, quota, " +
			"limits). Pass the whole resource to others as `environment = slipway_environment.this`. Client, stage and namespace name " +
			"are its identity and " +
			"cannot be changed. A namespace that Slipway made is deleted with the environment, when it is empty of releases and " +
			"workloads; an adopted one stays.",
		Attributes: map[string]schema.Attribute{
			"client":    clientAttribute(),
			"stage":     stageAttribute(),
			"cluster":   clusterAttribute(),
			"namespace": namespaceAttribute(),
			"database":  databaseAttribute(),

			"service_account": serviceAccountAttribute(),
			"network":         networkAttribute(),
			"resource_quota": schema.SingleNestedAttribute{
				MarkdownDescription: "ResourceQuota of the namespace. Leave room for rollouts: a quota that fits the running pods exactly " +
					"hangs the next one, and hook Jobs count too. " +
					"Default: none. Example: `{ hard = { \"requests.cpu\" = \"8\", \"requests.memory\" = \"16Gi\" } }`.",
				Optional: true,
				Attributes: map[string]schema.Attribute{
					"hard": quantitiesAttribute("Limits of the namespace: resource to quantity. Example: `{ \"requests.cpu\" = \"8\", pods = \"60\" }`.",
						true, namespace.QuotaResourceProblem),
				},
			},
			"limit_range": schema.SingleNestedAttribute{
				MarkdownDescription: "LimitRange for containers of the namespace: what containers get that say nothing, and bounds. A " +
					"ResourceQuota on CPU or memory refuses pods " +
					"that say nothing, unless `default_request` is here. Default: none. Example: `{ default_request = { cpu = \"100m\", memory " +
					"= \"128Mi\" } }`.",
				Optional:   true,
				Validators: []validator.Object{risingLimits{}},
				Attributes: map[string]schema.Attribute{
					"default": quantitiesAttribute("Limits of containers that have none. They throttle silently; prefer `default_request` alone. "+
						"Default: none. Example: `{ memory = \"512Mi\" }`.", false, namespace.ContainerResourceProblem),
					"default_request": quantitiesAttribute("Requests of containers that have none. Default: none. Example: `{ cpu = \"100m\", "+
						"memory = \"128Mi\" }`.", false, namespace.ContainerResourceProblem),
					"max": quantitiesAttribute("Highest limits of a container. Default: none. Example: `{ cpu = \"4\", memory = \"8Gi\" }`.",
						false, namespace.ContainerResourceProblem),
					"min": quantitiesAttribute("Lowest requests of a container. Default: none. Example: `{ cpu = \"10m\" }`.", false,
						namespace.ContainerResourceProblem),
				},
			},

			"deletion_protection": schema.BoolAttribute{
				MarkdownDescription: "Refuse to destroy the environment, at plan and again when it comes to it (`-replace` and taint too). " +
					"To destroy, set `false` and apply first. " +
					"Default: `true`. Example: `false`.",
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(true),
			},
			"allow_cluster_move": clusterMoveAttribute("UID of the cluster that the client is allowed to move to: the UID of its " +
				"namespace `kube-system`, which the error " +
				"names when the context leads to another cluster than before. The environment is then made there; what is in the old " +
				"cluster is forgotten, not removed."),
			"timeouts": timeouts.Attributes(ctx, timeouts.Opts{
				Create: true, Update: true, Delete: true,
				CreateDescription: "How long creating may take, without waiting for another run, for example `\"10m\"`. " +
					"Default: `\"5m\"`.",
				UpdateDescription: "How long an update may take, without waiting for another run, for example `\"10m\"`. " +
					"Default: `\"5m\"`.",
				DeleteDescription: "How long it may take until the namespace is gone, for example `\"20m\"`. Default: `\"10m\"`.",
			}),

			"id": schema.StringAttribute{
				MarkdownDescription: "Instance id: a random UUID that is also on the namespace (annotation `slipway.dev/instance-id`). A " +
					"namespace that carries another id is never removed, only forgotten.",
				Computed:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"cluster_uid": schema.StringAttribute{
				MarkdownDescription: "UID of the namespace `kube-system`, by which the cluster is recognized whatever its address is. It is " +
					"compared in every plan and before every change.",
				Computed:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"namespace_uid": schema.StringAttribute{
				MarkdownDescription: "UID of the namespace.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"drift": schema.ListAttribute{
				MarkdownDescription: "What was changed in the cluster outside Terraform, in words; the next apply restores it. Null when nothing was.",
				Computed:            true,
				ElementType:         types.StringType,
			},
		},
	}
}

func namespaceAttribute() schema.SingleNestedAttribute {
	level := func(what string) schema.StringAttribute {
		return schema.StringAttribute{
			MarkdownDescription: what + " Default: no label. Example: `\"restricted\"`.",
			Optional:            true,
			Validators:          []validator.String{stringvalidator.OneOf("privileged", "baseline", "restricted")},
		}
	}
	name := namespaceNameAttribute()
	name.Validators = append(name.Validators, clientNamespace{})
	return schema.SingleNestedAttribute{
		MarkdownDescription: "The client's namespace. Example: `{ name = \"data-collection-client-a\" }`.",
		Required:            true,
		Attributes: map[string]schema.Attribute{
			"name": name,
			"adopt": schema.BoolAttribute{
				MarkdownDescription: "Take the namespace over where it exists and is nobody's. It is then never deleted: on destroy it only " +
					"loses what Slipway put there. What runs in it is left alone, and so is its network unless `network.ingress` or " +
					"`network.egress` says `\"deny\"`. Releases, splits and databases of the same plan can be imported or taken over. " +
					"A namespace of another client is never taken over. Default: `false`. Example: `true`.",
				Optional: true,
			},
			"labels": schema.MapAttribute{
				MarkdownDescription: "Labels of the namespace, in addition to those of Slipway. Labels that others set stay. Default: none. " +
					"Example: `{ team = \"data\" }`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.Map{mapvalidator.KeysAre(metadataKey{}), mapvalidator.ValueStringsAre(labelValue{})},
			},
			"annotations": schema.MapAttribute{
				MarkdownDescription: "Annotations of the namespace, in addition to those of Slipway. Annotations that others set stay. " +
					"Default: none. Example: `{ \"company.com/owner\" = \"data@company.com\" }`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.Map{mapvalidator.KeysAre(metadataKey{})},
			},
			"pod_security": schema.SingleNestedAttribute{
				MarkdownDescription: "Pod Security levels, as labels of the namespace. Default: none, so that the cluster's own default " +
					"holds. Example: `{ enforce = \"baseline\", warn = \"restricted\" }`.",
				Optional: true,
				Attributes: map[string]schema.Attribute{
					"enforce": level("Level that refuses pods."),
					"audit":   level("Level that is noted in the audit log."),
					"warn":    level("Level that warns anyone who creates a pod."),
				},
			},
		},
	}
}

func serviceAccountAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "ServiceAccount of the client's pods. Default: none is made. Example: " +
			"`{ name = \"data-collection\", role_arn = \"arn:aws:iam::111111111111:role/client-a-data-collection\" }`.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the ServiceAccount; `default` is the one that every namespace has. Example: `\"data-collection\"`.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.RegexMatches(namespacePattern, namespaceRule)},
			},
			"role_arn": schema.StringAttribute{
				MarkdownDescription: "AWS role of the pods, written as annotation `eks.amazonaws.com/role-arn`. Default: none. Example: " +
					"`\"arn:aws:iam::111111111111:role/client-a-data-collection\"`.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.RegexMatches(rolePattern, "must be the ARN of an IAM role")},
			},
			"annotations": schema.MapAttribute{
				MarkdownDescription: "Annotations of the ServiceAccount. Default: none. Example: `{ \"iam.gke.io/gcp-service-account\" = " +
					"\"data@project.iam.gserviceaccount.com\" }`.",
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.Map{mapvalidator.KeysAre(metadataKey{})},
			},
		},
	}
}

func networkAttribute() schema.SingleNestedAttribute {
	traffic := func(what, fallback string) schema.StringAttribute {
		return schema.StringAttribute{
			MarkdownDescription: what,
			Optional:            true,
			Computed:            true,
			Default:             stringdefault.StaticString(fallback),
			Validators:          []validator.String{stringvalidator.OneOf(namespace.TrafficDeny, namespace.TrafficAllow)},
		}
	}
	cidrs := func(what string, more ...validator.List) schema.ListAttribute {
		return schema.ListAttribute{
			MarkdownDescription: what,
			Optional:            true,
			ElementType:         types.StringType,
			Validators:          append(more, listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(cidr{})),
		}
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "NetworkPolicies of the namespace. Pods of the namespace always reach each other; probes of the kubelet " +
			"get through. They have an effect only where the " +
			"cluster enforces network policies. Default: `{ ingress = \"deny\", egress = \"allow\" }`; with `namespace.adopt = true`, " +
			"`ingress` is `\"allow\"` unless it is set. Example: `{ load_balancer_cidrs = " +
			"[\"10.0.0.0/16\"], prometheus = { namespace = \"monitoring\" } }`.",
		Optional: true,
		Computed: true,
		Default:  objectdefault.StaticValue(defaultNetwork()),
		Attributes: map[string]schema.Attribute{
			"ingress": traffic("What may reach the pods from outside the namespace: `\"deny\"` leaves only what the presets open, "+
				"`\"allow\"` everything. Default: `\"deny\"`, with `namespace.adopt = true` `\"allow\"`. Example: `\"allow\"`.", namespace.TrafficDeny),
			"egress": traffic("What the pods may reach outside the namespace: `\"deny\"` leaves only what the presets open, `\"allow\"` "+
				"everything. Default: `\"allow\"`. Example: `\"deny\"`.", namespace.TrafficAllow),
			"dns": schema.BoolAttribute{
				MarkdownDescription: "With `egress = \"deny\"`: let pods ask name servers (port 53 of any address, since node-local name " +
					"servers are no pods). Default: `true`. Example: `false`.",
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(true),
			},
			"prometheus": schema.SingleNestedAttribute{
				MarkdownDescription: "With `ingress = \"deny\"`: let Prometheus scrape. Default: closed. Example: `{ namespace = " +
					"\"monitoring\", pod_labels = { \"app.kubernetes.io/name\" = \"prometheus\" } }`.",
				Optional: true,
				Attributes: map[string]schema.Attribute{
					"namespace": namespaceNameAttribute(),
					"pod_labels": schema.MapAttribute{
						MarkdownDescription: "Labels of Prometheus' pods. Default: all pods of the namespace. Example: `{ " +
							"\"app.kubernetes.io/name\" = \"prometheus\" }`.",
						Optional:    true,
						ElementType: types.StringType,
						Validators:  []validator.Map{mapvalidator.KeysAre(labelKey{}), mapvalidator.ValueStringsAre(labelValue{})},
					},
				},
			},
			"istio": schema.StringAttribute{
				MarkdownDescription: "Namespace of Istio's control plane and gateways: gateways may come in, and sidecars reach istiod. " +
					"Default: closed. Example: `\"istio-system\"`.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.RegexMatches(namespacePattern, namespaceRule)},
			},
			"load_balancer_cidrs": cidrs("With `ingress = \"deny\"`: networks that load balancers send from; for an ALB in IP mode, the " +
				"subnets of the VPC. Default: closed. Example: `[\"10.0.0.0/16\"]`."),
			"database_cidrs": cidrs("With `egress = \"deny\"`: networks of the database, reached on `database.port`. Use its subnets: a "+
				"failover changes the address. Default: closed. "+
				"Example: `[\"10.0.20.0/24\"]`.", listvalidator.AlsoRequires(path.MatchRoot("database"))),
			"aws": schema.BoolAttribute{
				MarkdownDescription: "With `egress = \"deny\"`: let pods reach AWS APIs (port 443 of any address) and the Pod Identity " +
					"agent of the node. Default: `false`. Example: `true`.",
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(false),
			},
		},
	}
}

func quantitiesAttribute(description string, required bool, problem func(string) string) schema.MapAttribute {
	return schema.MapAttribute{
		MarkdownDescription: description,
		Required:            required,
		Optional:            !required,
		ElementType:         types.StringType,
		Validators: []validator.Map{
			mapvalidator.SizeAtLeast(1), mapvalidator.KeysAre(resourceName{problem}), mapvalidator.ValueStringsAre(quantity{}),
		},
	}
}
