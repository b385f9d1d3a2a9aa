// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// migration is the configuration of a migration by the sample service's image, which runs SQL: it takes down that it has begun, and is
// done when nobody holds a lock any more.
func (c tenant) migration(version, url string) string {
	return c.stackOfMigration(fmt.Sprintf(`
  kind            = "expand"
  image           = "registry.company.com/data-collection:v1.1.1"
  database_url_wo = %q

  commands = {
    version = %q
    run = [
      "/data-collection", "sql", "INSERT INTO steps VALUES ('begun $(SLIPWAY_VERSION)')", "SELECT pg_advisory_lock(1)",
      "INSERT INTO steps VALUES ('done $(SLIPWAY_VERSION)')",
    ]
    validate = ["/data-collection", "sql", "expect", "SELECT count(*) = 1 FROM steps WHERE step = 'done $(SLIPWAY_VERSION)'"]
  }
`, url, version))
}

// A provider that is killed while the tool runs leaves a Job that continues. The next apply takes over how it ends, whether it still runs
// or has ended meanwhile, and never starts a second one.
func TestMigrationCommands_ProviderKilled_TheNextApplyJoinsTheRun(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	for _, test := range []struct {
		name string
		// release lets the tool continue, when the second apply runs or before.
		during bool
	}{{"which still runs", true}, {"which has ended", false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, server := newTenant(t), testServer(t)
			connection, err := pgx.Connect(t.Context(), server.URL("postgres"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = connection.Close(context.WithoutCancel(t.Context())) })
			execute := func(sql string) {
				t.Helper()
				if _, err := connection.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			begun := func(ctx context.Context) bool {
				steps, err := server.Psql(ctx, "postgres", "SELECT count(*) FROM steps WHERE step = 'begun v1'")
				return err == nil && steps == "1"
			}
			execute("CREATE TABLE steps (step text)")
			execute("SELECT pg_advisory_lock(1)")

			w := newWorkspace(t, map[string]string{"main.tf": c.migration("v1", server.URL("postgres"))})
			killAt(t, w, c, step{"the tool runs", func(ctx context.Context, _ tenant) bool { return begun(ctx) }})
			if !test.during {
				execute("SELECT pg_advisory_unlock(1)")
				harness.Eventually(t, "the Job has ended", func(ctx context.Context) bool {
					jobs := c.jobs(ctx)
					return len(jobs) == 1 && jobs[0].Status.Succeeded == 1
				})
			}
			before := c.lease(t.Context())
			p := w.start("apply", "-auto-approve", "-no-color", "-input=false")
			if test.during {
				harness.Eventually(t, "the next apply has taken over", func(ctx context.Context) bool { return c.lease(ctx) != before })
				execute("SELECT pg_advisory_unlock(1)")
			}
			if r := p.wait(); r.code != 0 {
				t.Fatalf("the next apply failed:\n%s", r.text)
			}
			steps, err := server.Psql(t.Context(), "postgres", "SELECT string_agg(step, ', ' ORDER BY step) FROM steps")
			if err != nil || steps != "begun v1, done v1" {
				t.Errorf("the tool has done %q (%v)", steps, err)
			}
			if got := w.attribute("slipway_migration.expand", "schema_version"); got != "v1" {
				t.Errorf("the state says version %v", got)
			}
			if left := c.jobs(t.Context()); len(left) > 0 {
				t.Errorf("%d Jobs are left", len(left))
			}
			w.noChanges()
		})
	}
}

func (c tenant) jobs(ctx context.Context) []batchv1.Job {
	list, err := harness.Kubernetes(c.t).BatchV1().Jobs(c.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	return list.Items
}

// lease says who works on the namespace, empty where nobody does.
func (c tenant) lease(ctx context.Context) string {
	lease, err := harness.Kubernetes(c.t).CoordinationV1().Leases(c.namespace).Get(ctx, "slipway", metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
