// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// veryLong is a duration of the analysis that is not known yet: nothing is too long for it.
const veryLong = 365 * 24 * time.Hour

// readAnalysis reads the block, nil where there is none.
func readAnalysis(r *blockReader, list types.List) *verify.Analysis {
	m, ok := block[analysisModel](r, list)
	if !ok {
		return nil
	}
	return readPolicy(r, m)
}

func readPolicy(r *blockReader, m analysisModel) *verify.Analysis {
	out := &verify.Analysis{Policy: analysis.Policy{
		InitialDelay:   r.duration(m.InitialDelay, 0, 0),
		Duration:       r.duration(m.Duration, defaultAnalysisDuration, veryLong),
		Interval:       r.duration(m.Interval, analysis.DefaultInterval, analysis.MinInterval),
		OnInconclusive: analysis.OnInconclusive(r.text(m.OnInconclusive, string(analysis.AcceptIfHealthy))),
	}}
	readHealth(r, m.Health, out)
	for i, metric := range blocks[metricModel](r, m.Metric) {
		out.Policy.Metrics = append(out.Policy.Metrics, readMetric(r, metric, i))
	}
	out.Prometheus = readPrometheus(r, m.Prometheus)
	return out
}

// readHealth fills in the health checks; the release's pods are watched where nothing else is.
func readHealth(r *blockReader, list types.List, out *verify.Analysis) {
	m, _ := block[healthModel](r, list)
	policy := &analysis.Health{
		ConsecutiveFailures: r.number(m.ConsecutiveFailures, analysis.DefaultConsecutiveFailures),
		ErrorBudget:         r.duration(m.ErrorBudget, analysis.DefaultErrorBudget, 0),
		NoDataBudget:        r.duration(m.NoDataBudget, analysis.DefaultNoDataBudget, 0),
	}
	if m.ConsecutiveFailures.IsUnknown() {
		policy.ConsecutiveFailures = 0
	}
	for i, h := range blocks[probeModel](r, m.HTTP) {
		probe := readRequest(r, r.text(h.Name, fmt.Sprintf("http %d", i)), h.requestModel)
		out.Probes = append(out.Probes, probe)
	}
	pods, ok := block[podsModel](r, m.Pods)
	if ok || (len(out.Probes) == 0 && !m.HTTP.IsUnknown()) {
		out.Pods = &verify.PodsCheck{MinReady: r.number(pods.MinReady, 1), Grace: r.duration(pods.Grace, 0, 0)}
		policy.Checks = append(policy.Checks, podsCheckName)
	}
	for _, probe := range out.Probes {
		policy.Checks = append(policy.Checks, probe.Name)
	}
	if len(policy.Checks) > 0 { // none where the checks themselves are not known yet
		out.Policy.Health = policy
	}
}

func readMetric(r *blockReader, m metricModel, i int) analysis.Metric {
	out := analysis.Metric{
		Name:          r.text(m.Name, fmt.Sprintf("metric %d", i)),
		Query:         r.text(m.Query, ""),
		Above:         r.limit(m.Above),
		Below:         r.limit(m.Below),
		For:           r.duration(m.For, 0, analysis.MinInterval),
		Over:          r.duration(m.Over, 0, analysis.MinInterval),
		Interval:      r.duration(m.Interval, 0, 0),
		MinRequests:   m.MinRequests.ValueFloat64(),
		RequestsQuery: r.text(m.RequestsQuery, ""),
		Reduce:        analysis.Reduce(r.text(m.Reduce, "")),
		ErrorBudget:   r.duration(m.ErrorBudget, analysis.DefaultErrorBudget, 0),
		NoDataBudget:  r.duration(m.NoDataBudget, analysis.DefaultNoDataBudget, 0),
	}
	r.unknown = r.unknown || m.MinRequests.IsUnknown()
	// What is not known yet must not look missing, nor exclude what is there.
	if m.Query.IsUnknown() {
		out.Query = unknownQuery
	}
	out.Baseline = readBaseline(r, m.Baseline)
	if b := out.Baseline; b != nil && (m.MinRequests.IsUnknown() || m.RequestsQuery.IsUnknown() || b.RequestsQuery == unknownQuery) {
		out.MinRequests, out.RequestsQuery, b.RequestsQuery = 0, "", ""
	}
	if m.Baseline.IsUnknown() && out.Above == nil && out.Below == nil {
		out.Above = new(float64)
	} else if out.Baseline != nil {
		out.Above, out.Below = known(m.Above, out.Above), known(m.Below, out.Below)
	}
	if m.Below.IsUnknown() && out.Above != nil {
		out.Below = nil
	} else if m.Above.IsUnknown() && out.Below != nil {
		out.Above = nil
	}
	if m.Over.IsUnknown() && out.For != 0 {
		out.Over = 0
	} else if m.For.IsUnknown() && out.Over != 0 {
		out.For = 0
	}
	if m.MinRequests.IsUnknown() || m.RequestsQuery.IsUnknown() {
		out.MinRequests, out.RequestsQuery = 0, ""
	}
	return out
}

