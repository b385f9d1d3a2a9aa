// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
)

// Options steer Ensure and Remove.
type Options struct {
	// InstanceID is the resource's id. Create takes over what carries another one, except one that MadeInThisRun knows.
	InstanceID    string
	Create        bool
	MadeInThisRun func(id string) bool
	ClusterUID    string // empty: not compared
	AdminPassword string
	// Timeout is for everything but the wait for other runs. 0: the default of package operation.
	Timeout time.Duration
	// Protected refuses with a *ProtectedError what would really be dropped.
	Protected bool
	// Progress receives short sentences; it may be nil.
	Progress func(string)

	// beforeStep is asked before each change; tests end an operation with it.
	beforeStep func() error
}

// run is one Ensure or Remove while it runs.
type run struct {
	spec    Spec
	options Options
	cluster *cluster.Cluster
	op      *operation.Operation // nil in a Preflight

	admin     *session
	superuser bool
}

// Ensure makes the database, its roles and their Secrets what spec says, under the namespace's Lease and a lock on the server. What a
// killed run left unfinished is finished by the next one. It returns the cluster's UID. Errors: the types of this package, those of
// package operation.
func Ensure(ctx context.Context, c *cluster.Cluster, spec Spec, options Options) (clusterUID string, err error) {
	r := &run{spec: spec.withDefaults(), options: options, cluster: c}
	err = r.during(ctx, false, func(ctx context.Context) error {
		clusterUID = r.op.ClusterUID
		return r.ensure(ctx)
	})
	return clusterUID, err
}

// during begins the operation and locks the database on the server while work runs.
func (r *run) during(ctx context.Context, mayBeGone bool, work func(context.Context) error) (err error) {
	r.op, err = operation.Begin(ctx, operation.Options{
		Cluster: r.cluster, Handle: r.spec.Handle, ClusterUID: r.options.ClusterUID, Subject: "database " + r.spec.Name,
		Timeout: r.options.Timeout, Progress: r.options.Progress, MayBeGone: mayBeGone,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.op.Finish()) }()
	ctx = r.op.Context()
	conn, err := r.spec.Server.connect(ctx, r.spec.Server.AdminUser, r.options.AdminPassword, r.spec.Server.AdminDatabase)
	if err != nil {
		return err
	}
	r.admin = &session{conn: conn, alive: r.alive}
	defer func() {
		if closing := r.admin.close(ctx); closing != nil {
			r.op.Say("the session with the server did not end well: %v", closing)
		}
	}()
	if err := conn.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&r.superuser); err != nil {
		return fmt.Errorf("looking at the administrator's rights: %w", err)
	}
	waiting := func() { r.op.Say("waiting for another run, which works on database %s", r.spec.Name) }
	if err := lockDatabase(ctx, conn, r.spec.Name, waiting); err != nil {
		return err
	}
	return work(ctx)
}

// alive returns why nothing may be changed any more. It is asked before each change on the server.
func (r *run) alive() error {
	if err := r.op.Ended(); err != nil {
		return err
	}
	if r.options.beforeStep != nil {
		return r.options.beforeStep()
	}
	return nil
}

func (r *run) ensure(ctx context.Context) error {
	found, err := inspect(ctx, r.admin.conn, r.spec)
	if err != nil {
		return err
	}
	if err := r.check(found); err != nil {
		return err
	}
	credentials, stale, err := r.prepareSecrets(ctx)
	if err != nil {
		return err
	}
	if err := r.ensureRoles(ctx, found); err != nil {
		return err
	}
	// The Secrets go first: a password that only the server knows would be lost with this run.
	if err := r.writeSecrets(ctx, credentials, stale); err != nil {
		return err
	}
	if err := r.setPasswords(ctx, credentials); err != nil {
		return err
	}
	if err := r.ensureDatabase(ctx, found); err != nil {
		return err
	}
	if err := r.ensureInside(ctx); err != nil {
		return err
	}
	return r.testLogins(ctx, credentials)
}

// check decides whether what is there may be taken.
func (r *run) check(found *facts) error {
	if err := found.mayTake(r.spec); err != nil {
		return err
	}
	got := found.instance(r.spec)
	if got == r.options.InstanceID {
		got = ""
	}
	if r.options.Create {
		if got != "" && r.options.MadeInThisRun != nil && r.options.MadeInThisRun(got) {
			return &InstanceError{Database: r.spec.Name, SameRun: true}
		}
		return nil
	}
	if got != "" {
		return &InstanceError{Database: r.spec.Name, Want: r.options.InstanceID, Got: got}
	}
	if !found.exists || found.broken {
		return &MissingError{Database: r.spec.Name, Address: r.spec.Server.address()}
	}
	return nil
}

// prepareSecrets decides about the passwords. One of the right version is kept, anyone may have written it there: so the next run
// resumes with what a killed one has written. stale are Secrets that have another name now.
func (r *run) prepareSecrets(ctx context.Context) (credentials []*credential, live map[string]*corev1.Secret, err error) {
	if live, err = listSecrets(ctx, r.cluster, r.op.Reads, r.spec.Handle, r.spec.Name); err != nil {
		return nil, nil, err
	}
	credentials = r.spec.credentials()
	for _, c := range credentials {
		c.password = newPassword()
		kept := of(live, c.kind, c.secret)
		if kept == nil || kept.Annotations[annotationVersion] != strconv.FormatInt(r.spec.PasswordVersion, 10) {
			continue
		}
		if password := string(kept.Data[keyPassword]); ourPassword.MatchString(password) {
			c.password = password
		}
	}
	return credentials, live, nil
}

func (r *run) writeSecrets(ctx context.Context, credentials []*credential, live map[string]*corev1.Secret) error {
	for _, c := range credentials {
		object, err := r.spec.secretObject(*c, r.options.InstanceID)
		if err != nil {
			return err
		}
		if err := r.alive(); err != nil {
			return fmt.Errorf("writing Secret %s: %w", c.secret, err)
		}
		if err := writeSecret(ctx, r.cluster, r.op.Gated, object, live[c.secret]); err != nil {
			return err
		}
	}
	for name, secret := range live {
		if name != r.spec.OwnerSecret && name != r.spec.AppSecret {
			if err := removeSecret(ctx, r.cluster, r.op.Gated, secret); err != nil {
				return err
			}
		}
	}
	return nil
}

// testLogins proves that the server takes the passwords. Where it lets the roles in from the pods' network only, nothing is proved.
func (r *run) testLogins(ctx context.Context, credentials []*credential) error {
	for _, c := range credentials {
		conn, err := r.spec.Server.connect(ctx, c.role, c.password, r.spec.Name)
		if refused, ok := errors.AsType[*LoginError](err); ok && refused.Elsewhere {
			continue
		}
		if err != nil {
			return fmt.Errorf("testing role %q with its new password: %w", c.role, err)
		}
		if err := (&session{conn: conn}).close(ctx); err != nil {
			r.op.Say("the test session of role %s did not end well: %v", c.role, err)
		}
	}
	return nil
}

// Preflight says, without changing anything, what Ensure would refuse. The database is asked only.
func Preflight(ctx context.Context, spec Spec, options Options) (err error) {
	spec = spec.withDefaults()
	r := &run{spec: spec, options: options}
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
	return r.check(found)
}
