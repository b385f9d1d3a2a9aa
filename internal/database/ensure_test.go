// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestEnsure_KeepsClientsApart(t *testing.T) {
	t.Parallel()
	a, b := newTestClient(t), newTestClient(t)
	a.mustEnsure()
	b.mustEnsure()
	for _, secret := range []string{a.spec.OwnerSecret, a.spec.AppSecret} {
		if _, err := a.login(secret, b.spec.Name); err == nil || !strings.Contains(err.Error(), "permission denied for database") {
			t.Errorf("%s gets into the database of another client: %v", secret, err)
		}
		a.mustLogin(secret)
	}
	stranger := "stranger-" + a.spec.Name
	a.psql("postgres", fmt.Sprintf("CREATE ROLE %q", stranger))
	t.Cleanup(func() { a.psql("postgres", fmt.Sprintf("DROP ROLE %q", stranger)) })
	if got := a.psql("postgres", fmt.Sprintf("SELECT has_database_privilege('%s', '%s', 'CONNECT')", stranger, a.spec.Name)); got != "f" {
		t.Error("a role that nobody has let in can connect")
	}
	// Neither does the next apply, or a look, say anything.
	a.options.Create = false
	a.mustEnsure()
	if drift := a.drift(); len(drift) > 0 {
		t.Errorf("drift: %q", drift)
	}
}

func TestEnsure_TheApplicationUsesWhatTheOwnerMakesAndNoMore(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	c.spec.Extensions = []string{"pgcrypto"}
	c.mustEnsure()
	owner, app := c.mustLogin(c.spec.OwnerSecret), c.mustLogin(c.spec.AppSecret)
	exec := func(conn *pgx.Conn, sql string) error { _, err := conn.Exec(t.Context(), sql); return err }
	for _, sql := range []string{
		"CREATE TABLE records (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)", "CREATE SEQUENCE numbers",
		"CREATE SCHEMA more", "CREATE TABLE more.records (id bigint)", "CREATE TABLE secrets (id bigint)",
		"REVOKE ALL ON secrets FROM PUBLIC, " + ident(c.spec.AppRole),
	} {
		if err := exec(owner, sql); err != nil {
			t.Fatalf("owner: %s: %v", sql, err)
		}
	}
	for _, sql := range []string{
		"INSERT INTO records (payload) VALUES ('x')", "UPDATE records SET payload = 'y'", "SELECT count(*) FROM records", "DELETE FROM records",
		"SELECT nextval('numbers')", "INSERT INTO more.records VALUES (1)", "SELECT gen_random_uuid()", "SELECT digest('x', 'sha256')",
	} {
		if err := exec(app, sql); err != nil {
			t.Errorf("application: %s: %v", sql, err)
		}
	}
	for _, sql := range []string{
		"CREATE TABLE mine (id bigint)", "CREATE TEMPORARY TABLE mine (id bigint)", "CREATE SCHEMA mine", "TRUNCATE records",
		"DROP TABLE records",
		"ALTER TABLE records ADD COLUMN x text", "SET ROLE " + ident(c.spec.OwnerRole), "CREATE DATABASE mine", "CREATE ROLE mine",
		"SELECT * FROM pg_authid",
	} {
		if err := exec(app, sql); err == nil {
			t.Errorf("the application may %s", sql)
		}
	}
	// What a migration has taken from the application is not given back.
	c.options.Create = false
	c.mustEnsure()
	if err := exec(app, "SELECT * FROM secrets"); err == nil {
		t.Error("an apply gave back what a migration had taken")
	}
}

func TestEnsure_ChangesPasswordsAndTheServerNeverSeesThem(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	c.psql("postgres", "ALTER ROLE postgres SET log_statement = 'all'")
	c.mustEnsure()
	before := c.url(c.spec.AppSecret)
	c.options.Create = false
	c.mustEnsure()
	if c.url(c.spec.AppSecret) != before {
		t.Error("an apply of the same version made another password")
	}
	c.spec.PasswordVersion, c.spec.ConnectionLimit = 2, 7
	c.mustEnsure()
	after := c.url(c.spec.AppSecret)
	if after == before {
		t.Fatal("another version made no other password")
	}
	c.mustLogin(c.spec.OwnerSecret)
	c.mustLogin(c.spec.AppSecret)
	if conn, err := pgx.Connect(t.Context(), before); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the old password is still accepted")
	}
	if got := c.psql("postgres", fmt.Sprintf("SELECT datconnlimit, (SELECT string_agg(left(rolpassword, 13), ',') FROM pg_authid "+
		"WHERE rolname LIKE '%s-%%') FROM pg_database WHERE datname = '%[1]s'", c.spec.Name)); got != "7|SCRAM-SHA-256,SCRAM-SHA-256" {
		t.Errorf("limit and kinds of passwords: %s", got)
	}
	log, err := os.ReadFile(filepath.Join(filepath.Dir(c.psql("postgres", "SHOW data_directory")), "log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "SCRAM-SHA-256") {
		t.Error("the log has no statements to look for passwords in")
	}
	for _, url := range []string{before, after, c.url(c.spec.OwnerSecret)} {
		config, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), config.Password) {
			t.Error("the server's log has a password")
		}
	}
}

