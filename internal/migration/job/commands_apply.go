// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"errors"
	"slices"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

// ApplyCommands runs the phases of a tool that are pending, each as a Job, and records each one. It holds the environment's Lease
// meanwhile. A Job that an earlier run has left is waited for, and counts. Where a gate is closed, nothing is run and
// Result.Blocked says why. Errors: *PhaseError, *RollbackError, those of packages operation and record.
func ApplyCommands(ctx context.Context, target Target, commands *Commands, options Options) (*Result, error) {
	return apply(ctx, target, options, func(a *applyRun) error {
		for _, key := range commands.SecretEnv {
			a.jobs.secretKeys = append(a.jobs.secretKeys, key)
		}
		if a.content.Commands == nil {
			a.content.Commands = &commandRecord{}
		}
		c := &commandRun{run: a, commands: commands, record: a.content.Commands}
		err := c.apply()
		a.result.Progress = c.record.progress()
		return err
	})
}

// commandRun is one ApplyCommands while it runs.
type commandRun struct {
	run      *applyRun
	commands *Commands
	record   *commandRecord
}

func (c *commandRun) apply() (err error) {
	if err := c.takeOverJobs(); err != nil {
		return err
	}
	pending, err := c.commands.Pending(c.record.progress())
	if err != nil {
		return err
	}
	if pending, err = c.askStatus(pending); err != nil {
		return err
	}
	changes := slices.Contains(pending, PhaseRun)
	if c.run.options.Gate != nil && changes && c.record.Begun == nil { // what has begun is finished
		if blocked, err := c.run.blocked(); blocked || err != nil {
			return err
		}
	}
	if err := c.run.save(); err != nil {
		return err
	}
	for _, phase := range pending {
		if err := c.runPhase(phase); err != nil {
			return err
		}
	}
	return nil
}

// takeOverJobs waits for the Jobs that an earlier run has left running, records how those ended that change the schema, and
// removes all.
func (c *commandRun) takeOverJobs() error {
	left, err := c.run.jobs.list()
	if err != nil {
		return err
	}
	for i := range left {
		j := &left[i]
		work, known := workOf(j)
		if !known { // one that runs files
			if err := c.run.jobs.finish(left[i : i+1]); err != nil {
				return err
			}
			continue
		}
		changes := work.phase == PhaseRun || work.phase == PhaseRollback
		if !begun(j) || !changes && ended(j) {
			if err := c.run.jobs.remove(c.run.op.Context(), j.Name); err != nil {
				return err
			}
			continue
		}
		joined := !ended(j)
		if joined {
			c.run.op.Say("waiting for the Job %s, which an earlier run has started", j.Name)
		}
		c.run.jobs.remember(j)
		err := c.finish(j.Name, work)
		if failed, ok := errors.AsType[*PhaseError](err); ok && !failed.StillRuns &&
			(!joined || work.phase == PhaseStatus || work.version != c.commands.Version) {
			continue // it is repeated, or is not what is wanted now
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// askStatus runs the phase status where it is not known whether the command was run, and records that it was.
func (c *commandRun) askStatus(pending []Phase) ([]Phase, error) {
	unknown := len(c.record.Versions) == 0 || c.record.Begun != nil
	if !unknown || !slices.Contains(pending, PhaseRun) || len(c.commands.Status) == 0 {
		return pending, nil
	}
	err := c.runPhase(PhaseStatus)
	if failed, ok := errors.AsType[*PhaseError](err); ok && failed.ExitCode != nil {
		return pending, nil
	}
	if err != nil {
		return nil, err
	}
	c.run.op.Say("the phase status reports that the schema is at version %s already", c.commands.Version)
	work := c.commands.work(PhaseRun, c.record.progress())
	c.endPhase(work, true, nil)
	return c.commands.Pending(c.record.progress())
}

// runPhase runs the command of a phase, and records how it has ended.
func (c *commandRun) runPhase(phase Phase) error {
	work := c.commands.work(phase, c.record.progress())
	object := work.job(c.run, c.commands)
	if phase == PhaseRun || phase == PhaseRollback {
		// Before it starts, or a run that is killed here would leave no trace of it.
		c.record.begin(work)
		if phase == PhaseRun && c.run.options.Gate != nil {
			c.run.markIrreversible(work.version + " of " + c.run.target.Name)
		}
		if err := c.run.save(); err != nil {
			return err
		}
	}
	if err := c.run.jobs.start(object, nil); err != nil {
		return err
	}
	c.run.op.Say("the Job %s runs the phase %s", object.Name, phase)
	return c.finish(object.Name, work)
}

// finish waits for the Job of a phase, records how it ended, and removes it.
func (c *commandRun) finish(name string, work phaseWork) error {
	failed := c.outcome(name, work)
	if c.run.op.Context().Err() != nil {
		return errors.Join(asError(failed), context.Cause(c.run.op.Context())) // it may still run; the next apply waits for it
	}
	exitCode := new(int32(0))
	if failed != nil {
		exitCode = failed.ExitCode
	}
	if work.phase != PhaseStatus && (failed == nil || !failed.gone) {
		// The record is written before the Job is removed: otherwise a run that is killed here would forget what happened.
		c.endPhase(work, failed == nil, exitCode)
		if err := c.run.saveResult(); err != nil {
			return errors.Join(asError(failed), err)
		}
	}
	after, stop := c.run.op.Afterward(0)
	defer stop()
	return errors.Join(asError(failed), c.run.jobs.remove(after, name))
}

// endPhase records how a phase has ended, with the annotations that belong to it.
func (c *commandRun) endPhase(work phaseWork, succeeded bool, exitCode *int32) {
	var irreversible map[string]string
	stored := c.run.stored
	if work.phase == PhaseRun && c.run.options.Gate != nil {
		if stored.Annotation(record.AnnotationIrreversibleSince) == "" {
			c.run.markIrreversible(work.version + " of " + c.run.target.Name)
		}
		irreversible = stored.IrreversibleAnnotations()
	}
	c.record.end(work, succeeded, exitCode, irreversible)
	if work.phase == PhaseRollback && succeeded {
		// What was irreversible is undone; what was so before it still is.
		stored.RestoreIrreversible(c.record.irreversible())
	}
}

// outcome waits for the Job of a phase, and is nil where it succeeded.
func (c *commandRun) outcome(name string, work phaseWork) *PhaseError {
	out := &PhaseError{
		Migration: c.run.target.Name,
		Namespace: c.run.target.Handle.Namespace,
		Job:       name,
		Phase:     work.phase,
		Command:   work.command,
	}
	j, stopped := c.run.jobs.wait(name)
	if stopped != nil {
		out.Reason, out.StillRuns, out.gone, out.Idle = stopped.reason, stopped.cause != nil, stopped.gone, stopped.idle
		out.Events, out.Log, out.ExitCode = c.run.jobs.evidence(name)
		return out
	}
	end := task.EndOf(j)
	if end.Complete {
		return nil
	}
	out.Events, out.Log, out.ExitCode = c.run.jobs.evidence(name)
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
