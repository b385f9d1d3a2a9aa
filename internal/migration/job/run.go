// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

const (
	accountName = "slipway-migrate"
	pollEvery   = time.Second
	// startGrace is how long a container may be without its image or configuration.
	startGrace = 20 * time.Second
)

// jobs are those of this migration that are there.
func (a *application) jobs() ([]batchv1.Job, error) {
	list, err := a.reads.BatchV1().Jobs(a.target.Handle.Namespace).List(a.ctx,
		metav1.ListOptions{LabelSelector: LabelMigration + "=" + a.target.Name})
	if err != nil {
		return nil, a.target.Cluster.Classify(fmt.Errorf("listing Jobs of migration %s: %w", a.target.Name, err))
	}
	return list.Items, nil
}

// runJob runs the pending files, or goes on waiting for the Job that a killed run has left, and records what was applied.
func (a *application) runJob(left []batchv1.Job, pending []*File, known map[string]string) error {
	name := a.jobName(pending)
	joined := false
	for i := range left {
		j := &left[i]
		if j.DeletionTimestamp == nil && !ended(j) && j.Spec.Suspend != nil && !*j.Spec.Suspend {
			a.say("waiting for the Job " + j.Name + ", which an earlier run has started")
			if j.Name == name {
				joined = true
				continue
			}
			if _, err := a.wait(j.Name); err != nil && a.ctx.Err() != nil {
				return err
			}
		}
		// Its result is older than this run; what it has applied, the database knows.
		if err := a.removeJob(a.ctx, j.Name); err != nil {
			return err
		}
	}
	if !joined {
		maps, err := a.configMaps(name, pending, known)
		if err != nil {
			return err
		}
		if err := a.start(a.jobObject(name, pending, maps), maps); err != nil {
			return err
		}
		a.say("the Job " + name + " " + doing(pending))
	}
	report, err := a.wait(name)
	if a.ctx.Err() != nil {
		return err // it goes on; the next apply joins it
	}
	// The record is written before the Job goes: removed first, a run that is killed here would forget what happened.
	applied := a.record(pending, report)
	failed, isFailure := errors.AsType[*RunError](err)
	if isFailure && len(pending) == 0 {
		failed.Phase = runner.PhaseValidate
	}
	if err == nil && a.passed() || len(applied) > 0 {
		if saveErr := a.save(true); saveErr != nil {
			return errors.Join(err, saveErr)
		}
		if isFailure {
			failed.Applied = applied
		}
	}
	after, stop := a.afterwards()
	defer stop()
	return errors.Join(err, a.removeJob(after, name))
}

// doing says what a run does.
func doing(pending []*File) string {
	if len(pending) == 0 {
		return "validates the schema"
	}
	return "applies migrations"
}

// finishJobs waits for the Jobs that other runs have left, and removes them. What they have applied, the database knows.
func (a *application) finishJobs(left []batchv1.Job) error {
	for i := range left {
		j := &left[i]
		if j.DeletionTimestamp == nil && !ended(j) && j.Spec.Suspend != nil && !*j.Spec.Suspend {
			a.say("waiting for the Job " + j.Name + ", which an earlier run has started")
			if _, err := a.wait(j.Name); err != nil && a.ctx.Err() != nil {
				return err
			}
		}
		if err := a.removeJob(a.ctx, j.Name); err != nil {
			return err
		}
	}
	return nil
}

// start makes the Job with all that it needs and owns, and lets it begin only then: a run that is killed in between leaves
// nothing that outlives the Job.
func (a *application) start(object *batchv1.Job, maps []*corev1.ConfigMap) error {
	namespace, name := a.target.Handle.Namespace, object.Name
	failed := func(what string, err error) error {
		return a.target.Cluster.Classify(fmt.Errorf("making %s of migration %s: %w", what, a.target.Name, err))
	}
	create := metav1.CreateOptions{FieldManager: environment.FieldManager}
	account := &corev1.ServiceAccount{ObjectMeta: a.meta(accountName), AutomountServiceAccountToken: new(false)}
	delete(account.Labels, LabelMigration) // all migrations of the namespace share it
	if _, err := a.gated.CoreV1().ServiceAccounts(namespace).Create(a.ctx, account, create); err != nil && !apierrors.IsAlreadyExists(err) {
		return failed("the ServiceAccount "+accountName, err)
	}
	made, err := a.gated.BatchV1().Jobs(namespace).Create(a.ctx, object, create)
	if err != nil {
		return failed("the Job "+name, err)
	}
	owner := metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: made.Name, UID: made.UID}
	for _, m := range maps {
		m.OwnerReferences = []metav1.OwnerReference{owner}
		// Remains of a Job of the same name go when the garbage collector comes round.
		if err := a.replace(func() error {
			_, err := a.gated.CoreV1().ConfigMaps(namespace).Create(a.ctx, m, create)
			return err
		}, func() error {
			return a.gated.CoreV1().ConfigMaps(namespace).Delete(a.ctx, m.Name, metav1.DeleteOptions{})
		}); err != nil {
			return failed("the ConfigMap "+m.Name, err)
		}
	}
	if a.options.Credentials == nil && a.options.DatabaseURL != "" {
		secret := &corev1.Secret{ObjectMeta: a.meta(name), StringData: map[string]string{secretKey: a.options.DatabaseURL}}
		secret.OwnerReferences = []metav1.OwnerReference{owner}
		if err := a.replace(func() error {
			_, err := a.gated.CoreV1().Secrets(namespace).Create(a.ctx, secret, create)
			return err
		}, func() error {
			return a.gated.CoreV1().Secrets(namespace).Delete(a.ctx, name, metav1.DeleteOptions{})
		}); err != nil {
			return failed("the Secret "+name, err)
		}
	}
	_, err = a.gated.BatchV1().Jobs(namespace).Patch(a.ctx, name, types.MergePatchType, []byte(`{"spec":{"suspend":false}}`),
		metav1.PatchOptions{FieldManager: environment.FieldManager})
	if err != nil {
		return failed("the start of the Job "+name, err)
	}
	return nil
}

