// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// runDirect runs the pending files from this process, with the engine, the lock and the report that a Job has. The report is nil where
// nothing was run. The error is that of the runner.
func runDirect(a *applyRun, dir *Directory, pending []*File, known map[string]string) (*runner.Report, error) {
	dsn, err := databaseURL(a)
	if err != nil {
		return nil, err
	}
	config := runner.Config{
		DSN: dsn, Known: map[int64]string{}, Baseline: a.options.Baseline, AllowOutOfOrder: true,
		LockTimeout: a.options.LockTimeout, StatementTimeout: a.options.StatementTimeout,
	}
	for _, file := range pending {
		config.Files = append(config.Files, sqlfile.Parse(file.Name, file.Content))
	}
	for name, checksum := range known {
		isPending := slices.ContainsFunc(pending, func(f *File) bool { return f.Name == name })
		if version := sqlfile.Parse(name, nil).Version; version > 0 && !isPending {
			config.Known[version] = checksum
		}
	}
	result, err := runUp(a.op.Context(), config, dir)
	return runner.NewReport("up", result, err), err
}

// runUp runs what a Job would. Where nothing is pending, it only validates.
func runUp(ctx context.Context, config runner.Config, dir *Directory) (_ *runner.Result, err error) {
	r, err := runner.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if len(config.Files) > 0 {
		return r.Migrate(ctx, parsed(dir.Check), parsed(dir.Validate))
	}
	if err := r.Check(ctx, parsed(dir.Validate)); err != nil {
		return nil, &runner.PhaseError{Phase: runner.PhaseValidate, Err: err}
	}
	return &runner.Result{}, nil
}

func parsed(files []*File) []*sqlfile.File {
	var out []*sqlfile.File
	for _, file := range files {
		out = append(out, file.File)
	}
	return out
}

// databaseURL is the one that was given, or that of the Secret.
func databaseURL(a *applyRun) (string, error) {
	credentials := a.options.Credentials
	if credentials == nil {
		return a.options.DatabaseURL, nil
	}
	namespace := a.target.Handle.Namespace
	secret, err := a.op.Reads.CoreV1().Secrets(namespace).Get(a.op.Context(), credentials.Name, metav1.GetOptions{})
	if err != nil {
		return "", a.target.Cluster.Classify(fmt.Errorf("reading the Secret %s/%s with the database's URL: %w", namespace, credentials.Name, err))
	}
	value, ok := secret.Data[credentials.Key]
	if !ok {
		return "", &RunError{
			Namespace: namespace,
			Reason:    fmt.Sprintf("the Secret %s has no key %q with the database's URL", credentials.Name, credentials.Key),
		}
	}
	return string(value), nil
}
