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

// Remove drops the database, its roles and their Secrets. What was adopted stays and only loses our comments. What has another
// owner now is left alone (forgotten). The owner role goes last, so that a run that was killed can be repeated. Errors: *ProtectedError,
// *ConnectedError, *OwnerError, *DependentError, *UnreachableError, *LoginError, those of package operation.
func Remove(ctx context.Context, c *cluster.Cluster, spec Spec, options Options) (forgotten bool, err error) {
	r := &run{spec: spec.withDefaults(), options: options, cluster: c}
	err = r.during(ctx, true, func(ctx context.Context) (err error) {
		forgotten, err = r.remove(ctx)
		return err
	})
	return forgotten, err
}

func (r *run) remove(ctx context.Context) (forgotten bool, err error) {
	found, err := inspect(ctx, r.admin.conn, r.spec)
	if err != nil {
		return false, err
	}
	if owner := found.roles[r.spec.OwnerRole]; owner.exists || found.exists {
		if found.instance(r.spec) != r.options.InstanceID {
			return true, nil
		}
		if r.options.Protected {
			return false, &ProtectedError{Database: r.spec.Name}
		}
		if err := r.drop(ctx, found); err != nil {
			return false, err
		}
	}
	if r.op.Gone {
		return false, nil // the Secrets went with the namespace
	}
	secrets, err := listSecrets(ctx, r.cluster, r.op.Reads, r.spec.Handle, r.spec.Name)
	if err != nil {
		return false, err
	}
	for _, secret := range secrets {
		if owner := secret.Annotations[environment.AnnotationInstance]; owner != "" && owner != r.options.InstanceID {
			continue
		}
		if err := r.alive(); err != nil {
			return false, fmt.Errorf("removing Secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
		if err := removeSecret(ctx, r.cluster, r.op.Gated, secret); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (r *run) drop(ctx context.Context, found *facts) error {
	name := ident(r.spec.Name)
	adopted := found.claim != nil && found.claim.Origin == originAdopted
	if m := found.roles[r.spec.OwnerRole].claim; m != nil && m.Origin == originAdopted && found.claim == nil {
		adopted = true
	}
	if found.exists {
		if found.owner != r.spec.OwnerRole {
			return &OwnerError{Database: r.spec.Name, Owner: found.owner, Want: r.spec.OwnerRole, Superuser: found.ownerSuper}
		}
		if adopted {
			if err := r.admin.exec(ctx, fmt.Sprintf("removing the comment of database %q", r.spec.Name),
				"COMMENT ON DATABASE "+name+" IS NULL"); err != nil {
				return err
			}
		} else if err := r.dropDatabase(ctx); err != nil {
			return err
		}
	}
	for _, role := range []string{r.spec.AppRole, r.spec.OwnerRole} {
		facts := found.roles[role]
		if !facts.exists || facts.claim == nil || !facts.claim.of(r.spec.Handle) || facts.claim.Database != r.spec.Name {
			continue
		}
		sql, doing := "DROP ROLE "+ident(role), "dropping"
		if adopted || facts.claim.Origin == originAdopted {
			sql, doing = "COMMENT ON ROLE "+ident(role)+" IS NULL", "removing the comment of"
		}
		err := r.admin.exec(ctx, fmt.Sprintf("%s role %q", doing, role), sql)
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

// dropDatabase never ends the session of a user.
func (r *run) dropDatabase(ctx context.Context) error {
	for start := time.Now(); ; {
		connected, own, err := sessions(ctx, r.admin.conn, r.spec.Name)
		if err != nil {
			return err
		}
		if len(connected) == 0 {
			err := r.admin.exec(ctx, fmt.Sprintf("dropping database %q", r.spec.Name), "DROP DATABASE "+ident(r.spec.Name))
			if codeOf(err) != stateObjectInUse {
				return err
			}
		}
		if waited := time.Since(start); waited > ownClosingTime || waited > closingTime && !own {
			return &ConnectedError{Database: r.spec.Name, Sessions: connected}
		}
		select {
		case <-ctx.Done():
			return &ConnectedError{Database: r.spec.Name, Sessions: connected}
		case <-time.After(sessionsPause):
		}
	}
}
