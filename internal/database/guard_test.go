// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestObserve_SeesWhatWasChangedAndEnsurePutsItBack(t *testing.T) {
	t.Parallel()
	c, other := newTestClient(t), newTestClient(t)
	c.mustEnsure()
	other.mustEnsure()
	c.options.Create = false
	name, app, owner := c.spec.Name, c.spec.AppRole, c.spec.OwnerRole
	for _, test := range []struct{ what, sql, drift string }{
		{"open to all", fmt.Sprintf("GRANT CONNECT ON DATABASE %q TO PUBLIC", name), "everybody has privileges"},
		{
			"another client let in", fmt.Sprintf("GRANT CONNECT ON DATABASE %q TO %q", name, other.spec.AppRole),
			"role " + other.spec.AppRole + " of another client can connect",
		},
		{"application shut out", fmt.Sprintf("REVOKE CONNECT ON DATABASE %q FROM %q", name, app), "may not log in or connect"},
		{"a password", fmt.Sprintf("ALTER ROLE %q PASSWORD 'guessed'", app), "is not accepted"},
		{"the owner's password", fmt.Sprintf("ALTER ROLE %q PASSWORD 'guessed'", owner), "is not accepted"},
		{"powers", fmt.Sprintf("ALTER ROLE %q CREATEDB BYPASSRLS", app), "has CREATEDB, BYPASSRLS"},
		{"no login", fmt.Sprintf("ALTER ROLE %q NOLOGIN", app), "may not log in"},
		{
			"default privileges", fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %q GRANT TRUNCATE ON TABLES TO %q", owner, app),
			"privileges of role " + app + " were changed",
		},
		{"comment of the database", fmt.Sprintf("COMMENT ON DATABASE %q IS 'mine'", name), "lost its comment"},
		{"closed", fmt.Sprintf("ALTER DATABASE %q ALLOW_CONNECTIONS false", name), "takes no connections"},
	} {
		database := "postgres"
		if strings.HasPrefix(test.sql, "ALTER DEFAULT") {
			database = name
		}
		c.psql(database, test.sql)
		if drift := c.drift(); !slices.ContainsFunc(drift, func(text string) bool { return strings.Contains(text, test.drift) }) {
			t.Errorf("%s: %q", test.what, drift)
		}
		if err := c.ensure(); err != nil {
			t.Errorf("%s: %v", test.what, err)
		}
		if drift := c.drift(); len(drift) > 0 {
			t.Fatalf("%s, corrected: %q", test.what, drift)
		}
	}
	client, err := c.cluster.Kubernetes()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Secrets(c.spec.Handle.Namespace).Delete(t.Context(), c.spec.AppSecret, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if drift := c.drift(); !slices.Equal(drift, []string{"Secret/" + c.spec.AppSecret + ": was removed"}) {
		t.Errorf("without a Secret: %q", drift)
	}
	c.mustEnsure()
	c.mustLogin(c.spec.AppSecret)
}

func TestEnsure_SaysThatAnotherClientGetsInThroughAMembership(t *testing.T) {
	t.Parallel()
	for name, membership := range map[string]string{
		"whose rights it inherits": "GRANT $own TO $other",
		"that it can become":       "ALTER ROLE $other NOINHERIT; GRANT $own TO $other",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refusesMembership(t, membership)
		})
	}
}

// Not in parallel: such a member gets into the databases of all tests.
func TestEnsure_SaysThatAnotherClientIsAMemberOfARoleOfTheServer(t *testing.T) {
	for _, role := range []string{"pg_execute_server_program", "pg_read_all_data"} {
		member := refusesMembership(t, "ALTER ROLE $other NOINHERIT; GRANT "+role+" TO $other")
		member.psql("postgres", "REVOKE "+role+" FROM "+ident(member.spec.AppRole))
	}
}

// refusesMembership lets the application's role of another client become a member, and returns that client.
func refusesMembership(t *testing.T, membership string) *testClient {
	t.Helper()
	c, other := newTestClient(t), newTestClient(t)
	c.mustEnsure()
	other.mustEnsure()
	c.psql("postgres", strings.NewReplacer("$own", ident(c.spec.AppRole), "$other", ident(other.spec.AppRole)).Replace(membership))
	err := c.ensure()
	refused, ok := errors.AsType[*IsolationError](err)
	if !ok || !slices.Equal(refused.Roles, []string{other.spec.AppRole}) {
		t.Errorf("%s: got %v", membership, err)
	}
	if drift := c.drift(); !slices.ContainsFunc(drift, func(line string) bool { return strings.Contains(line, other.spec.AppRole) }) {
		t.Errorf("%s: drift %q", membership, drift)
	}
	return other
}

