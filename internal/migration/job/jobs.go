// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/operation"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

const (
	accountName = "slipway-migrate"
	pollEvery   = time.Second
	// startGrace is how long a container may be without its image or configuration.
	startGrace = 20 * time.Second
)

// jobs are the Kubernetes Jobs of one migration.
type jobs struct {
	target  Target
	options Options
	op      *operation.Operation
	// secretKeys are those whose values the program could print, in addition to the database's URL.
	secretKeys []SecretKey
	// waited are the Jobs that this run has started or waits for. Jobs of earlier runs had the same names.
	waited map[string]metav1.ObjectMeta
}

// remember distinguishes a Job from earlier ones of its name.
func (j *jobs) remember(one *batchv1.Job) {
	if j.waited == nil {
		j.waited = map[string]metav1.ObjectMeta{}
	}
	j.waited[one.Name] = one.ObjectMeta
}

// list reads those that exist.
func (j *jobs) list() ([]batchv1.Job, error) {
	list, err := j.op.Reads.BatchV1().Jobs(j.target.Handle.Namespace).List(j.op.Context(), j.target.selector())
	if err != nil {
		return nil, j.target.Cluster.Classify(fmt.Errorf("listing the Jobs of migration %s: %w", j.target.Name, err))
	}
	return list.Items, nil
}

func ended(one *batchv1.Job) bool { return task.EndOf(one) != nil }

// begun reports that a Job was released to run, and is not being deleted.
func begun(one *batchv1.Job) bool {
	return one.DeletionTimestamp == nil && one.Spec.Suspend != nil && !*one.Spec.Suspend
}

func runs(one *batchv1.Job) bool { return begun(one) && !ended(one) }

// finish waits for the Jobs that other runs have left, and removes them. What they have applied, the database knows.
func (j *jobs) finish(left []batchv1.Job) error {
	for i := range left {
		one := &left[i]
		if runs(one) {
			j.op.Say("waiting for the Job %s, which an earlier run has started", one.Name)
			j.remember(one)
			if _, err := j.report(one.Name); err != nil && j.op.Context().Err() != nil {
				return err
			}
		}
		if err := j.remove(j.op.Context(), one.Name); err != nil {
			return err
		}
	}
	return nil
}

// start creates the Job with all that it needs and owns, and lets it begin only then: a run that is killed in between leaves nothing that
// outlives the Job.
func (j *jobs) start(object *batchv1.Job, maps []*corev1.ConfigMap) error {
	namespace, name, ctx := j.target.Handle.Namespace, object.Name, j.op.Context()
	failed := func(what string, err error) error {
		return j.target.Cluster.Classify(fmt.Errorf("creating %s of migration %s: %w", what, j.target.Name, err))
	}
	create := metav1.CreateOptions{FieldManager: cluster.FieldManager}
	account := &corev1.ServiceAccount{ObjectMeta: j.target.meta(accountName), AutomountServiceAccountToken: new(false)}
	delete(account.Labels, record.LabelMigration) // all migrations of the namespace share it
	_, err := j.op.Gated.CoreV1().ServiceAccounts(namespace).Create(ctx, account, create)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return failed("the ServiceAccount "+accountName, err)
	}
	made, err := j.op.Gated.BatchV1().Jobs(namespace).Create(ctx, object, create)
	if err != nil {
		return failed("the Job "+name, err)
	}
	j.remember(made)
	owner := metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: made.Name, UID: made.UID}
	for _, m := range maps {
		m.OwnerReferences = []metav1.OwnerReference{owner}
		// Remains of a Job of the same name disappear only when the garbage collector runs.
		if err := replace(func() error {
			_, err := j.op.Gated.CoreV1().ConfigMaps(namespace).Create(ctx, m, create)
			return err
		}, func() error {
			return j.op.Gated.CoreV1().ConfigMaps(namespace).Delete(ctx, m.Name, metav1.DeleteOptions{})
		}); err != nil {
			return failed("the ConfigMap "+m.Name, err)
		}
	}
	if j.options.Credentials == nil && j.options.DatabaseURL != "" {
		secret := &corev1.Secret{ObjectMeta: j.target.meta(name), StringData: map[string]string{secretKey: j.options.DatabaseURL}}
		secret.OwnerReferences = []metav1.OwnerReference{owner}
		if err := replace(func() error {
			_, err := j.op.Gated.CoreV1().Secrets(namespace).Create(ctx, secret, create)
			return err
		}, func() error {
			return j.op.Gated.CoreV1().Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{})
		}); err != nil {
			return failed("the Secret "+name, err)
		}
	}
	_, err = j.op.Gated.BatchV1().Jobs(namespace).Patch(ctx, name, types.MergePatchType, []byte(`{"spec":{"suspend":false}}`),
		metav1.PatchOptions{FieldManager: cluster.FieldManager})
	if err != nil {
		return failed("the start of the Job "+name, err)
	}
	return nil
}

