// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cliresource "k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmkube"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/rollout"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

const (
	annotationCheckHash = "slipway.dev/check-hash"
	// jobMargin is by how much a Job may outlive the check that waits for it: it is for those whose process has died.
	jobMargin = time.Minute
	// jobKept is for how long the cluster keeps a Job that has ended and that nobody has removed.
	jobKept = 10 * time.Minute
)

// job runs the check's Job, or continues to wait for the one that a killed run has left running, and removes it.
func (r *checkRun) job() (err error) {
	wanted, err := r.jobObject()
	if err != nil {
		return err
	}
	info := jobInfo(wanted)
	defer func() { err = errors.Join(err, r.removeJob(wanted.Name)) }()
	joined, err := r.joinJob(wanted)
	if err == nil && !joined {
		if err = r.createJob(wanted); err != nil {
			return r.explainPods("the Job "+wanted.Name, &helmkube.RefusedError{Object: r.kube.KeyOf(info), Verb: "create", Cause: err}, nil)
		}
	}
	if err == nil {
		err = r.waiter.Hooks(r.ctx, []*cliresource.Info{info})
	}
	if err != nil {
		return r.explainPods("the Job "+wanted.Name, err, []*cliresource.Info{info})
	}
	return nil
}

// jobInfo is a Job as the waits know objects.
func jobInfo(j *batchv1.Job) *cliresource.Info {
	return &cliresource.Info{
		Namespace: j.Namespace, Name: j.Name, Object: j,
		Mapping: &meta.RESTMapping{
			Resource:         batchv1.SchemeGroupVersion.WithResource("jobs"),
			GroupVersionKind: batchv1.SchemeGroupVersion.WithKind("Job"),
			Scope:            meta.RESTScopeNamespace,
		},
	}
}

// joinJob looks for a Job that a killed run has left. One that still runs the very same check is joined; what is over, or would run
// something else, is removed first: a result that is older than this run says nothing about now.
func (r *checkRun) joinJob(wanted *batchv1.Job) (joined bool, err error) {
	jobs := r.env.Op.Reads.BatchV1().Jobs(wanted.Namespace)
	found, err := jobs.Get(r.ctx, wanted.Name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading Job %s: %w", wanted.Name, err)
	}
	if found.Labels[cluster.LabelManagedBy] != environment.FieldManager ||
		found.Labels[record.LabelRelease] != wanted.Labels[record.LabelRelease] {
		return false, r.notMade(fmt.Sprintf("the Job %s exists and was not made by Slipway", wanted.Name))
	}
	if found.DeletionTimestamp == nil && rollout.JobActive(found) &&
		found.Annotations[annotationCheckHash] == wanted.Annotations[annotationCheckHash] {
		r.env.Op.Paced("joined", "waiting for the Job "+wanted.Name+", which an earlier run has started")
		return true, nil
	}
	if err := r.removeJob(wanted.Name); err != nil {
		return false, err
	}
	return false, r.waiter.Gone(r.ctx, []*cliresource.Info{jobInfo(wanted)})
}

func (r *checkRun) createJob(wanted *batchv1.Job) error {
	_, err := r.env.Op.Gated.BatchV1().Jobs(wanted.Namespace).Create(r.ctx, wanted,
		metav1.CreateOptions{FieldManager: environment.FieldManager})
	return err
}

// removeJob deletes a Job with its pods, also when the check's time is over or the operation was interrupted. One that cannot be
// deleted is so by the cluster some time after its end, or by the next run.
func (r *checkRun) removeJob(name string) error {
	ctx, stop := r.env.Op.Afterward(0)
	defer stop()
	background := metav1.DeletePropagationBackground
	err := r.env.Op.Durable.BatchV1().Jobs(r.env.Target.Handle.Namespace).Delete(ctx, name,
		metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil && !apierrors.IsNotFound(err) {
		r.env.Op.Paced("remove "+name, fmt.Sprintf("the Job %s could not be removed, the cluster does %s after its end: %s", name, jobKept,
			explain.Library(err)))
	}
	return nil
}

// jobObject is the Job of a check. It satisfies the Pod Security Standard "restricted", and has no token unless it is given a
// ServiceAccount.
func (r *checkRun) jobObject() (*batchv1.Job, error) {
	spec := r.check.Job
	handle := r.env.Target.Handle
	values := map[string]string{
		"SLIPWAY_CLIENT": handle.Client, "SLIPWAY_STAGE": handle.Stage, "SLIPWAY_NAMESPACE": handle.Namespace,
		"SLIPWAY_RELEASE": r.env.Target.Name, "SLIPWAY_VERSION": r.env.Version,
	}
	maps.Copy(values, spec.Env)
	labels := map[string]string{
		environment.LabelClient: handle.Client, environment.LabelStage: handle.Stage,
		cluster.LabelManagedBy: environment.FieldManager, record.LabelRelease: r.env.Target.Name, record.LabelCheck: checkLabel(r.check.Name),
	}
	out := task.Spec{
		Namespace: handle.Namespace, Name: r.jobName(), Labels: labels, Container: "check",
		Image: spec.Image, Command: spec.Command, Args: spec.Args, Env: values,
		ServiceAccount: spec.ServiceAccount, Token: spec.ServiceAccount != "", PullSecrets: spec.PullSecrets,
		Grace: 5 * time.Second, Deadline: r.check.timeout() + jobMargin,
	}.Job()
	out.Spec.TTLSecondsAfterFinished = new(int32(jobKept.Seconds()))
	text, err := json.Marshal(out.Spec)
	if err != nil {
		return nil, fmt.Errorf("writing Job %s: %w", out.Name, err)
	}
	sum := sha256.Sum256(text)
	out.Annotations = map[string]string{annotationCheckHash: "v1:" + hex.EncodeToString(sum[:])}
	return out, nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// jobName is the same for the same check of the same revision, so that a run finds what another one has left.
func (r *checkRun) jobName() string {
	revision := 0
	if r.env.Release != nil {
		revision = r.env.Release.Version
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", r.env.Target.Name, r.stage, r.check.Name, revision))
	readable := strings.Trim(notInNames.ReplaceAllLiteralString(strings.ToLower(r.env.Target.Name+"-"+r.check.Name), "-"), "-")
	// Pods of Jobs get six letters more, and their names are labels.
	readable = strings.TrimRight(readable[:min(len(readable), 36)], "-")
	return fmt.Sprintf("%s-r%d-%s", readable, revision, hex.EncodeToString(sum[:4]))
}

// checkLabel is a check's name as far as a label can hold it.
func checkLabel(name string) string {
	text := strings.Trim(notInNames.ReplaceAllLiteralString(strings.ToLower(name), "-"), "-")
	return strings.Trim(text[:min(len(text), 63)], "-")
}
