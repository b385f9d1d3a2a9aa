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
