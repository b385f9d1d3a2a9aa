// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
)

// verificationModel is what the configuration says of a release's verification. It is read from the configuration, since plan and state have no
// write-only arguments.
type verificationModel struct {
	Analysis   types.List
	SmokeTest  types.List
	Acceptance types.List
	Rollback   types.List
	RetryToken types.String
}

type (
	analysisModel struct {
		Duration       types.String `tfsdk:"duration"`
		Interval       types.String `tfsdk:"interval"`
		InitialDelay   types.String `tfsdk:"initial_delay"`
		OnInconclusive types.String `tfsdk:"on_inconclusive"`
		Health         types.List   `tfsdk:"health"`
		Prometheus     types.List   `tfsdk:"prometheus"`
		Metric         types.List   `tfsdk:"metric"`
	}
	healthModel struct {
		ConsecutiveFailures types.Int64  `tfsdk:"consecutive_failures"`
		ErrorBudget         types.String `tfsdk:"error_budget"`
		NoDataBudget        types.String `tfsdk:"no_data_budget"`
		Pods                types.List   `tfsdk:"pods"`
		HTTP                types.List   `tfsdk:"http"`
	}
	podsModel struct {
		MinReady types.Int64  `tfsdk:"min_ready"`
		Grace    types.String `tfsdk:"grace"`
	}
	// requestModel is what the checks by HTTP share.
	requestModel struct {
		URL       types.String `tfsdk:"url"`
		HeadersWO types.Map    `tfsdk:"headers_wo"`
		Statuses  types.List   `tfsdk:"statuses"`
		Timeout   types.String `tfsdk:"timeout"`
		Service   types.List   `tfsdk:"service"`
	}
	probeModel struct {
		requestModel
		Name types.String `tfsdk:"name"`
	}
	httpTestModel struct {
		requestModel
		Contains types.String `tfsdk:"contains"`
	}
	serviceModel struct {
		Name      types.String `tfsdk:"name"`
		Namespace types.String `tfsdk:"namespace"`
		Port      types.String `tfsdk:"port"`
		HTTPS     types.Bool   `tfsdk:"https"`
		Path      types.String `tfsdk:"path"`
	}
	prometheusModel struct {
		URL           types.String `tfsdk:"url"`
		Username      types.String `tfsdk:"username"`
		PasswordWO    types.String `tfsdk:"password_wo"`
		BearerTokenWO types.String `tfsdk:"bearer_token_wo"`
		HeadersWO     types.Map    `tfsdk:"headers_wo"`
		CAPEM         types.String `tfsdk:"ca_pem"`
		Timeout       types.String `tfsdk:"timeout"`
		Service       types.List   `tfsdk:"service"`
	}
	metricModel struct {
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
	baselineModel struct {
		Query         types.String  `tfsdk:"query"`
		MaxRatio      types.Float64 `tfsdk:"max_ratio"`
		MaxDifference types.Float64 `tfsdk:"max_difference"`
		RequestsQuery types.String  `tfsdk:"requests_query"`
	}
	checkModel struct {
		Name     types.String `tfsdk:"name"`
		Timeout  types.String `tfsdk:"timeout"`
		HelmTest types.List   `tfsdk:"helm_test"`
		HTTP     types.List   `tfsdk:"http"`
		Job      types.List   `tfsdk:"job"`
	}
	helmTestModel struct {
		Filter types.List `tfsdk:"filter"`
	}
	jobModel struct {
		Image          types.String `tfsdk:"image"`
		Command        types.List   `tfsdk:"command"`
		Args           types.List   `tfsdk:"args"`
		Env            types.Map    `tfsdk:"env"`
		ServiceAccount types.String `tfsdk:"service_account"`
		PullSecrets    types.List   `tfsdk:"pull_secrets"`
	}
	rollbackModel struct {
		Hooks      types.String `tfsdk:"hooks"`
		Timeout    types.String `tfsdk:"timeout"`
		Validation types.String `tfsdk:"validation"`
		Quarantine types.String `tfsdk:"quarantine"`
	}
)

// defaultAnalysisDuration is how long a new version is watched where the configuration says nothing.
const defaultAnalysisDuration = 5 * time.Minute

// podsCheckName is the name under which package release watches a release's own pods.
const podsCheckName = "pods"

const defaultAcceptanceName = "acceptance"

// attributeGetter is a configuration, plan or state.
type attributeGetter interface {
	GetAttribute(ctx context.Context, path path.Path, target any) diag.Diagnostics
}

// readVerification reads the arguments of the verification.
func readVerification(ctx context.Context, from attributeGetter) (m verificationModel, diags diag.Diagnostics) {
	for name, target := range map[string]any{
		"analysis": &m.Analysis, "smoke_test": &m.SmokeTest, "acceptance": &m.Acceptance, "rollback": &m.Rollback, "retry_token": &m.RetryToken,
	} {
		diags.Append(from.GetAttribute(ctx, path.Root(name), target)...)
	}
	return m, diags
}

// verification is what package release does with a revision. What is not known yet is replaced by something that is not wrong in itself,
// and the reading says so. Whether it makes sense is another question, see checkVerification.
func (m verificationModel) verification(ctx context.Context) (verificationReading, diag.Diagnostics) {
	r := &blockReader{ctx: ctx}
	var verification release.Guard
	verification.Analysis = r.analysis(m.Analysis)
	for i, c := range blocks[checkModel](r, m.SmokeTest) {
		verification.SmokeTests = append(verification.SmokeTests, r.check(c, fmt.Sprintf("smoke test %d", i)))
	}
	if a, ok := block[checkModel](r, m.Acceptance); ok {
		acceptance := r.check(a, defaultAcceptanceName)
		verification.Acceptance = &acceptance
	}
	if b, ok := block[rollbackModel](r, m.Rollback); ok {
		verification.Rollback = &release.RollbackPolicy{
			RunHooks:   r.text(b.Hooks, hooksSkip) == hooksRun,
			Timeout:    r.duration(b.Timeout, 0, 0),
			Validation: r.duration(b.Validation, 0, 0),
			Quarantine: r.duration(b.Quarantine, 0, 0),
		}
	}
	verification.Retry = r.text(m.RetryToken, "")
	return verificationReading{Guard: verification, known: !r.unknown, timed: !r.untimed}, r.diags
}

// verificationReading is a verification as far as it is known.
type verificationReading struct {
	release.Guard
	// known says that all of it is; timed that all of its durations are.
	known, timed bool
}

// judges reports that a revision has to pass something.
func (g verificationReading) judges() bool {
	return len(g.SmokeTests) > 0 || g.Analysis != nil || g.Acceptance != nil
}

// blockReader turns arguments into plain values, and notes whether one of them was not known.
type blockReader struct {
	ctx context.Context
	// unknown says that something was not known, untimed that this may change how long it takes.
	unknown, untimed bool
	diags            diag.Diagnostics
}

// blocks decodes the elements of a repeated block that are known.
func blocks[T any](r *blockReader, list types.List) []T {
	if list.IsUnknown() {
		r.unknown, r.untimed = true, true
		return nil
	}
	out := make([]T, 0, len(list.Elements()))
	for _, element := range list.Elements() {
		o, ok := element.(types.Object)
		if !ok || o.IsUnknown() {
			r.unknown, r.untimed = true, true
			continue
		}
		var decoded T
		r.diags.Append(o.As(r.ctx, &decoded, basetypes.ObjectAsOptions{})...)
		out = append(out, decoded)
	}
	return out
}

// block decodes a block that stands at most once.
func block[T any](r *blockReader, list types.List) (decoded T, there bool) {
	if all := blocks[T](r, list); len(all) > 0 {
		return all[0], true
	}
	return decoded, false
}

func (r *blockReader) text(v types.String, standard string) string {
	r.unknown = r.unknown || v.IsUnknown()
	if v.IsNull() || v.IsUnknown() {
		return standard
	}
	return v.ValueString()
}

// duration reads a duration; substitute stands for what is not known yet.
func (r *blockReader) duration(v types.String, standard, substitute time.Duration) time.Duration {
	switch {
	case v.IsUnknown():
		r.unknown, r.untimed = true, true
		return substitute
	case v.IsNull():
		return standard
	}
	d, err := time.ParseDuration(v.ValueString())
	if err != nil || d < 0 { // the schema says so
		r.unknown, r.untimed = true, true
		return substitute
	}
	return d
}

func (r *blockReader) number(v types.Int64, standard int) int {
	r.unknown = r.unknown || v.IsUnknown()
	if v.IsNull() || v.IsUnknown() {
		return standard
	}
	return int(v.ValueInt64())
}

func (r *blockReader) strings(list types.List) (out []string) {
	for _, element := range list.Elements() {
		if text, ok := element.(types.String); ok {
			out = append(out, r.text(text, ""))
		}
	}
	r.unknown = r.unknown || list.IsUnknown()
	return out
}

func (r *blockReader) stringMap(m types.Map) map[string]string {
	r.unknown = r.unknown || m.IsUnknown()
	if len(m.Elements()) == 0 {
		return nil
	}
	out := make(map[string]string, len(m.Elements()))
	for key, element := range m.Elements() {
		if text, ok := element.(types.String); ok {
			out[key] = r.text(text, "")
		}
	}
	return out
}

// secret reads a write-only value. One that is not known yet is as good as none, since nothing that is planned depends on it.
func (r *blockReader) secret(v types.String) string { return v.ValueString() }

// header reads write-only headers.
func (r *blockReader) header(m types.Map) http.Header {
	if len(m.Elements()) == 0 {
		return nil
	}
	header := make(http.Header, len(m.Elements()))
	for name, element := range m.Elements() {
		if value, ok := element.(types.String); ok {
			header.Set(name, r.secret(value))
		}
	}
	return header
}

func (r *blockReader) service(list types.List) *analysis.Service {
	s, ok := block[serviceModel](r, list)
	if !ok {
		return nil
	}
	r.unknown = r.unknown || s.HTTPS.IsUnknown()
	return &analysis.Service{
		Namespace: r.text(s.Namespace, ""), Name: r.text(s.Name, "unknown"), Port: r.text(s.Port, "80"), HTTPS: s.HTTPS.ValueBool(), Path: r.text(s.Path, ""),
	}
}

func (r *blockReader) request(name string, m requestModel) release.HTTPCheck {
	service, address := r.place(m.Service, m.URL)
	check := release.HTTPCheck{
		Name: name, Service: service, URL: address, Header: r.header(m.HeadersWO),
		Timeout: r.duration(m.Timeout, analysis.DefaultTimeout, analysis.DefaultTimeout),
	}
	r.unknown = r.unknown || m.Statuses.IsUnknown()
	for _, element := range m.Statuses.Elements() {
		if n, ok := element.(types.Int64); ok {
			check.Statuses = append(check.Statuses, r.number(n, http.StatusOK))
		}
	}
	return check
}

// place reads where something is asked: a Service or an address.
func (r *blockReader) place(services types.List, address types.String) (*analysis.Service, string) {
	service, url := r.service(services), r.text(address, "")
	if service == nil && url == "" && (services.IsUnknown() || address.IsUnknown()) {
		url = unknownAddress
	}
	return service, url
}

// unknownAddress stands for an address that is not known yet.
const unknownAddress = "http://unknown.invalid"

// check reads a smoke test or acceptance. standard stands for a name that is not there or not known yet.
func (r *blockReader) check(c checkModel, standard string) release.Check {
	check := release.Check{Name: r.text(c.Name, standard), Timeout: r.duration(c.Timeout, 0, 0), Job: r.job(c.Job)}
	if h, ok := block[helmTestModel](r, c.HelmTest); ok {
		check.HelmTest = &release.HelmTest{Filter: r.strings(h.Filter)}
	}
	if h, ok := block[httpTestModel](r, c.HTTP); ok {
		request := r.request(check.Name, h.requestModel)
		request.Contains = r.text(h.Contains, "")
		check.HTTP = &request
	}
	if check.HelmTest == nil && check.HTTP == nil && check.Job == nil && (c.HelmTest.IsUnknown() || c.HTTP.IsUnknown() || c.Job.IsUnknown()) {
		check.HelmTest = &release.HelmTest{}
	}
	return check
}

func (r *blockReader) job(list types.List) *release.JobCheck {
	j, ok := block[jobModel](r, list)
	if !ok {
		return nil
	}
	image := r.text(j.Image, "")
	if j.Image.IsUnknown() {
		image = "unknown"
	}
	return &release.JobCheck{
		Image: image, Command: r.strings(j.Command), Args: r.strings(j.Args), Env: r.stringMap(j.Env),
		ServiceAccount: r.text(j.ServiceAccount, ""), PullSecrets: r.strings(j.PullSecrets),
	}
}
