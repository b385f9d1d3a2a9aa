// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

func connectionTypes(t *testing.T) map[string]attr.Type {
	t.Helper()
	var resp provider.SchemaResponse
	New("test")().Schema(t.Context(), provider.SchemaRequest{}, &resp)
	clusters, ok := resp.Schema.Attributes["clusters"].(schema.MapNestedAttribute)
	if !ok {
		t.Fatal("clusters is no nested map")
	}
	found := map[string]attr.Type{}
	for name, attribute := range clusters.NestedObject.Attributes {
		found[name] = attribute.GetType()
	}
	return found
}

func connection(t *testing.T, set map[string]attr.Value) attr.Value {
	t.Helper()
	values := map[string]attr.Value{}
	for name, of := range connectionTypes(t) {
		null, err := of.ValueFromTerraform(t.Context(), tftypes.NewValue(of.TerraformType(t.Context()), nil))
		if err != nil {
			t.Fatal(err)
		}
		values[name] = null
	}
	for name, value := range set {
		values[name] = value
	}
	return types.ObjectValueMust(connectionTypes(t), values)
}

func TestProvider_UnknownPartsOfTheConfigurationLeadNowhere(t *testing.T) {
	elements := map[string]attr.Value{
		"known":   connection(t, map[string]attr.Value{"host": types.StringValue("https://127.0.0.1:1"), "token": types.StringValue("t")}),
		"growing": connection(t, map[string]attr.Value{"host": types.StringUnknown()}),
		"whole":   types.ObjectUnknown(connectionTypes(t)),
	}
	of := types.ObjectType{AttrTypes: connectionTypes(t)}
	noPaths, noRegistries := types.ListNull(types.StringType), types.ListNull(types.StringType)
	t.Setenv("KUBECONFIG", "/nonexistent")
	tests := map[string]struct {
		model   providerModel
		context string
		unknown bool // an *UnknownConnectionError
		missing bool // an *UnknownContextError
	}{
		"a known entry next to unknown ones": {
			providerModel{ConfigPaths: noPaths, Registries: noRegistries, Clusters: types.MapValueMust(of, elements)}, "known",
			false, false,
		},
		"an entry with an unknown value": {
			providerModel{ConfigPaths: noPaths, Registries: noRegistries, Clusters: types.MapValueMust(of, elements)}, "growing",
			true, false,
		},
		"an unknown entry": {
			providerModel{ConfigPaths: noPaths, Registries: noRegistries, Clusters: types.MapValueMust(of, elements)}, "whole",
			true, false,
		},
		"no such entry": {
			providerModel{ConfigPaths: noPaths, Registries: noRegistries, Clusters: types.MapValueMust(of, elements)}, "other",
			false, true,
		},
		"unknown connections": {
			providerModel{ConfigPaths: noPaths, Registries: noRegistries, Clusters: types.MapUnknown(of)}, "other", true, false,
		},
		"unknown kubeconfig paths": {
			providerModel{ConfigPaths: types.ListUnknown(types.StringType), Registries: noRegistries, Clusters: types.MapNull(of)},
			"other", true, false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config, diags := test.model.clusterConfig(t.Context())
			if diags.HasError() {
				t.Fatal(diags)
			}
			_, err := cluster.NewConnections(config).Cluster(t.Context(), cluster.Coordinate{Context: test.context})
			_, unknown := errors.AsType[*cluster.UnknownConnectionError](err)
			_, missing := errors.AsType[*cluster.UnknownContextError](err)
			if unknown != test.unknown || missing != test.missing || err == nil == (test.unknown || test.missing) {
				t.Errorf("got %T: %v", err, err)
			}
		})
	}
}

