// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ resource.ResourceWithValidateConfig = (*ReleaseResource)(nil)

// ValidateConfig refuses timeouts in which nothing can be done. That they are durations at all is checked by the schema.
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
				fmt.Sprintf("%s = %q leaves no time.\n\nGive a duration such as \"10m\", or leave it out for the default of %s.", name, text.ValueString(), defaultReleaseTimeout))
		}
	}
}
