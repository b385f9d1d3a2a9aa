// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

type (
	// canaryAnalysisModel is an analysis that knows of a weight.
	canaryAnalysisModel struct {
		analysisModel
		SampleRatio types.List `tfsdk:"sample_ratio"`
	}
	sampleRatioModel struct {
		CanaryQuery  types.String  `tfsdk:"canary_query"`
		StableQuery  types.String  `tfsdk:"stable_query"`
		Significance types.Float64 `tfsdk:"significance"`
		Tolerance    types.Float64 `tfsdk:"tolerance"`
		MinRequests  types.Float64 `tfsdk:"min_requests"`
		For          types.String  `tfsdk:"for"`
		Interval     types.String  `tfsdk:"interval"`
		ErrorBudget  types.String  `tfsdk:"error_budget"`
		NoDataBudget types.String  `tfsdk:"no_data_budget"`
	}
)

// canaryAnalysisBlock is the block "analysis" of slipway_canary.
func canaryAnalysisBlock() schema.ListNestedBlock {
	b := analysisBlock()
	b.NestedObject.Blocks["sample_ratio"] = sampleRatioBlock()
	return b
}

func sampleRatioBlock() schema.ListNestedBlock {
	return atMostOne("Looks for a sample ratio mismatch: the share of the requests that reach the canary is not its weight, as "+
		"when callers do not take the route. The step fails then, with the requests that were "+
		"counted and the p-value. Each sample is a two-sided binomial test on the requests that the queries count; where `headers` "+
		"are set, whose requests go to the canary in addition to its share, only a share below the weight "+
		"is a mismatch. Not analyzed at the weights 0 and 100, and not before the time that the queries look back has gone by since "+
		"the analysis began.",
		schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
			"canary_query": schema.StringAttribute{
				MarkdownDescription: "PromQL query with the number of requests that reached the canary in a time, as one number. " + placeholderText +
					" No series counts as no requests. Example: " +
					"`\"sum(increase(istio_requests_total{reporter='source',destination_service_namespace='{{ namespace " +
					"}}',destination_version='v2'}[1m]))\"`.",
				Required: true,
			},
			"stable_query": schema.StringAttribute{
				MarkdownDescription: "The same for the stable track, over the same time. Example: " +
					"`\"sum(increase(istio_requests_total{reporter='source',destination_service_namespace='{{ namespace " +
					"}}',destination_version='v1'}[1m]))\"`.",
				Required: true,
			},
			"significance": schema.Float64Attribute{
				MarkdownDescription: "The p-value below which a sample fails; above 0, at most 0.1. Default: `0.001`. Example: `0.0001`.",
				Optional:            true,
			},
			"tolerance": schema.Float64Attribute{
				MarkdownDescription: "How far the share may be from the weight without being a mismatch, as a part of the smaller track's " +
					"share: with `0.1` and a weight of 10, from 9 to 11 %. What is tested is whether the share is " +
					"beyond that, since counts that are taken from counters are not exact. From 0, below 1. Default: `0.1`. Example: `0.2`.",
				Optional: true,
			},
			"min_requests": schema.Float64Attribute{
				MarkdownDescription: "The smallest number of requests of both tracks together with which a sample counts; below it, and " +
					"where there are too few to notice that a track gets none, it is no data. " +
					"Default: `100`. Example: `1000`.",
				Optional: true,
			},
			"for": schema.StringAttribute{
				MarkdownDescription: "The step fails when every sample over a continuous span of this length fails. At least the time that " +
					"the queries look back, which is the default. Example: `\"2m\"`.",
				Optional:   true,
				Validators: []validator.String{duration{}},
			},
			"interval":       durationAttribute("Time between two samples; at least 1 second.", "", "15s", duration{}),
			"error_budget":   errorBudgetAttribute(),
			"no_data_budget": noDataBudgetAttribute(),
		}})
}

// readCanaryAnalysis reads the block, nil where there is none.
func readCanaryAnalysis(r *blockReader, list types.List) *verify.Analysis {
	m, ok := block[canaryAnalysisModel](r, list)
	if !ok {
		return nil
	}
	out := readPolicy(r, m.analysisModel)
	if s, ok := block[sampleRatioModel](r, m.SampleRatio); ok {
		out.Policy.SampleRatio = readSampleRatio(r, s)
	}
	return out
}

func readSampleRatio(r *blockReader, m sampleRatioModel) *analysis.SampleRatio {
	const anyCount = "sum(increase(unknown[1s]))" // what is not known yet must not look wrong
	out := &analysis.SampleRatio{
		CanaryQuery: r.text(m.CanaryQuery, ""), StableQuery: r.text(m.StableQuery, ""),
		Significance: r.float(m.Significance, analysis.DefaultSignificance), Tolerance: r.float(m.Tolerance, analysis.DefaultTolerance),
		MinRequests: r.float(m.MinRequests, analysis.DefaultMinRequests),
		For:         r.duration(m.For, 0, 0), Interval: r.duration(m.Interval, 0, 0),
		ErrorBudget:  r.duration(m.ErrorBudget, analysis.DefaultErrorBudget, 0),
		NoDataBudget: r.duration(m.NoDataBudget, analysis.DefaultNoDataBudget, 0),
	}
	if m.CanaryQuery.IsUnknown() || m.StableQuery.IsUnknown() || m.For.IsUnknown() {
		out.CanaryQuery, out.StableQuery, out.For = anyCount, anyCount, 0
	}
	return out
}
