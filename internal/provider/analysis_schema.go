// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Blocks that occur at most once are lists of at most one element: in Terraform's single nested blocks a provider cannot distinguish an
// empty block from none, and `rollback {}` has a meaning.

// analysisBlock is the block "analysis" of resources that watch what they changed.
func analysisBlock() schema.ListNestedBlock {
	return atMostOne(
		"Watches the new version once its pods are ready and its smoke tests have passed. An empty block watches the release's own "+
			"pods for 5 minutes. "+
			"A rule that triggers fails the apply at once; with a `rollback` block the last known-good revision comes back. The manual "+
			"trigger is the annotation "+
			"`slipway.dev/abort` on the release's record, see the guide on rollbacks.",
		schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"duration": durationAttribute("How long the new version is watched after `initial_delay`. A check that is failing at the "+
					"end prolongs it by what its rule needs to decide.",
					"5m", "10m", duration{zero: true}),
				"interval": durationAttribute("Time between two samples of a check; at least 1 second.", "10s", "5s", duration{}),
				"initial_delay": durationAttribute("Time after the pods are ready in which nothing is sampled, for a service that has to warm up.",
					"0s", "30s", duration{zero: true}),
				"on_inconclusive": schema.StringAttribute{
					MarkdownDescription: "What to do when too little is known at the end, as at night when a tenant has no requests: " +
						"`\"accept_if_healthy\"` (default) accepts when " +
						"the health checks passed and no metric had a failing sample, and leaves the version in place otherwise; `\"hold\"` " +
						"leaves the version in place and fails the apply; " +
						"`\"rollback\"` rolls it back.",
					Optional: true,
				},
			},
			Blocks: map[string]schema.Block{
				"health":     healthBlock(),
				"prometheus": prometheusBlock(),
				"metric":     metricBlock(),
			},
		})
}

func healthBlock() schema.ListNestedBlock {
	return atMostOne(
		"Health checks. Without this block, or where it has neither `pods` nor `http`, the release's pods are watched.",
		schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"consecutive_failures": schema.Int64Attribute{
					MarkdownDescription: "How many failures of one check in a row are tolerated: with 3 the 4th triggers, at once. Only a pass " +
						"resets the count. Default: `3`. Example: `0`, the first " +
						"failure triggers.",
					Optional:   true,
					Validators: []validator.Int64{int64validator.Between(0, 1000)},
				},
				"error_budget":   errorBudgetAttribute(),
				"no_data_budget": noDataBudgetAttribute(),
			},
			Blocks: map[string]schema.Block{
				"pods": atMostOne("Watches the pods of the release's workloads: enough of them must be ready, and none may crash.",
					schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
						"min_ready": schema.Int64Attribute{
							MarkdownDescription: "The least number of ready pods for each workload. Default: `1`. Example: `2`.",
							Optional:            true,
							Validators:          []validator.Int64{int64validator.AtLeast(1)},
						},
						"grace": durationAttribute("How long after its creation a pod may be not ready without that being a failure, as when the "+
							"autoscaler adds one.", "1m", "2m", duration{}),
					}}),
				"http": schema.ListNestedBlock{
					MarkdownDescription: "A health check by one GET request. May be repeated.",
					NestedObject:        httpObject(true),
				},
			},
		})
}

