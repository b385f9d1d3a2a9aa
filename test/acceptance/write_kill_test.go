// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
)

// relayedWorkspace is a client's workspace whose provider talks to the cluster through a relay.
type relayedWorkspace struct {
	tenant
	*workspace
	relay *relay
}

func newRelayedWorkspace(t *testing.T, env ...string) *relayedWorkspace {
	t.Helper()
	r := &relayedWorkspace{tenant: newTenant(t), workspace: newWorkspace(t, nil), relay: newRelay(t)}
	r.env = append(append(r.env, "TF_VAR_kubeconfig="+r.relay.kubeconfig), env...)
	return r
}

// killed runs an apply whose provider is killed at a write. It is false where there are fewer; the apply has succeeded then.
func (r *relayedWorkspace) killed(write int, args ...string) bool {
	r.relay.t.Helper()
	if !r.relay.killed(r.workspace, write, relayed.writes, append(strings.Fields(applyArgs), args...)...) {
		return false
	}
	r.leaseRunsOut()
	return true
}

// A provider that is killed after any of its writes leaves an environment that the next apply, or the next destroy, finishes.
func TestEnvironment_ProviderKilledAfterEachWrite_IsFinishedByTheNextApply(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	made, removed := 0, 0
	for write, more := 1, true; more; write++ {
		r := newRelayedWorkspace(t)
		r.write("main.tf", environmentOnly(r.stack("", "{}", "")))
		if more = r.killed(write); more {
			made++
			r.apply()
		}
		r.noChanges()
		if r.killed(write, "-destroy") {
			removed++
			more = true
			r.apply("-destroy")
		}
		if _, err := harness.Kubernetes(t).CoreV1().Namespaces().Get(t.Context(), r.namespace, getOptions); !apierrors.IsNotFound(err) {
			t.Errorf("killed at write %d of the removal: the namespace is still there: %v", write, err)
		}
	}
	least(t, "an environment that is made", made, 1)
	least(t, "an environment that is removed", removed, 1)
}

// The same for a database, whose roles and Secrets belong together: what the Secrets say opens it.
func TestDatabase_ProviderKilledAfterEachWrite_IsFinishedByTheNextApply(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	server := testServer(t)
	made, removed := 0, 0
	for write, more := 1, true; more; write++ {
		r := newRelayedWorkspace(t, "SLIPWAY_DATABASE_ADMIN_PASSWORD="+server.Password)
		without := environmentOnly(r.stack("", "{}", ""))
		r.write("main.tf", without)
		r.apply()
		r.write("main.tf", without+fmt.Sprintf(`
resource "slipway_database" "this" {
  environment         = slipway_environment.this
  server              = { host = %q, port = %d, sslmode = "disable" }
  deletion_protection = false
}
`, server.Address, server.Port))
		if more = r.killed(write); more {
			made++
			r.apply()
		}
		r.noChanges()
		opens(t, r.tenant, r.client+"-prod-db-app")
		opens(t, r.tenant, r.client+"-prod-db-owner")

		r.write("main.tf", without)
		if r.killed(write) {
			removed++
			more = true
			r.apply()
		}
		r.noChanges()
		left, err := server.Psql(t.Context(), "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE '"+
			strings.ReplaceAll(r.client, "-", "%")+"%'")
		if err != nil || left != "0" {
			t.Errorf("killed at write %d of the removal: %s roles are left: %v", write, left, err)
		}
	}
	least(t, "a database that is made", made, 2)
	least(t, "a database that is removed", removed, 2)
}

// opens demands that a Secret's URL opens the database.
func opens(t *testing.T, c tenant, secret string) {
	t.Helper()
	found, err := harness.Kubernetes(t).CoreV1().Secrets(c.namespace).Get(t.Context(), secret, getOptions)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), string(found.Data["DATABASE_URL"]))
	if err != nil {
		t.Fatalf("as Secret %s says: %v", secret, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Two applies of one client at the same moment, with two states (state locking is off): each resource is as one of them wants it, never
// half of each, and the later one's plan is empty.
func TestApply_TwoAtOnce_LeaveEachResourceWhole(t *testing.T) {
	sameWithEveryProgram(t)
	t.Parallel()
	server := testServer(t)
	c := newTenant(t)
	config := func(weight, active, limit string) string {
		return environmentOnly(c.stack("", "{}", "")) + fmt.Sprintf(`
resource "slipway_database" "this" {
  environment      = slipway_environment.this
  server           = { host = %[1]q, port = %[2]d, sslmode = "disable" }
  connection_limit = %[3]s
  deletion_protection = false
}

resource "slipway_canary" "app" {
  environment = slipway_environment.this
  data_plane  = "proxyless"
  name        = "data-collection"
  weight      = %[4]s
  istio {
    host = %[5]q
  }
  stable {
    labels = { %[6]q = "blue" }
  }
  canary {
    labels = { %[6]q = "green" }
  }
}

resource "slipway_blue_green" "app" {
  environment = slipway_environment.this
  service     = "colors"
  active      = %[7]q
}
`, server.Address, server.Port, limit, weight, releaseName, trackLabel, active)
	}
	admin := "SLIPWAY_DATABASE_ADMIN_PASSWORD=" + server.Password
	w := newWorkspace(t, map[string]string{"main.tf": environmentOnly(c.stack("", "{}", ""))})
	w.env = append(w.env, admin)
	w.apply()
	c.tracks(releaseName, map[string]string{"blue": "v1.1.1", "green": "v1.2.0"})
	c.service("colors")
	w.write("main.tf", config("10", "blue", "20"))
	w.apply()

	other := newWorkspace(t, map[string]string{"main.tf": config("30", "green", "30")})
	other.env = append(other.env, admin)
	copyFile(t, w, other, "terraform.tfstate", "terraform.tfstate")
	w.write("main.tf", config("20", "green", "40"))
	first, second := w.start(strings.Fields(applyArgs)...), other.start(strings.Fields(applyArgs)...)
	a, b := first.wait(), second.wait()
	// One may refuse to overwrite what its plan did not see.
	if a.code != 0 && b.code != 0 {
		t.Fatalf("both applies failed:\n%s\n%s", a.text, b.text)
	}
	if got := c.liveWeight(t.Context()); got != 20 && got != 30 {
		t.Errorf("the canary has %d%%, want what one of the applies wanted", got)
	}
	c.wantSelected("colors", "green")
	other.apply()
	other.noChanges()
	if got := c.liveWeight(t.Context()); got != 30 {
		t.Errorf("the canary has %d%%, want 30", got)
	}
	opens(t, c, c.client+"-prod-db-app")
}
