// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// testMigration is a client with a database that its pods reach, and a directory of migrations. The cluster needs the image of the runner.
type testMigration struct {
	t                      *testing.T
	client, namespace, dir string
	server                 *postgres.Server
}

// releaseRecord is the record of release app as slipway_release writes it, with these known-good revisions.
func (m *testMigration) releaseRecord(knownGood string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "slipway-release-app", Labels: map[string]string{
			"slipway.dev/release": "app", "app.kubernetes.io/managed-by": "slipway",
		}},
		Data: map[string]string{
			"record": fmt.Sprintf(`{"schemaVersion":2,"client":%q,"stage":"prod","knownGood":%s}`, m.client, knownGood),
		},
	}
}

const (
	createOrders = "-- +goose Up\nCREATE TABLE orders (id bigint PRIMARY KEY, legacy text);\n"
	indexOrders  = "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY orders_legacy ON orders (legacy);\n"
	dropLegacy   = "-- slipway:kind contract\n-- +goose Up\nSET lock_timeout = '2s';\nALTER TABLE orders DROP COLUMN legacy;\n"
)

func newTestMigration(t *testing.T) *testMigration {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", testKubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	host, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	node, err := netip.ParseAddr(host.Hostname())
	if err != nil {
		t.Skipf("the API server is at %s, so that the address at which pods reach this machine is not known", host.Hostname())
	}
	server, err := postgres.Start(t.Context(), postgres.Options{Address: node.Prev().String()}) // the other end of the link
	if errors.Is(err, postgres.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Remove(); err != nil {
			t.Error(err)
		}
	})
	m := &testMigration{t: t, dir: t.TempDir(), server: server}
	m.client, m.namespace = testClient(t)
	return m
}

func (m *testMigration) write(files map[string]string) {
	m.t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *testMigration) block(kind, extra string) string {
	return fmt.Sprintf(`
resource "slipway_migration" %q {
  environment     = slipway_environment.this
  directory       = %q
  kind            = %q
  database_url_wo = %q
  %s
}
`, kind, m.dir, kind, m.server.URL("postgres"), extra)
}

func (m *testMigration) config(blocks ...string) string {
	return environmentConfig(m.t, m.client, m.namespace, unprotected) + strings.Join(blocks, "")
}

func (m *testMigration) run(steps ...resource.TestStep) {
	m.t.Helper()
	resource.Test(m.t, resource.TestCase{ProtoV6ProviderFactories: testFactories, Steps: steps})
}

func (m *testMigration) query(want, sql string) {
	m.t.Helper()
	got, err := m.server.Psql(m.t.Context(), "postgres", sql)
	if err != nil {
		m.t.Error(err)
	} else if got != want {
		m.t.Errorf("%s: got %q, want %q", sql, got, want)
	}
}

