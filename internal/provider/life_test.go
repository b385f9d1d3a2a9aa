// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"maps"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// removable is a resource in the state, and what the error of its removal says.
type removable struct {
	state body
	// what is the resource in "Cannot remove <what> in client-a/prod", named the attribute with its name.
	what, named string
}

// removables are the resources of one environment, in a cluster that is called "closed".
func removables() map[string]removable {
	at := body{"client": "client-a", "stage": "prod", "cluster": body{"context": "closed"}, "namespace": body{"name": "client-a-prod"}}
	in := func(more body) body {
		out := body{"id": "0a3f0d5e-6a1c-4e9e-9a55-3f6f0c1d2e3f", "cluster_uid": "4f0d5e0a-6a1c-4e9e-9a55-3f6f0c1d2e3f", "environment": at}
		maps.Copy(out, more)
		return out
	}
	const name, nested = `AttributeName("name")`, `AttributeName("namespace").AttributeName("name")`
	environment := in(at)
	delete(environment, "environment")
	return map[string]removable{
		"slipway_blue_green":  {in(body{"service": "app", "label": "track"}), "blue-green switch of Service app", `AttributeName("service")`},
		"slipway_canary":      {in(body{"name": "app", "istio": body{"host": "app"}}), "canary split app", name},
		"slipway_database":    {in(body{"name": "app", "server": body{"host": "db"}}), "database app", name},
		"slipway_environment": {environment, "environment client-a-prod", nested},
		"slipway_migration":   {in(body{"name": "app"}), "migration app", name},
		"slipway_release":     {in(body{"name": "app"}), "release app", name},
	}
}

// destroy is the answer of the provider to a destroy of what is in the state.
func destroy(t *testing.T, s *server, typ string, state body) *tfprotov6.ApplyResourceChangeResponse {
	t.Helper()
	schemas, err := s.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	of := schemas.ResourceSchemas[typ].ValueType()
	encoded := func(v any) *tfprotov6.DynamicValue {
		d, err := tfprotov6.NewDynamicValue(of, value(t, of, v))
		if err != nil {
			t.Fatal(err)
		}
		return &d
	}
	resp, err := s.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: typ, PriorState: encoded(state), PlannedState: encoded(nil), Config: encoded(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// A destroy that fails says of each resource that it cannot be removed, and where its name is.
func TestDelete_NamesWhatCannotBeRemoved(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("SLIPWAY_DATABASE_ADMIN_PASSWORD", "secret")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "https://" + listener.Addr().String()
	_ = listener.Close()
	s := configuredServer(t, body{"workspace": "client-a-prod", "clusters": body{"closed": body{"host": closed}}})
	for typ, tc := range removables() {
		t.Run(typ, func(t *testing.T) {
			resp := destroy(t, s, typ, tc.state)
			if len(resp.Diagnostics) != 1 {
				t.Fatalf("%d diagnostics, want one: %+v", len(resp.Diagnostics), resp.Diagnostics)
			}
			d := resp.Diagnostics[0]
			if want := "Cannot remove " + tc.what + " in client-a/prod"; d.Summary != want {
				t.Errorf("the summary is %q, want %q", d.Summary, want)
			}
			if !strings.Contains(d.Detail, "connection refused") {
				t.Errorf("the detail does not say why: %s", d.Detail)
			}
			if got := d.Attribute.String(); got != tc.named {
				t.Errorf("the error is at %s, want %s", got, tc.named)
			}
			if null, err := resp.NewState.IsNull(); err != nil || null {
				t.Errorf("the resource left the state: %v", err)
			}
		})
	}
}

// An error about an attribute stays at the attribute.
func TestDelete_NamesTheAttributeThatIsWrong(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	s := configuredServer(t, body{"workspace": "client-a-prod"})
	for typ, tc := range removables() {
		t.Run(typ, func(t *testing.T) {
			resp := destroy(t, s, typ, tc.state)
			if len(resp.Diagnostics) != 1 {
				t.Fatalf("%d diagnostics, want one: %+v", len(resp.Diagnostics), resp.Diagnostics)
			}
			d := resp.Diagnostics[0]
			if want := "Cannot remove " + tc.what + " in client-a/prod"; d.Summary != want {
				t.Errorf("the summary is %q, want %q", d.Summary, want)
			}
			if want := `AttributeName("cluster").AttributeName("context")`; !strings.HasSuffix(d.Attribute.String(), want) {
				t.Errorf("the error is at %s, want %s", d.Attribute, want)
			}
		})
	}
}