func prometheusBlock() schema.ListNestedBlock {
	o := schema.NestedBlockObject{
		Attributes: map[string]schema.Attribute{
			"url": schema.StringAttribute{
				MarkdownDescription: "Address of the Prometheus, where the machine that runs Terraform reaches it. Exactly one of `url` and " +
					"`service` is set. Credentials do not belong into it. " +
					"Example: `\"https://prometheus.company.com\"`.",
				Optional:   true,
				Validators: []validator.String{publicAddress{}},
			},
			"username": schema.StringAttribute{
				MarkdownDescription: "User for basic authentication at `url`. Example: `\"slipway\"`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"password_wo":     secretAttribute("Password for basic authentication."),
			"bearer_token_wo": secretAttribute("Bearer token, instead of a user and password."),
			"headers_wo": schema.MapAttribute{
				MarkdownDescription: "Headers that are sent along, for example a tenant's id. Write-only: never in plan or state; may be " +
					"ephemeral. Example: `{ \"X-Scope-OrgID\" = \"client-a\" }`.",
				ElementType: types.StringType,
				Optional:    true,
				WriteOnly:   true,
				Validators: []validator.Map{
					mapvalidator.KeysAre(stringvalidator.RegexMatches(headerPattern, "must be the name of an HTTP header")),
				},
			},
			"ca_pem": schema.StringAttribute{
				MarkdownDescription: "Certificate authorities that `url` is verified by, as PEM. Default: those of the machine. Example: " +
					"`file(\"ca.pem\")`.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"timeout": durationAttribute("How long one answer may take.", "5s", "10s", duration{}),
		},
		Blocks: map[string]schema.Block{"service": serviceBlock("`/prometheus`, where Prometheus runs under a prefix")},
	}
	return atMostOne("The Prometheus that answers the metrics' queries.", o)
}

func metricBlock() schema.ListNestedBlock {
	return schema.ListNestedBlock{
		MarkdownDescription: "A query whose answer decides, for example the error rate. May be repeated. `above = 0.05` and `for = " +
			"\"2m\"` say: every sample of two minutes is above 5 %.",
		NestedObject: schema.NestedBlockObject{Blocks: map[string]schema.Block{"baseline": baselineBlock()},
			Attributes: map[string]schema.Attribute{
				"name": checkName("Name of the metric, unique within the analysis, as it appears in errors. Example: `\"error_rate\"`."),
				"query": schema.StringAttribute{
					MarkdownDescription: "PromQL query with one number as result. " + placeholderText + " No series, NaN or infinity count as " +
						"no data. Example: " +
						"`\"(sum(rate(http_requests_total{namespace='{{ namespace }}',code=~'5..'}[1m])) or vector(0)) / " +
						"sum(rate(http_requests_total{namespace='{{ namespace }}'}[1m]))\"`.",
					Required: true,
				},
				"above": schema.Float64Attribute{
					MarkdownDescription: "A sample fails when it is strictly above. Exactly one of `above`, `below` and the block `baseline` " +
						"is given. Example: `0.05`.",
					Optional: true,
				},
				"below": schema.Float64Attribute{
					MarkdownDescription: "A sample fails when it is strictly below. Example: `0.99`.",
					Optional:            true,
				},
				"for": schema.StringAttribute{
					MarkdownDescription: "Triggers when every sample over a continuous span of this length fails. Exactly one of `for` and " +
						"`over` is set. Example: `\"2m\"`.",
					Optional:   true,
					Validators: []validator.String{duration{}},
				},
				"over": schema.StringAttribute{
					MarkdownDescription: "Triggers when the average of the samples over a span of this length is beyond the limit. Example: `\"2m\"`.",
					Optional:            true,
					Validators:          []validator.String{duration{}},
				},
				"interval": durationAttribute("Time between two samples of this metric; at least 1 second.", "", "15s", duration{}),
				"min_requests": schema.Float64Attribute{
					MarkdownDescription: "The smallest result of `requests_query`, and of the baseline's, with which a sample counts; below " +
						"it, it is no data. Default: every sample counts. Example: `20`.",
					Optional: true,
				},
				"requests_query": schema.StringAttribute{
					MarkdownDescription: "PromQL query for the number of requests that a sample is about; set together with `min_requests`. Example: " +
						"`\"sum(increase(http_requests_total{namespace='{{ namespace }}'}[1m]))\"`.",
					Optional: true,
				},
				"reduce": schema.StringAttribute{
					MarkdownDescription: "Makes one value of several series: `\"max\"`, `\"min\"` or `\"sum\"`. Default: none; several series " +
						"are an error, since which one counts would be a guess.",
					Optional: true,
				},
				"error_budget":   errorBudgetAttribute(),
				"no_data_budget": noDataBudgetAttribute(),
			}},
	}
}

// baselineBlock is what the value of a metric is compared with.
func baselineBlock() schema.ListNestedBlock {
	return atMostOne("Compares the value with that of another query, in place of a fixed limit: a sample fails when it is strictly "+
		"above `max_ratio` times the baseline's value plus `max_difference`; `for` and `over` "+
		"are as ever. In a canary the baseline is the stable track; at the weight 100, where it has no requests, the metric is not "+
		"analyzed. Where either query has no series, NaN or infinity, there is no data. A baseline of zero is a value: with "+
		"`max_ratio` alone, everything above zero fails "+
		"then, so give `max_difference` too where some errors are normal.",
		schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"query": schema.StringAttribute{
				MarkdownDescription: "PromQL query of the value to compare with. Placeholders and `reduce` are as for the metric's `query`. Example: " +
					"`\"(sum(rate(http_requests_total{namespace='{{ namespace }}',track='stable',code=~'5..'}[1m])) or vector(0)) / " +
					"sum(rate(http_requests_total{namespace='{{ namespace }}',track='stable'}[1m]))\"`.",
				Required: true,
			},
			"max_ratio": schema.Float64Attribute{
				MarkdownDescription: "How many times the baseline's value the value may be; above 0. At least one of `max_ratio` and " +
					"`max_difference` is set. Default: `1` where `max_difference` is set. Example: `1.5`.",
				Optional: true,
			},
			"max_difference": schema.Float64Attribute{
				MarkdownDescription: "What is allowed on top of that, in the unit of the value; from 0. Default: `0` where `max_ratio` is " +
					"set. Example: `0.01`.",
				Optional: true,
			},
			"requests_query": schema.StringAttribute{
				MarkdownDescription: "PromQL query for the number of requests that a sample of the baseline is about; set together with " +
					"`min_requests`, which both sides must have then. Example: " +
					"`\"sum(increase(http_requests_total{namespace='{{ namespace }}',track='stable'}[1m]))\"`.",
				Optional: true,
			},
		}})
}

