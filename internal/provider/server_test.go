// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
)

// releasePlan is a plan of a release as Terraform asks for it.
type releasePlan struct {
	prior, config body
	private       []byte
}

// planServer is a configured server; the cluster of its releases cannot be reached, so that only files and state count.
func planServer(t *testing.T) *server {
	t.Helper()
	return configuredServer(t, body{"workspace": "client-a-prod"})
}

// configuredServer is a server with that configuration of the provider.
func configuredServer(t *testing.T, configuration body) *server {
	t.Helper()
	s, ok := NewServer("test", &Changes{})().(*server)
	if !ok {
		t.Fatal("NewServer makes another server")
	}
	schemas, err := s.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	of := schemas.Provider.ValueType()
	config, err := tfprotov6.NewDynamicValue(of, value(t, of, configuration))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{Config: &config})
	if err != nil || len(resp.Diagnostics) > 0 {
		t.Fatal(err, resp)
	}
	return s
}

// unchangedRelease is a release whose plan has nothing to change, with one values file.
func unchangedRelease(t *testing.T, valuesFile string) releasePlan {
	t.Helper()
	const path = "testdata/charts/plain"
	c, err := chart.NewLoader(t.TempDir(), nil).Get(t.Context(), chart.Source{Path: path}, "")
	if err != nil {
		t.Fatal(err)
	}
	digest, err := digestOf(map[string]any{"replicas": int64(2)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(valuesFile, []byte("replicas: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := body{
		"environment": body{
			"client":    "client-a",
			"stage":     "prod",
			"cluster":   body{"context": "none"},
			"namespace": body{"name": "client-a-prod"},
		},
		"chart":        body{"path": path},
		"values_files": []any{valuesFile},
	}
	prior := maps.Clone(config)
	maps.Copy(prior, body{
		"id": "0a3f0d5e-6a1c-4e9e-9a55-3f6f0c1d2e3f", "name": "plain", "version_path": defaultVersionPath, "crds": defaultCRDs,
		"on_pending": defaultOnPending, "max_history": defaultMaxHistory, "revision": 3, "status": statusDeployed, "cluster_uid": "u",
		"chart_version": c.Version, "chart_digest": c.Digest, "values_digest": digest, "manifest_digest": "sha256:m",
		"objects": body{"v1/ConfigMap/plain": `{"kind":"ConfigMap"}`},
	})
	return releasePlan{prior: prior, config: config, private: []byte(`{"facts":"e30="}`)}
}

// request proposes what Terraform would: the configuration, and the prior state where that says nothing.
func (p releasePlan) request(t *testing.T) *tfprotov6.PlanResourceChangeRequest {
	t.Helper()
	of := releaseSchema(t).Type().TerraformType(t.Context())
	proposed := maps.Clone(p.prior)
	maps.Copy(proposed, p.config)
	encoded := func(b body) *tfprotov6.DynamicValue {
		d, err := tfprotov6.NewDynamicValue(of, value(t, of, b))
		if err != nil {
			t.Fatal(err)
		}
		return &d
	}
	return &tfprotov6.PlanResourceChangeRequest{
		TypeName: releaseType, PriorState: encoded(p.prior), ProposedNewState: encoded(proposed), Config: encoded(p.config),
		PriorPrivate: p.private,
	}
}

func TestServer_AnswersForAReleaseThatStaysAsItIs(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	file := filepath.Join(t.TempDir(), "values.yaml")
	s := planServer(t)
	req := unchangedRelease(t, file).request(t)
	if !s.staysAsItIs(t.Context(), req) {
		t.Fatal("a release in which nothing changed goes the long way")
	}

	// The framework answers the same.
	of := releaseSchema(t).Type().TerraformType(t.Context())
	short, err := s.PlanResourceChange(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	long, err := s.ProviderServer.PlanResourceChange(t.Context(), req)
	if err != nil || len(long.Diagnostics) > 0 || len(long.RequiresReplace) > 0 {
		t.Fatalf("%v %+v", err, long)
	}
	if !bytes.Equal(short.PlannedPrivate, long.PlannedPrivate) {
		t.Errorf("private state is planned as %s, by the framework as %s", short.PlannedPrivate, long.PlannedPrivate)
	}
	var answers [2]tftypes.Value
	for i, state := range []*tfprotov6.DynamicValue{short.PlannedState, long.PlannedState} {
		if answers[i], err = state.Unmarshal(of); err != nil {
			t.Fatal(err)
		}
	}
	if !answers[0].Equal(answers[1]) {
		t.Errorf("planned %s, the framework %s", answers[0], answers[1])
	}
}

// What Read says of a cluster that cannot be reached is the same on both ways, and so is what it keeps.
func TestServer_ReadsAsTheFrameworkDoes(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	s := planServer(t)
	p := unchangedRelease(t, filepath.Join(t.TempDir(), "values.yaml"))
	planned := p.request(t)
	req := &tfprotov6.ReadResourceRequest{TypeName: releaseType, CurrentState: planned.PriorState, Private: p.private}
	short := s.read(t.Context(), req)
	if short == nil {
		t.Fatal("a release goes the long way")
	}
	long, err := s.ProviderServer.ReadResource(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if len(short.Diagnostics) == 0 {
		t.Error("a cluster that cannot be reached is not warned of")
	}
	if !reflect.DeepEqual(short, long) {
		t.Errorf("read %+v, the framework %+v", short, long)
	}

	req.Private = []byte(`{".import_before_read":"dHJ1ZQ=="}`)
	if s.read(t.Context(), req) != nil {
		t.Error("an imported release goes the short way")
	}
}

func TestServer_LeavesWhatChangesToTheFramework(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	for name, change := range map[string]func(p *releasePlan, valuesFile string){
		"a version":                      func(p *releasePlan, _ string) { p.config["version"] = "v2" },
		"a default is back":              func(p *releasePlan, _ string) { p.prior["max_history"] = 5 },
		"a failed release":               func(p *releasePlan, _ string) { p.prior["status"] = "failed" },
		"another chart":                  func(p *releasePlan, _ string) { p.prior["chart_digest"] = "sha256:other" },
		"write-only values":              func(p *releasePlan, _ string) { p.config["values_wo_version"] = 2 },
		"private state in no known form": func(p *releasePlan, _ string) { p.private = []byte(`[]`) },
		"a values file":                  func(_ *releasePlan, file string) { _ = os.WriteFile(file, []byte("replicas: 3\n"), 0o600) },
		"a values file gone":             func(_ *releasePlan, file string) { _ = os.Remove(file) },
		"something not known":            func(p *releasePlan, _ string) { p.config["version"] = unknown },
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "values.yaml")
			p := unchangedRelease(t, file)
			change(&p, file)
			if planServer(t).staysAsItIs(t.Context(), p.request(t)) {
				t.Error("is planned as if nothing changed")
			}
		})
	}
}

// A default that the short way does not know would keep a value that the configuration no longer has.
func TestServer_KnowsAllDefaultsOfARelease(t *testing.T) {
	s := releaseSchema(t)
	known := shapeOf(t.Context(), NewReleaseResource()).defaults
	found := defaultsBelow(reflect.ValueOf(s), "")
	slices.Sort(found)
	if want := slices.Sorted(maps.Keys(known)); !slices.Equal(found, want) {
		t.Errorf("the schema has defaults at %q, and the short way knows %q", found, want)
	}
}

// defaultsBelow are the paths of all attributes with a default, in attributes and blocks of any depth.
func defaultsBelow(v reflect.Value, at string) (found []string) {
	switch v.Kind() {
	case reflect.Interface:
		return defaultsBelow(v.Elem(), at)
	case reflect.Map:
		for _, name := range v.MapKeys() {
			found = append(found, defaultsBelow(v.MapIndex(name), strings.TrimPrefix(at+"."+name.String(), "."))...)
		}
	case reflect.Struct:
		if d := v.FieldByName("Default"); d.IsValid() && !d.IsNil() {
			found = append(found, at)
		}
		for _, name := range []string{"Attributes", "Blocks", "NestedObject"} {
			if below := v.FieldByName(name); below.IsValid() {
				found = append(found, defaultsBelow(below, at)...)
			}
		}
	}
	return found
}
