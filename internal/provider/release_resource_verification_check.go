// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/slipway-dev/terraform-provider-slipway/internal/verify"
)

// checkVerification refuses a verification that makes no sense, for example one that could never fail. What is wrong and what to
// do is said by the packages below; here each problem is put at the argument that it is about.
func checkVerification(verification verify.Policy) diag.Diagnostics {
	diags := verificationDiagnostics(verification.ValidateChecks())
	if verification.Analysis != nil {
		diags.Append(verificationDiagnostics(verification.Analysis.Validate())...)
	}
	return diags
}

// defaultMaxApply is how long an apply may take at most where max_apply says nothing. Many runners end a job after an hour.
const defaultMaxApply = 45 * time.Minute

// checkLongest refuses a verification that may take longer than an apply is allowed to, and says what the time is made of.
func checkLongest(verification verify.Policy, rollout, maxApply time.Duration) (diags diag.Diagnostics) {
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
		part("smoke test "+test.Name, verify.Policy{SmokeTests: []verify.Check{test}}.Longest(0))
	}
	if verification.Analysis != nil {
		part("analysis", verify.Policy{Analysis: verification.Analysis}.Longest(0))
	}
	if verification.Acceptance != nil {
		part("acceptance", verify.Policy{Acceptance: verification.Acceptance}.Longest(0))
	}
	part("rollback and its validation", rest)
	diags.AddAttributeError(path.Root("max_apply"), "The apply may take longer than max_apply",
		fmt.Sprintf("Together it is up to %s, and max_apply is %s: %s.\n\n"+
			"Make some of it shorter, or raise max_apply where the job that runs Terraform, its credentials and its state lock last that long: "+
			"what ends them in the middle leaves a version that is not verified.",
			shortDuration(longest), shortDuration(maxApply), strings.Join(parts, " + ")))
	return diags
}
