// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

const (
	secretKey    = "url"
	manifestKey  = "manifest.json"
	filesPath    = "/slipway/files"
	manifestPath = "/slipway/manifest"
	container    = "migrate"
	// runnerUser is the user of the runner's image.
	runnerUser = 65532
	// attempts are tries beside the first one, of what may succeed when it is tried again.
	attempts = 3
	// margin is by how much a Job may outlive the apply that waits for it.
	margin = time.Minute
)

// jobName is the same for the same image and the same pending files, so that a run finds the Job that another one has left.
func (a *application) jobName(pending []*File) string {
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "v1\n%s\n%d\n", a.options.Image, a.options.Baseline) // a hash takes everything
	if a.options.LockTimeout > 0 || a.options.StatementTimeout > 0 {
		_, _ = fmt.Fprintf(hash, "%s %s\n", a.options.LockTimeout, a.options.StatementTimeout)
	}
	for _, file := range pending {
		_, _ = fmt.Fprintf(hash, "%s %s\n", file.Name, file.Checksum)
	}
	return a.prefix() + hex.EncodeToString(hash.Sum(nil)[:5])
}

func (a *application) prefix() string {
	return "migrate-" + a.target.Name[:min(len(a.target.Name), 36)] + "-"
}

// configMaps are the pending files in as many ConfigMaps as it takes, then the manifest of what is known beside them.
func (a *application) configMaps(name string, pending []*File, known map[string]string) ([]*corev1.ConfigMap, error) {
	var out []*corev1.ConfigMap
	size := maxChunk + 1
	for _, file := range pending {
		if size+len(file.Content) > maxChunk {
			out = append(out, &corev1.ConfigMap{
				ObjectMeta: a.meta(fmt.Sprintf("%s-%d", name, len(out))), Immutable: new(true), BinaryData: map[string][]byte{},
			})
			size = 0
		}
		out[len(out)-1].BinaryData[file.Name] = file.Content
		size += len(file.Content)
	}
	versions := map[string]string{}
	for file, checksum := range known {
		if slices.ContainsFunc(pending, func(f *File) bool { return f.Name == file }) {
			continue
		}
		if version := sqlfile.Parse(file, nil).Version; version > 0 {
			versions[strconv.FormatInt(version, 10)] = checksum
		}
	}
	text, err := json.Marshal(versions)
	if err != nil {
		return nil, fmt.Errorf("writing the manifest of migration %s: %w", a.target.Name, err)
	}
	return append(out, &corev1.ConfigMap{ObjectMeta: a.meta(name + "-manifest"), Immutable: new(true), Data: map[string]string{manifestKey: string(text)}}), nil
}

// jobObject is the Job, not yet to be started. It satisfies the Pod Security Standard "restricted", and its pods have no token.
func (a *application) jobObject(name string, maps []*corev1.ConfigMap) *batchv1.Job {
	credentials := a.options.Credentials
	if credentials == nil {
		credentials = &SecretKey{Name: name, Key: secretKey}
	}
	files := &corev1.ProjectedVolumeSource{}
	for _, m := range maps[:len(maps)-1] {
		files.Sources = append(files.Sources, corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: m.Name}}})
	}
	args := []string{"up", filesPath, "--manifest", manifestPath + "/" + manifestKey, "--allow-out-of-order"}
	if a.options.Baseline > 0 {
		args = append(args, "--baseline", strconv.FormatInt(a.options.Baseline, 10))
	}
	if a.options.LockTimeout > 0 {
		args = append(args, "--lock-timeout", a.options.LockTimeout.String())
	}
	if a.options.StatementTimeout > 0 {
		args = append(args, "--statement-timeout", a.options.StatementTimeout.String())
	}
	meta := a.meta(name)
	out := task.Spec{
		Namespace: meta.Namespace, Name: name, Labels: meta.Labels, Container: container, Image: a.options.Image, Args: args,
		SecretEnv: map[string]SecretKey{"DATABASE_URL": *credentials}, ServiceAccount: accountName, PullSecrets: a.options.PullSecrets,
		User: runnerUser, Memory: "256Mi", Grace: 30 * time.Second, Deadline: a.options.Timeout + margin, Retries: attempts,
	}.Job()
	out.Spec.Suspend = new(true)
	// Two runners at once would only wait for each other.
	out.Spec.PodReplacementPolicy = new(batchv1.Failed)
	// A statement that failed, and wrong arguments: trying again does not help.
	out.Spec.PodFailurePolicy.Rules = append(out.Spec.PodFailurePolicy.Rules, batchv1.PodFailurePolicyRule{
		Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: new(container), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{1, 2},
		},
	})
	pod := &out.Spec.Template.Spec
	pod.Volumes = []corev1.Volume{
		{Name: "files", VolumeSource: corev1.VolumeSource{Projected: files}},
		{Name: "manifest", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: maps[len(maps)-1].Name}}}},
	}
	pod.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "files", MountPath: filesPath, ReadOnly: true}, {Name: "manifest", MountPath: manifestPath, ReadOnly: true}}
	pod.Containers[0].SecurityContext.ReadOnlyRootFilesystem = new(true)
	return out
}
