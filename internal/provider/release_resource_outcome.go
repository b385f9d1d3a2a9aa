// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/release"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// done is what an apply has come to.
type done struct {
	target release.Target
	// outcome is nil where nothing was attempted. It may be there with an error.
	outcome *release.Outcome
	// seen is what was there afterwards, nil where it could not be read.
	seen *release.Observation
	// ready is whether it could be rolled back then, null where that was not asked or could not be seen.
	ready types.String
	// definitions are what was written of the chart's CustomResourceDefinitions.
	definitions types.Map
}

// lookAgain sees what is there after the operation, which may have been interrupted.
func (d *done) lookAgain(ctx context.Context, rollback bool) (diags diag.Diagnostics) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer stop()
	var err error
	if d.seen, err = release.Observe(ctx, d.target); err == nil && rollback {
		var readiness release.Readiness
		if readiness, err = release.RollbackReady(ctx, d.target, d.seen); err == nil {
			d.ready = rollbackReadyValue(readiness)
		}
	}
	if err != nil {
		diags.AddWarning("Release "+d.target.Name+" could not be read after the operation",
			"Whether it is verified, and whether it could be rolled back, shows in a later plan.\n\n"+detailOf(err))
	}
	return diags
}

// keepFacts remembers for the next plan what is there now.
func (d done) keepFacts(ctx context.Context, private privateWriter) diag.Diagnostics {
	if d.seen == nil {
		return nil
	}
	return keepFacts(ctx, private, factsOf(d.seen, time.Now()))
}

// lookTimeout bounds the look at a release after an operation, which may have been interrupted.
const lookTimeout = 10 * time.Second

// applied is the state after a successful apply: the plan, with what only the cluster knew.
func (m releaseModel) applied(d done) releaseModel {
	outcome := d.outcome
	m.ID = types.StringValue(outcome.InstanceID)
	m.ClusterUID = types.StringValue(outcome.ClusterUID)
	m.Revision = types.Int64Value(int64(outcome.Revision))
	m.Status = types.StringValue(outcome.Status)
	m.Objects = objectsValue(outcome.Rendering.Objects, nil)
	if m.ManifestDigest.IsUnknown() {
		m.ManifestDigest = types.StringValue(outcome.Rendering.Digest)
	}
	if m.ChangeSummary.IsUnknown() {
		m.ChangeSummary = types.ListNull(types.StringType)
	}
	if m.Findings.IsUnknown() {
		m.Findings = stringsOrNull(findingLines(render.Review(outcome.Rendering)))
	}
	m.ValuesWO = types.DynamicNull()
	if m.Drift.IsUnknown() {
		m.Drift = types.MapNull(types.StringType)
	}
	if m.Definitions.IsUnknown() {
		m.Definitions = d.definitions
	}
	if m.Quarantined.IsUnknown() {
		m.Quarantined = types.StringNull()
	}
	if m.RollbackReady.IsUnknown() {
		m.RollbackReady = d.ready
	}
	if m.Verification.IsUnknown() {
		m.Verification = types.StringNull()
		if d.seen != nil {
			m.Verification = verificationValue(d.seen)
		}
	}
	if m.KnownGood.IsUnknown() {
		m.KnownGood = types.StringNull()
		if d.seen != nil {
			m.KnownGood = knownGoodValue(d.seen)
		}
	}
	return m
}

// afterFailure is the state after an update that failed: what was there before, unless the new content stayed live or a rollback
// restored something else.
func (m releaseModel) afterFailure(plan releaseModel, d done) releaseModel {
	outcome := d.outcome
	restored := outcome.Restored
	switch {
	case restored == nil && (outcome.Changed || outcome.Resumed) && outcome.Status == statusDeployed && outcome.Rendering != nil:
		// It was left as it is. The verification in the state keeps the next plan from taking it for settled.
		m = plan.applied(d)
		m.Quarantined = types.StringNull()
	case restored != nil && restored.Digest != m.ManifestDigest.ValueString():
		m.Version, m.ChartDigest, m.ChartVersion = stringOrNull(restored.Version), stringOrNull(restored.Chart.Digest),
			stringOrNull(restored.Chart.Version)
		m.ManifestDigest = stringOrNull(restored.Digest)
		m.ValuesDigest = types.StringNull() // so that no configuration is taken for what is there
	}
	m.Revision, m.Status = types.Int64Value(int64(outcome.Revision)), types.StringValue(outcome.Status)
	if d.seen != nil {
		m.Verification, m.KnownGood, m.RollbackReady = verificationValue(d.seen), knownGoodValue(d.seen), d.ready
	}
	return m
}
