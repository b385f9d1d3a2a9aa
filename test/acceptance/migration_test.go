// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// database is a PostgreSQL server that pods reach.
func database(t *testing.T) *postgres.Server {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
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
	return server
}

// migration is the configuration of a migration by the sample service's image, which runs SQL: it takes down that it has begun, and is
// done when nobody holds a lock any more.
func (c tenant) migration(version, url string) string {
	return fmt.Sprintf(`
terraform {
  required_providers {
    slipway = { source = "slipway-dev/slipway" }
  }
}

variable "kubeconfig" { type = string }

provider "slipway" {
  workspace    = "%[1]s-prod"
  config_paths = [var.kubeconfig]
}

resource "slipway_environment" "this" {
  client              = "%[1]s"
  stage               = "prod"
  cluster             = { context = "%[2]s" }
  namespace           = { name = "%[3]s" }
  deletion_protection = false
}

resource "slipway_migration" "tool" {
  environment     = slipway_environment.this
  kind            = "expand"
  image           = "registry.company.com/data-collection:v1.1.1"
  database_url_wo = "%[5]s"

  commands = {
    version = "%[4]s"
    run = [
      "/data-collection", "sql", "INSERT INTO steps VALUES ('begun $(SLIPWAY_VERSION)')", "SELECT pg_advisory_lock(1)",
      "INSERT INTO steps VALUES ('done $(SLIPWAY_VERSION)')",
    ]
    validate = ["/data-collection", "sql", "expect", "SELECT count(*) = 1 FROM steps WHERE step = 'done $(SLIPWAY_VERSION)'"]
  }
}
`, c.client, contextName(c.t), c.namespace, version, url)
}

// A provider that is killed while the tool runs leaves a Job that goes on. The next apply takes over how it ends, whether it still runs
// or has ended meanwhile, and never starts a second one.
func TestMigration_ProviderKilled_TheNextApplyJoinsTheRun(t *testing.T) {
	sameWithEveryProgram(t)
	for _, test := range []struct {
		name string
		// release lets the tool go on, when the second apply runs or before.
		during bool
	}{{"which still runs", true}, {"which has ended", false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, server := newTenant(t), database(t)
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
				eventually(t, time.Minute, "the Job has ended", func(ctx context.Context) bool {
					jobs := c.jobs(ctx)
					return len(jobs) == 1 && jobs[0].Status.Succeeded == 1
				})
			}
			before := c.lease(t.Context())
			p := w.start("apply", "-auto-approve", "-no-color", "-input=false")
			if test.during {
				eventually(t, 2*time.Minute, "the next apply has taken over", func(ctx context.Context) bool { return c.lease(ctx) != before })
				execute("SELECT pg_advisory_unlock(1)")
			}
			if r := p.wait(3 * time.Minute); r.code != 0 {
				t.Fatalf("the next apply failed:\n%s", r.text)
			}
			steps, err := server.Psql(t.Context(), "postgres", "SELECT string_agg(step, ', ' ORDER BY step) FROM steps")
			if err != nil || steps != "begun v1, done v1" {
				t.Errorf("the tool has done %q (%v)", steps, err)
			}
			if got := w.attribute("slipway_migration.tool", "schema_version"); got != "v1" {
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
	list, err := live(c.t).BatchV1().Jobs(c.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	return list.Items
}

// lease says who works on the namespace, empty where nobody does.
func (c tenant) lease(ctx context.Context) string {
	lease, err := live(c.t).CoordinationV1().Leases(c.namespace).Get(ctx, "slipway", metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
