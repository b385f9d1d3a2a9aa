// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource"
)

func TestEnvironment_WarnsOfAQuotaThatRefusesPods(t *testing.T) {
	t.Parallel()
	validated := func(arguments body) []string {
		var resp resource.SchemaResponse
		NewEnvironmentResource().Schema(t.Context(), resource.SchemaRequest{}, &resp)
		config := body{
			"client": "client-a", "stage": "prod", "cluster": body{"context": "c"}, "namespace": body{"name": "n"},
		}
		for name, v := range arguments {
			config[name] = v
		}
		return validatedAs(t, "slipway_environment", resp.Schema.Type().TerraformType(t.Context()), config)
	}
	quota := body{"hard": body{"requests.cpu": "8", "pods": "60"}}
	problems := validated(body{"resource_quota": quota})
	if len(problems) != 1 || !strings.HasPrefix(problems[0], "resource_quota: ") || !strings.Contains(problems[0], "counts requests.cpu") {
		t.Errorf("without defaults: %q", problems)
	}
	for name, arguments := range map[string]body{
		"a quota of pods": {"resource_quota": body{"hard": body{"pods": "60"}}},
		"defaults":        {"resource_quota": quota, "limit_range": body{"default_request": body{"cpu": "100m"}}},
		"not known yet":   {"resource_quota": quota, "limit_range": unknown},
	} {
		if problems := validated(arguments); len(problems) != 0 {
			t.Errorf("%s: %q", name, problems)
		}
	}
}