// replace creates an object again where one of that name is left.
func replace(create, remove func() error) error {
	err := create()
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := remove(); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return create()
}

// stopped says why a Job was not waited for to its end.
type stopped struct {
	reason string
	gone   bool  // another user has deleted it: how it ended is not known
	idle   bool  // its program did not start
	cause  error // of the end of the wait; the Job may still run
}

// wait returns a Job when it has ended.
func (j *jobs) wait(name string) (*batchv1.Job, *stopped) {
	ctx := j.op.Context()
	stuck, waits := time.Time{}, ""
	var lastErr error
	for {
		one, err := j.op.Reads.BatchV1().Jobs(j.target.Handle.Namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case ctx.Err() != nil:
		case cluster.IsNotFound(err):
			return nil, &stopped{reason: "another user or program deleted the Job while it ran", gone: true}
		case err != nil:
			lastErr = err // the Job runs although the API server does not answer
		case ended(one):
			return one, nil
		default:
			problem, err := j.startProblem(one)
			if err == nil {
				waits = problem
			}
			switch {
			case err != nil:
				lastErr = err
			case problem == "":
				stuck = time.Time{}
			case stuck.IsZero():
				stuck = time.Now()
			case time.Since(stuck) > startGrace:
				return nil, &stopped{reason: problem, idle: true}
			}
		}
		select {
		case <-ctx.Done():
			if waits != "" {
				return nil, &stopped{reason: waits + "; the time for it is over", idle: true, cause: context.Cause(ctx)}
			}
			reason := "it was not done in time, or interrupted; the Job may still run, and the next apply waits for it"
			if lastErr != nil {
				reason += "; the last answer of the cluster was: " + lastErr.Error()
			}
			return nil, &stopped{reason: reason, cause: context.Cause(ctx)}
		case <-time.After(pollEvery):
		}
	}
}

// report returns when a Job of the runner has ended, with its report where there is one. The error holds a *RunError.
func (j *jobs) report(name string) (*runner.Report, error) {
	one, stopped := j.wait(name)
	switch {
	case stopped == nil:
		return j.read(one)
	case stopped.idle:
		failure := j.failure(name, stopped.reason, nil, false)
		failure.Idle = true
		if stopped.cause != nil {
			return nil, errors.Join(failure, stopped.cause)
		}
		return nil, failure
	case stopped.cause != nil:
		return nil, errors.Join(j.failure(name, stopped.reason, nil, true), stopped.cause)
	}
	return nil, j.failure(name, stopped.reason, nil, stopped.gone)
}

