// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func TestProxyAddress_IsRefusedWithoutShowingThePassword(t *testing.T) {
	t.Parallel()
	const password = "canary-4711"
	for address, want := range map[string]string{
		"http://user:" + password + "@proxy:3128": "",
		"https://proxy":                               "",
		"socks5://localhost:1080":                     "",
		"ftp://user:" + password + "@proxy":           `The scheme is "ftp"`,
		"http://user:" + password + "@":               "The URL has no host",
		"http://user:" + password + "@proxy:\x7f/%zz": "The value is not a URL",
		"proxy": `The scheme is ""`,
	} {
		var resp validator.StringResponse
		proxyAddress{}.ValidateString(t.Context(), validator.StringRequest{Path: path.Root("proxy_url"), ConfigValue: types.StringValue(address)},
			&resp)
		text := fmt.Sprint(resp.Diagnostics)
		if strings.Contains(text, password) {
			t.Errorf("the password is shown: %s", text)
		}
		if want == "" && resp.Diagnostics.HasError() || !strings.Contains(text, want) {
			t.Errorf("%q: got %s, want %q", strings.ReplaceAll(address, password, "…"), text, want)
		}
	}
}
