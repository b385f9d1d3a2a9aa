// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ensureRoles makes the roles and takes them over. Each is marked in the transaction that makes it: there is no moment at which
// a killed run leaves one that is nobody's.
func (o *operation) ensureRoles(ctx context.Context, f *facts) error {
	for _, name := range []string{o.spec.OwnerRole, o.spec.AppRole} {
		role := f.roles[name]
		origin := originCreated
		var statements []string
		switch {
		case !role.exists:
			statements = append(statements, "CREATE ROLE "+ident(name)+" NOLOGIN")
		case role.mark == nil, role.mark.Origin == originAdopted:
			origin = originAdopted
		}
		comment, err := o.comment(origin)
		if err != nil {
			return err
		}
		statements = append(statements, "COMMENT ON ROLE "+ident(name)+" IS "+literal(comment))
		for _, power := range role.powers {
			statements = append(statements, "ALTER ROLE "+ident(name)+" NO"+power)
		}
		if err := o.admin.together(ctx, fmt.Sprintf("making role %q", name), statements...); err != nil {
			return err
		}
	}
	if o.superuser {
		return nil
	}
	// Who is no superuser gives away only to roles that it is a member of.
	return o.admin.exec(ctx, fmt.Sprintf("joining role %q", o.spec.OwnerRole), "GRANT "+ident(o.spec.OwnerRole)+" TO CURRENT_USER")
}

func (o *operation) comment(origin string) (string, error) {
	text, err := mark{
		Client: o.spec.Handle.Client, Stage: o.spec.Handle.Stage, Database: o.spec.Name, Instance: o.options.InstanceID, Origin: origin,
	}.comment()
	if err != nil {
		return "", fmt.Errorf("writing the mark of database %s: %w", o.spec.Name, err)
	}
	return text, nil
}

// setPasswords makes the roles' passwords those of the Secrets.
func (o *operation) setPasswords(ctx context.Context, credentials []*credential) error {
	for _, c := range credentials {
		hash, err := verifier(c.password)
		if err != nil {
			return err
		}
		if err := o.admin.exec(ctx, fmt.Sprintf("setting the password of role %q", c.role),
			"ALTER ROLE "+ident(c.role)+" LOGIN VALID UNTIL 'infinity' PASSWORD "+literal(hash)); err != nil {
			return err
		}
	}
	return nil
}

// ensureDatabase makes the database and closes it to everybody else before it takes its first connection.
func (o *operation) ensureDatabase(ctx context.Context, f *facts) error {
	name := ident(o.spec.Name)
	if f.broken {
		if err := o.admin.exec(ctx, fmt.Sprintf("removing what an interrupted DROP left of database %q", o.spec.Name),
			"DROP DATABASE "+name); err != nil {
			return err
		}
		f.exists, f.mark = false, nil
	}
	origin := originCreated
	if !f.exists {
		// It cannot be in a transaction with what follows. That it takes no connections says to the next run that this one did not come further.
		sql := "CREATE DATABASE " + name + " OWNER " + ident(o.spec.OwnerRole) + " ALLOW_CONNECTIONS false"
		if err := o.admin.exec(ctx, fmt.Sprintf("creating database %q", o.spec.Name), sql); err != nil {
			return err
		}
	} else if owner := f.roles[o.spec.OwnerRole].mark; owner == nil || owner.Origin == originAdopted {
		origin = originAdopted
		if f.mark != nil {
			origin = f.mark.Origin
		}
	} else if f.mark != nil && f.mark.of(o.spec.Handle) {
		origin = f.mark.Origin
	}
	comment, err := o.comment(origin)
	if err != nil {
		return err
	}
	statements := []string{
		"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + name + " TO " + ident(o.spec.AppRole),
		"COMMENT ON DATABASE " + name + " IS " + literal(comment),
		fmt.Sprintf("ALTER DATABASE %s CONNECTION LIMIT %d", name, o.spec.ConnectionLimit),
	}
	for _, role := range slices.Sorted(maps.Keys(f.intruders)) {
		if f.intruders[role] {
			statements = append(statements, "REVOKE ALL ON DATABASE "+name+" FROM "+ident(role))
		}
	}
	if err := o.admin.together(ctx, fmt.Sprintf("closing database %q to others", o.spec.Name), statements...); err != nil {
		return err
	}
	after, err := inspect(ctx, o.admin.conn, o.spec)
	if err != nil {
		return err
	}
	if len(after.intruders) > 0 {
		return &IsolationError{Database: o.spec.Name, Roles: slices.Sorted(maps.Keys(after.intruders))}
	}
	if after.open {
		return nil
	}
	return o.admin.exec(ctx, fmt.Sprintf("opening database %q", o.spec.Name), "ALTER DATABASE "+name+" ALLOW_CONNECTIONS true")
}

// ensureInside gives the application the use of what the owner makes, and of nothing else.
func (o *operation) ensureInside(ctx context.Context) (err error) {
	inner := &session{alive: o.alive}
	if inner.conn, err = o.spec.Server.connect(ctx, o.spec.Server.AdminUser, o.options.AdminPassword, o.spec.Name); err != nil {
		return err
	}
	defer func() {
		if closing := inner.close(ctx); err == nil {
			err = closing
		}
	}()
	seen, err := inspectInside(ctx, inner.conn, o.spec)
	if err != nil {
		return err
	}
	if !seen.privileged() {
		if err := inner.together(ctx, fmt.Sprintf("granting privileges in database %q", o.spec.Name), o.privileges(len(seen.defaults) == 0)...); err != nil {
			return err
		}
	}
	for _, extension := range o.spec.Extensions {
		if slices.Contains(seen.extensions, extension) {
			continue
		}
		// Its objects go where search_path says, unless it knows a place itself.
		err := inner.together(ctx, fmt.Sprintf("creating extension %q in database %q", extension, o.spec.Name),
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
func (o *operation) privileges(first bool) []string {
	owner, app := ident(o.spec.OwnerRole), ident(o.spec.AppRole)
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
		FOR item IN SELECT oid::regclass AS name, relname, relkind FROM pg_class WHERE relowner = owner AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') LOOP
			IF item.relname = ANY (%[4]s) THEN
				EXECUTE format('GRANT SELECT ON %%s TO %%I', item.name, app);
			ELSIF item.relkind = 'S' THEN
				EXECUTE format('GRANT SELECT, USAGE ON SEQUENCE %%s TO %%I', item.name, app);
			ELSE
				EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %%s TO %%I', item.name, app);
			END IF;
		END LOOP;
	END IF;
END $slipway$`, literal(o.spec.OwnerRole), literal(o.spec.AppRole), first, literal("{"+strings.Join(recordsOfMigrations, ",")+"}")))
	return statements
}
