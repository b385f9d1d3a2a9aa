// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
)

// checkVerification refuses a verification that makes no sense, for example one that could never fail. What is wrong and what to do is said by the
// packages below; here each problem is put at the argument that it is about.
func checkVerification(verification release.Guard) diag.Diagnostics {
	diags := verificationDiagnostics(verification.ValidateChecks())
	if verification.Analysis != nil {
		diags.Append(verificationDiagnostics(verification.Analysis.Validate())...)
	}
	return diags
}

const analysisSummary, checkSummary = "The analysis cannot be made like this", "The check cannot be made like this"

// verificationDiagnostics are the problems of an error of the validation of a verification; none where it is nil.
func verificationDiagnostics(err error) (diags diag.Diagnostics) {
	if err == nil {
		return nil
	}
	if policy, ok := errors.AsType[*analysis.InvalidPolicyError](err); ok {
		for _, p := range policy.Problems {
			diags.AddAttributeError(policyPath(p), analysisSummary, p.Text)
		}
	}
	if config, ok := errors.AsType[*release.AnalysisConfigError](err); ok {
		diags.Append(configDiagnostics(analysisSummary, config.Problems)...)
	}
	if config, ok := errors.AsType[*release.CheckConfigError](err); ok {
		diags.Append(configDiagnostics(checkSummary, config.Problems)...)
	}
	if len(diags) == 0 {
		diags.AddError(analysisSummary, detailOf(err))
	}
	return diags
}

func configDiagnostics(summary string, problems []release.ConfigProblem) (diags diag.Diagnostics) {
	seen := map[string]bool{}
	for _, p := range problems {
		at := configPath(p)
		if seen[at.String()] {
			continue // what follows from the first
		}
		seen[at.String()] = true
		detail := capitalized(p.Text)
		if steps := at.Steps(); len(steps) > 0 {
			if argument, ok := steps[len(steps)-1].(path.PathStepAttributeName); ok {
				detail = string(argument) + ": " + p.Text
			}
		}
		diags.AddAttributeError(at, summary, detail)
	}
	return diags
}

// policyPath is the argument that a problem of a policy is about.
func policyPath(p analysis.Problem) path.Path {
	block := path.Root("analysis").AtListIndex(0)
	if p.Metric >= 0 {
		return within(block.AtName("metric").AtListIndex(p.Metric), p.Field)
	}
	return within(block, p.Field)
}

// configPath is the argument that a problem of a check is about.
func configPath(p release.ConfigProblem) path.Path {
	names := strings.Split(p.Block, ".")
	at := path.Root(names[0])
	for _, name := range names[1:] {
		at = at.AtListIndex(0).AtName(name)
	}
	at = at.AtListIndex(p.Index)
	if p.Field == "" || p.Field == names[len(names)-1] {
		return at
	}
	outer, last := "", p.Field
	if i := strings.LastIndex(p.Field, "."); i >= 0 {
		outer, last = p.Field[:i+1], p.Field[i+1:]
	}
	if argument, ok := argumentNames[last]; ok {
		last = argument
	}
	return within(at, outer+last)
}

// within is a dotted path in a block; all but its last part are blocks that stand at most once.
func within(at path.Path, dotted string) path.Path {
	names := strings.Split(dotted, ".")
	for _, name := range names[:len(names)-1] {
		at = at.AtName(name).AtListIndex(0)
	}
	return at.AtName(names[len(names)-1])
}

// argumentNames are those that differ from what package release calls them.
var argumentNames = map[string]string{
	"address": "url", "headers": "headers_wo", "ca": "ca_pem", "password": "password_wo", "bearer_token": "bearer_token_wo",
}

// defaultMaxApply is how long an apply may take at most where max_apply says nothing. Many runners end a job after an hour.
const defaultMaxApply = 45 * time.Minute

// checkLongest refuses a verification that may take longer than an apply is allowed to, and says what the time is made of.
func checkLongest(verification release.Guard, rollout, maxApply time.Duration) (diags diag.Diagnostics) {
	longest := verification.Longest(rollout)
	if longest <= maxApply {
		return nil
	}
	var parts []string
	rest := longest
	part := func(name string, d time.Duration) {
		rest -= d
		if d > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", name, shortDuration(d)))
		}
	}
	part("rollout", rollout)
	for _, test := range verification.SmokeTests {
		part("smoke test "+test.Name, release.Guard{SmokeTests: []release.Check{test}}.Longest(0))
	}
	if verification.Analysis != nil {
		part("analysis", release.Guard{Analysis: verification.Analysis}.Longest(0))
	}
	if verification.Acceptance != nil {
		part("acceptance", release.Guard{Acceptance: verification.Acceptance}.Longest(0))
	}
	part("rollback and its validation", rest)
	diags.AddAttributeError(path.Root("max_apply"), "The apply may take longer than max_apply",
		fmt.Sprintf("Together it is up to %s, and max_apply is %s: %s.\n\n"+
			"Make some of it shorter, or raise max_apply where the job that runs Terraform, its credentials and its state lock last that long: "+
			"what ends them in the middle leaves a version that nobody judged.",
			shortDuration(longest), shortDuration(maxApply), strings.Join(parts, " + ")))
	return diags
}
