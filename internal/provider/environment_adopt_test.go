// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"maps"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Pods run in a namespace that is adopted. Only the configuration closes their network.
func TestEnvironment_AnAdoptedNamespaceStaysOpen(t *testing.T) {
	s := planServer(t)
	schemas, err := s.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	of := schemas.ResourceSchemas["slipway_environment"].ValueType()
	for name, tc := range map[string]struct {
		namespace, network any
		ingress, egress    string // "?" is not known
	}{
		"made":                          {body{"name": "n"}, nil, "deny", "allow"},
		"adopted":                       {body{"name": "n", "adopt": true}, nil, "allow", "allow"},
		"adopted and closed":            {body{"name": "n", "adopt": true}, body{"ingress": "deny"}, "deny", "allow"},
		"adopted and closed to outside": {body{"name": "n", "adopt": true}, body{"egress": "deny"}, "allow", "deny"},
		"not adopted":                   {body{"name": "n", "adopt": false}, nil, "deny", "allow"},
		"perhaps adopted":               {body{"name": "n", "adopt": notKnown{}}, nil, "?", "allow"},
	} {
		t.Run(name, func(t *testing.T) {
			config := body{"client": "client-a", "stage": "prod", "cluster": body{"context": notKnown{}}, "namespace": tc.namespace}
			if tc.network != nil {
				config["network"] = tc.network
			}
			encoded := func(b any) *tfprotov6.DynamicValue {
				d, err := tfprotov6.NewDynamicValue(of, value(t, of, b))
				if err != nil {
					t.Fatal(err)
				}
				return &d
			}
			resp, err := s.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
				TypeName: "slipway_environment", PriorState: encoded(nil), ProposedNewState: encoded(maps.Clone(config)), Config: encoded(config),
			})
			if err != nil || len(resp.Diagnostics) > 0 {
				t.Fatal(err, resp.Diagnostics)
			}
			planned, err := resp.PlannedState.Unmarshal(of)
			if err != nil {
				t.Fatal(err)
			}
			for attribute, want := range map[string]string{"ingress": tc.ingress, "egress": tc.egress} {
				found, _, err := tftypes.WalkAttributePath(
					planned,
					tftypes.NewAttributePath().WithAttributeName("network").WithAttributeName(attribute),
				)
				if err != nil {
					t.Fatal(err)
				}
				got := "?"
				if v, ok := found.(tftypes.Value); ok && v.IsKnown() {
					if err := v.As(&got); err != nil {
						t.Fatal(err)
					}
				}
				if got != want {
					t.Errorf("%s is %q, want %q", attribute, got, want)
				}
			}
		})
	}
}
