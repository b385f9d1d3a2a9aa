// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment/namespace"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness"
	"github.com/slipway-dev/terraform-provider-slipway/test/harness/tenant"
	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// shared is the server of all tests here, started by the first that needs it.
var shared struct {
	sync.Mutex
	server *postgres.Server
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func testServer(t *testing.T) *postgres.Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		server, err := postgres.Start(t.Context(), postgres.Options{})
		if errors.Is(err, postgres.ErrNotInstalled) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		shared.server = server
	}
	return shared.server
}

// testClient is a client with a namespace, a server, and the description of a database that no other test has.
type testClient struct {
	t       *testing.T
	cluster *cluster.Cluster
	server  *postgres.Server
	spec    Spec
	options Options
}

func newTestClient(t *testing.T) *testClient {
	t.Helper()
	harness.Kubeconfig(t) // skips before a server is started
	server := testServer(t)
	test := tenant.Absent(t, "db")
	c, h, client := test.Cluster, test.Handle, test.Handle.Client
	open := namespace.Network{Ingress: namespace.TrafficAllow, Egress: namespace.TrafficAllow}
	if _, err := namespace.Ensure(t.Context(), c, namespace.Spec{Handle: h, Network: open},
		namespace.EnsureOptions{InstanceID: "test"}); err != nil {
		t.Fatal(err)
	}
	return &testClient{
		t: t, cluster: c, server: server,
		spec: Spec{
			Handle: h, Name: client, OwnerRole: client + "-owner", AppRole: client + "-app", OwnerSecret: client + "-owner",
			AppSecret:       client + "-app",
			Server:          Server{Host: server.Address, Port: int64(server.Port), SSLMode: "disable", AdminUser: server.User},
			ConnectionLimit: Unlimited, PasswordVersion: 1,
		},
		options: Options{InstanceID: "one", Create: true, AdminPassword: server.Password, Timeout: time.Minute},
	}
}

func (c *testClient) ensure() error {
	_, err := Ensure(c.t.Context(), c.cluster, c.spec, c.options)
	return err
}

func (c *testClient) mustEnsure() {
	c.t.Helper()
	if err := c.ensure(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *testClient) remove() error {
	forgotten, err := Remove(c.t.Context(), c.cluster, c.spec, c.options)
	if err == nil && forgotten {
		err = errors.New("it was only forgotten")
	}
	return err
}

func (c *testClient) drift() []string {
	c.t.Helper()
	seen, err := Observe(c.t.Context(), c.cluster, c.spec, c.options.AdminPassword)
	if err != nil {
		c.t.Fatal(err)
	}
	if seen.Missing {
		return []string{"missing"}
	}
	return seen.Drift
}

// url is what a Secret says.
func (c *testClient) url(secret string) string {
	c.t.Helper()
	client, err := c.cluster.Kubernetes()
	if err != nil {
		c.t.Fatal(err)
	}
	live, err := client.CoreV1().Secrets(c.spec.Handle.Namespace).Get(c.t.Context(), secret, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return string(live.Data[KeyURL])
}

// login opens a session as the Secret says, in another database where one is given.
func (c *testClient) login(secret, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(c.url(secret))
	if err != nil {
		return nil, err
	}
	if database != "" {
		config.Database = database
	}
	conn, err := pgx.ConnectConfig(c.t.Context(), config)
	if err == nil {
		c.t.Cleanup(func() { _ = conn.Close(context.Background()) }) // some tests close it themselves
	}
	return conn, err
}

func (c *testClient) mustLogin(secret string) *pgx.Conn {
	c.t.Helper()
	conn, err := c.login(secret, "")
	if err != nil {
		c.t.Fatal(err)
	}
	return conn
}

func (c *testClient) psql(database, sql string) string {
	c.t.Helper()
	out, err := c.server.Psql(context.WithoutCancel(c.t.Context()), database, sql) // also in a clean-up
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// nothingLeft demands that neither server nor namespace know the database any more.
func (c *testClient) nothingLeft() {
	c.t.Helper()
	got := c.psql("postgres", fmt.Sprintf("SELECT datname FROM pg_database WHERE datname = '%[1]s' UNION ALL SELECT rolname FROM "+
		"pg_roles WHERE rolname IN ('%[1]s-owner', '%[1]s-app')", c.spec.Name))
	if got != "" {
		c.t.Errorf("left on the server: %s", got)
	}
	client, err := c.cluster.Kubernetes()
	if err != nil {
		c.t.Fatal(err)
	}
	secrets, err := listSecrets(c.t.Context(), c.cluster, client, c.spec.Handle, c.spec.Name)
	if err != nil || len(secrets) > 0 {
		c.t.Errorf("%d Secrets are left, %v", len(secrets), err)
	}
}

func isA[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}
