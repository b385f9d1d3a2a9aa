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

// checkGuard refuses a guard that makes no sense: one that could never fail, for example.
func checkGuard(guard release.Guard) (diags diag.Diagnostics) {
	names := map[string]bool{}
	for i, test := range guard.SmokeTests {
		if test.Name != "" && names[test.Name] {
			diags.AddAttributeError(path.Root("smoke_test").AtListIndex(i).AtName("name"), "Two smoke tests of one name",
				fmt.Sprintf("Two smoke tests are called %q.\n\nGive each its own name, by which errors tell them apart.", test.Name))
		}
		names[test.Name] = true
	}
	if guard.Analysis != nil {
		diags.Append(policyDiagnostics(guard.Analysis.Validate())...)
	}
	return diags
}

// policyDiagnostics puts each problem of an analysis at the argument that it is about.
func policyDiagnostics(err error) (diags diag.Diagnostics) {
	if err == nil {
		return nil
	}
	block := path.Root("analysis").AtListIndex(0)
	const summary = "The analysis cannot be made like this"
	if policy, ok := errors.AsType[*analysis.InvalidPolicyError](err); ok {
		for _, p := range policy.Problems {
			diags.AddAttributeError(policyPath(block, p), summary, p.Text)
		}
		return diags
	}
	if config, ok := errors.AsType[*release.AnalysisConfigError](err); ok {
		for _, p := range config.Problems {
			diags.AddAttributeError(configPath(block, p), summary, capitalised(p.Field+" "+p.Text))
		}
		return diags
	}
	diags.AddAttributeError(block, summary, detailOf(err))
	return diags
}

// policyPath is the argument that a problem of a policy is about.
func policyPath(block path.Path, p analysis.Problem) path.Path {
	if p.Metric >= 0 {
		return block.AtName("metric").AtListIndex(p.Metric).AtName(p.Field)
	}
	if first, rest, nested := strings.Cut(p.Field, "."); nested {
		return block.AtName(first).AtListIndex(0).AtName(rest)
	}
	return block.AtName(p.Field)
}

// configPath is the argument that a problem of a check is about. Package release speaks of probes and of an address, which are blocks
// "http" and the argument "url" here.
func configPath(block path.Path, p release.ConfigProblem) path.Path {
	first, rest, _ := strings.Cut(p.Field, ".")
	index := max(p.Index, 0)
	switch first {
	case "probe":
		block = block.AtName("health").AtListIndex(0).AtName("http").AtListIndex(index)
	case "pods":
		block = block.AtName("health").AtListIndex(0).AtName("pods").AtListIndex(0)
	case "metric":
		block = block.AtName("metric").AtListIndex(index)
	case "prometheus":
		block = block.AtName("prometheus").AtListIndex(0)
	default:
		return block
	}
	if argument, ok := configArguments[rest]; ok {
		rest = argument
	}
	first, rest, nested := strings.Cut(rest, ".")
	switch {
	case first == "":
		return block
	case nested:
		return block.AtName(first).AtListIndex(0).AtName(rest)
	}
	return block.AtName(first)
}

// configArguments are the arguments whose names differ from what package release calls them.
var configArguments = map[string]string{
	"address": "url", "header": "headers_wo", "ca": "ca_pem", "password": "password_wo", "bearer_token": "bearer_token_wo",
}

// defaultMaxApply is how long an apply may take at most where max_apply says nothing. Many runners end a job after an hour.
const defaultMaxApply = 45 * time.Minute

// checkLongest refuses a guard that may take longer than an apply is allowed to, and says what the time is made of.
func checkLongest(guard release.Guard, rollout, maxApply time.Duration) (diags diag.Diagnostics) {
	longest := guard.Longest(rollout)
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
	for _, test := range guard.SmokeTests {
		part("smoke test "+test.Name, release.Guard{SmokeTests: []release.Check{test}}.Longest(0))
	}
	if guard.Analysis != nil {
		part("analysis", release.Guard{Analysis: guard.Analysis}.Longest(0))
	}
	if guard.Acceptance != nil {
		part("acceptance", release.Guard{Acceptance: guard.Acceptance}.Longest(0))
	}
	part("rollback and its validation", rest)
	diags.AddAttributeError(path.Root("max_apply"), "The apply may take longer than max_apply",
		fmt.Sprintf("Together it is up to %s, and max_apply is %s: %s.\n\n"+
			"Make some of it shorter, or raise max_apply where the job that runs Terraform, its credentials and its state lock last that long: "+
			"what ends them in the middle leaves a version that nobody judged.",
			shortDuration(longest), shortDuration(maxApply), strings.Join(parts, " + ")))
	return diags
}