// unknownQuery is one that is not known yet.
const unknownQuery = "vector(0)"

// known is a limit that is not taken for one while its value is not known.
func known(v types.Float64, limit *float64) *float64 {
	if v.IsUnknown() {
		return nil
	}
	return limit
}

// readBaseline is what a metric is compared with, nil where it is not.
func readBaseline(r *blockReader, list types.List) *analysis.Baseline {
	m, ok := block[baselineModel](r, list)
	if !ok {
		return nil
	}
	out := &analysis.Baseline{
		Query: r.text(m.Query, ""), MaxRatio: r.limit(m.MaxRatio), MaxDifference: r.limit(m.MaxDifference),
		RequestsQuery: r.text(m.RequestsQuery, ""),
	}
	if m.Query.IsUnknown() {
		out.Query = unknownQuery
	}
	if m.RequestsQuery.IsUnknown() {
		out.RequestsQuery = unknownQuery
	}
	if m.MaxRatio.IsUnknown() {
		*out.MaxRatio = 1
	}
	return out
}

func readPrometheus(r *blockReader, list types.List) *verify.PrometheusSource {
	m, ok := block[prometheusModel](r, list)
	if !ok {
		if list.IsUnknown() {
			return &verify.PrometheusSource{Address: unknownAddress}
		}
		return nil
	}
	service, address := readAddress(r, m.Service, m.URL)
	return &verify.PrometheusSource{
		Service: service, Address: address,
		Username: r.text(m.Username, ""), Password: r.secret(m.PasswordWO), BearerToken: r.secret(m.BearerTokenWO),
		Header: r.header(m.HeadersWO), CA: []byte(r.text(m.CAPEM, "")),
		Timeout: r.duration(m.Timeout, analysis.DefaultTimeout, analysis.DefaultTimeout),
	}
}

type analysisModel struct {
	Duration       types.String `tfsdk:"duration"`
	Interval       types.String `tfsdk:"interval"`
	InitialDelay   types.String `tfsdk:"initial_delay"`
	OnInconclusive types.String `tfsdk:"on_inconclusive"`
	Health         types.List   `tfsdk:"health"`
	Prometheus     types.List   `tfsdk:"prometheus"`
	Metric         types.List   `tfsdk:"metric"`
}

type healthModel struct {
	ConsecutiveFailures types.Int64  `tfsdk:"consecutive_failures"`
	ErrorBudget         types.String `tfsdk:"error_budget"`
	NoDataBudget        types.String `tfsdk:"no_data_budget"`
	Pods                types.List   `tfsdk:"pods"`
	HTTP                types.List   `tfsdk:"http"`
}

type podsModel struct {
	MinReady types.Int64  `tfsdk:"min_ready"`
	Grace    types.String `tfsdk:"grace"`
}

type prometheusModel struct {
	URL           types.String `tfsdk:"url"`
	Username      types.String `tfsdk:"username"`
	PasswordWO    types.String `tfsdk:"password_wo"`
	BearerTokenWO types.String `tfsdk:"bearer_token_wo"`
	HeadersWO     types.Map    `tfsdk:"headers_wo"`
	CAPEM         types.String `tfsdk:"ca_pem"`
	Timeout       types.String `tfsdk:"timeout"`
	Service       types.List   `tfsdk:"service"`
}

type metricModel struct {
	Name          types.String  `tfsdk:"name"`
	Query         types.String  `tfsdk:"query"`
	Above         types.Float64 `tfsdk:"above"`
	Below         types.Float64 `tfsdk:"below"`
	For           types.String  `tfsdk:"for"`
	Over          types.String  `tfsdk:"over"`
	Interval      types.String  `tfsdk:"interval"`
	MinRequests   types.Float64 `tfsdk:"min_requests"`
	RequestsQuery types.String  `tfsdk:"requests_query"`
	Reduce        types.String  `tfsdk:"reduce"`
	Baseline      types.List    `tfsdk:"baseline"`
	ErrorBudget   types.String  `tfsdk:"error_budget"`
	NoDataBudget  types.String  `tfsdk:"no_data_budget"`
}

type baselineModel struct {
	Query         types.String  `tfsdk:"query"`
	MaxRatio      types.Float64 `tfsdk:"max_ratio"`
	MaxDifference types.Float64 `tfsdk:"max_difference"`
	RequestsQuery types.String  `tfsdk:"requests_query"`
}

// defaultAnalysisDuration is how long a new version is watched where the configuration says nothing.
const defaultAnalysisDuration = 5 * time.Minute

// podsCheckName is the name under which package release watches a release's own pods.
const podsCheckName = "pods"
