// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ resource.ResourceWithValidateConfig = (*ReleaseResource)(nil)

// ValidateConfig refuses timeouts in which nothing can be done, and a verification that could never fail. That durations are durations at
// all is checked by the schema.
func (r *ReleaseResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var configured timeouts.Value
	if diags := req.Config.GetAttribute(ctx, path.Root("timeouts"), &configured); diags.HasError() {
		resp.Diagnostics.Append(diags...)
		return
	}
	for name, value := range configured.Attributes() {
		text, ok := value.(types.String)
		if !ok || text.IsNull() || text.IsUnknown() {
			continue
		}
		if d, err := time.ParseDuration(text.ValueString()); err == nil && d <= 0 {
			resp.Diagnostics.AddAttributeError(path.Root("timeouts").AtName(name), "A timeout must be longer than nothing",
				fmt.Sprintf("%s = %q leaves no time.\n\nGive a duration such as \"10m\", or leave it out for the default of %s.", name,
					text.ValueString(), defaultReleaseTimeout))
		}
	}
	_, diags := configuredVerification(ctx, req.Config, configured)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(withoutEffect(ctx, req.Config)...)
}

// withoutEffect warns of arguments that do nothing unless another one is set.
func withoutEffect(ctx context.Context, config attributeGetter) (diags diag.Diagnostics) {
	var secrets types.Dynamic
	var version types.Int64
	var ignored types.List
	var detect, correct types.Bool
	for name, target := range map[string]any{
		"values_wo": &secrets, "values_wo_version": &version, "drift_ignore": &ignored, "detect_drift": &detect, "correct_drift": &correct,
	} {
		diags.Append(config.GetAttribute(ctx, path.Root(name), target)...)
	}
	if diags.HasError() {
		return diags
	}
	if !secrets.IsNull() && version.IsNull() {
		diags.AddAttributeWarning(path.Root("values_wo"), "A change of values_wo alone is not rolled out",
			"values_wo_version is not set. The state does not contain values_wo, so that the plan cannot see that they changed.\n\n"+
				"Set values_wo_version = 1, and raise it with each change of values_wo.")
	}
	off := func(b types.Bool) bool { return !b.IsUnknown() && !b.ValueBool() }
	if len(ignored.Elements()) > 0 && off(detect) && off(correct) {
		diags.AddAttributeWarning(path.Root("drift_ignore"), "drift_ignore has no effect",
			"Neither detect_drift nor correct_drift is true, so that live objects are not compared at all.\n\n"+
				"Set detect_drift = true, or remove the blocks drift_ignore.")
	}
	return diags
}

// configuredVerification reads and checks the verification, as far as it is known.
func configuredVerification(ctx context.Context, config attributeGetter, limits timeouts.Value) (verificationReading, diag.Diagnostics) {
	m, diags := readVerification(ctx, config)
	var limit types.String
	diags.Append(config.GetAttribute(ctx, path.Root("max_apply"), &limit)...)
	if diags.HasError() {
		return verificationReading{}, diags
	}
	verification, d := m.verification(ctx)
	diags.Append(d...)
	diags.Append(checkVerification(verification.Policy)...)
	r := &blockReader{ctx: ctx}
	rollout := time.Duration(0)
	for _, name := range []string{"create", "update"} {
		text, ok := limits.Attributes()[name].(types.String)
		if !ok {
			text = types.StringNull()
		}
		rollout = max(rollout, r.duration(text, defaultReleaseTimeout, 0))
	}
	maxApply := r.duration(limit, defaultMaxApply, 0)
	if verification.timed && !r.untimed && !diags.HasError() {
		diags.Append(checkLongest(verification.Policy, rollout, maxApply)...)
	}
	return verification, diags
}