// replace makes an object anew where one of that name is left.
func (a *application) replace(create, remove func() error) error {
	err := create()
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := remove(); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return create()
}

// wait returns when a Job of the runner has ended, with its report where there is one. The error holds a *RunError.
func (a *application) wait(name string) (*runner.Report, error) {
	j, stopped := a.waitEnd(name)
	switch {
	case stopped == nil:
		return a.judge(j)
	case stopped.cause != nil:
		return nil, errors.Join(a.failure(name, stopped.reason, nil, true), stopped.cause)
	}
	return nil, a.failure(name, stopped.reason, nil, stopped.gone)
}

// stopped says why a Job was not waited for to its end.
type stopped struct {
	reason string
	gone   bool  // somebody has deleted it: how it ended is not known
	cause  error // of the end of the wait; the Job goes on
}

// waitEnd returns a Job when it has ended.
func (a *application) waitEnd(name string) (*batchv1.Job, *stopped) {
	namespace := a.target.Handle.Namespace
	stuck := time.Time{}
	var lastErr error
	for {
		j, err := a.reads.BatchV1().Jobs(namespace).Get(a.ctx, name, metav1.GetOptions{})
		switch {
		case a.ctx.Err() != nil:
		case cluster.IsNotFound(err):
			return nil, &stopped{reason: "the Job was deleted while it ran, by somebody else", gone: true}
		case err != nil:
			lastErr = err // the Job goes on although the API server does not answer
		case ended(j):
			return j, nil
		default:
			problem, err := a.startProblem(j)
			switch {
			case err != nil:
				lastErr = err
			case problem == "":
				stuck = time.Time{}
			case stuck.IsZero():
				stuck = time.Now()
			case time.Since(stuck) > startGrace:
				return nil, &stopped{reason: problem}
			}
		}
		select {
		case <-a.ctx.Done():
			reason := "it was not done in time, or interrupted; the Job may go on, and the next apply waits for it"
			if lastErr != nil {
				reason += "; last, the cluster said: " + lastErr.Error()
			}
			return nil, &stopped{reason: reason, cause: context.Cause(a.ctx)}
		case <-time.After(pollEvery):
		}
	}
}

// judge reads what a Job that has ended reports.
func (a *application) judge(j *batchv1.Job) (*runner.Report, error) {
	pods, err := a.pods(j.Name)
	if err != nil {
		return nil, err
	}
	var report *runner.Report
	for i := range pods {
		if found := reportOf(&pods[i]); found != nil {
			report = found
		}
	}
	end := task.EndOf(j)
	switch {
	case end.Complete && report != nil && report.Outcome == runner.Done:
		return report, nil
	case end.Complete:
		// Its report went with its pod. The runner ends with 0 only where nothing is left to be run.
		return &runner.Report{Command: "up", Outcome: runner.Done}, nil
	case report != nil:
		return report, a.failure(j.Name, "the runner says: "+string(report.Outcome), report, report.Outcome.Retry())
	}
	return nil, a.failure(j.Name, end.Failure, nil, false)
}

// reportOf is nil where a pod has left none.
func reportOf(pod *corev1.Pod) *runner.Report {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name != container || status.State.Terminated == nil {
			continue
		}
		var report runner.Report
		if err := json.Unmarshal([]byte(status.State.Terminated.Message), &report); err == nil && report.Outcome != "" {
			return &report
		}
	}
	return nil
}

func (a *application) removeJobs(jobs []batchv1.Job) error {
	for i := range jobs {
		if err := a.removeJob(a.ctx, jobs[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// removeJob deletes a Job with what it owns, and returns when it is gone.
func (a *application) removeJob(ctx context.Context, name string) error {
	namespace := a.target.Handle.Namespace
	background := metav1.DeletePropagationBackground
	err := a.durable.BatchV1().Jobs(namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	for err == nil {
		if _, err = a.reads.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting for the end of Job %s: %w", name, context.Cause(ctx))
			case <-time.After(pollEvery / 4):
			}
		}
	}
	if !cluster.IsNotFound(err) {
		return a.target.Cluster.Classify(fmt.Errorf("deleting Job %s: %w", name, err))
	}
	return nil
}
