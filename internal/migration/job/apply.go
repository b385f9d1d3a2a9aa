// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"errors"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

// Options steer Apply.
type Options struct {
	InstanceID string
	// Create takes over what carries another instance id, except one that MadeInThisRun knows.
	Create        bool
	MadeInThisRun func(id string) bool
	ClusterUID    string // empty: not compared
	// Image of the runner, slipway-migrate.
	Image       string
	PullSecrets []string
	// DatabaseURL goes into a Secret that lives as long as the Job. Otherwise Credentials names one of the namespace.
	DatabaseURL string
	Credentials *SecretKey
	// Baseline is the number up to which files count as applied where nothing is recorded in the database. 0: none.
	Baseline int64
	// Direct runs the files from this process instead of a Job. The database must be reachable from here.
	Direct bool
	// LockTimeout is how long a statement waits for a lock before it is repeated, StatementTimeout limits each statement.
	// 0: the runner's defaults, 3 s and no limit.
	LockTimeout, StatementTimeout time.Duration
	// Gate is nil for an expand migration.
	Gate *Gate
	// Recorded is what was applied as far as the caller remembers. It replaces a contract migration's record that is lost: without
	// one a rollback could go back behind it, and a closed gate keeps the database from being asked.
	Recorded map[string]string
	// Timeout limits the Job, without the wait for other runs. Default 15 min.
	Timeout  time.Duration
	Progress func(string)
}

// begin begins the operation on the migration. Errors as from operation.Begin.
func (o Options) begin(ctx context.Context, target Target, mayBeGone bool) (*operation.Operation, error) {
	return operation.Begin(ctx, operation.Options{
		Cluster: target.Cluster, Handle: target.Handle, ClusterUID: o.ClusterUID, Subject: "migration " + target.Name,
		Timeout: o.Timeout, Progress: o.Progress, MayBeGone: mayBeGone,
	})
}

// claim says for whom the record is used.
func (o Options) claim() record.Claim {
	return record.Claim{InstanceID: o.InstanceID, Create: o.Create, MadeInThisRun: o.MadeInThisRun}
}

// SecretKey is a key of a Secret.
type SecretKey = task.SecretKey

// DefaultTimeout of a migration.
const DefaultTimeout = 15 * time.Minute

// Result is what is applied after Apply. It may be there together with an error.
type Result struct {
	Applied    map[string]string
	ClusterUID string
	// Progress is of commands.
	Progress Progress
	// Blocked says why a contract migration was not run.
	Blocked []string
	// Validated is the ValidateDigest of what was validated last.
	Validated string
}

// applyRun is what Apply and ApplyCommands have while they run.
type applyRun struct {
	target  Target
	options Options
	op      *operation.Operation
	jobs    *jobs
	result  *Result

	stored  *record.Stored[migrationRecord]
	content migrationRecord // what the next save writes
}

// apply runs work inside an operation on the migration, with its record read.
func apply(ctx context.Context, target Target, options Options, work func(*applyRun) error) (_ *Result, err error) {
	if options.Timeout <= 0 {
		options.Timeout = DefaultTimeout
	}
	op, err := options.begin(ctx, target, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, op.Finish()) }()
	a := &applyRun{
		target: target, options: options, op: op, jobs: &jobs{target: target, options: options, op: op},
		result: &Result{ClusterUID: op.ClusterUID},
	}
	if err := a.read(); err != nil {
		return a.result, err
	}
	return a.result, work(a)
}

// read reads the record, and refuses that of another resource.
func (a *applyRun) read() (err error) {
	if a.stored, err = record.Read[migrationRecord](a.op.Context(), a.op.Reads, a.target.place()); err != nil {
		return err
	}
	if err := a.stored.Check(a.options.claim()); err != nil {
		return err
	}
	if a.stored.Exists() {
		a.content = *a.stored.Content
	}
	if a.content.Applied == nil {
		a.content.Applied = map[string]string{}
	}
	return nil
}

// save writes the record. It is refused once the operation has ended.
func (a *applyRun) save() error {
	return a.stored.Save(a.op.Context(), a.op.Gated, a.written(), a.options.InstanceID)
}

// saveResult writes the record although the operation may have ended: what a Job has done would be lost otherwise.
func (a *applyRun) saveResult() error {
	ctx, stop := a.op.Afterward(0)
	defer stop()
	return a.stored.Save(ctx, a.op.Durable, a.written(), a.options.InstanceID)
}

// written is a copy of the content, so that what is changed later is not taken for what was written.
func (a *applyRun) written() *migrationRecord {
	a.content.Updated = time.Now().UTC()
	return new(a.content)
}

// markIrreversible annotates the record, so that no release is rolled back behind this migration.
func (a *applyRun) markIrreversible(reason string) {
	a.stored.MarkIrreversible(time.Now(), a.options.Gate.SafeAfter, reason)
}

// blocked reports that the gate keeps the migration from running. The reasons are in the result, and the record is written.
func (a *applyRun) blocked() (_ bool, err error) {
	a.result.Blocked, err = Blocked(a.op.Context(), a.target, *a.options.Gate, time.Now())
	if err != nil || len(a.result.Blocked) == 0 {
		return false, err
	}
	return true, a.save()
}
