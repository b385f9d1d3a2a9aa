// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
)

// Ensure makes the database, its roles and their Secrets what spec says, under the namespace's Lease and a lock on the server. What a
// killed run left unfinished is finished by the next one. It returns the cluster's UID. Errors: the types of this package, those of
// package operation.
func Ensure(ctx context.Context, c *cluster.Cluster, spec Spec, options Options) (clusterUID string, err error) {
	r := &run{spec: spec.withDefaults(), options: options, cluster: c}
	err = r.during(ctx, false, func(ctx context.Context) error {
		clusterUID = r.op.ClusterUID
		return ensuring{r}.do(ctx)
	})
	return clusterUID, err
}

// Preflight says, without changing anything, what Ensure would refuse. The database is asked only.
func Preflight(ctx context.Context, spec Spec, options Options) (err error) {
	spec = spec.withDefaults()
	conn, err := spec.Server.connect(ctx, spec.Server.AdminUser, options.AdminPassword, spec.Server.AdminDatabase)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, (&session{conn: conn}).close(ctx)) }()
	var able bool
	err = conn.QueryRow(ctx, "SELECT rolsuper OR (rolcreatedb AND rolcreaterole) FROM pg_roles WHERE rolname = current_user").Scan(&able)
	if err != nil {
		return fmt.Errorf("looking at the administrator's rights: %w", err)
	}
	if !able {
		return &RightsError{
			Doing:  fmt.Sprintf("making database %q", spec.Name),
			Reason: fmt.Sprintf("role %q has not both CREATEDB and CREATEROLE", spec.Server.AdminUser),
		}
	}
	found, err := inspect(ctx, conn, spec)
	if err != nil {
		return err
	}
	return ensuring{&run{spec: spec, options: options}}.check(found)
}

// ensuring makes the database, its roles and their Secrets what the spec of the run says.
type ensuring struct{ run *run }

func (e ensuring) do(ctx context.Context) error {
	found, err := inspect(ctx, e.run.admin.conn, e.run.spec)
	if err != nil {
		return err
	}
	if err := e.check(found); err != nil {
		return err
	}
	credentials, stale, err := e.prepareSecrets(ctx)
	if err != nil {
		return err
	}
	if err := e.roles(ctx, found); err != nil {
		return err
	}
	// The Secrets go first: a password that only the server knows would be lost with this run.
	if err := e.writeSecrets(ctx, credentials, stale); err != nil {
		return err
	}
	if err := e.setPasswords(ctx, credentials); err != nil {
		return err
	}
	if err := e.database(ctx, found); err != nil {
		return err
	}
	if err := e.inside(ctx); err != nil {
		return err
	}
	return e.testLogins(ctx, credentials)
}

// check decides whether what is there may be taken.
func (e ensuring) check(found *facts) error {
	if err := found.mayTake(e.run.spec); err != nil {
		return err
	}
	got := found.instance(e.run.spec)
	if got == e.run.options.InstanceID {
		got = ""
	}
	if e.run.options.Create {
		if got != "" && e.run.options.MadeInThisRun != nil && e.run.options.MadeInThisRun(got) {
			return &InstanceError{Database: e.run.spec.Name, SameRun: true}
		}
		return nil
	}
	if got != "" {
		return &InstanceError{Database: e.run.spec.Name, Want: e.run.options.InstanceID, Got: got}
	}
	if !found.exists || found.broken {
		return &MissingError{Database: e.run.spec.Name, Address: e.run.spec.Server.address()}
	}
	return nil
}

// prepareSecrets decides about the passwords. One of the right version is kept, anyone may have written it there: so the next run
// resumes with what a killed one has written. stale are Secrets that have another name now.
func (e ensuring) prepareSecrets(ctx context.Context) (credentials []*credential, live map[string]*corev1.Secret, err error) {
	if live, err = listSecrets(ctx, e.run.cluster, e.run.op.Reads, e.run.spec.Handle, e.run.spec.Name); err != nil {
		return nil, nil, err
	}
	credentials = e.run.spec.credentials()
	for _, c := range credentials {
		c.password = newPassword()
		kept := of(live, c.kind, c.secret)
		if kept == nil && e.run.spec.Adopt {
			if err := e.adoptSecret(ctx, c, live); err != nil {
				return nil, nil, err
			}
		}
		if kept == nil || kept.Annotations[annotationVersion] != strconv.FormatInt(e.run.spec.PasswordVersion, 10) {
			continue
		}
		adopted := kept.Annotations[annotationOrigin] == originAdopted
		if password := string(kept.Data[keyPassword]); adopted && password != "" || ourPassword.MatchString(password) {
			c.password = password
		}
	}
	return credentials, live, nil
}

