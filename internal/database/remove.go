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
		forgotten, err = removal{r}.do(ctx)
		return err
	})
	return forgotten, err
}

// removal drops the database of the run, its roles and their Secrets.
type removal struct{ run *run }

func (m removal) do(ctx context.Context) (forgotten bool, err error) {
	found, err := inspect(ctx, m.run.admin.conn, m.run.spec)
	if err != nil {
		return false, err
	}
	if owner := found.roles[m.run.spec.OwnerRole]; owner.exists || found.exists {
		if found.instance(m.run.spec) != m.run.options.InstanceID {
			return true, nil
		}
		if m.run.options.Protected {
			return false, &ProtectedError{Database: m.run.spec.Name}
		}
		if err := m.drop(ctx, found); err != nil {
			return false, err
		}
	}
	if m.run.op.Gone {
		return false, nil // the Secrets went with the namespace
	}
	secrets, err := listSecrets(ctx, m.run.cluster, m.run.op.Reads, m.run.spec.Handle, m.run.spec.Name)
	if err != nil {
		return false, err
	}
	for _, secret := range secrets {
		if owner := secret.Annotations[environment.AnnotationInstance]; owner != "" && owner != m.run.options.InstanceID {
			continue
		}
		if err := m.run.alive(); err != nil {
			return false, fmt.Errorf("removing Secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
		if err := removeSecret(ctx, m.run.cluster, m.run.op.Gated, secret); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (m removal) drop(ctx context.Context, found *facts) error {
	name := ident(m.run.spec.Name)
	// Either comment keeps the database. The owner of the database can change the one on it, and not the one on its role.
	adopted := found.claim != nil && found.claim.Origin == originAdopted
	if owner := found.roles[m.run.spec.OwnerRole].claim; owner != nil {
		adopted = adopted || owner.DatabaseOrigin == originAdopted || owner.DatabaseOrigin == "" && owner.Origin == originAdopted
	}
	if found.exists {
		if found.owner != m.run.spec.OwnerRole {
			return &OwnerError{Database: m.run.spec.Name, Owner: found.owner, Want: m.run.spec.OwnerRole, Superuser: found.ownerSuper}
		}
		if adopted {
			if err := m.run.admin.exec(ctx, fmt.Sprintf("removing the comment of database %q", m.run.spec.Name),
				"COMMENT ON DATABASE "+name+" IS NULL"); err != nil {
				return err
			}
		} else if err := m.dropDatabase(ctx); err != nil {
			return err
		}
	}
	for _, role := range []string{m.run.spec.AppRole, m.run.spec.OwnerRole} {
		facts := found.roles[role]
		if !facts.exists || facts.claim == nil || !facts.claim.of(m.run.spec.Handle) || facts.claim.Database != m.run.spec.Name {
			continue
		}
		sql, doing := "DROP ROLE "+ident(role), "dropping"
		if adopted || facts.claim.Origin == originAdopted {
			sql, doing = "COMMENT ON ROLE "+ident(role)+" IS NULL", "removing the comment of"
		}
		err := m.run.admin.exec(ctx, fmt.Sprintf("%s role %q", doing, role), sql)
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
	// closingTime is how long a session may be seen before it is taken for one that is in use: the server notices the end of a client
	// late where the network fails at the same time.
	closingTime   = 30 * time.Second
	sessionsPause = 200 * time.Millisecond
)

// dropDatabase never ends the session of a user.
func (m removal) dropDatabase(ctx context.Context) error {
	for start := time.Now(); ; {
		connected, err := sessions(ctx, m.run.admin.conn, m.run.spec.Name)
		if err != nil {
			return err
		}
		if len(connected) == 0 {
			err := m.run.admin.exec(ctx, fmt.Sprintf("dropping database %q", m.run.spec.Name), "DROP DATABASE "+ident(m.run.spec.Name))
			if codeOf(err) != stateObjectInUse {
				return err
			}
		}
		if time.Since(start) > closingTime {
			return &ConnectedError{Database: m.run.spec.Name, Sessions: connected}
		}
		select {
		case <-ctx.Done():
			return &ConnectedError{Database: m.run.spec.Name, Sessions: connected}
		case <-time.After(sessionsPause):
		}
	}
}
