// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// testFleet is a fleet of two clients and a chart, with other contents for some files.
func testFleet(t *testing.T, others map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"chart/Chart.yaml":  "apiVersion: v2\nname: orders\nversion: 1.0.0\n",
		"chart/values.yaml": "replicas: 1\nimage:\n  tag: \"\"\nexact: \"\"\n",
		"clients/fleet.yaml": "version: 1\nservice: orders\nchart: {path: ../chart}\nstages: [dev, prod]\nlayers:\n" +
			"- {name: defaults, file: values.yaml}\n" +
			"- {name: client, file: \"{client}/values.yaml\"}\nwaves:\n- {name: early, select: ring=early}\n- {name: rest}\n",
		"clients/values.yaml":        "image: {tag: v1.0.0}\n",
		"clients/acme/client.yaml":   "tags: {ring: early}\nfacts: {account_id: \"0123\"}\n",
		"clients/acme/values.yaml":   "replicas: 3\nexact: \"0123\"\n",
		"clients/globex/client.yaml": "stages: {prod: }\n",
		"clients/globex/values.yaml": "",
	}
	for name, content := range others {
		files[name] = content
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "clients")
}

func TestFleet_UnderTerraform(t *testing.T) {
	needTerraform(t)
	dir := testFleet(t, nil)
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{
				Config: fmt.Sprintf(`
data "slipway_fleet" "all" {
  directory = %[1]q
}
data "slipway_fleet" "prod" {
  directory = %[1]q
  select    = "stage=prod"
}
output "each" {
  value = { for name, e in data.slipway_fleet.all.environments : name => "${e.client} ${e.wave} ${lookup(e.tags, "ring", "-")}" }
}
output "names" { value = keys(data.slipway_fleet.prod.environments) }
output "first" { value = data.slipway_fleet.all.waves[0] }
output "clients" { value = data.slipway_fleet.all.clients }
output "acme" { value = data.slipway_fleet.all.environments["acme-prod"] }
`, dir),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownOutputValue("names",
						knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("acme-prod"), knownvalue.StringExact("globex-prod")})),
					statecheck.ExpectKnownOutputValue("clients",
						knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("acme"), knownvalue.StringExact("globex")})),
					statecheck.ExpectKnownOutputValueAtPath("first", tfjsonpath.New("environments"),
						knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("acme-dev"), knownvalue.StringExact("acme-prod")})),
					statecheck.ExpectKnownOutputValueAtPath("acme", tfjsonpath.New("facts"),
						knownvalue.MapExact(map[string]knownvalue.Check{"account_id": knownvalue.StringExact("0123")})),
					statecheck.ExpectKnownOutputValueAtPath("acme", tfjsonpath.New("values_file"),
						knownvalue.StringExact(filepath.Join(dir, "../environments/acme/prod/values.yaml"))),
					statecheck.ExpectKnownOutputValueAtPath("each", tfjsonpath.New("globex-prod"), knownvalue.StringExact("globex rest -")),
				},
			},
			{
				Config:      fmt.Sprintf("data \"slipway_fleet\" \"x\" {\n  directory = %q\n  select = \"stage in prod\"\n}\n", dir),
				ExpectError: regexp.MustCompile(`(?s)is no selector`),
			},
			{
				Config:      fmt.Sprintf("data \"slipway_fleet\" \"x\" {\n  directory = %q\n  select = \"rign=early\"\n}\n", dir),
				ExpectError: regexp.MustCompile(`(?s)selects by rign.*did you mean\s+ring\?\n`),
			},
			{
				Config:      "data \"slipway_fleet\" \"x\" {\n  directory = \"nowhere\"\n}\n",
				ExpectError: regexp.MustCompile(`(?s)nowhere/fleet.yaml: there is no such file`),
			},
		},
	})
}

func TestValues_UnderTerraform(t *testing.T) {
	needTerraform(t)
	dir := testFleet(t, nil)
	config := func(dir, client string) string {
		return fmt.Sprintf("data \"slipway_values\" \"x\" {\n  directory = %q\n  client = %q\n  stage = \"prod\"\n}\n", dir, client)
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: testFactories,
		Steps: []resource.TestStep{
			{
				Config:      `output "x" { value = provider::slipway::values_yaml(["a"]) }`,
				ExpectError: regexp.MustCompile(`Values must be an object or a map`),
			},
			{
				Config:      fmt.Sprintf(`output "x" { value = provider::slipway::explain_value(%q, "acme", "prod", "replicsa") }`, dir),
				ExpectError: regexp.MustCompile(`(?s)has no value\s+replicsa.*did you mean replicas`),
			},
			{
				Config: config(dir, "acme") + fmt.Sprintf(`
output "values" { value = data.slipway_values.x.values }
output "source" { value = data.slipway_values.x.sources["replicas"] }
output "yaml" { value = data.slipway_values.x.yaml }
output "same" { value = endswith(data.slipway_values.x.yaml, provider::slipway::values_yaml(data.slipway_values.x.values)) }
output "why" { value = provider::slipway::explain_value(%q, "acme", "prod", "replicas") }
`, dir),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownOutputValue("values", knownvalue.ObjectExact(map[string]knownvalue.Check{
						"replicas": knownvalue.Int64Exact(3), "exact": knownvalue.StringExact("0123"),
						"image": knownvalue.ObjectExact(map[string]knownvalue.Check{"tag": knownvalue.StringExact("v1.0.0")}),
					})),
					statecheck.ExpectKnownOutputValue("source", knownvalue.StringExact("client "+filepath.Join(dir, "acme/values.yaml")+":1")),
					statecheck.ExpectKnownOutputValue("yaml", knownvalue.StringRegexp(regexp.MustCompile("(?m)^exact: \"0123\"$"))),
					statecheck.ExpectKnownOutputValue("same", knownvalue.Bool(true)),
					statecheck.ExpectKnownOutputValue("why",
						knownvalue.StringRegexp(regexp.MustCompile(`(?s)^replicas = 3\n  client .*acme/values.yaml:1  sets it\n  chart `+
							`.*values.yaml:1  is overridden: 1\n$`))),
				},
			},
			{
				Config:      config(dir, "amce"),
				ExpectError: regexp.MustCompile(`(?s)client\s+amce.*Did you mean acme\?`),
			},
			{
				Config:      config(testFleet(t, map[string]string{"clients/acme/values.yaml": "x: 1\nreplicsa: 3\n"}), "acme"),
				ExpectError: regexp.MustCompile(`(?s)replicsa is no value of chart orders; did you mean\s+replicas\?.*values.yaml:2`),
			},
		},
	})
}