// adoptSecret keeps the password with which programs use an adopted role, if a Secret of the name holds it.
func (e ensuring) adoptSecret(ctx context.Context, c *credential, live map[string]*corev1.Secret) error {
	found, err := runningSecret(ctx, e.run.op.Reads, e.run.spec, c)
	if err != nil || found == nil {
		return err
	}
	found = found.DeepCopy()
	if found.Annotations == nil {
		found.Annotations = map[string]string{}
	}
	if found.Labels == nil {
		found.Labels = map[string]string{}
	}
	found.Annotations[annotationOrigin], found.Labels[labelRole] = originAdopted, string(c.kind)
	live[c.secret] = found
	return nil
}

func (e ensuring) writeSecrets(ctx context.Context, credentials []*credential, live map[string]*corev1.Secret) error {
	for _, c := range credentials {
		object, err := e.run.spec.secretObject(*c, e.run.options.InstanceID)
		if err != nil {
			return err
		}
		if err := e.run.alive(); err != nil {
			return fmt.Errorf("writing Secret %s: %w", c.secret, err)
		}
		if err := writeSecret(ctx, e.run.cluster, e.run.op.Gated, sharing(object, live[c.secret]), live[c.secret]); err != nil {
			return err
		}
	}
	for name, secret := range live {
		if name != e.run.spec.OwnerSecret && name != e.run.spec.AppSecret {
			if err := removeSecret(ctx, e.run.cluster, e.run.op.Gated, secret); err != nil {
				return err
			}
		}
	}
	return nil
}

// testLogins proves that the server takes the passwords. Where it lets the roles in from the pods' network only, nothing is proved.
func (e ensuring) testLogins(ctx context.Context, credentials []*credential) error {
	for _, c := range credentials {
		conn, err := e.run.spec.Server.connect(ctx, c.role, c.password, e.run.spec.Name)
		if refused, ok := errors.AsType[*LoginError](err); ok && refused.Elsewhere {
			continue
		}
		if err != nil {
			return fmt.Errorf("testing role %q with its new password: %w", c.role, err)
		}
		if err := (&session{conn: conn}).close(ctx); err != nil {
			e.run.op.Say("the test session of role %s did not end well: %v", c.role, err)
		}
	}
	return nil
}

// roles makes the roles and takes them over. Each gets its comment in the transaction that makes it: there is no moment at which
// a killed run leaves one that is nobody's.
func (e ensuring) roles(ctx context.Context, f *facts) error {
	for _, name := range []string{e.run.spec.OwnerRole, e.run.spec.AppRole} {
		role := f.roles[name]
		origin := originCreated
		var statements []string
		switch {
		case !role.exists:
			statements = append(statements, "CREATE ROLE "+ident(name)+" NOLOGIN")
		case role.claim == nil, role.claim.Origin == originAdopted:
			origin = originAdopted
		}
		databaseOrigin := ""
		if name == e.run.spec.OwnerRole {
			databaseOrigin = e.databaseOrigin(f)
		}
		comment, err := e.comment(origin, databaseOrigin)
		if err != nil {
			return err
		}
		statements = append(statements, "COMMENT ON ROLE "+ident(name)+" IS "+literal(comment))
		for _, power := range role.powers {
			statements = append(statements, "ALTER ROLE "+ident(name)+" NO"+power)
		}
		if err := e.run.admin.together(ctx, fmt.Sprintf("making role %q", name), statements...); err != nil {
			return err
		}
	}
	if e.run.superuser {
		return nil
	}
	// Who is no superuser gives away only to roles that it is a member of.
	return e.run.admin.exec(ctx, fmt.Sprintf("joining role %q", e.run.spec.OwnerRole),
		"GRANT "+ident(e.run.spec.OwnerRole)+" TO CURRENT_USER")
}

