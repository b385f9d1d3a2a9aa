// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release/dryrun"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// Statuses of a release that are not Helm's own words for a newest revision.
const (
	statusDeployed = "deployed"
	statusModified = "modified"
)

// findingLines are the review's findings as reviewers read them.
func findingLines(findings []render.Finding) []string {
	lines := make([]string, len(findings))
	for i, f := range findings {
		lines[i] = fmt.Sprintf("%s: %s (%s)", f.Object, f.Text, f.Rule)
	}
	return sorted(lines)
}

// overwriteLines are live differences as reviewers read them.
func overwriteLines(overwrites []dryrun.Overwrite) []string {
	lines := make([]string, len(overwrites))
	for i, o := range overwrites {
		lines[i] = fmt.Sprintf("%s: %s %s → %s", o.Object, o.Path, o.Live, o.Target)
	}
	return sorted(lines)
}

// objectCount is "1 object" or "3 objects".
func objectCount(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}