func TestEnsure_TakesNothingThatIsNotOurs(t *testing.T) {
	t.Parallel()
	a, b := newTestClient(t), newTestClient(t)
	a.mustEnsure()
	b.spec.Name = a.spec.Name
	if err := b.ensure(); !isA[*ForeignError](err) {
		t.Errorf("the database of another client: %v", err)
	}
	b.spec.Adopt = true
	if err := b.ensure(); !isA[*ForeignError](err) {
		t.Errorf("adopting the database of another client: %v", err)
	}
	b.spec.OwnerRole, b.spec.AppRole = a.spec.OwnerRole, a.spec.AppRole
	if err := b.ensure(); !isA[*ForeignError](err) {
		t.Errorf("with its roles: %v", err)
	}
	if err := Preflight(t.Context(), b.spec, b.options); !isA[*ForeignError](err) {
		t.Errorf("the look before: %v", err)
	}
	b.options.InstanceID, b.options.Protected = "two", false
	if forgotten, err := Remove(t.Context(), b.cluster, b.spec, b.options); err != nil || !forgotten {
		t.Errorf("dropping it: forgotten %v, %v", forgotten, err)
	}
	if drift := a.drift(); len(drift) > 0 {
		t.Errorf("what was done to it: %q", drift)
	}
	// Its owner may write a comment, and gains nothing by it.
	owner := a.mustLogin(a.spec.OwnerSecret)
	foreign, err := claim{Client: b.spec.Handle.Client, Stage: "prod", Database: a.spec.Name, Instance: "two"}.comment()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), "COMMENT ON DATABASE "+ident(a.spec.Name)+" IS "+literal(foreign)); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), "COMMENT ON ROLE "+ident(a.spec.OwnerRole)+" IS NULL"); err == nil {
		t.Error("a client may remove its comment")
	}
	if err := b.ensure(); !isA[*ForeignError](err) {
		t.Errorf("with a forged comment: %v", err)
	}
	a.options.Create = false
	a.mustEnsure()
}

func TestEnsure_AdoptsOnlyWhenAskedAndNeverDropsIt(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	c.psql("postgres", fmt.Sprintf("CREATE ROLE %q LOGIN PASSWORD 'x'", c.spec.OwnerRole))
	c.psql("postgres", fmt.Sprintf("CREATE DATABASE %q", c.spec.Name))
	c.psql(c.spec.Name, "CREATE TABLE old (id bigint)")
	if err := c.ensure(); !isA[*UnclaimedError](err) {
		t.Fatalf("without adopt: %v", err)
	}
	c.spec.Adopt = true
	if err := c.ensure(); !isA[*OwnerError](err) {
		t.Fatalf("of a superuser: %v", err)
	}
	c.psql(c.spec.Name, fmt.Sprintf("ALTER DATABASE %q OWNER TO %[2]q; ALTER TABLE old OWNER TO %[2]q", c.spec.Name, c.spec.OwnerRole))
	c.mustEnsure()
	if _, err := c.mustLogin(c.spec.AppSecret).Exec(t.Context(), "INSERT INTO old VALUES (1)"); err != nil {
		t.Errorf("the application may not use what was there: %v", err)
	}
	c.spec.Adopt, c.options.Create = false, false
	c.mustEnsure()
	// Its owner may write the comment on the database, and the next apply does not believe it.
	owner := c.mustLogin(c.spec.OwnerSecret)
	forge := func() {
		t.Helper()
		if _, err := owner.Exec(t.Context(), "COMMENT ON DATABASE "+ident(c.spec.Name)+" IS "+
			literal(strings.ReplaceAll(c.psql("postgres", fmt.Sprintf("SELECT shobj_description(oid, 'pg_database') FROM pg_database "+
				"WHERE datname = '%s'", c.spec.Name)), originAdopted, originCreated))); err != nil {
			t.Fatal(err)
		}
	}
	forge()
	c.mustEnsure()
	forge()
	if err := owner.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.remove(); err != nil {
		t.Fatal(err)
	}
	if got := c.psql(c.spec.Name, "SELECT count(*) FROM old"); got != "1" {
		t.Errorf("after the destroy, the table has %s rows", got)
	}
	if got := c.psql("postgres",
		fmt.Sprintf("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '%s'", c.spec.Name)); got != "" {
		t.Errorf("a comment is left: %s", got)
	}
}