// read reads what a Job that has ended reports.
func (j *jobs) read(one *batchv1.Job) (*runner.Report, error) {
	pods, err := j.pods(one.Name)
	if err != nil {
		return nil, err
	}
	var report *runner.Report
	for i := range pods {
		if found := reportOf(&pods[i]); found != nil {
			report = found
		}
	}
	end := task.EndOf(one)
	switch {
	case end.Complete && report != nil && report.Outcome == runner.Done:
		return report, nil
	case end.Complete:
		// Its report went with its pod. The runner ends with 0 only where nothing is left to be run.
		return &runner.Report{Command: "up", Outcome: runner.Done}, nil
	case report != nil:
		return report, j.failure(one.Name, "the runner reports: "+string(report.Outcome), report, report.Outcome.Retry())
	}
	return nil, j.failure(one.Name, end.Failure, nil, false)
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

func (j *jobs) removeAll(all []batchv1.Job) error {
	for i := range all {
		if err := j.remove(j.op.Context(), all[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a Job with what it owns, and returns when it is gone.
func (j *jobs) remove(ctx context.Context, name string) error {
	namespace := j.target.Handle.Namespace
	background := metav1.DeletePropagationBackground
	err := j.op.Durable.BatchV1().Jobs(namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	for err == nil {
		if _, err = j.op.Reads.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting for the end of Job %s/%s: %w", namespace, name, context.Cause(ctx))
			case <-time.After(pollEvery / 4):
			}
		}
	}
	if !cluster.IsNotFound(err) {
		return j.target.Cluster.Classify(fmt.Errorf("deleting Job %s/%s: %w", namespace, name, err))
	}
	return nil
}

// pods of a Job, oldest first, without those of earlier Jobs of its name.
func (j *jobs) pods(name string) ([]corev1.Pod, error) {
	ctx, stop := j.op.Afterward(0)
	defer stop()
	list, err := j.op.Reads.CoreV1().Pods(j.target.Handle.Namespace).List(ctx,
		metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + name})
	if err != nil {
		return nil, j.target.Cluster.Classify(fmt.Errorf("listing pods of Job %s: %w", name, err))
	}
	if known, ok := j.waited[name]; ok {
		list.Items = slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
			owner := metav1.GetControllerOf(&pod)
			return owner != nil && owner.UID != known.UID
		})
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return list.Items, nil
}

// startProblem says why the newest pod of a Job cannot start, or why there is none.
func (j *jobs) startProblem(one *batchv1.Job) (string, error) {
	pods, err := j.pods(one.Name)
	if err != nil {
		return "", err
	}
	if len(pods) > 0 {
		return task.Waits(&pods[len(pods)-1]), nil
	}
	refused, err := j.op.Reads.CoreV1().Events(one.Namespace).List(j.op.Context(),
		metav1.ListOptions{FieldSelector: "reason=FailedCreate,involvedObject.uid=" + string(one.UID)})
	if err != nil || len(refused.Items) == 0 {
		return "", err
	}
	return "its pod is refused: " + strings.TrimSpace(refused.Items[len(refused.Items)-1].Message), nil
}

// failure describes a Job that did not do its work.
func (j *jobs) failure(name, reason string, report *runner.Report, retry bool) *RunError {
	out := &RunError{Job: name, Namespace: j.target.Handle.Namespace, Reason: reason, Retry: retry}
	if report != nil {
		out.Failure, out.Left, out.Phase = report.Failure, report.Left, report.Phase
	}
	out.Events, out.Log, _ = j.evidence(name)
	return out
}

// evidence is what the cluster has of a Job: warnings, the end of the log, and the exit code of its last pod, nil where its program did
// not end by itself. What cannot be read is named in its place.
func (j *jobs) evidence(name string) (events, log []string, exitCode *int32) {
	ctx, stop := j.op.Afterward(0)
	defer stop()
	mask := newMasker(ctx, j)
	pods, err := j.pods(name)
	switch {
	case err != nil:
		log = []string{"(the pods could not be read: " + err.Error() + ")"}
	case len(pods) > 0:
		pod := pods[len(pods)-1]
		log = logTail(ctx, j.op.Reads, &pod, mask)
		for _, status := range pod.Status.ContainerStatuses {
			if t := status.State.Terminated; t != nil && t.Reason != "StartError" && t.Reason != "ContainerCannotRun" {
				exitCode = new(t.ExitCode)
			}
		}
	}
	return j.warnings(ctx, name, pods, mask), log, exitCode
}
