// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// publicAddress validates that an address holds no credentials, since the configuration and the state are no place for them.
type publicAddress struct{}

func (publicAddress) Description(context.Context) string {
	return "must be an address without a user and password"
}
func (v publicAddress) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString does not repeat the address.
func (publicAddress) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if at, err := url.Parse(req.ConfigValue.ValueString()); err == nil && at.User != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Credentials in an address",
			"The address holds a user, and would be kept in the state with it.\n\nTake it out; the arguments that end in _wo are for credentials.")
	}
}

type host struct{}

func (host) Description(context.Context) string { return "must be a host name or an IP address" }

func (v host) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (host) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsUnknown() && !environment.ValidHost(req.ConfigValue.ValueString()) {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid host",
			fmt.Sprintf("%q is neither a host name nor an IP address. Example: \"client-a-db.example.internal\", without scheme and port.",
				req.ConfigValue.ValueString()))
	}
}

// proxyAddress validates the address of a proxy. It may hold a password, so that no message repeats it.
type proxyAddress struct{}

func (proxyAddress) Description(context.Context) string {
	return "must be a URL with the scheme http, https or socks5"
}

func (v proxyAddress) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (proxyAddress) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	at, err := url.Parse(req.ConfigValue.ValueString())
	problem := ""
	switch {
	case err != nil:
		problem = "The value is not a URL."
	case !slices.Contains([]string{"http", "https", "socks5"}, at.Scheme):
		problem = fmt.Sprintf("The scheme is %q; a proxy is reached by http, https or socks5.", at.Scheme)
	case at.Hostname() == "":
		problem = "The URL has no host."
	default:
		return
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid address of a proxy",
		problem+"\n\nExample: \"socks5://localhost:1080\". The value is not shown, since it may hold a password.")
}
