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

// JobCheck runs a Job in the environment's namespace; exit code 0 is a pass. The container gets SLIPWAY_CLIENT,
// SLIPWAY_STAGE, SLIPWAY_RELEASE, SLIPWAY_VERSION and SLIPWAY_NAMESPACE in addition to Env. It runs under the Pod Security Standard
// "restricted" (the image must name a numeric user other than 0), with at most 1 CPU and 512 MiB, without a service mesh's sidecar,
// and without a token unless ServiceAccount is set.
type JobCheck struct {
	Image          string
	Command        []string
	Args           []string
	Env            map[string]string
	ServiceAccount string
	// PullSecrets are names of Secrets in the namespace.
	PullSecrets []string
}

// jobRun is the Job of a check while it runs.
type jobRun struct{ run *checkRun }

// do runs the check's Job, or continues to wait for the one that a killed run has left running, and removes it.
func (j jobRun) do() (err error) {
	wanted, err := j.object()
	if err != nil {
		return err
	}
	info := jobInfo(wanted)
	defer func() { err = errors.Join(err, j.remove(wanted.Name)) }()
	joined, err := j.join(wanted)
	if err == nil && !joined {
		if err = j.create(wanted); err != nil {
			return j.run.explainPods("the Job "+wanted.Name, &helmkube.RefusedError{Object: j.run.kube.KeyOf(info), Verb: "create", Cause: err}, nil)
		}
	}
	if err == nil {
		err = j.run.waiter.Hooks(j.run.ctx, []*cliresource.Info{info})
	}
	if err != nil {
		return j.run.explainPods("the Job "+wanted.Name, err, []*cliresource.Info{info})
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

// join looks for a Job that a killed run has left. One that still runs the very same check is joined; what is over, or would run
// something else, is removed first: a result that is older than this run says nothing about now.
func (j jobRun) join(wanted *batchv1.Job) (joined bool, err error) {
	jobs := j.run.env.Op.Reads.BatchV1().Jobs(wanted.Namespace)
	found, err := jobs.Get(j.run.ctx, wanted.Name, metav1.GetOptions{})
	if cluster.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading Job %s: %w", wanted.Name, err)
	}
	if found.Labels[cluster.LabelManagedBy] != environment.FieldManager ||
		found.Labels[record.LabelRelease] != wanted.Labels[record.LabelRelease] {
		return false, j.run.notMade(fmt.Sprintf("the Job %s exists and was not made by Slipway", wanted.Name))
	}
	if found.DeletionTimestamp == nil && rollout.JobActive(found) &&
		found.Annotations[annotationCheckHash] == wanted.Annotations[annotationCheckHash] {
		j.run.env.Op.Paced("joined", "waiting for the Job "+wanted.Name+", which an earlier run has started")
		return true, nil
	}
	if err := j.remove(wanted.Name); err != nil {
		return false, err
	}
	return false, j.run.waiter.Gone(j.run.ctx, []*cliresource.Info{jobInfo(wanted)})
}

func (j jobRun) create(wanted *batchv1.Job) error {
	_, err := j.run.env.Op.Gated.BatchV1().Jobs(wanted.Namespace).Create(j.run.ctx, wanted,
		metav1.CreateOptions{FieldManager: environment.FieldManager})
	return err
}

// remove deletes a Job with its pods, also when the check's time is over or the operation was interrupted. One that cannot be
// deleted is so by the cluster some time after its end, or by the next run.
func (j jobRun) remove(name string) error {
	ctx, stop := j.run.env.Op.Afterward(0)
	defer stop()
	background := metav1.DeletePropagationBackground
	err := j.run.env.Op.Durable.BatchV1().Jobs(j.run.env.Target.Handle.Namespace).Delete(ctx, name,
		metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil && !apierrors.IsNotFound(err) {
		j.run.env.Op.Paced("remove "+name, fmt.Sprintf("the Job %s could not be removed, the cluster does %s after its end: %s", name, jobKept,
			explain.Library(err)))
	}
	return nil
}

// object is the Job of a check. It satisfies the Pod Security Standard "restricted", and has no token unless it is given a
// ServiceAccount.
func (j jobRun) object() (*batchv1.Job, error) {
	spec := j.run.check.Job
	handle := j.run.env.Target.Handle
	values := map[string]string{
		"SLIPWAY_CLIENT": handle.Client, "SLIPWAY_STAGE": handle.Stage, "SLIPWAY_NAMESPACE": handle.Namespace,
		"SLIPWAY_RELEASE": j.run.env.Target.Name, "SLIPWAY_VERSION": j.run.env.Version,
	}
	maps.Copy(values, spec.Env)
	labels := map[string]string{
		environment.LabelClient: handle.Client, environment.LabelStage: handle.Stage,
		cluster.LabelManagedBy: environment.FieldManager, record.LabelRelease: j.run.env.Target.Name,
		record.LabelCheck: checkLabel(j.run.check.Name),
	}
	out := task.Spec{
		Namespace: handle.Namespace, Name: j.name(), Labels: labels, Container: "check",
		Image: spec.Image, Command: spec.Command, Args: spec.Args, Env: values,
		ServiceAccount: spec.ServiceAccount, Token: spec.ServiceAccount != "", PullSecrets: spec.PullSecrets,
		Grace: 5 * time.Second, Deadline: j.run.check.timeout() + jobMargin,
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

// name is the same for the same check of the same revision, so that a run finds what another one has left.
func (j jobRun) name() string {
	revision := 0
	if j.run.env.Release != nil {
		revision = j.run.env.Release.Version
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", j.run.env.Target.Name, j.run.stage, j.run.check.Name, revision))
	readable := strings.Trim(notInNames.ReplaceAllLiteralString(strings.ToLower(j.run.env.Target.Name+"-"+j.run.check.Name), "-"), "-")
	// Pods of Jobs get six letters more, and their names are labels.
	readable = strings.TrimRight(readable[:min(len(readable), 36)], "-")
	return fmt.Sprintf("%s-r%d-%s", readable, revision, hex.EncodeToString(sum[:4]))
}

// checkLabel is a check's name as far as a label can hold it.
func checkLabel(name string) string {
	text := strings.Trim(notInNames.ReplaceAllLiteralString(strings.ToLower(name), "-"), "-")
	return strings.Trim(text[:min(len(text), 63)], "-")
}
