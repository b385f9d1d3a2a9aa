// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// verificationModel is what the configuration says of a release's verification. It is read from the configuration, since plan and
// state have no write-only arguments.
type verificationModel struct {
	Analysis   types.List
	SmokeTest  types.List
	Acceptance types.List
	Rollback   types.List
	RetryToken types.String
}

type (
	httpTestModel struct {
		requestModel
		Contains types.String `tfsdk:"contains"`
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

const defaultAcceptanceName = "acceptance"

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
	var verification verify.Policy
	verification.Analysis = readAnalysis(r, m.Analysis)
	for i, c := range blocks[checkModel](r, m.SmokeTest) {
		verification.SmokeTests = append(verification.SmokeTests, readCheck(r, c, fmt.Sprintf("smoke test %d", i)))
	}
	if a, ok := block[checkModel](r, m.Acceptance); ok {
		acceptance := readCheck(r, a, defaultAcceptanceName)
		verification.Acceptance = &acceptance
	}
	if b, ok := block[rollbackModel](r, m.Rollback); ok {
		verification.Rollback = &verify.RollbackPolicy{
			RunHooks:   r.text(b.Hooks, hooksSkip) == hooksRun,
			Timeout:    r.duration(b.Timeout, 0, 0),
			Validation: r.duration(b.Validation, 0, 0),
			Quarantine: r.duration(b.Quarantine, 0, 0),
		}
	}
	verification.RetryToken = r.text(m.RetryToken, "")
	return verificationReading{Policy: verification, known: !r.unknown, timed: !r.untimed}, r.diags
}

// verificationReading is a verification as far as it is known.
type verificationReading struct {
	verify.Policy
	// known says that all of it is; timed that all of its durations are.
	known, timed bool
}

// verifies reports that a revision has to pass something.
func (g verificationReading) verifies() bool {
	return len(g.SmokeTests) > 0 || g.Analysis != nil || g.Acceptance != nil
}

// readCheck reads a smoke test or acceptance. standard replaces a name that is not there or not known yet.
func readCheck(r *blockReader, c checkModel, standard string) verify.Check {
	check := verify.Check{Name: r.text(c.Name, standard), Timeout: r.duration(c.Timeout, 0, 0), Job: readJob(r, c.Job)}
	if h, ok := block[helmTestModel](r, c.HelmTest); ok {
		check.HelmTest = &verify.HelmTest{Filter: r.strings(h.Filter)}
	}
	if h, ok := block[httpTestModel](r, c.HTTP); ok {
		request := readRequest(r, check.Name, h.requestModel)
		request.Contains = r.text(h.Contains, "")
		check.HTTP = &request
	}
	if check.HelmTest == nil && check.HTTP == nil && check.Job == nil && (c.HelmTest.IsUnknown() || c.HTTP.IsUnknown() || c.Job.IsUnknown()) {
		check.HelmTest = &verify.HelmTest{}
	}
	return check
}

func readJob(r *blockReader, list types.List) *verify.JobCheck {
	j, ok := block[jobModel](r, list)
	if !ok {
		return nil
	}
	image := r.text(j.Image, "")
	if j.Image.IsUnknown() {
		image = "unknown"
	}
	return &verify.JobCheck{
		Image: image, Command: r.strings(j.Command), Args: r.strings(j.Args), Env: r.stringMap(j.Env),
		ServiceAccount: r.text(j.ServiceAccount, ""), PullSecrets: r.strings(j.PullSecrets),
	}
}
