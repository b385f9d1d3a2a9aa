// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// roleFacts is what the server knows of a role.
type roleFacts struct {
	exists bool
	claim  *claim
	login  bool
	super  bool
	powers []string // attributes that no client's role should have
}

// facts is what the server knows of a database and its roles, wherever the session is connected to.
type facts struct {
	roles map[string]roleFacts

	exists     bool
	owner      string
	ownerSuper bool
	limit      int64
	open       bool // takes connections
	broken     bool // what an interrupted DROP DATABASE leaves
	claim      *claim
	public     bool // everybody has a privilege on it
	// intruders are roles of other clients that can connect: name to whether they have the privilege themselves.
	intruders map[string]bool
}

const invalidDatabase = -2 // of datconnlimit, since PostgreSQL 11.21, 12.16, 13.12, 14.9, 15.4

func inspect(ctx context.Context, conn *pgx.Conn, spec Spec) (*facts, error) {
	out := &facts{roles: map[string]roleFacts{}}
	if err := out.inspectRoles(ctx, conn, spec.OwnerRole, spec.AppRole); err != nil {
		return nil, fmt.Errorf("looking at the roles of database %s: %w", spec.Name, err)
	}
	comment := ""
	err := conn.QueryRow(ctx, `
		SELECT r.rolname, r.rolsuper, d.datconnlimit, d.datallowconn, coalesce(shobj_description(d.oid, 'pg_database'), ''),
		       EXISTS (SELECT FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a WHERE a.grantee = 0)
		FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = $1`, spec.Name).
		Scan(&out.owner, &out.ownerSuper, &out.limit, &out.open, &comment, &out.public)
	if errors.Is(err, pgx.ErrNoRows) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking at database %s: %w", spec.Name, err)
	}
	out.exists, out.broken, out.claim = true, out.limit == invalidDatabase, parseClaim(comment)
	if err := out.inspectIntruders(ctx, conn, spec); err != nil {
		return nil, fmt.Errorf("looking for others who can connect to database %s: %w", spec.Name, err)
	}
	return out, nil
}

func (f *facts) inspectRoles(ctx context.Context, conn *pgx.Conn, names ...string) error {
	rows, err := conn.Query(ctx, `
		SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
			coalesce(shobj_description(oid, 'pg_authid'), '')
		FROM pg_roles WHERE rolname = ANY ($1)`, names)
	if err != nil {
		return err
	}
	var (
		name, comment                                string
		role                                         roleFacts
		createRole, createDB, replication, bypassRLS bool
	)
	_, err = pgx.ForEachRow(rows, []any{
		&name, &role.login, &role.super, &createRole, &createDB, &replication, &bypassRLS, &comment,
	}, func() error {
		role.exists, role.claim, role.powers = true, parseClaim(comment), nil
		for _, attribute := range []struct {
			has  bool
			name string
		}{{role.super, "SUPERUSER"}, {createRole, "CREATEROLE"}, {createDB, "CREATEDB"}, {replication, "REPLICATION"}, {bypassRLS, "BYPASSRLS"}} {
			if attribute.has {
				role.powers = append(role.powers, attribute.name)
			}
		}
		f.roles[name] = role
		return nil
	})
	return err
}

// serverRoles are PostgreSQL's predefined roles whose members reach the data of every database, or the server itself
// (https://www.postgresql.org/docs/current/predefined-roles.html).
var serverRoles = []string{
	"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files", "pg_read_all_data", "pg_write_all_data",
}

// inspectIntruders finds the roles of other clients that can reach the database: those that may connect, and members of a role that may,
// also where they do not inherit its rights, since they can become that role.
func (f *facts) inspectIntruders(ctx context.Context, conn *pgx.Conn, spec Spec) error {
	rows, err := conn.Query(ctx, `
		SELECT r.rolname, shobj_description(r.oid, 'pg_authid'),
		       EXISTS (SELECT FROM aclexplode(d.datacl) a WHERE a.grantee = r.oid)
		FROM pg_roles r, pg_database d
		WHERE d.datname = $1 AND NOT r.rolsuper AND r.rolname <> ALL ($2)
		  AND starts_with(shobj_description(r.oid, 'pg_authid'), $3)
		  AND (has_database_privilege(r.oid, d.oid, 'CONNECT')
		       OR EXISTS (SELECT FROM pg_roles p WHERE (p.rolname = ANY ($2) OR p.rolname = ANY ($4)) AND pg_has_role(r.oid, p.oid, 'MEMBER')))`,
		spec.Name, []string{spec.OwnerRole, spec.AppRole}, claimPrefix, serverRoles)
	if err != nil {
		return err
	}
	f.intruders = map[string]bool{}
	var name, comment string
	var direct bool
	_, err = pgx.ForEachRow(rows, []any{&name, &comment, &direct}, func() error {
		if m := parseClaim(comment); m != nil && !m.of(spec.Handle) {
			f.intruders[name] = direct
		}
		return nil
	})
	return err
}

