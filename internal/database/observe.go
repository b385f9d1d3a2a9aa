// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Observation is what is live of a database.
type Observation struct {
	// Missing reports that the server let us in and has no such database.
	Missing bool
	// InstanceID of the resource that manages it; empty where the comment is gone.
	InstanceID string
	// Seen reports that the server answered. Otherwise ConnectionLimit and Extensions say nothing.
	Seen            bool
	ConnectionLimit int64
	// Extensions are those of the Spec that are there.
	Extensions []string
	// Drift says in words, sorted, what else differs from the Spec.
	Drift []string
}

// Observe looks at a database with the owner's credentials from its Secret, or with those of the administrator where adminPassword
// is given and the owner does not get in. Errors: *UnreachableError, *LoginError, those of packages environment and cluster.
func Observe(ctx context.Context, c *cluster.Cluster, spec Spec, adminPassword string) (_ *Observation, err error) {
	spec = spec.withDefaults()
	client, err := c.Kubernetes()
	if err != nil {
		return nil, err
	}
	secrets, err := listSecrets(ctx, c, client, spec.Handle, spec.Name)
	if err != nil {
		return nil, err
	}
	o := &Observation{}
	credentials := spec.credentials()
	for _, cred := range credentials {
		if err := o.observeSecret(spec, cred, secrets[cred.secret]); err != nil {
			return nil, err
		}
	}
	conn, err := o.enter(ctx, spec, credentials, adminPassword)
	if conn == nil {
		slices.Sort(o.Drift)
		return o, err
	}
	defer func() { err = errors.Join(err, (&session{conn: conn}).close(ctx)) }()
	found, err := inspect(ctx, conn, spec)
	if err != nil {
		return nil, err
	}
	within, err := inspectInside(ctx, conn, spec)
	if err != nil {
		return nil, err
	}
	o.Seen, o.InstanceID, o.ConnectionLimit = true, found.instance(spec), found.limit
	o.Extensions = slices.DeleteFunc(slices.Clone(spec.Extensions),
		func(name string) bool { return !slices.Contains(within.extensions, name) })
	o.compare(spec, found, within)
	slices.Sort(o.Drift)
	return o, nil
}

func (o *Observation) drift(format string, args ...any) {
	o.Drift = append(o.Drift, fmt.Sprintf(format, args...))
}

func (o *Observation) observeSecret(spec Spec, c *credential, live *corev1.Secret) error {
	if live == nil || live.Labels[labelRole] != string(c.kind) {
		o.drift("Secret/%s: was removed", c.secret)
		return nil
	}
	if o.InstanceID == "" {
		o.InstanceID = live.Annotations[environment.AnnotationInstance]
	}
	c.password = string(live.Data[keyPassword])
	want, err := spec.secretObject(*c, live.Annotations[environment.AnnotationInstance])
	if err != nil {
		return err
	}
	if !sameSecret(live, sharing(want, live)) {
		o.drift("Secret/%s: was changed", c.secret)
	}
	return nil
}

// enter opens a session in the database. It is nil where the database is missing, or where only drift can be reported.
func (o *Observation) enter(ctx context.Context, spec Spec, credentials []*credential, adminPassword string) (*pgx.Conn, error) {
	var owner *pgx.Conn
	var problem error
	for _, c := range credentials {
		if c.password == "" {
			continue
		}
		conn, err := spec.Server.connect(ctx, c.role, c.password, spec.Name)
		if err == nil && c.kind == kindOwner {
			owner = conn
			continue
		}
		if err == nil {
			if err := (&session{conn: conn}).close(ctx); err != nil {
				return owner, fmt.Errorf("ending the session of role %q: %w", c.role, err)
			}
			continue
		}
		refused, login := errors.AsType[*LoginError](err)
		_, missing := errors.AsType[*NoDatabaseError](err)
		switch {
		case missing:
			o.Missing = true
			return nil, nil
		case login && refused.Password:
			o.drift("Role/%s: the password in Secret/%s is not accepted", c.role, c.secret)
		case login && refused.Closed:
			o.drift("Database/%s: takes no connections", spec.Name)
			return nil, nil
		case login && !refused.Elsewhere:
			o.drift("Role/%s: may not log in or connect to the database", c.role)
		case c.kind == kindOwner:
			problem = err
		}
	}
	if owner != nil {
		return owner, nil
	}
	if adminPassword == "" {
		return nil, problem
	}
	conn, err := spec.Server.connect(ctx, spec.Server.AdminUser, adminPassword, spec.Name)
	if _, missing := errors.AsType[*NoDatabaseError](err); missing {
		o.Missing = true
		return nil, nil
	}
	return conn, err
}

// compare returns what differs on the server.
func (o *Observation) compare(spec Spec, found *facts, within *inside) {
	for _, name := range []string{spec.OwnerRole, spec.AppRole} {
		role := found.roles[name]
		switch {
		case !role.exists:
			o.drift("Role/%s: was dropped", name)
			continue
		case !role.login:
			o.drift("Role/%s: may not log in", name)
		case role.claim == nil || !role.claim.of(spec.Handle):
			o.drift("Role/%s: lost its comment", name)
		}
		if len(role.powers) > 0 {
			o.drift("Role/%s: has %s", name, strings.Join(role.powers, ", "))
		}
	}
	if found.owner != spec.OwnerRole {
		o.drift("Database/%s: is owned by role %s", spec.Name, found.owner)
	}
	if found.claim == nil || !found.claim.of(spec.Handle) {
		o.drift("Database/%s: lost its comment", spec.Name)
	}
	if found.public {
		o.drift("Database/%s: everybody has privileges on it", spec.Name)
	}
	for _, role := range slices.Sorted(maps.Keys(found.intruders)) {
		o.drift("Database/%s: role %s of another client can connect", spec.Name, role)
	}
	if !within.privileged() {
		o.drift("Database/%s: the privileges of role %s were changed", spec.Name, spec.AppRole)
	}
}

// Found is a database that an import found by its Secrets.
type Found struct {
	Spec       Spec
	InstanceID string
}

// Find reads what the Secrets of a database say about it. Errors as from cluster.Classify.
func Find(ctx context.Context, c *cluster.Cluster, h environment.Handle, database string) (*Found, error) {
	client, err := c.Kubernetes()
	if err != nil {
		return nil, err
	}
	secrets, err := listSecrets(ctx, c, client, h, database)
	if err != nil {
		return nil, err
	}
	owner, app := of(secrets, kindOwner, ""), of(secrets, kindApp, "")
	var about record
	if owner == nil || app == nil || json.Unmarshal([]byte(owner.Annotations[annotationRecord]), &about) != nil {
		return nil, errNotFound(h.Namespace, database)
	}
	version, err := strconv.ParseInt(owner.Annotations[annotationVersion], 10, 64)
	if err != nil {
		version = 1 // the next apply makes new passwords
	}
	return &Found{
		InstanceID: owner.Annotations[environment.AnnotationInstance],
		Spec: Spec{
			Handle: h, Server: about.Server, Name: database, OwnerRole: about.Owner, AppRole: about.App, OwnerSecret: owner.Name,
			AppSecret: app.Name,
			Pods:      about.Pods, ConnectionLimit: Unlimited, Extensions: about.Extension, PasswordVersion: version,
		},
	}, nil
}
