// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// summarize says in words what changes, for reviewers.
func (c change) summarize(ctx context.Context, previous map[object.Key]string, next *render.Result) []string {
	plan, state := c.plan, c.state
	if state == nil {
		return c.installs(len(next.Objects))
	}
	lines := c.takes.lines()
	if !plan.Version.Equal(state.Version) {
		lines = append(lines, fmt.Sprintf("version %s → %s", orNone(state.Version), orNone(plan.Version)))
	}
	if !plan.ChartVersion.Equal(state.ChartVersion) {
		lines = append(lines, fmt.Sprintf("chart %s → %s", orNone(state.ChartVersion), orNone(plan.ChartVersion)))
	}
	lines = append(lines, c.history(next)...)
	if !dynamicEqual(ctx, plan.SensitiveValues, state.SensitiveValues) {
		lines = append(lines, "sensitive_values changed (sensitive value)")
	}
	if !plan.ValuesWOVersion.Equal(state.ValuesWOVersion) {
		lines = append(lines, "values_wo changed (sensitive value)")
	}
	stable := make(map[object.Key]string, len(next.Objects))
	before := make(map[object.Key]string, len(previous))
	for k, v := range previous {
		if _, volatile := next.Volatile[k]; !volatile {
			before[k] = v
		}
	}
	for k, v := range next.Objects {
		if reason, volatile := next.Volatile[k]; volatile {
			lines = append(lines, fmt.Sprintf("%s: not known before the apply (%s)", k.Short(), reason))
			continue
		}
		stable[k] = v
	}
	if c.facts.Unrecorded {
		before, stable = withoutMasked(before, stable)
	}
	lines = append(sorted(lines), object.Summary(before, stable)...)
	return append(lines, c.onFailure(next)...)
}

// withoutMasked leaves out of a comparison what one of the sides masks. Of what another program installed, an import masks what is in
// Secrets; a rendering masks whatever depends on a secret value, such as a checksum.
func withoutMasked(before, after map[object.Key]string) (map[object.Key]string, map[object.Key]string) {
	before, after = maps.Clone(before), maps.Clone(after)
	for key, text := range before {
		next, there := after[key]
		if !there {
			continue
		}
		if one, other, err := object.AlignMasks(text, next); err == nil {
			before[key], after[key] = one, other
		}
	}
	return before, after
}

// installs says what a create does: it installs, takes over what runs, or both.
func (c change) installs(objects int) []string {
	what := "chart " + c.plan.ChartVersion.ValueString()
	if v := c.plan.Version.ValueString(); v != "" {
		what = fmt.Sprintf("%s (%s)", v, what)
	}
	lines := c.takes.lines()
	switch created := objects - len(c.takes.objects); {
	case len(lines) == 0:
		return []string{"install " + what + ": " + objectCount(objects)}
	case created == 0:
		return append(lines, "deploy "+what)
	case created == 1:
		return append(lines, "deploy "+what+": 1 new object")
	default:
		return append(lines, fmt.Sprintf("deploy %s: %d new objects", what, created))
	}
}

// history says what the plan has to do with the release's past: what is repaired, and what is restored.
func (c change) history(next *render.Result) []string {
	var lines []string
	revision, verification := c.state.Revision.ValueInt64(), c.state.Verification.ValueString()
	switch {
	case c.state.Status.ValueString() == statusModified && c.facts.Unrecorded:
		lines = append(lines, fmt.Sprintf("revision %d has no record of Slipway: what is configured is restored", revision))
	case c.state.Status.ValueString() == statusModified:
		lines = append(lines, fmt.Sprintf("revision %d was made outside Slipway: what is configured is restored", revision))
	case c.state.Status.ValueString() != statusDeployed:
		lines = append(lines, fmt.Sprintf("revision %d is %s: it is repaired", revision, c.state.Status.ValueString()))
	case !settled(*c.state) && c.state.ManifestDigest.ValueString() == next.Digest:
		lines = append(lines, fmt.Sprintf("revision %d is %s: it is verified again", revision, verification))
	case !settled(*c.state):
		lines = append(lines, fmt.Sprintf("revision %d is %s", revision, verification))
	}
	if c.facts.Unrecorded && c.state.Status.ValueString() == statusDeployed {
		lines = append(lines, fmt.Sprintf("takes over revision %d, which another program made", revision))
	}
	if good, back := c.facts.back(c.plan.Version.ValueString(), next.Digest); back {
		line := "rollback to known-good " + good.String()
		if good.Digest != next.Digest {
			line += ", with another configuration"
		}
		lines = append(lines, line)
	}
	return lines
}

// onFailure says what happens if the update fails, where a rollback is or was configured.
func (c change) onFailure(next *render.Result) []string {
	good, back := c.facts.back(c.plan.Version.ValueString(), next.Digest)
	switch {
	case back && good.Digest == next.Digest, len(c.state.Rollback.Elements()) == 0 && c.verification.Rollback == nil:
		return nil
	case c.verification.Rollback == nil:
		return []string{"a failure is no longer rolled back automatically"}
	case c.state.KnownGood.IsNull():
		return []string{"a failure cannot be rolled back: no revision is known to work yet"}
	}
	return []string{"a failure is rolled back to " + c.state.KnownGood.ValueString()}
}

// key names the planned content for a quarantine, empty where it is not known yet.
func (c change) key(next *render.Result) string {
	if !c.verification.known {
		return ""
	}
	return release.ContentKey(c.spec, next, c.verification.Policy)
}

// quarantined is the attribute "quarantined" of the plan.
func (c change) quarantined(next *render.Result) types.String {
	switch {
	case c.facts.Quarantine == nil, c.facts.good(next.Digest):
		return types.StringNull()
	case !c.verification.known:
		return types.StringUnknown()
	}
	return c.facts.quarantined(c.key(next), c.verification.RetryToken)
}
