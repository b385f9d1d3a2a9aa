// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

// ApplyCommands runs the phases of a tool that are pending, each as a Job, and records each one. It holds the environment's Lease
// meanwhile. A Job that an earlier run has left is waited for, and counts. Where a gate is closed, nothing is run and
// Result.Blocked says why. Errors: *PhaseError, *WayBackError, *OwnerError, *MirrorError, those of packages environment and
// cluster.
func ApplyCommands(ctx context.Context, target Target, commands *Commands, options Options) (*Result, error) {
	return apply(ctx, target, options, func(a *application) error {
		for _, key := range commands.SecretEnv {
			a.secretKeys = append(a.secretKeys, key)
		}
		run := &commandRun{application: a, commands: commands}
		err := run.run()
		if run.record != nil {
			a.result.Progress = run.record.progress()
		}
		return err
	})
}

// commandRun is one ApplyCommands while it runs.
type commandRun struct {
	*application
	commands *Commands
	record   *commandRecord
}

func (r *commandRun) run() (err error) {
	if err := r.take(); err != nil {
		return err
	}
	if r.record = r.mirror.Commands; r.record == nil {
		r.record = &commandRecord{}
		r.mirror.Commands = r.record
	}
	if err := r.takeOverJobs(); err != nil {
		return err
	}
	pending, err := r.commands.Pending(r.record.progress())
	if err != nil {
		return err
	}
	if pending, err = r.askStatus(pending); err != nil {
		return err
	}
	changes := slices.Contains(pending, PhaseRun)
	if r.options.Gate != nil && changes && r.record.Begun == nil { // what has begun is finished
		if r.result.Blocked, err = Blocked(r.ctx, r.target, *r.options.Gate, time.Now()); err != nil {
			return err
		}
		if len(r.result.Blocked) > 0 {
			return r.save(false)
		}
	}
	if err := r.save(false); err != nil {
		return err
	}
	for _, phase := range pending {
		if err := r.runPhase(phase); err != nil {
			return err
		}
	}
	return nil
}

