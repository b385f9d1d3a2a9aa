// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

var testHandle = environment.Handle{
	Client: "client-a", Stage: "prod", Namespace: "data-collection-client-a",
	Cluster:  cluster.Coordinate{Context: "client-a-prod"},
	Database: &environment.Database{Host: "client-a-db", Port: 5433, Name: "data_collection"},
}

// with is a handle with other attributes.
func with(t *testing.T, handle types.Object, changes map[string]attr.Value) types.Object {
	t.Helper()
	attributes := maps.Clone(handle.Attributes())
	maps.Copy(attributes, changes)
	changed, diags := types.ObjectValue(handleTypes, attributes)
	if diags.HasError() {
		t.Fatal(diags)
	}
	return changed
}

func namespaceOf(name types.String) types.Object {
	return types.ObjectValueMust(handleNamespaceTypes, map[string]attr.Value{"name": name})
}

func TestHandle_RoundTrips(t *testing.T) {
	for name, want := range map[string]environment.Handle{
		"whole": testHandle,
		"bare":  {Client: "client-a", Stage: "prod", Namespace: "n", Cluster: cluster.Coordinate{Context: "arn:aws:eks:eu-west-1:1:cluster/x"}},
		"eks": {Client: "client-a", Stage: "prod", Namespace: "n", Cluster: cluster.Coordinate{
			EKS: &cluster.EKS{Name: "a", Region: "eu-west-1", AccountID: "111111111111"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, known, diags := handleFrom(t.Context(), handleValue(want))
			if diags.HasError() || !known || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, known %v, %v", got, known, diags)
			}
		})
	}
}

func TestHandle_UnknownCoordinatesLeadNowhere(t *testing.T) {
	whole := handleValue(testHandle)
	for name, handle := range map[string]types.Object{
		"all of it": types.ObjectUnknown(handleTypes),
		"null":      types.ObjectNull(handleTypes),
		"client":    with(t, whole, map[string]attr.Value{"client": types.StringUnknown()}),
		"stage":     with(t, whole, map[string]attr.Value{"stage": types.StringUnknown()}),
		"cluster":   with(t, whole, map[string]attr.Value{"cluster": types.ObjectUnknown(clusterTypes)}),
		"context": with(t, whole, map[string]attr.Value{"cluster": types.ObjectValueMust(clusterTypes, map[string]attr.Value{
			"context": types.StringUnknown(), "eks": types.ObjectNull(eksTypes),
		})}),
		"namespace": with(t, whole, map[string]attr.Value{"namespace": types.ObjectUnknown(handleNamespaceTypes)}),
		"name":      with(t, whole, map[string]attr.Value{"namespace": namespaceOf(types.StringUnknown())}),
		"database":  with(t, whole, map[string]attr.Value{"database": types.ObjectUnknown(databaseTypes)}),
	} {
		t.Run(name, func(t *testing.T) {
			got, known, diags := handleFrom(t.Context(), handle)
			if known || diags.HasError() || !reflect.DeepEqual(got, environment.Handle{}) {
				t.Errorf("got %+v, known %v, %v", got, known, diags)
			}
		})
	}
}

func TestHandle_IdentityIsClientStageAndNamespace(t *testing.T) {
	whole := handleValue(testHandle)
	elsewhere := types.ObjectValueMust(clusterTypes,
		map[string]attr.Value{"context": types.StringValue("other"), "eks": types.ObjectNull(eksTypes)})
	tests := map[string]struct {
		other types.Object
		same  bool
	}{
		"itself":            {whole, true},
		"another context":   {with(t, whole, map[string]attr.Value{"cluster": elsewhere}), true},
		"no database":       {with(t, whole, map[string]attr.Value{"database": types.ObjectNull(databaseTypes)}), true},
		"another client":    {with(t, whole, map[string]attr.Value{"client": types.StringValue("client-b")}), false},
		"another stage":     {with(t, whole, map[string]attr.Value{"stage": types.StringValue("dev")}), false},
		"another namespace": {with(t, whole, map[string]attr.Value{"namespace": namespaceOf(types.StringValue("other"))}), false},
		"unknown":           {types.ObjectUnknown(handleTypes), true},
		"unknown client":    {with(t, whole, map[string]attr.Value{"client": types.StringUnknown()}), true},
		"unknown namespace": {with(t, whole, map[string]attr.Value{"namespace": namespaceOf(types.StringUnknown())}), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := sameIdentity(t.Context(), whole, test.other); got != test.same {
				t.Errorf("same identity: %v", got)
			}
		})
	}
}

// One Sensitive attribute would hide the handle in every dependent, and one Computed attribute in it would make the handle
// unknown with each update of the environment.
func TestHandle_NothingInItIsComputedOrSensitive(t *testing.T) {
	var resp resource.SchemaResponse
	NewEnvironmentResource().Schema(context.Background(), resource.SchemaRequest{}, &resp)
	for name, attribute := range resp.Schema.Attributes {
		checkAttribute(t, "slipway_environment."+name, attribute, false)
	}
	for name, attribute := range handleAttributes() {
		checkAttribute(t, "environment."+name, attribute, true)
		if resp.Schema.Attributes[name] == nil {
			t.Errorf("slipway_environment has no %s", name)
		}
	}
}

func checkAttribute(t *testing.T, name string, attribute schema.Attribute, inHandle bool) {
	t.Helper()
	if attribute.IsSensitive() {
		t.Errorf("%s is sensitive", name)
	}
	if inHandle && attribute.IsComputed() {
		t.Errorf("%s is computed", name)
	}
	if attribute.GetMarkdownDescription() == "" && attribute.GetDescription() == "" && !strings.HasSuffix(name, ".timeouts") {
		t.Errorf("%s has no description", name)
	}
	if nested, ok := attribute.(schema.NestedAttribute); ok {
		for inner, attribute := range nested.GetNestedObject().GetAttributes() {
			if attribute, ok := attribute.(schema.Attribute); ok {
				checkAttribute(t, name+"."+inner, attribute, inHandle)
			}
		}
	}
}