// placeholderText says what a query may contain.
const placeholderText = "In the value of a label, `{{ namespace }}`, `{{ release }}`, `{{ version }}`, `{{ client }}` and `{{ " +
	"stage }}` are those of the release."

var (
	checkNamePattern = regexp.MustCompile(`^[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$`)
	headerPattern    = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")
	portPattern      = regexp.MustCompile(`^([0-9]{1,5}|[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?)$`)
)

func atMostOne(description string, o schema.NestedBlockObject) schema.ListNestedBlock {
	return schema.ListNestedBlock{
		MarkdownDescription: description,
		NestedObject:        o,
		Validators:          []validator.List{listvalidator.SizeAtMost(1)},
	}
}

// durationAttribute is an optional duration. Without a default the description says what happens.
func durationAttribute(description, standard, example string, valid duration) schema.StringAttribute {
	if standard == "" {
		description += " Default: that of the analysis."
	} else {
		description += " Default: `\"" + standard + "\"`."
	}
	return schema.StringAttribute{
		MarkdownDescription: description + " Example: `\"" + example + "\"`.",
		Optional:            true,
		Validators:          []validator.String{valid},
	}
}

func errorBudgetAttribute() schema.StringAttribute {
	return durationAttribute("How long, all in all, the check may be impossible to make (Prometheus does not answer, a right is "+
		"missing) before the analysis is inconclusive; `\"0s\"` tolerates nothing.",
		"2m", "1m", duration{zero: true})
}

func noDataBudgetAttribute() schema.StringAttribute {
	return durationAttribute("How long, all in all, the check may have no data (no series, too few requests) before the analysis "+
		"is inconclusive; `\"0s\"` tolerates nothing.",
		"2m", "5m", duration{zero: true})
}

func checkName(description string) schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: description,
		Required:            true,
		Validators: []validator.String{stringvalidator.RegexMatches(checkNamePattern,
			"must be letters, digits, '-', '_' and '.', at most 63 characters, with a letter or digit at both ends")},
	}
}

func secretAttribute(description string) schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: description + " Write-only: never in plan or state; may be ephemeral. Example: `var.prometheus_password`.",
		Optional:            true,
		WriteOnly:           true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
	}
}
