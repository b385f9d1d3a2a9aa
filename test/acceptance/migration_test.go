// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// testServer is a PostgreSQL server that pods reach: the other end of the cluster's link.
func testServer(t *testing.T) *postgres.Server {
	t.Helper()
	config := harness.Config(t)
	host, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	node, err := netip.ParseAddr(host.Hostname())
	if err != nil {
		t.Skipf("the API server is at %s, so that the address at which pods reach this machine is not known", host.Hostname())
	}
	server, err := postgres.Start(t.Context(), postgres.Options{Address: node.Prev().String()})
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
	return server
}

// migrated is a client with a database and two migrations, of which the second waits for a lock that the test holds.
type migrated struct {
	tenant
	server    *postgres.Server
	database  string
	directory string
	holder    *pgx.Conn
	jobs      *jobWatch
}

const lockedFile = "-- +goose Up\nCREATE TABLE second (id bigint PRIMARY KEY);\nSELECT pg_advisory_xact_lock(1);\n"

func newMigrated(t *testing.T, server *postgres.Server) *migrated {
	t.Helper()
	c := newTenant(t)
	m := &migrated{tenant: c, server: server, database: strings.ReplaceAll(c.client, "-", "_"), directory: t.TempDir()}
	m.psql("postgres", "CREATE DATABASE "+m.database)
	for name, text := range map[string]string{
		"00001_first.sql": "-- +goose Up\nCREATE TABLE first (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);\n" +
			"INSERT INTO first DEFAULT VALUES;\n",
		"00002_second.sql": lockedFile,
	} {
		if err := os.WriteFile(filepath.Join(m.directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if m.holder, err = pgx.Connect(t.Context(), server.URL(m.database)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.holder.Close(context.WithoutCancel(t.Context())) }) // it is closed already if the test called unlock
	if _, err := m.holder.Exec(t.Context(), "SELECT pg_advisory_lock(1)"); err != nil {
		t.Fatal(err)
	}
	m.jobs = watchJobs(t, c.namespace)
	return m
}

func (m *migrated) psql(database, sql string) string {
	m.t.Helper()
	out, err := m.server.Psql(m.t.Context(), database, sql)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

// unlock lets the second file continue.
func (m *migrated) unlock() {
	m.t.Helper()
	if err := m.holder.Close(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
}

// waits reports that the second file waits.
func (m *migrated) waits(ctx context.Context) bool {
	got, err := m.server.Psql(ctx, m.database,
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'slipway-migrate' AND "+
			"wait_event = 'advisory'")
	return err == nil && got == "t"
}

func (m *migrated) config() string {
	return m.stackOfMigration(fmt.Sprintf(`
  directory       = %q
  kind            = "expand"
  database_url_wo = %q
  lock_timeout    = "2m"
`, m.directory, m.server.URL(m.database)))
}

// stackOfMigration is a stack without a release.
func (c tenant) stackOfMigration(block string) string {
	text, _, _ := strings.Cut(c.stack("", "{}", ""), `resource "slipway_release"`)
	if block == "" {
		return text
	}
	return text + "resource \"slipway_migration\" \"expand\" {\n  environment = slipway_environment.this\n" + block + "}\n"
}

// appliedOnce demands that each file was run to its end, and once.
func (m *migrated) appliedOnce(w *workspace) {
	m.t.Helper()
	if got := m.psql(m.database, "SELECT string_agg(version_id::text, ',' ORDER BY id) FROM goose_db_version"); got != "0,1,2" {
		m.t.Errorf("goose has recorded %q", got)
	}
	if got := m.psql(m.database, "SELECT count(*) || to_regclass('second')::text FROM first"); got != "1second" {
		m.t.Errorf("the database has %q", got)
	}
	applied, _ := w.attribute("slipway_migration.expand", "applied").(map[string]any)
	if got := slices.Sorted(maps.Keys(applied)); !slices.Equal(got, []string{"00001_first.sql", "00002_second.sql"}) {
		m.t.Errorf("the state says that %v are applied", got)
	}
	w.noChanges() // without any Job: one that is gone is no drift
	if n := m.jobs.left(); n != 0 {
		m.t.Errorf("%d Jobs are left", n)
	}
}

// jobWatch sees the Jobs of a namespace come and go.
type jobWatch struct {
	mu    sync.Mutex
	there map[string]bool
	seen  map[string]bool
	most  int // at once
}

func watchJobs(t *testing.T, namespace string) *jobWatch {
	t.Helper()
	j := &jobWatch{there: map[string]bool{}, seen: map[string]bool{}}
	events, err := harness.Kubernetes(t).BatchV1().Jobs(namespace).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		for event := range events.ResultChan() {
			if job, ok := event.Object.(*batchv1.Job); ok {
				j.count(string(job.UID), event.Type != watch.Deleted)
			}
		}
	})
	t.Cleanup(func() {
		events.Stop()
		ended.Wait()
	})
	return j
}

func (j *jobWatch) count(uid string, there bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen[uid] = true
	if there {
		j.there[uid] = true
	} else {
		delete(j.there, uid)
	}
	j.most = max(j.most, len(j.there))
}

// left are the Jobs that are still there; all is how many there have been.
func (j *jobWatch) left() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.there)
}