// mayTake says whether the roles and the database may be those of spec.
func (f *facts) mayTake(spec Spec) error {
	check := func(what string, m *claim) error {
		switch {
		case m == nil && spec.Adopt:
			return nil
		case m == nil:
			return &UnclaimedError{What: what}
		case !m.of(spec.Handle) || m.Database != spec.Name:
			return &ForeignError{What: what, Client: m.Client, Stage: m.Stage, Database: m.Database, MustBe: spec.Handle.Name()}
		}
		return nil
	}
	for _, name := range []string{spec.OwnerRole, spec.AppRole} {
		role := f.roles[name]
		if !role.exists {
			continue
		}
		if err := check(fmt.Sprintf("role %q", name), role.claim); err != nil {
			return err
		}
		if role.super {
			return errPowerfulRole(name, role.powers)
		}
	}
	if !f.exists {
		return nil
	}
	// What a role owns that we made for this database is ours, whatever the comment on the database says: its owner may change that,
	// and a run that was killed may not have written it.
	if m := f.roles[spec.OwnerRole].claim; f.owner != spec.OwnerRole || m == nil || m.Origin != originCreated {
		if err := check(fmt.Sprintf("database %q", spec.Name), f.claim); err != nil {
			return err
		}
	}
	if f.owner != spec.OwnerRole {
		return &OwnerError{Database: spec.Name, Owner: f.owner, Want: spec.OwnerRole, Superuser: f.ownerSuper}
	}
	return nil
}

// instance is that of the owner role's comment, the anchor of the resource; empty where there is none.
func (f *facts) instance(spec Spec) string {
	if m := f.roles[spec.OwnerRole].claim; m != nil && m.of(spec.Handle) && m.Database == spec.Name {
		return m.Instance
	}
	return ""
}

// inside is what only a session in the database itself can see.
type inside struct {
	schemaUsage bool
	// defaults are the application's default privileges on what the owner makes, by kind of object.
	defaults   map[string][]string
	extensions []string
}

// wantedDefaults are what the application may do with the tables (r), sequences (S) and schemas (n) that migrations make.
var wantedDefaults = map[string][]string{
	"r": {"DELETE", "INSERT", "SELECT", "UPDATE"},
	"S": {"SELECT", "USAGE"},
	"n": {"USAGE"},
}

func (i *inside) privileged() bool {
	return i.schemaUsage && maps.EqualFunc(i.defaults, wantedDefaults, slices.Equal)
}

func inspectInside(ctx context.Context, conn *pgx.Conn, spec Spec) (*inside, error) {
	out := &inside{defaults: map[string][]string{}}
	failed := func(err error) error { return fmt.Errorf("looking into database %s: %w", spec.Name, err) }
	err := conn.QueryRow(ctx, `
		SELECT coalesce(bool_and(has_schema_privilege($1, oid, 'USAGE')), true),
			(SELECT coalesce(array_agg(extname::text ORDER BY extname), '{}') FROM pg_extension)
		FROM pg_namespace WHERE nspname = 'public'`, spec.AppRole).Scan(&out.schemaUsage, &out.extensions)
	if err != nil {
		return nil, failed(err)
	}
	rows, err := conn.Query(ctx, `
		SELECT d.defaclobjtype::text, array_agg(a.privilege_type ORDER BY a.privilege_type)
		FROM pg_default_acl d
		JOIN pg_roles owner ON owner.oid = d.defaclrole AND owner.rolname = $1
		CROSS JOIN aclexplode(d.defaclacl) a
		JOIN pg_roles app ON app.oid = a.grantee AND app.rolname = $2
		WHERE d.defaclnamespace = 0 GROUP BY 1`, spec.OwnerRole, spec.AppRole)
	if err != nil {
		return nil, failed(err)
	}
	var object string
	var privileges []string
	_, err = pgx.ForEachRow(rows, []any{&object, &privileges}, func() error {
		out.defaults[object] = slices.Clone(privileges)
		return nil
	})
	if err != nil {
		return nil, failed(err)
	}
	return out, nil
}

// sessions are the other ones to the database, in words. own reports that all of them are Slipway's.
func sessions(ctx context.Context, conn *pgx.Conn, database string) ([]string, error) {
	rows, err := conn.Query(ctx, `
		SELECT coalesce(usename::text, '?'), coalesce(host(client_addr), 'this server'), coalesce(application_name, ''), count(*)
		FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND (backend_type = 'client backend' OR backend_type IS NULL)
		GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`, database)
	if err != nil {
		return nil, fmt.Errorf("looking for sessions in database %s: %w", database, err)
	}
	var (
		out                        []string
		user, address, application string
		count                      int64
	)
	_, err = pgx.ForEachRow(rows, []any{&user, &address, &application, &count}, func() error {
		text := fmt.Sprintf("%d of role %s from %s", count, user, address)
		if application = strings.TrimSpace(application); application != "" {
			text += " (" + application + ")"
		}
		out = append(out, text)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for sessions in database %s: %w", database, err)
	}
	return out, nil
}
