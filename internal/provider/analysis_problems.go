// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/slipway-dev/terraform-provider-slipway/internal/analysis"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// preflightQueries asks the queries of an analysis once: those that can give no sample are errors, and that nobody answers is a warning.
func preflightQueries(ctx context.Context, a *verify.Analysis, target release.Target, version, what string) (diags diag.Diagnostics) {
	err := a.Preflight(ctx, target, version)
	if _, wrong := errors.AsType[*verify.AnalysisConfigError](err); wrong {
		return verificationDiagnostics(err)
	}
	if err != nil {
		diags.AddWarning("The queries of "+what+" were not validated", detailOf(err))
	}
	return diags
}

// splitAnalysis are the problems of an analysis of a split, none where a is nil. Its queries cannot have the version of a
// release: pods are analyzed, whatever their version is.
func splitAnalysis(a *verify.Analysis) diag.Diagnostics {
	if a == nil {
		return nil
	}
	diags := verificationDiagnostics(a.Validate())
	if len(diags) == 0 && a.UsesVersion() {
		diags.AddAttributeError(path.Root("analysis").AtListIndex(0), analysisSummary,
			"A query has the placeholder {{ version }}, and a split has no version of its own.\n\n"+
				"Write the version into the query, or distinguish the tracks by another label, for example that of the track.")
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
	if config, ok := errors.AsType[*verify.AnalysisConfigError](err); ok {
		diags.Append(configDiagnostics(analysisSummary, config.Problems)...)
	}
	if config, ok := errors.AsType[*verify.CheckConfigError](err); ok {
		diags.Append(configDiagnostics(checkSummary, config.Problems)...)
	}
	if len(diags) == 0 {
		diags.AddError(analysisSummary, detailOf(err))
	}
	return diags
}

func configDiagnostics(summary string, problems []verify.ConfigProblem) (diags diag.Diagnostics) {
	seen := map[string]bool{}
	for _, p := range problems {
		at := configPath(p)
		if seen[at.String()] {
			continue // what follows from the first
		}
		seen[at.String()] = true
		// Terraform shows the first line of the resource for a block, not which of several blocks it is.
		where := at.String()
		if p.Name != "" {
			where += fmt.Sprintf(" (%q)", p.Name)
		}
		diags.AddAttributeError(at, summary, where+": "+p.Text)
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
func configPath(p verify.ConfigProblem) path.Path {
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

// within is a dotted path in a block; all but its last part are blocks that occur at most once.
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