// databaseOrigin says whether Slipway made the database. What the comment on the owner role says decides, since only an administrator can
// write it.
func (e ensuring) databaseOrigin(f *facts) string {
	owner := f.roles[e.run.spec.OwnerRole].claim
	switch {
	case !f.exists || f.broken:
		return originCreated
	case owner != nil && owner.DatabaseOrigin != "":
		return owner.DatabaseOrigin
	case owner == nil || owner.Origin == originAdopted:
		return originAdopted
	case f.claim != nil && f.claim.of(e.run.spec.Handle):
		return f.claim.Origin
	}
	return originCreated
}

func (e ensuring) comment(origin, databaseOrigin string) (string, error) {
	text, err := claim{
		Client: e.run.spec.Handle.Client, Stage: e.run.spec.Handle.Stage, Database: e.run.spec.Name,
		Instance: e.run.options.InstanceID, Origin: origin, DatabaseOrigin: databaseOrigin,
	}.comment()
	if err != nil {
		return "", fmt.Errorf("writing the comment of database %s: %w", e.run.spec.Name, err)
	}
	return text, nil
}

// setPasswords makes the roles' passwords those of the Secrets.
func (e ensuring) setPasswords(ctx context.Context, credentials []*credential) error {
	for _, c := range credentials {
		hash, err := verifier(c.password)
		if err != nil {
			return err
		}
		if err := e.run.admin.exec(ctx, fmt.Sprintf("setting the password of role %q", c.role),
			"ALTER ROLE "+ident(c.role)+" LOGIN VALID UNTIL 'infinity' PASSWORD "+literal(hash)); err != nil {
			return err
		}
	}
	return nil
}

// database makes the database and closes it to everybody else before it takes its first connection.
func (e ensuring) database(ctx context.Context, f *facts) error {
	name, origin := ident(e.run.spec.Name), e.databaseOrigin(f)
	if f.broken {
		if err := e.run.admin.exec(ctx, fmt.Sprintf("removing what an interrupted DROP left of database %q", e.run.spec.Name),
			"DROP DATABASE "+name); err != nil {
			return err
		}
		f.exists, f.claim = false, nil
	}
	if !f.exists {
		// It cannot be in a transaction with what follows. That it takes no connections says to the next run that this one did not come further.
		sql := "CREATE DATABASE " + name + " OWNER " + ident(e.run.spec.OwnerRole) + " ALLOW_CONNECTIONS false"
		if err := e.run.admin.exec(ctx, fmt.Sprintf("creating database %q", e.run.spec.Name), sql); err != nil {
			return err
		}
	}
	comment, err := e.comment(origin, "")
	if err != nil {
		return err
	}
	statements := []string{
		"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + name + " TO " + ident(e.run.spec.AppRole),
		"COMMENT ON DATABASE " + name + " IS " + literal(comment),
		fmt.Sprintf("ALTER DATABASE %s CONNECTION LIMIT %d", name, e.run.spec.ConnectionLimit),
	}
	for _, role := range slices.Sorted(maps.Keys(f.intruders)) {
		if f.intruders[role] {
			statements = append(statements, "REVOKE ALL ON DATABASE "+name+" FROM "+ident(role))
		}
	}
	if err := e.run.admin.together(ctx, fmt.Sprintf("closing database %q to others", e.run.spec.Name), statements...); err != nil {
		return err
	}
	after, err := inspect(ctx, e.run.admin.conn, e.run.spec)
	if err != nil {
		return err
	}
	if len(after.intruders) > 0 {
		return &IsolationError{Database: e.run.spec.Name, Roles: slices.Sorted(maps.Keys(after.intruders))}
	}
	if after.open {
		return nil
	}
	return e.run.admin.exec(ctx, fmt.Sprintf("opening database %q", e.run.spec.Name), "ALTER DATABASE "+name+" ALLOW_CONNECTIONS true")
}