// takeOverJobs waits for the Jobs that an earlier run has left running, takes down how those have ended that change the schema, and
// removes all.
func (r *commandRun) takeOverJobs() error {
	left, err := r.jobs()
	if err != nil {
		return err
	}
	for i := range left {
		j := &left[i]
		work, known := workOf(j)
		if !known { // one that runs files
			if err := r.finishJobs(left[i : i+1]); err != nil {
				return err
			}
			continue
		}
		changes := work.phase == PhaseRun || work.phase == PhaseRollback
		begun := j.DeletionTimestamp == nil && j.Spec.Suspend != nil && !*j.Spec.Suspend
		if !begun || !changes && ended(j) {
			if err := r.removeJob(r.ctx, j.Name); err != nil {
				return err
			}
			continue
		}
		joined := !ended(j)
		if joined {
			r.say("waiting for the Job " + j.Name + ", which an earlier run has started")
		}
		err := r.finish(j.Name, work)
		if failed, ok := errors.AsType[*PhaseError](err); ok && !failed.GoesOn &&
			(!joined || work.phase == PhaseStatus || work.version != r.commands.Version) {
			continue // it is tried again, or is not what is wanted now
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// askStatus runs the phase status where it is not known whether the command was run, and takes down that it was.
func (r *commandRun) askStatus(pending []Phase) ([]Phase, error) {
	unknown := len(r.record.Versions) == 0 || r.record.Begun != nil
	if !unknown || !slices.Contains(pending, PhaseRun) || len(r.commands.Status) == 0 {
		return pending, nil
	}
	err := r.runPhase(PhaseStatus)
	if failed, ok := errors.AsType[*PhaseError](err); ok && failed.ExitCode != nil {
		return pending, nil
	}
	if err != nil {
		return nil, err
	}
	r.say("the schema is at version " + r.commands.Version + " already, says the phase status")
	work := r.commands.work(PhaseRun, r.record.progress())
	r.endPhase(work, true, nil)
	return r.commands.Pending(r.record.progress())
}

// runPhase runs the command of a phase, and takes down how it has ended.
func (r *commandRun) runPhase(phase Phase) error {
	work := r.commands.work(phase, r.record.progress())
	object := r.phaseJob(work)
	if phase == PhaseRun || phase == PhaseRollback {
		// Before it starts, or a run that is killed here would leave no trace of it.
		r.record.begin(work)
		if phase == PhaseRun && r.options.Gate != nil {
			r.mark(work.version + " of " + r.target.Name)
		}
		if err := r.save(false); err != nil {
			return err
		}
	}
	if err := r.start(object, nil); err != nil {
		return err
	}
	r.say(fmt.Sprintf("the Job %s runs the phase %s", object.Name, phase))
	return r.finish(object.Name, work)
}

// finish waits for the Job of a phase, takes down how it ended, and removes it.
func (r *commandRun) finish(name string, work phaseWork) error {
	failed := r.outcome(name, work)
	if r.ctx.Err() != nil {
		return errors.Join(asError(failed), context.Cause(r.ctx)) // it goes on; the next apply waits for it
	}
	exitCode := new(int32(0))
	if failed != nil {
		exitCode = failed.ExitCode
	}
	if work.phase != PhaseStatus && (failed == nil || !failed.gone) {
		// The record is written before the Job goes: removed first, a run that is killed here would forget what happened.
		r.endPhase(work, failed == nil, exitCode)
		if err := r.save(true); err != nil {
			return errors.Join(asError(failed), err)
		}
	}
	after, stop := r.afterwards()
	defer stop()
	return errors.Join(asError(failed), r.removeJob(after, name))
}

// endPhase takes down how a phase has ended, with the mark that holds then.
func (r *commandRun) endPhase(work phaseWork, succeeded bool, exitCode *int32) {
	var mark map[string]string
	if work.phase == PhaseRun && r.options.Gate != nil {
		if r.found == nil || r.found.Annotations[annotationSince] == "" {
			r.mark(work.version + " of " + r.target.Name)
		}
		mark = marks(r.found.Annotations)
	}
	r.record.end(work, succeeded, exitCode, mark)
	if work.phase == PhaseRollback && succeeded && r.found != nil {
		// What was irreversible is undone; what was so before it still is.
		maps.DeleteFunc(r.found.Annotations, func(key, _ string) bool { return isMark(key) })
		maps.Copy(r.found.Annotations, r.record.mark())
	}
}

func isMark(key string) bool {
	return key == annotationSince || key == annotationSafeAfter || key == annotationReason
}

func marks(annotations map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range annotations {
		if isMark(key) {
			out[key] = value
		}
	}
	return out
}

// outcome waits for the Job of a phase, and is nil where it succeeded.
func (r *commandRun) outcome(name string, work phaseWork) *PhaseError {
	out := &PhaseError{Migration: r.target.Name, Namespace: r.target.Handle.Namespace, Job: name, Phase: work.phase, Command: work.command}
	j, stopped := r.waitEnd(name)
	if stopped != nil {
		out.Reason, out.GoesOn, out.gone = stopped.reason, stopped.cause != nil, stopped.gone
		out.Events, out.Log, out.ExitCode = r.evidence(name)
		return out
	}
	end := task.EndOf(j)
	if end.Complete {
		return nil
	}
	out.Events, out.Log, out.ExitCode = r.evidence(name)
	out.Reason = end.Failure
	if end.Reason == batchv1.JobReasonBackoffLimitExceeded && out.ExitCode != nil {
		out.Reason = "its command did not end with exit code 0"
	}
	return out
}

// asError is nil where nothing failed.
func asError(failed *PhaseError) error {
	if failed == nil {
		return nil
	}
	return failed
}