func (j *jobWatch) all() (all, mostAtOnce int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.seen), j.most
}

// job is the only Job of the client, nil where there is none.
func (m *migrated) job(ctx context.Context) *batchv1.Job {
	list, err := harness.Kubernetes(m.t).BatchV1().Jobs(m.namespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		return nil
	}
	return &list.Items[0]
}

// instance is the instance id on the record of the migration, empty where there is none.
func (m *migrated) instance(ctx context.Context) string {
	record, err := harness.Kubernetes(m.t).CoreV1().ConfigMaps(m.namespace).Get(ctx, "slipway-migration-expand", getOptions)
	if err != nil {
		return ""
	}
	return record.Annotations["slipway.dev/instance-id"]
}

// A provider that is killed while it migrates leaves a Job that continues. The next apply joins it, or asks the database what it has done.
func TestMigration_ProviderKilled_IsFinishedByTheNextApply(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	server := testServer(t)
	completes := func(m *migrated) {
		m.unlock()
		harness.Eventually(m.t, "the Job is complete", func(ctx context.Context) bool {
			j := m.job(ctx)
			return j != nil && j.Status.Succeeded == 1
		})
	}
	for _, s := range []struct {
		name    string
		reached func(context.Context, *migrated) bool
		then    func(*migrated) // after the kill
		joined  bool
	}{
		{name: "the Job is there", reached: func(ctx context.Context, m *migrated) bool { return m.job(ctx) != nil }},
		{name: "a statement runs", reached: func(ctx context.Context, m *migrated) bool { return m.waits(ctx) }, joined: true},
		{name: "a statement runs, and the Job ends and goes before the next apply",
			reached: func(ctx context.Context, m *migrated) bool { return m.waits(ctx) }, then: func(m *migrated) {
				completes(m)
				background := metav1.DeletePropagationBackground // as by its TTL
				if err := harness.Kubernetes(m.t).BatchV1().Jobs(m.namespace).Delete(m.t.Context(), m.job(m.t.Context()).Name,
					metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
					m.t.Fatal(err)
				}
			}},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			m := newMigrated(t, server)
			w := newWorkspace(t, map[string]string{"main.tf": m.config()})
			p := w.start(strings.Fields(applyArgs)...)
			harness.Eventually(t, s.name, func(ctx context.Context) bool { return s.reached(ctx, m) })
			p.killProvider()
			if r := p.wait(); r.code == 0 {
				t.Fatalf("the apply succeeded although its provider was killed:\n%s", r.text)
			}
			if s.then != nil {
				s.then(m)
			}
			before := m.instance(t.Context())
			p = w.start(strings.Fields(applyArgs)...)
			if s.then == nil {
				// The next apply writes its instance id when it has seen which Jobs run.
				harness.Eventually(t, "the next apply has taken over, and the second file waits", func(ctx context.Context) bool {
					now := m.instance(ctx)
					return now != "" && now != before && m.waits(ctx)
				})
				m.unlock()
			}
			if r := p.wait(); r.code != 0 {
				t.Fatalf("the next apply ended with %d:\n%s", r.code, r.text)
			}
			m.appliedOnce(w)
			all, most := m.jobs.all()
			if s.joined && all != 1 {
				t.Errorf("there were %d Jobs: the one that ran was not joined", all)
			}
			if most > 1 {
				t.Errorf("there were %d Jobs at once", most)
			}
		})
	}
}