func TestRemove_DropsNothingThatIsProtectedOrUsedOrOfAnotherState(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	c.mustEnsure()
	c.options.Protected = true
	if err := c.remove(); !isA[*ProtectedError](err) {
		t.Errorf("protected: %v", err)
	}
	c.options.Protected = false
	app := c.mustLogin(c.spec.AppSecret)
	err := c.remove()
	if refused, ok := errors.AsType[*ConnectedError](err); !ok ||
		!slices.ContainsFunc(refused.Sessions, func(s string) bool { return strings.Contains(s, "1 of role "+c.spec.AppRole+" from") }) {
		t.Errorf("in use: %v", err)
	}
	if err := app.Ping(t.Context()); err != nil {
		t.Errorf("the session was ended: %v", err)
	}
	if err := app.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.options.InstanceID = "another"
	if forgotten, err := Remove(t.Context(), c.cluster, c.spec, c.options); err != nil || !forgotten {
		t.Errorf("of another state: forgotten %v, %v", forgotten, err)
	}
	if drift := c.drift(); len(drift) > 0 {
		t.Errorf("what is left: %q", drift)
	}
	c.options.InstanceID = "one"
	if err := c.eventuallyRemove(); err != nil {
		t.Fatal(err)
	}
	c.nothingLeft()
}

// The sessions of pods that have just gone, and whose end the server notices late, do not fail a destroy.
func TestRemove_WaitsForSessionsThatEnd(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	c.mustEnsure()
	app := c.mustLogin(c.spec.AppSecret)
	time.AfterFunc(5*time.Second, func() {
		if err := app.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := c.remove(); err != nil {
		t.Fatal(err)
	}
	c.nothingLeft()
}

// eventuallyRemove waits for the end of sessions that were closed, which the server notices a moment later.
func (c *testClient) eventuallyRemove() error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := c.remove()
		if !isA[*ConnectedError](err) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestRemove_SaysWhatARoleIsStillNeededFor(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	c.mustEnsure()
	other := "kept-" + c.spec.Name
	c.psql("postgres", fmt.Sprintf("CREATE DATABASE %q", other))
	t.Cleanup(func() { c.psql("postgres", fmt.Sprintf("DROP DATABASE %q", other)) })
	c.psql("postgres", fmt.Sprintf("GRANT CONNECT ON DATABASE %q TO %q", other, c.spec.OwnerRole))
	err := c.remove()
	if refused, ok := errors.AsType[*DependentError](err); !ok || !strings.Contains(refused.Detail, other) {
		t.Fatalf("got %v", err)
	}
	c.psql("postgres", fmt.Sprintf("REVOKE CONNECT ON DATABASE %q FROM %q", other, c.spec.OwnerRole))
	if err := c.remove(); err != nil {
		t.Fatal(err)
	}
	c.nothingLeft()
}

func TestConnect_ErrorsNameTheServerAndNeverThePassword(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	const password = "canary-of-the-test"
	base := Server{Host: server.Address, Port: int64(server.Port), SSLMode: "disable", AdminUser: server.User}
	gone, tls, name, nobody := base, base, base, base
	gone.Port = 1
	tls.SSLMode = "verify-full"
	name.Host = "nowhere.invalid"
	nobody.AdminUser = "no'body \\"
	for what, test := range map[string]struct {
		server Server
		is     func(error) bool
	}{
		"nothing listens": {gone, isA[*UnreachableError]},
		"no encryption":   {tls, isA[*UnreachableError]},
		"no such host":    {name, isA[*UnreachableError]},
		"no such role":    {nobody, isA[*LoginError]},
		"the password":    {base, isA[*LoginError]},
		"not a certificate": {
			Server{Host: server.Address, Port: base.Port, CACertificate: "x"},
			func(err error) bool { return err != nil && strings.Contains(err.Error(), "ca_certificate") },
		},
	} {
		_, err := test.server.connect(t.Context(), test.server.withDefaults().AdminUser, password, "postgres")
		if !test.is(err) {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("%s: the error has the password", what)
		}
	}
	if _, err := base.connect(t.Context(), server.User, server.Password, "nowhere"); !isA[*NoDatabaseError](err) {
		t.Errorf("no such database: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := base.connect(ended, server.User, server.Password, "postgres"); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestValidName_RefusesWhatWouldBeReadOtherwise(t *testing.T) {
	for name, want := range map[string]bool{
		"client-a-db": true, "a": true, "data_collection": true, strings.Repeat("a", 56): true,
		"": false, strings.Repeat("a", 57): false, "Client": false, "1a": false, "a-": false, "a b": false, `a"b`: false, "postgres": false,
		"template1": false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
	for role, want := range map[string]bool{
		"client-a-db-owner": true, "_x": true, "pg_monitor": false, "public": false, "x;": false, "": false,
	} {
		if got := ValidRole(role); got != want {
			t.Errorf("ValidRole(%q) = %v", role, got)
		}
	}
}