// inside gives the application the use of what the owner makes, and of nothing else.
func (e ensuring) inside(ctx context.Context) (err error) {
	inner := &session{alive: e.run.alive}
	server := e.run.spec.Server
	if inner.conn, err = server.connect(ctx, server.AdminUser, e.run.options.AdminPassword, e.run.spec.Name); err != nil {
		return err
	}
	defer func() {
		if closing := inner.close(ctx); err == nil {
			err = closing
		}
	}()
	seen, err := inspectInside(ctx, inner.conn, e.run.spec)
	if err != nil {
		return err
	}
	if !seen.privileged() {
		if err := inner.together(ctx, fmt.Sprintf("granting privileges in database %q", e.run.spec.Name),
			e.privileges(len(seen.defaults) == 0)...); err != nil {
			return err
		}
	}
	for _, extension := range e.run.spec.Extensions {
		if slices.Contains(seen.extensions, extension) {
			continue
		}
		// Its objects go where search_path says, unless it knows a place itself.
		err := inner.together(ctx, fmt.Sprintf("creating extension %q in database %q", extension, e.run.spec.Name),
			"SET LOCAL search_path = public", "CREATE EXTENSION IF NOT EXISTS "+ident(extension)+" CASCADE")
		if err != nil {
			return err
		}
	}
	return nil
}

// recordsOfMigrations are what decides which migrations run again: for the application to read, and for the owner alone to write. Of those
// that are made later, the runner of the migrations takes the rest away.
var recordsOfMigrations = []string{"goose_db_version", "goose_db_version_id_seq", "slipway_migration_ledger"}

// privileges are those in the database. first: what the owner has made before is granted too; later, that would give back what a migration
// has taken.
func (e ensuring) privileges(first bool) []string {
	owner, app := ident(e.run.spec.OwnerRole), ident(e.run.spec.AppRole)
	defaults := "ALTER DEFAULT PRIVILEGES FOR ROLE " + owner
	statements := []string{}
	for _, object := range []struct{ kind, plural string }{{"r", "TABLES"}, {"S", "SEQUENCES"}, {"n", "SCHEMAS"}} {
		statements = append(statements,
			defaults+" REVOKE ALL ON "+object.plural+" FROM "+app,
			defaults+" GRANT "+strings.Join(wantedDefaults[object.kind], ", ")+" ON "+object.plural+" TO "+app)
	}
	statements = append(statements, fmt.Sprintf(`DO $slipway$
DECLARE
	item record;
	owner regrole := (SELECT oid FROM pg_roles WHERE rolname = %[1]s)::regrole;
	app text := %[2]s;
BEGIN
	FOR item IN SELECT nspname FROM pg_namespace WHERE nspname = 'public' LOOP
		-- Before PostgreSQL 15 everybody may create there, and the database's owner may not grant it.
		IF current_setting('server_version_num')::int < 150000 THEN
			REVOKE CREATE ON SCHEMA public FROM PUBLIC;
		END IF;
		EXECUTE format('GRANT USAGE, CREATE ON SCHEMA public TO %%s', owner);
		EXECUTE format('GRANT USAGE ON SCHEMA public TO %%I', app);
	END LOOP;
	IF %[3]t THEN
		FOR item IN SELECT nspname FROM pg_namespace WHERE nspowner = owner LOOP
			EXECUTE format('GRANT USAGE ON SCHEMA %%I TO %%I', item.nspname, app);
		END LOOP;
		FOR item IN SELECT oid::regclass AS name, relname, relkind FROM pg_class
			WHERE relowner = owner AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') LOOP
			IF item.relname = ANY (%[4]s) THEN
				EXECUTE format('GRANT SELECT ON %%s TO %%I', item.name, app);
			ELSIF item.relkind = 'S' THEN
				EXECUTE format('GRANT SELECT, USAGE ON SEQUENCE %%s TO %%I', item.name, app);
			ELSE
				EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %%s TO %%I', item.name, app);
			END IF;
		END LOOP;
	END IF;
END $slipway$`, literal(e.run.spec.OwnerRole), literal(e.run.spec.AppRole), first, literal("{"+strings.Join(recordsOfMigrations, ",")+"}")))
	return statements
}
