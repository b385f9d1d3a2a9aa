// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// duration validates a string such as "10s" or "5m". The zero value accepts what is longer than nothing.
type duration struct {
	// zero accepts "0s" as well.
	zero bool
	// least is the shortest that is accepted; nothing where zero.
	least time.Duration
}

func (v duration) Description(context.Context) string {
	switch {
	case v.zero:
		return "must be a duration from zero"
	case v.least > 0:
		return "must be a duration of at least " + shortDuration(v.least)
	}
	return "must be a duration longer than nothing"
}

func (v duration) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString refuses what is no duration, and one that is too short.
func (v duration) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	text := req.ConfigValue.ValueString()
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		resp.Diagnostics.AddAttributeError(req.Path, "Not a duration",
			fmt.Sprintf("%q is no duration.\n\nWrite numbers with units, for example \"30s\", \"2m\" or \"1h30m\".", text))
	case d < 0, d == 0 && !v.zero, d < v.least:
		resp.Diagnostics.AddAttributeError(req.Path, "A duration that is too short",
			fmt.Sprintf("%q is too short: it %s.", text, v.Description(ctx)))
	}
}

// shortDuration is a duration without the units that are zero: "5m" instead of "5m0s".
func shortDuration(d time.Duration) string {
	text := d.String()
	for _, tail := range []struct{ zero, unit string }{{"m0s", "m"}, {"h0m", "h"}} {
		if n := len(text) - len(tail.zero); n > 0 && text[n:] == tail.zero {
			text = text[:n] + tail.unit
		}
	}
	return text
}
