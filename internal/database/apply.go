// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package database

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

// afterwardsTimeout bounds what is still done after an interrupt.
const afterwardsTimeout = 10 * time.Second

// Options steer Ensure and Remove.
type Options struct {
	// InstanceID is the resource's id. Create takes over what carries another one, but for what MadeInThisRun knows.
	InstanceID    string
	Create        bool
	MadeInThisRun func(id string) bool
	ClusterUID    string // empty: not compared
	AdminPassword string
	// Timeout is for everything but the wait for other runs. 0: none.
	Timeout time.Duration
	// Protected refuses with a *ProtectedError what would really be dropped.
	Protected bool
	// Progress receives short sentences; it may be nil.
	Progress func(string)

	// beforeStep is asked before each change; tests end an operation with it.
	beforeStep func() error
}

// operation is one Ensure or Remove while it runs.
type operation struct {
	spec    Spec
	options Options
	cluster *cluster.Cluster
	lease   *cluster.Lease // nil where the namespace is gone
	reads   kubernetes.Interface
	gated   kubernetes.Interface

	admin     *session
	superuser bool
	alive     func() error
}

func (o *operation) say(format string, args ...any) {
	if o.options.Progress != nil {
		o.options.Progress(fmt.Sprintf(format, args...))
	}
}

// Ensure makes the database, its roles and their Secrets what spec says, under the namespace's Lease and a lock on the server. What a
// killed run left half done is finished by the next one. It returns the cluster's UID. Errors: the types of this package, those of
// packages environment and cluster.
func Ensure(ctx context.Context, c *cluster.Cluster, spec Spec, options Options) (clusterUID string, err error) {
	spec = spec.withDefaults()
	if err := c.RequireUID(ctx, options.ClusterUID); err != nil {
		return "", err
	}
	if clusterUID, err = c.UID(ctx); err != nil {
		return "", err
	}
	if _, err := environment.Check(ctx, c, spec.Handle); err != nil {
		return "", err
	}
	o := &operation{spec: spec, options: options, cluster: c}
	return clusterUID, o.during(ctx, true, o.ensure)
}

// during holds the Lease and the lock while work runs.
func (o *operation) during(ctx context.Context, namespaced bool, work func(context.Context) error) (err error) {
	if namespaced {
		holding, stop := context.WithTimeout(ctx, cluster.HoldTimeout(o.options.Timeout))
		o.lease, err = o.cluster.Hold(holding, o.spec.Handle.Namespace, func(holder string) {
			o.say("waiting for %s, which works on namespace %s", holder, o.spec.Handle.Namespace)
		})
		stop()
		if err != nil {
			return err
		}
		defer func() {
			after, stop := context.WithTimeout(context.WithoutCancel(ctx), afterwardsTimeout)
			defer stop()
			if released := o.lease.Release(after); released != nil {
				err = errors.Join(err, fmt.Errorf("giving back the Lease of namespace %s: %w", o.spec.Handle.Namespace, released))
			}
		}()
	}
	if o.options.Timeout > 0 {
		limited, stop := context.WithTimeout(ctx, o.options.Timeout)
		defer stop()
		ctx = limited
	}
	o.alive = func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if o.options.beforeStep != nil {
			if err := o.options.beforeStep(); err != nil {
				return err
			}
		}
		if o.lease != nil {
			return o.lease.Valid()
		}
		return nil
	}
	if err := o.clients(ctx); err != nil {
		return err
	}
	conn, err := o.spec.Server.connect(ctx, o.spec.Server.AdminUser, o.options.AdminPassword, o.spec.Server.AdminDatabase)
	if err != nil {
		return err
	}
	o.admin = &session{conn: conn, alive: o.alive}
	defer func() {
		if closing := o.admin.close(ctx); closing != nil {
			o.say("the session with the server did not end well: %v", closing)
		}
	}()
	if err := conn.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&o.superuser); err != nil {
		return fmt.Errorf("looking at the administrator's rights: %w", err)
	}
	if err := lockDatabase(ctx, conn, o.spec.Name,
		func() { o.say("waiting for another run, which works on database %s", o.spec.Name) }); err != nil {
		return err
	}
	return work(ctx)
}

func (o *operation) clients(ctx context.Context) (err error) {
	if o.reads, err = o.cluster.Kubernetes(); err != nil {
		return err
	}
	config := o.cluster.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return cluster.Gate(ctx, o.lease, next) })
	if o.gated, err = cluster.NewKubernetes(config); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

