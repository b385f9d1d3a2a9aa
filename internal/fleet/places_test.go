// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-dev/terraform-provider-slipway/internal/chart"
)

// twoClients are two environments whose Terraform variables are these.
func twoClients(t *testing.T, one, other string) string {
	t.Helper()
	description := strings.Replace(small["clients/fleet.yaml"], "version: 1\n", "version: 1\ntfvars: \"{client}/{stage}.tfvars\"\n", 1)
	if !strings.Contains(description, "tfvars:") {
		t.Fatal("the description has no tfvars")
	}
	return small.with(files{
		"clients/fleet.yaml":         description,
		"clients/acme/client.yaml":   "facts: {account_id: \"0123\"}\nstages: {prod: }\n",
		"clients/globex/client.yaml": "facts: {account_id: \"0456\"}\nstages: {prod: }\n",
		"clients/acme/prod.tfvars":   one,
		"clients/globex/prod.tfvars": other,
	}).write(t)
}

func TestGenerate_RefusesTwoEnvironmentsInOnePlace(t *testing.T) {
	const eks = `cluster = { eks = { name = "main", region = "eu-central-1", account_id = "%" } }` + "\n"
	for name, tc := range map[string]struct{ one, other, says string }{
		"context and namespace": {
			"context = \"shared\"\nnamespace = \"orders\"\n", "context = \"shared\"\nnamespace = \"orders\"\n",
			"namespace orders of cluster shared",
		},
		"ARN and namespace": {
			"cluster_arn = \"arn:aws:eks:eu-central-1:1:cluster/a\"\nnamespace = \"orders\"\n",
			"cluster_arn = \"arn:aws:eks:eu-central-1:1:cluster/a\"\nnamespace = \"orders\"\n",
			"namespace orders of cluster arn:aws:eks:eu-central-1:1:cluster/a",
		},
		"server and namespace, written otherwise": {
			"server = \"https://K8S.example.com/\"\nnamespace = \"orders\"\n", "server = \"https://k8s.example.com\"\nnamespace = \"orders\"\n",
			"namespace orders of cluster https://k8s.example.com",
		},
		"objects": {
			"cluster = { context = \"shared\" }\nnamespace = { name = \"orders\" }\n", "context = \"shared\"\nnamespace = \"orders\"\n",
			"namespace orders of cluster shared",
		},
		"EKS clusters of one account": {
			strings.Replace(eks, "%", "1", 1) + "namespace = \"orders\"\n", strings.Replace(eks, "%", "1", 1) + "namespace = \"orders\"\n",
			"namespace orders of cluster main/1/eu-central-1",
		},
		"EKS clusters of two accounts": {
			strings.Replace(eks, "%", "1", 1) + "namespace = \"orders\"\n", strings.Replace(eks, "%", "2", 1) + "namespace = \"orders\"\n", "",
		},
		"two namespaces": {"context = \"shared\"\nnamespace = \"a\"\n", "context = \"shared\"\nnamespace = \"b\"\n", ""},
		"two clusters":   {"context = \"a\"\nnamespace = \"orders\"\n", "context = \"b\"\nnamespace = \"orders\"\n", ""},
		"no namespace":   {"context = \"shared\"\n", "context = \"shared\"\n", ""},
		"database": {
			"database = { host = \"db.example.com\", name = \"orders\" }\n",
			"database = { host = \"DB.example.com.\", port = 5432, name = \"orders\" }\n",
			"database orders of server db.example.com:5432",
		},
		"database, in flat variables": {
			"database_host = \"db\"\ndatabase_name = \"orders\"\n", "db_host = \"db\"\ndb_name = \"orders\"\n", "database orders of server db:5432",
		},
		"two databases of a server": {
			"database = { host = \"db\", name = \"a\" }\n", "database = { host = \"db\", name = \"b\" }\n", "",
		},
		"host name": {"hostname = \"orders.example.com\"\n", "hostname = \"Orders.example.com\"\n", "host name orders.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := twoClients(t, tc.one, tc.other)
			cache := filepath.Join(t.TempDir(), "cache")
			_, err := Generate(t.Context(), dir, GenerateOptions{Charts: chart.NewLoader(t.TempDir(), nil), Cache: cache})
			described, readErr := Read(t.Context(), dir)
			if readErr != nil {
				t.Fatal(readErr)
			}
			checked := described.CheckPlaces()
			whole := resolveAll(t, dir)
			reported := ""
			for _, finding := range whole.Findings {
				if finding.Rule == RulePlace {
					reported += finding.Severity + " " + finding.Text + "\n"
				}
			}
			if tc.says == "" {
				if err != nil || checked != nil || reported != "" {
					t.Errorf("generate: %v\nlist: %v\nreport: %s", err, checked, reported)
				}
				return
			}
			want := tc.says + " is the place of acme/prod and of globex/prod"
			for what, err := range map[string]error{"generate": err, "list": checked} {
				found, ok := errors.AsType[*FindingsError](err)
				if !ok || !slices.ContainsFunc(found.Findings, func(f Finding) bool { return strings.HasPrefix(f.Text, want) }) {
					t.Errorf("%s: got %v, want %q", what, err, want)
				}
			}
			if !strings.HasPrefix(reported, SeverityError+" "+want) {
				t.Errorf("report: got %q", reported)
			}
		})
	}
}

// A client that comes second is compared with those that only the cache knows.
func TestGenerate_ComparesPlacesWithCachedClients(t *testing.T) {
	dir := twoClients(t, "context = \"shared\"\nnamespace = \"orders\"\n", "context = \"shared\"\nnamespace = \"other\"\n")
	cache := filepath.Join(t.TempDir(), "cache")
	generate(t, dir, GenerateOptions{Cache: cache})
	nextTick(t)
	change(t, "context = \"shared\"\nnamespace = \"orders\"\n", dir, "globex/prod.tfvars")
	_, err := Generate(t.Context(), dir, GenerateOptions{Charts: chart.NewLoader(t.TempDir(), nil), Cache: cache})
	if _, ok := errors.AsType[*FindingsError](err); !ok {
		t.Errorf("got %v", err)
	}
}

func TestGenerate_WarnsOfWavesOverTagsThatNobodyHas(t *testing.T) {
	description := strings.Replace(small["clients/fleet.yaml"], "lists:",
		"waves:\n  - {name: first, select: rnig=canary}\n  - {name: rest}\nlists:", 1)
	dir := small.with(files{"clients/fleet.yaml": description}).write(t)
	cache := filepath.Join(t.TempDir(), "cache")
	for range 2 { // the second run knows the tags from the cache
		out := generate(t, dir, GenerateOptions{Cache: cache})
		i := slices.IndexFunc(out.Findings, func(f Finding) bool { return f.Rule == RuleSelector })
		if i < 0 || out.Findings[i].Severity != SeverityWarning ||
			!strings.Contains(out.Findings[i].Text, "did you mean ring?; a release reaches all environments together, in wave rest") {
			t.Errorf("got %+v", out.Findings)
		}
	}
}
