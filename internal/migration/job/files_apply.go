// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
)

// Apply runs what is pending of a directory and records it. It holds the environment's Lease meanwhile. Where a gate is closed, nothing is
// run and Result.Blocked says why. Errors: *RunError, *EditedError, *LateError, those of packages operation and record.
func Apply(ctx context.Context, target Target, dir *Directory, options Options) (*Result, error) {
	return apply(ctx, target, options, func(a *applyRun) error {
		f := &fileRun{run: a, dir: dir}
		return f.apply()
	})
}

// fileRun is one Apply while it runs.
type fileRun struct {
	run *applyRun
	dir *Directory
}

func (f *fileRun) apply() error {
	a := f.run
	a.result.Validated = a.content.Validated
	remembered := !a.stored.Exists() && a.options.Gate != nil && len(a.options.Recorded) > 0
	if remembered {
		a.content.Applied = maps.Clone(a.options.Recorded)
		a.markIrreversible(strings.Join(slices.Sorted(maps.Keys(a.content.Applied)), ", "))
	}
	a.result.Applied = maps.Clone(a.content.Applied)
	pending, err := Pending(f.dir.Files, a.content.Applied)
	if err != nil {
		return err
	}
	if !a.stored.Exists() && !remembered {
		pending = f.dir.Files // the database knows which of them are applied
	}
	left, err := a.jobs.list()
	if err != nil {
		return err
	}
	if len(pending) == 0 && !f.validationPending() {
		if err := a.jobs.removeAll(left); err != nil {
			return err
		}
		return a.save()
	}
	if a.options.Gate != nil && len(left) == 0 && len(pending) > 0 { // what has begun is finished
		if blocked, err := a.blocked(); blocked || err != nil {
			return err
		}
	}
	if a.options.Gate != nil && len(pending) > 0 {
		// Before the first statement, or a killed run would leave no annotation.
		a.markIrreversible(strings.Join(names(pending), ", "))
	}
	if err := a.save(); err != nil {
		return err
	}
	known, err := f.known()
	if err != nil {
		return err
	}
	if a.options.Direct {
		if err = a.jobs.finish(left); err == nil {
			err = f.applyDirect(pending, known)
		}
	} else {
		err = f.applyByJob(left, pending, known)
	}
	a.result.Applied, a.result.Validated = maps.Clone(a.content.Applied), a.content.Validated
	return err
}

func names(files []*File) []string {
	var out []string
	for _, file := range files {
		out = append(out, file.Name)
	}
	return out
}

// known are files that are not sent and that the database may have: those of the other kind, and those that were applied before.
func (f *fileRun) known() (map[string]string, error) {
	out := Checksums(append(slices.Clone(f.dir.Others), f.dir.Files...))
	recorded, err := recordedFiles(f.run.op.Context(), f.run.op.Reads, f.run.target)
	maps.Copy(out, recorded)
	return out, err
}

// applyByJob runs the pending files, or resumes waiting for the Job that a killed run has left, and records what was applied.
func (f *fileRun) applyByJob(left []batchv1.Job, pending []*File, known map[string]string) error {
	a := f.run
	object := fileJob{target: a.target, options: a.options, dir: f.dir, pending: pending}
	name := object.name()
	joined := false
	for i := range left {
		j := &left[i]
		if runs(j) && j.Name == name {
			a.op.Say("waiting for the Job %s, which an earlier run has started", j.Name)
			joined = true
			continue
		}
		// Its result is older than this run; what it has applied, the database knows.
		if err := a.jobs.finish(left[i : i+1]); err != nil {
			return err
		}
	}
	if !joined {
		maps, err := object.configMaps(known)
		if err != nil {
			return err
		}
		if err := a.jobs.start(object.job(maps), maps); err != nil {
			return err
		}
		a.op.Say("the Job %s %s", name, doing(pending))
	}
	report, err := a.jobs.report(name)
	if a.op.Context().Err() != nil {
		return err // the Job may still run; the next apply joins it
	}
	// The record is written before the Job is removed: otherwise a run that is killed here would forget what happened.
	applied := f.record(pending, report)
	failed, isFailure := errors.AsType[*RunError](err)
	if isFailure && len(pending) == 0 {
		failed.Phase = runner.PhaseValidate
	}
	if err == nil && f.passed() || len(applied) > 0 {
		if saveErr := a.saveResult(); saveErr != nil {
			return errors.Join(err, saveErr)
		}
		if isFailure {
			failed.Applied = applied
		}
	}
	after, stop := a.op.Afterward(0)
	defer stop()
	return errors.Join(err, a.jobs.remove(after, name))
}

// doing says what a run does.
func doing(pending []*File) string {
	if len(pending) == 0 {
		return "validates the schema"
	}
	return "applies migrations"
}

// applyDirect runs the pending files from this process, and records what was applied. The database's lock keeps it and a Job that is left
// from running at the same time.
func (f *fileRun) applyDirect(pending []*File, known map[string]string) error {
	a := f.run
	a.op.Say("this process %s", doing(pending))
	report, err := runDirect(a, f.dir, pending, known)
	if report == nil {
		return err
	}
	applied := f.record(pending, report)
	var saveErr error
	if err == nil && f.passed() || len(applied) > 0 {
		saveErr = a.saveResult()
	}
	if err == nil {
		return saveErr
	}
	failed := &RunError{
		Namespace: a.target.Handle.Namespace, Phase: report.Phase, Reason: "the runner reports: " + string(report.Outcome),
		Failure: report.Failure, Applied: applied, Left: report.Left, Retry: report.Outcome.Retry(),
	}
	return errors.Join(failed, saveErr)
}

// record puts into the record what a report says, and returns what is new.
func (f *fileRun) record(pending []*File, report *runner.Report) []string {
	if report == nil {
		return nil
	}
	all := report.Outcome == runner.Done && report.Left == 0 || report.Phase == runner.PhaseValidate
	applied := maps.Clone(f.run.content.Applied)
	var added []string
	for _, file := range pending {
		if !all && !slices.Contains(report.Applied, file.Name) {
			continue
		}
		if _, had := applied[file.Name]; !had {
			added = append(added, file.Name)
		}
		applied[file.Name] = file.Checksum
	}
	f.run.content.Applied = applied
	return added
}

// validationPending reports that what is applied has not been validated by the files that are given.
func (f *fileRun) validationPending() bool {
	content := f.run.content
	return content.Validated != ValidateDigest(content.Applied, f.dir.Validate) && len(f.dir.Validate) > 0
}

// passed records that a run has passed all its phases, and reports whether that is news.
func (f *fileRun) passed() bool {
	pending := f.validationPending()
	if pending {
		f.run.content.Validated = ValidateDigest(f.run.content.Applied, f.dir.Validate)
	}
	return pending
}
