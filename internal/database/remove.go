// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// Remove drops the database, its roles and their Secrets. What was adopted stays and only loses our marks. What another instance
// manages is left alone (forgotten). The owner role goes last, so that a run that was killed can be repeated. Errors: *ProtectedError,
// *ConnectedError, *OwnerError, *DependentError, *UnreachableError, *LoginError, *BusyError, those of packages environment and cluster.
func Remove(ctx context.Context, c *cluster.Cluster, spec Spec, options Options) (forgotten bool, err error) {
	spec = spec.withDefaults()
	if err := c.RequireUID(ctx, options.ClusterUID); err != nil {
		return false, err
	}
	_, err = environment.Check(ctx, c, spec.Handle)
	_, missing := errors.AsType[*environment.NamespaceMissingError](err)
	if err != nil && !missing {
		return false, err
	}
	o := &operation{spec: spec, options: options, cluster: c}
	err = o.during(ctx, !missing, func(ctx context.Context) (err error) {
		forgotten, err = o.remove(ctx)
		return err
	})
	return forgotten, err
}

func (o *operation) remove(ctx context.Context) (forgotten bool, err error) {
	found, err := inspect(ctx, o.admin.conn, o.spec)
	if err != nil {
		return false, err
	}
	if owner := found.roles[o.spec.OwnerRole]; owner.exists || found.exists {
		if found.instance(o.spec) != o.options.InstanceID {
			return true, nil
		}
		if o.options.Protected {
			return false, &ProtectedError{Database: o.spec.Name}
		}
		if err := o.drop(ctx, found); err != nil {
			return false, err
		}
	}
	if o.lease == nil {
		return false, nil // the Secrets went with the namespace
	}
	secrets, err := listSecrets(ctx, o.cluster, o.reads, o.spec.Handle, o.spec.Name)
	if err != nil {
		return false, err
	}
	for _, secret := range secrets {
		if owner := secret.Annotations[environment.AnnotationInstance]; owner != "" && owner != o.options.InstanceID {
			continue
		}
		if err := o.alive(); err != nil {
			return false, fmt.Errorf("removing Secret %s: %w", secret.Name, err)
		}
		if err := removeSecret(ctx, o.cluster, o.gated, secret); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (o *operation) drop(ctx context.Context, found *facts) error {
	name := ident(o.spec.Name)
	adopted := found.mark != nil && found.mark.Origin == originAdopted
	if m := found.roles[o.spec.OwnerRole].mark; m != nil && m.Origin == originAdopted && found.mark == nil {
		adopted = true
	}
	if found.exists {
		if found.owner != o.spec.OwnerRole {
			return &OwnerError{Database: o.spec.Name, Owner: found.owner, Want: o.spec.OwnerRole, Superuser: found.ownerSuper}
		}
		if adopted {
			if err := o.admin.exec(ctx, fmt.Sprintf("taking the mark off database %q", o.spec.Name),
				"COMMENT ON DATABASE "+name+" IS NULL"); err != nil {
				return err
			}
		} else if err := o.dropDatabase(ctx); err != nil {
			return err
		}
	}
	for _, role := range []string{o.spec.AppRole, o.spec.OwnerRole} {
		facts := found.roles[role]
		if !facts.exists || facts.mark == nil || !facts.mark.of(o.spec.Handle) || facts.mark.Database != o.spec.Name {
			continue
		}
		sql, doing := "DROP ROLE "+ident(role), "dropping"
		if adopted || facts.mark.Origin == originAdopted {
			sql, doing = "COMMENT ON ROLE "+ident(role)+" IS NULL", "taking the mark off"
		}
		err := o.admin.exec(ctx, fmt.Sprintf("%s role %q", doing, role), sql)
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == stateDependentObjects {
			return &DependentError{Role: role, Detail: refused.Detail}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	// closingTime is how long a session that is being closed may be seen before it is taken for one that is in use.
	closingTime = 2 * time.Second
	// ownClosingTime is the same for our own, which last for moments only.
	ownClosingTime = 30 * time.Second
	sessionsPause  = 200 * time.Millisecond
)

// dropDatabase never ends somebody's session.
func (o *operation) dropDatabase(ctx context.Context) error {
	for start := time.Now(); ; {
		connected, own, err := sessions(ctx, o.admin.conn, o.spec.Name)
		if err != nil {
			return err
		}
		if len(connected) == 0 {
			err := o.admin.exec(ctx, fmt.Sprintf("dropping database %q", o.spec.Name), "DROP DATABASE "+ident(o.spec.Name))
			if codeOf(err) != stateObjectInUse {
				return err
			}
		}
		if waited := time.Since(start); waited > ownClosingTime || waited > closingTime && !own {
			return &ConnectedError{Database: o.spec.Name, Sessions: connected}
		}
		select {
		case <-ctx.Done():
			return &ConnectedError{Database: o.spec.Name, Sessions: connected}
		case <-time.After(sessionsPause):
		}
	}
}
