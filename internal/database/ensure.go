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

// ensureRoles makes the roles and takes them over. Each gets its comment in the transaction that makes it: there is no moment at which
// a killed run leaves one that is nobody's.
func (r *run) ensureRoles(ctx context.Context, f *facts) error {
	for _, name := range []string{r.spec.OwnerRole, r.spec.AppRole} {
		role := f.roles[name]
		origin := originCreated
		var statements []string
		switch {
		case !role.exists:
			statements = append(statements, "CREATE ROLE "+ident(name)+" NOLOGIN")
		case role.claim == nil, role.claim.Origin == originAdopted:
			origin = originAdopted
		}
		comment, err := r.comment(origin)
		if err != nil {
			return err
		}
		statements = append(statements, "COMMENT ON ROLE "+ident(name)+" IS "+literal(comment))
		for _, power := range role.powers {
			statements = append(statements, "ALTER ROLE "+ident(name)+" NO"+power)
		}
		if err := r.admin.together(ctx, fmt.Sprintf("making role %q", name), statements...); err != nil {
			return err
		}
	}
	if r.superuser {
		return nil
	}
	// Who is no superuser gives away only to roles that it is a member of.
	return r.admin.exec(ctx, fmt.Sprintf("joining role %q", r.spec.OwnerRole), "GRANT "+ident(r.spec.OwnerRole)+" TO CURRENT_USER")
}

func (r *run) comment(origin string) (string, error) {
	text, err := claim{
		Client: r.spec.Handle.Client, Stage: r.spec.Handle.Stage, Database: r.spec.Name, Instance: r.options.InstanceID, Origin: origin,
	}.comment()
	if err != nil {
		return "", fmt.Errorf("writing the comment of database %s: %w", r.spec.Name, err)
	}
	return text, nil
}

// setPasswords makes the roles' passwords those of the Secrets.
func (r *run) setPasswords(ctx context.Context, credentials []*credential) error {
	for _, c := range credentials {
		hash, err := verifier(c.password)
		if err != nil {
			return err
		}
		if err := r.admin.exec(ctx, fmt.Sprintf("setting the password of role %q", c.role),
			"ALTER ROLE "+ident(c.role)+" LOGIN VALID UNTIL 'infinity' PASSWORD "+literal(hash)); err != nil {
			return err
		}
	}
	return nil
}

// ensureDatabase makes the database and closes it to everybody else before it takes its first connection.
func (r *run) ensureDatabase(ctx context.Context, f *facts) error {
	name := ident(r.spec.Name)
	if f.broken {
		if err := r.admin.exec(ctx, fmt.Sprintf("removing what an interrupted DROP left of database %q", r.spec.Name),
			"DROP DATABASE "+name); err != nil {
			return err
		}
		f.exists, f.claim = false, nil
	}
	origin := originCreated
	if !f.exists {
		// It cannot be in a transaction with what follows. That it takes no connections says to the next run that this one did not come further.
		sql := "CREATE DATABASE " + name + " OWNER " + ident(r.spec.OwnerRole) + " ALLOW_CONNECTIONS false"
		if err := r.admin.exec(ctx, fmt.Sprintf("creating database %q", r.spec.Name), sql); err != nil {
			return err
		}
	} else if owner := f.roles[r.spec.OwnerRole].claim; owner == nil || owner.Origin == originAdopted {
		origin = originAdopted
		if f.claim != nil {
			origin = f.claim.Origin
		}
	} else if f.claim != nil && f.claim.of(r.spec.Handle) {
		origin = f.claim.Origin
	}
	comment, err := r.comment(origin)
	if err != nil {
		return err
	}
	statements := []string{
		"REVOKE ALL ON DATABASE " + name + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + name + " TO " + ident(r.spec.AppRole),
		"COMMENT ON DATABASE " + name + " IS " + literal(comment),
		fmt.Sprintf("ALTER DATABASE %s CONNECTION LIMIT %d", name, r.spec.ConnectionLimit),
	}
	for _, role := range slices.Sorted(maps.Keys(f.intruders)) {
		if f.intruders[role] {
			statements = append(statements, "REVOKE ALL ON DATABASE "+name+" FROM "+ident(role))
		}
	}
	if err := r.admin.together(ctx, fmt.Sprintf("closing database %q to others", r.spec.Name), statements...); err != nil {
		return err
	}
	after, err := inspect(ctx, r.admin.conn, r.spec)
	if err != nil {
		return err
	}
	if len(after.intruders) > 0 {
		return &IsolationError{Database: r.spec.Name, Roles: slices.Sorted(maps.Keys(after.intruders))}
	}
	if after.open {
		return nil
	}
	return r.admin.exec(ctx, fmt.Sprintf("opening database %q", r.spec.Name), "ALTER DATABASE "+name+" ALLOW_CONNECTIONS true")
}

// ensureInside gives the application the use of what the owner makes, and of nothing else.
func (r *run) ensureInside(ctx context.Context) (err error) {
	inner := &session{alive: r.alive}
	if inner.conn, err = r.spec.Server.connect(ctx, r.spec.Server.AdminUser, r.options.AdminPassword, r.spec.Name); err != nil {
		return err
	}
	defer func() {
		if closing := inner.close(ctx); err == nil {
			err = closing
		}
	}()
	seen, err := inspectInside(ctx, inner.conn, r.spec)
	if err != nil {
		return err
	}
	if !seen.privileged() {
		if err := inner.together(ctx, fmt.Sprintf("granting privileges in database %q", r.spec.Name),
			r.privileges(len(seen.defaults) == 0)...); err != nil {
			return err
		}
	}
	for _, extension := range r.spec.Extensions {
		if slices.Contains(seen.extensions, extension) {
			continue
		}
		// Its objects go where search_path says, unless it knows a place itself.
		err := inner.together(ctx, fmt.Sprintf("creating extension %q in database %q", extension, r.spec.Name),
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
func (r *run) privileges(first bool) []string {
	owner, app := ident(r.spec.OwnerRole), ident(r.spec.AppRole)
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
END $slipway$`, literal(r.spec.OwnerRole), literal(r.spec.AppRole), first, literal("{"+strings.Join(recordsOfMigrations, ",")+"}")))
	return statements
}