// Two applies of one client at the same moment, whose states do not know of each other.
func TestMigration_TwoAppliesAtOnce_RunEachFileOnce(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	m := newMigrated(t, testServer(t))
	w := newWorkspace(t, map[string]string{"main.tf": m.stackOfMigration("")})
	w.apply()
	other := newWorkspace(t, map[string]string{"main.tf": m.config()})
	copyFile(t, w, other, "terraform.tfstate", "terraform.tfstate")
	w.write("main.tf", m.config())

	first := w.start(strings.Fields(applyArgs)...)
	harness.Eventually(t, "the second file waits", func(ctx context.Context) bool { return m.waits(ctx) })
	second := other.start(strings.Fields(applyArgs)...)
	harness.Eventually(t, "the other apply is at work", func(context.Context) bool {
		return strings.Contains(second.text(), "slipway_migration.expand: Creating...")
	})
	m.unlock()
	for _, p := range []*process{first, second} {
		if r := p.wait(); r.code != 0 {
			t.Fatalf("an apply ended with %d:\n%s", r.code, r.text)
		}
	}
	if _, most := m.jobs.all(); most > 1 {
		t.Errorf("there were %d Jobs at once", most)
	}
	m.appliedOnce(other) // which was the last, so that the migration is its own
}

// A contract migration prevents a rollback: to what was known to work before it, for a version that fails and for a planned rollback.
func TestRollback_IsRefusedBehindAContractMigration(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	c, server := newTenant(t), testServer(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"00001_orders.sql": "-- +goose Up\nCREATE TABLE orders (id bigint PRIMARY KEY, legacy text);\n",
		"00002_drop.sql":   "-- slipway:kind contract\n-- +goose Up\nALTER TABLE orders DROP COLUMN legacy;\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The gate looks at another release alone, so that it is open although this one is still at v1.1.1.
	migrations := fmt.Sprintf(`
resource "slipway_migration" "expand" {
  environment     = slipway_environment.this
  directory       = %[1]q
  kind            = "expand"
  runner          = "direct"
  database_url_wo = %[2]q
}

resource "slipway_migration" "contract" {
  environment     = slipway_environment.this
  directory       = %[1]q
  kind            = "contract"
  runner          = "direct"
  database_url_wo = %[2]q
  safe_after      = "v1.2.0"
  release         = "reports"
  depends_on      = [slipway_migration.expand, slipway_release.app]
}
`, dir, server.URL("postgres"))
	w := newWorkspace(t, map[string]string{"main.tf": c.stack("v1.1.1", quick, guardHCL) + migrations})
	w.apply()
	if got, err := server.Psql(t.Context(), "postgres",
		"SELECT count(*) FROM information_schema.columns WHERE table_name = 'orders'"); err != nil || got != "1" {
		t.Fatalf("the contract migration was not run: %s, %v", got, err)
	}

	w.write("main.tf", c.stack("v1.2.0", broken, guardHCL)+migrations)
	text := w.refused(strings.Fields(applyArgs)...)
	for _, part := range []string{
		"It was not rolled back to revision 1", "irreversible migration: contract", "00002_drop.sql",
		"versions from v1.2.0 on work with it",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the error does not say %q:\n%s", part, text)
		}
	}
	if got := c.helmStatuses(t.Context()); len(got) != 2 || !strings.HasSuffix(c.image(t.Context()), ":v1.2.0") {
		t.Errorf("something was rolled back: revisions %v, image %s", got, c.image(t.Context()))
	}

	w.write("main.tf", c.stack("v1.2.0", quick, guardHCL)+migrations)
	w.apply()
	c.answersWith("v1.2.0")

	w.write("main.tf", c.stack("v1.1.1", quick, guardHCL)+migrations)
	text = w.refused("plan", "-no-color", "-input=false")
	for _, part := range []string{
		"Cannot plan the rollback of release " + releaseName, "irreversible migration: contract", "00002_drop.sql",
		"Go forward with a version that works",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the plan of the rollback does not say %q:\n%s", part, text)
		}
	}
}