// nothingLeft demands that the cluster has neither a Job nor a Secret with the URL any more.
func (m *testMigration) nothingLeft() {
	m.t.Helper()
	client, deadline := testKubernetes(m.t), time.Now().Add(3*time.Minute)
	for {
		jobs, err := client.BatchV1().Jobs(m.namespace).List(m.t.Context(), metav1.ListOptions{})
		if err != nil {
			m.t.Fatal(err)
		}
		secrets, err := client.CoreV1().Secrets(m.namespace).List(m.t.Context(), metav1.ListOptions{})
		if err != nil {
			m.t.Fatal(err)
		}
		if len(jobs.Items)+len(secrets.Items) == 0 {
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("%d Jobs and %d Secrets are left", len(jobs.Items), len(secrets.Items))
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func listOf(texts ...string) knownvalue.Check {
	var checks []knownvalue.Check
	for _, text := range texts {
		checks = append(checks, knownvalue.StringExact(text))
	}
	return knownvalue.ListExact(checks)
}

func appliedKeys(want ...string) knownvalue.Check {
	checks := map[string]knownvalue.Check{}
	for _, name := range want {
		checks[name] = knownvalue.NotNull()
	}
	return knownvalue.MapExact(checks)
}

const expandAddress = "slipway_migration.expand"

func TestMigration_RunsWhatIsPendingAndResumesAfterAFailure(t *testing.T) {
	t.Parallel()
	m := newTestMigration(t)
	m.write(map[string]string{"00001_orders.sql": createOrders, "00002_index.sql": indexOrders, "00009_drop.sql": dropLegacy})
	config := m.config(m.block(kindExpand, ""))
	applied := func(names ...string) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(expandAddress, tfjsonpath.New("applied"), appliedKeys(names...))
	}
	plans := func(action plancheck.ResourceActionType) resource.ConfigPlanChecks {
		return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(expandAddress, action)}}
	}
	m.run(
		resource.TestStep{
			Config:            config,
			ConfigStateChecks: []statecheck.StateCheck{applied("00001_orders.sql", "00002_index.sql")},
		},
		resource.TestStep{ // the first statement of the second file is undone with it; the file before it stays
			PreConfig: func() {
				m.nothingLeft()
				m.query("t", "SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_legacy'::regclass")
				m.query("1", "SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders' AND column_name = 'legacy'")
				m.write(map[string]string{
					"00003_good.sql": "-- +goose Up\nCREATE TABLE good (id bigint PRIMARY KEY);\n",
					"00004_bad.sql":  "-- +goose Up\nCREATE TABLE bad (id bigint PRIMARY KEY);\nINSERT INTO nowhere VALUES (1);\n",
				})
			},
			Config: config,
			ExpectError: regexp.MustCompile(`(?s)relation\s+"nowhere"\s+does\s+not\s+exist.*Applied\s+before\s+that,` +
				`\s+and\s+recorded:\s+00003_good.sql`),
		},
		resource.TestStep{
			PreConfig: func() {
				m.nothingLeft()
				m.query("t|", "SELECT to_regclass('good') IS NOT NULL, to_regclass('bad')")
				m.write(map[string]string{"00004_bad.sql": "-- +goose Up\nCREATE TABLE bad (id bigint PRIMARY KEY);\n"})
			},
			Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue(expandAddress, tfjsonpath.New("pending"), listOf("00004_bad.sql")),
			}},
			ConfigStateChecks: []statecheck.StateCheck{applied("00001_orders.sql", "00002_index.sql", "00003_good.sql", "00004_bad.sql")},
		},
		resource.TestStep{
			PreConfig: func() {
				m.write(map[string]string{"00003_good.sql": "-- +goose Up\nCREATE TABLE other (id bigint);\n"})
			},
			Config:      config,
			PlanOnly:    true,
			ExpectError: errorText("edited after they were applied"),
		},
		resource.TestStep{ // neither does the plan ask the database
			PreConfig: func() {
				m.write(map[string]string{"00003_good.sql": "-- +goose Up\nCREATE TABLE good (id bigint PRIMARY KEY);\n"})
				if err := m.server.Stop(); err != nil {
					t.Fatal(err)
				}
			},
			Config:           config,
			ConfigPlanChecks: plans(plancheck.ResourceActionNoop),
		},
		resource.TestStep{ // the database knows all that the record did
			PreConfig: func() {
				if err := m.server.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := testKubernetes(t).CoreV1().ConfigMaps(m.namespace).Delete(t.Context(), "slipway-migration-expand",
					metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config:            config,
			ConfigPlanChecks:  plans(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{applied("00001_orders.sql", "00002_index.sql", "00003_good.sql", "00004_bad.sql")},
		},
		resource.TestStep{ // forgotten, and the data stays
			Config: m.config(),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(environmentName, tfjsonpath.New("client"), knownvalue.StringExact(m.client)),
			},
		},
	)
	m.query("t", "SELECT to_regclass('good') IS NOT NULL")
}