var errStopped = errors.New("stopped by the test")

// stopAt ends an operation before its n-th change.
func (c *testClient) stopAt(n int) {
	c.options.beforeStep = func() error {
		if n--; n < 0 {
			return errStopped
		}
		return nil
	}
}

func TestEnsureAndRemove_CanBeRepeatedFromEveryStep(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	c.spec.Extensions = []string{"pgcrypto"}
	untilDone := func(what string, run func() error) {
		for step := range 50 {
			c.options.InstanceID = fmt.Sprintf("%s-%d", what, step)
			c.stopAt(step)
			stopped := c.ensureBefore(what, run)
			c.options.beforeStep = nil
			if stopped == nil {
				if step < 3 {
					t.Errorf("%s has only %d steps", what, step)
				}
				return
			}
			if !errors.Is(stopped, errStopped) {
				t.Fatalf("%s, step %d: %v", what, step, stopped)
			}
			if err := run(); err != nil {
				t.Fatalf("%s again after step %d: %v", what, step, err)
			}
			if what == "remove" {
				c.nothingLeft()
				continue
			}
			if drift := c.drift(); len(drift) > 0 {
				t.Fatalf("after step %d: %q", step, drift)
			}
			if err := c.remove(); err != nil {
				t.Fatal(err)
			}
			c.nothingLeft()
		}
		t.Fatalf("%s does not come to an end", what)
	}
	untilDone("ensure", c.ensure)
	untilDone("remove", c.remove)
	c.nothingLeft()
}

func TestEnsureAndRemove_NeedNoSuperuser(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	admin := "admin-" + c.spec.Name
	c.psql("postgres", fmt.Sprintf("CREATE ROLE %q LOGIN CREATEDB CREATEROLE PASSWORD 'canary'", admin)) // as clouds have them
	c.spec.Server.AdminUser, c.options.AdminPassword = admin, "canary"
	c.spec.Extensions = []string{"pgcrypto"}
	if err := Preflight(t.Context(), c.spec, c.options); err != nil {
		t.Fatal(err)
	}
	c.mustEnsure()
	c.options.Create, c.spec.PasswordVersion = false, 2
	c.mustEnsure()
	if drift := c.drift(); len(drift) > 0 {
		t.Errorf("drift: %q", drift)
	}
	if err := c.remove(); err != nil {
		t.Fatal(err)
	}
	c.nothingLeft()
	c.psql("postgres", fmt.Sprintf("ALTER ROLE %q NOCREATEDB", admin))
	c.options.Create = true
	if err := Preflight(t.Context(), c.spec, c.options); !isA[*RightsError](err) {
		t.Errorf("without the right to create databases: %v", err)
	}
}

// ensureBefore makes the database first where it is to be removed.
func (c *testClient) ensureBefore(what string, run func() error) error {
	if what == "remove" {
		stop := c.options.beforeStep
		c.options.beforeStep = nil
		c.mustEnsure()
		c.options.beforeStep = stop
	}
	return run()
}

func TestEnsure_TwoAtOnceGiveOneResult(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	var group sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		group.Go(func() {
			options := c.options
			options.InstanceID = fmt.Sprint("instance-", i)
			_, errs[i] = Ensure(t.Context(), c.cluster, c.spec, options)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if drift := c.drift(); len(drift) > 0 {
		t.Errorf("drift: %q", drift)
	}
}

func TestEnsure_AnUpdateMakesNoEmptyDatabaseInPlaceOfALostOne(t *testing.T) {
	t.Parallel()
	c := newTestClient(t)
	c.mustEnsure()
	c.options.Create = false
	// What a DROP DATABASE leaves that was interrupted.
	c.psql("postgres", fmt.Sprintf("UPDATE pg_database SET datconnlimit = -2 WHERE datname = '%s'", c.spec.Name))
	if err := c.ensure(); !isA[*MissingError](err) {
		t.Errorf("half dropped: %v", err)
	}
	c.psql("postgres", fmt.Sprintf("DROP DATABASE %q", c.spec.Name))
	if err := c.ensure(); !isA[*MissingError](err) {
		t.Errorf("dropped: %v", err)
	}
	if got := c.drift(); len(got) != 1 || got[0] != "missing" {
		t.Errorf("a look says %q", got)
	}
	c.options.Create = true
	c.mustEnsure()
	c.options.Create, c.options.InstanceID = false, "another"
	if err := c.ensure(); !isA[*InstanceError](err) {
		t.Errorf("of another state: %v", err)
	}
}