func TestProvider_EveryAttributeIsDescribedAndOptional(t *testing.T) {
	var resp provider.SchemaResponse
	New("test")().Schema(t.Context(), provider.SchemaRequest{}, &resp)
	for name, attribute := range resp.Schema.Attributes {
		if !attribute.IsOptional() || attribute.GetMarkdownDescription() == "" {
			t.Errorf("%s: optional %v, described %q", name, attribute.IsOptional(), attribute.GetMarkdownDescription())
		}
	}
	if diags := resp.Schema.ValidateImplementation(context.Background()); diags.HasError() {
		t.Error(diags)
	}
}

// Credentials may be ephemeral, and then are in no plan and no state.
func TestProvider_TakesEphemeralCredentials(t *testing.T) {
	client, namespace := testClient(t)
	api := newTestAPI(t)
	resource.Test(t, resource.TestCase{
		TerraformVersionChecks:   []tfversion.TerraformVersionCheck{tfversion.SkipBelow(tfversion.Version1_11_0)},
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{{
			Config: fmt.Sprintf(`
variable "token" {
  type      = string
  ephemeral = true
  default   = "ephemeral-token"
}
provider "slipway" {
  workspace    = "%s-prod"
  config_paths = []
  clusters     = { proxied = { host = %q, insecure = true, token = var.token } }
}
`, client, api.url) + environmentBlock(client, "proxied", fmt.Sprintf("{ name = %q }", namespace), unprotected),
		}},
	})
	if api.requests.Load() == 0 {
		t.Error("the connection was not used")
	}
}

func TestGuardDestroy_ComparesTheWorkspaceWithTheState(t *testing.T) {
	tests := map[string]struct {
		data    *Data
		refused bool
	}{
		"its own workspace":   {&Data{Workspace: "client-a-prod"}, false},
		"no workspace given":  {&Data{}, false},
		"another workspace":   {&Data{Workspace: "client-b-prod"}, true},
		"an unknown one":      {&Data{WorkspaceUnknown: true}, true},
		"only validated":      {nil, false},
		"another stage of it": {&Data{Workspace: "client-a-dev"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diags := guardDestroy(test.data, testHandle); diags.HasError() != test.refused {
				t.Errorf("got %v", diags)
			}
		})
	}
}

func TestDiagnostic_HasWhatHappenedWhatWasObservedAndWhatToDo(t *testing.T) {
	err := fmt.Errorf("looking: %w",
		&environment.NamespaceForeignError{Namespace: "n", Client: "client-a", Stage: "prod", OwnerClient: "client-b", OwnerStage: "prod"})
	d := errorDiagnostic("upgrade", "release data-collection", testHandle, err)
	if want := "Cannot upgrade release data-collection in client-a/prod"; d.Summary() != want {
		t.Errorf("summary %q, want %q", d.Summary(), want)
	}
	if paragraphs := strings.Split(d.Detail(), "\n\n"); len(paragraphs) != 3 {
		t.Errorf("%d paragraphs: %s", len(paragraphs), d.Detail())
	}
	at, ok := d.(interface{ Path() path.Path })
	if want := path.Root("environment").AtName("namespace").AtName("name"); !ok || !at.Path().Equal(want) {
		t.Errorf("at %v, want %s", d, want)
	}
}

func TestReadDiagnostic_WarnsOnlyWhereTheClusterCannotBeAsked(t *testing.T) {
	for name, test := range map[string]struct {
		err   error
		error bool
	}{
		"unreachable":     {&cluster.UnreachableError{Cause: errors.New("x")}, false},
		"expired":         {&cluster.UnauthorizedError{Cause: errors.New("x")}, false},
		"forbidden":       {&cluster.ForbiddenError{Cause: errors.New("x")}, false},
		"another cluster": {&cluster.MismatchError{}, true},
		"anything else":   {errors.New("x"), true},
	} {
		t.Run(name, func(t *testing.T) {
			d := subject{noun: "release", name: "x", handle: testHandle, base: path.Root("environment")}.notRead(test.err)
			if got := d.Severity().String() == "Error"; got != test.error {
				t.Errorf("severity %s", d.Severity())
			}
		})
	}
}