func TestMigration_UnsafeFilesStopThePlan(t *testing.T) {
	client, namespace := testClient(t)
	m := &testMigration{t: t, dir: t.TempDir(), server: &postgres.Server{Address: "192.0.2.1"}, client: client, namespace: namespace}
	m.write(map[string]string{
		"00001_orders.sql": createOrders,
		"00002_rename.sql": "-- +goose Up\nALTER TABLE orders RENAME COLUMN legacy TO modern;\n",
	})
	m.run(resource.TestStep{
		Config:      m.config(m.block(kindExpand, "baseline = 1")),
		PlanOnly:    true,
		ExpectError: errorText("00002_rename.sql:2:"),
	})
}

func TestMigration_ContractWaitsForOldVersions(t *testing.T) {
	t.Parallel()
	m := newTestMigration(t)
	m.write(map[string]string{"00001_orders.sql": createOrders, "00002_drop.sql": dropLegacy})
	const address = "slipway_migration.contract"
	contract := m.block(kindContract, "safe_after = \"v1.1.0\"\n depends_on = [slipway_migration.expand]\n")
	expand := m.block(kindExpand, "")
	blocked := func(check knownvalue.Check) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("blocked_by"), check)}
	}
	client := testKubernetes(t)
	m.run(
		resource.TestStep{Config: m.config(expand)},
		resource.TestStep{
			PreConfig: func() {
				old := &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Name: "old", Labels: map[string]string{labelAppVersion: "v1.0.0"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.company.com/nowhere:v1.0.0"}}},
				}
				if _, err := client.CoreV1().Pods(m.namespace).Create(t.Context(), old, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
				record := m.releaseRecord(`[{"version":"v1.0.1","at":"2026-01-01T00:00:00Z"},{"version":"v0.9.0"}]`)
				if _, err := client.CoreV1().ConfigMaps(m.namespace).Create(t.Context(), record, metav1.CreateOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config: m.config(expand, contract),
			ConfigStateChecks: blocked(listOf("Pod/old is of version v1.0.0, before v1.1.0",
				"what release app would be rolled back to is of version v1.0.1, before v1.1.0")),
		},
		resource.TestStep{ // still closed: no change is planned, and nothing fails
			PreConfig:        func() { m.query("1", "SELECT count(*) FROM information_schema.columns WHERE column_name = 'legacy'") },
			Config:           m.config(expand, contract),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
		resource.TestStep{
			Config:      m.config(expand, strings.Replace(contract, "safe_after", "on_blocked = \"fail\"\n safe_after", 1)),
			ExpectError: errorText("must wait: an old version still runs"),
		},
		resource.TestStep{
			PreConfig: func() {
				if err := client.CoreV1().Pods(m.namespace).Delete(t.Context(), "old",
					metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
					t.Fatal(err)
				}
				m.gone("old")
				if err := client.CoreV1().ConfigMaps(m.namespace).Delete(t.Context(), "slipway-release-app", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config: m.config(expand, contract),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate)},
			},
			ConfigStateChecks: blocked(knownvalue.Null()),
		},
		resource.TestStep{
			PreConfig: func() {
				m.query("0", "SELECT count(*) FROM information_schema.columns WHERE column_name = 'legacy'")
				kept, err := client.CoreV1().ConfigMaps(m.namespace).Get(t.Context(), "slipway-migration-contract", metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if kept.Annotations["slipway.dev/irreversible-since"] == "" || kept.Annotations["slipway.dev/irreversible-safe-after"] != "v1.1.0" {
					t.Errorf("the annotation for rollbacks is not there: %v", slices.Sorted(maps.Keys(kept.Annotations)))
				}
			},
			Config:           m.config(expand, contract),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
	)
}

const labelAppVersion = "app.kubernetes.io/version"

func (m *testMigration) gone(pod string) {
	m.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if _, err := testKubernetes(m.t).CoreV1().Pods(m.namespace).Get(m.t.Context(), pod, metav1.GetOptions{}); apierrors.IsNotFound(err) {
			return
		}
	}
	m.t.Fatalf("pod %s is still there", pod)
}
