// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	// Timeout is for everything but the wait for other runs in the namespace. 0: the default of package operation.
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
	if err := r.op.MayWrite(); err != nil {
		return err
	}
	if r.options.beforeStep != nil {
		return r.options.beforeStep()
	}
	return nil
}