func (o *operation) ensure(ctx context.Context) error {
	found, err := inspect(ctx, o.admin.conn, o.spec)
	if err != nil {
		return err
	}
	if err := o.check(found); err != nil {
		return err
	}
	credentials, stale, err := o.prepareSecrets(ctx)
	if err != nil {
		return err
	}
	if err := o.ensureRoles(ctx, found); err != nil {
		return err
	}
	// The Secrets go first: a password that only the server knows would be lost with this run.
	if err := o.writeSecrets(ctx, credentials, stale); err != nil {
		return err
	}
	if err := o.setPasswords(ctx, credentials); err != nil {
		return err
	}
	if err := o.ensureDatabase(ctx, found); err != nil {
		return err
	}
	if err := o.ensureInside(ctx); err != nil {
		return err
	}
	return o.tryLogins(ctx, credentials)
}

// check decides whether what is there may be taken.
func (o *operation) check(found *facts) error {
	if err := found.mayTake(o.spec); err != nil {
		return err
	}
	got := found.instance(o.spec)
	if got == o.options.InstanceID {
		got = ""
	}
	if o.options.Create {
		if got != "" && o.options.MadeInThisRun != nil && o.options.MadeInThisRun(got) {
			return &InstanceError{Database: o.spec.Name, SameRun: true}
		}
		return nil
	}
	if got != "" {
		return &InstanceError{Database: o.spec.Name, Want: o.options.InstanceID, Got: got}
	}
	if !found.exists || found.broken {
		return &MissingError{Database: o.spec.Name, Address: o.spec.Server.address()}
	}
	return nil
}

// prepareSecrets decides about the passwords. One of the right version is kept, whoever has written it there: so a run that was killed
// goes on with what it has told the cluster. stale are Secrets that have another name now.
func (o *operation) prepareSecrets(ctx context.Context) (credentials []*credential, live map[string]*corev1.Secret, err error) {
	if live, err = listSecrets(ctx, o.cluster, o.reads, o.spec.Handle, o.spec.Name); err != nil {
		return nil, nil, err
	}
	credentials = o.spec.credentials()
	for _, c := range credentials {
		c.password = newPassword()
		kept := of(live, c.kind, c.secret)
		if kept == nil || kept.Annotations[annotationVersion] != strconv.FormatInt(o.spec.PasswordVersion, 10) {
			continue
		}
		if password := string(kept.Data[keyPassword]); ourPassword.MatchString(password) {
			c.password = password
		}
	}
	return credentials, live, nil
}

func (o *operation) writeSecrets(ctx context.Context, credentials []*credential, live map[string]*corev1.Secret) error {
	for _, c := range credentials {
		object, err := o.spec.secretObject(*c, o.options.InstanceID)
		if err != nil {
			return err
		}
		if err := o.alive(); err != nil {
			return fmt.Errorf("writing Secret %s: %w", c.secret, err)
		}
		if err := writeSecret(ctx, o.cluster, o.gated, object, live[c.secret]); err != nil {
			return err
		}
	}
	for name, secret := range live {
		if name != o.spec.OwnerSecret && name != o.spec.AppSecret {
			if err := removeSecret(ctx, o.cluster, o.gated, secret); err != nil {
				return err
			}
		}
	}
	return nil
}

// tryLogins proves that the server takes the passwords. Where it lets the roles in from the pods' network only, nothing is proved.
func (o *operation) tryLogins(ctx context.Context, credentials []*credential) error {
	for _, c := range credentials {
		conn, err := o.spec.Server.connect(ctx, c.role, c.password, o.spec.Name)
		if refused, ok := errors.AsType[*LoginError](err); ok && refused.Elsewhere {
			continue
		}
		if err != nil {
			return fmt.Errorf("trying role %q with its new password: %w", c.role, err)
		}
		if err := (&session{conn: conn}).close(ctx); err != nil {
			o.say("the trial session of role %s did not end well: %v", c.role, err)
		}
	}
	return nil
}

// Preflight says, without changing anything, what Ensure would refuse. The database is asked only.
func Preflight(ctx context.Context, spec Spec, options Options) (err error) {
	spec = spec.withDefaults()
	o := &operation{spec: spec, options: options}
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
	return o.check(found)
}
