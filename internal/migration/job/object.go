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

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/runner"
	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

const (
	secretKey    = "url"
	manifestKey  = "manifest.json"
	filesVolume  = "files"
	labelVolume  = "slipway.dev/migration-volume"
	filesPath    = "/slipway/files"
	manifestPath = "/slipway/manifest"
	container    = "migrate"
	// runnerUser is the user of the runner's image.
	runnerUser = 65532
	// attempts are retries after the first try, of what may succeed when it is repeated.
	attempts = 3
	// margin is by how much a Job may outlive the apply that waits for it.
	margin = time.Minute
)

// fileJob is a Job of the runner and what it runs.
type fileJob struct {
	target  Target
	options Options
	dir     *Directory
	pending []*File
}

// name is the same for the same image and the same pending files, so that a run finds the Job that another one has left.
func (f fileJob) name() string {
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "v1\n%s\n%d\n", f.options.Image, f.options.Baseline) // a hash takes everything
	if f.options.LockTimeout > 0 || f.options.StatementTimeout > 0 {
		_, _ = fmt.Fprintf(hash, "%s %s\n", f.options.LockTimeout, f.options.StatementTimeout)
	}
	for _, file := range f.pending {
		_, _ = fmt.Fprintf(hash, "%s %s\n", file.Name, file.Checksum)
	}
	for _, phase := range f.phases() {
		for _, file := range phase.files {
			_, _ = fmt.Fprintf(hash, "%s %s %s\n", phase.name, file.Name, file.Checksum)
		}
	}
	return jobPrefix(f.target) + hex.EncodeToString(hash.Sum(nil)[:5])
}

// jobPrefix begins the names of a migration's Jobs.
func jobPrefix(target Target) string {
	return "migrate-" + target.Name[:min(len(target.Name), 36)] + "-"
}

// phaseFiles are the files of a phase, which lie in a directory of their own in the Job.
type phaseFiles struct {
	name  runner.Phase
	files []*File
}

func (p phaseFiles) path() string { return "/slipway/" + string(p.name) }

func (f fileJob) phases() []phaseFiles {
	return []phaseFiles{{runner.PhaseCheck, f.dir.Check}, {runner.PhaseValidate, f.dir.Validate}}
}

// configMaps are the pending files in as many ConfigMaps as it takes, then those of the phases, then the manifest of what is
// known next to them.
func (f fileJob) configMaps(known map[string]string) ([]*corev1.ConfigMap, error) {
	name := f.name()
	out := f.chunks(name, filesVolume, f.pending)
	for _, phase := range f.phases() {
		out = append(out, f.chunks(name+"-"+string(phase.name), string(phase.name), phase.files)...)
	}
	versions := map[string]string{}
	for file, checksum := range known {
		if slices.ContainsFunc(f.pending, func(p *File) bool { return p.Name == file }) {
			continue
		}
		if version := sqlfile.Parse(file, nil).Version; version > 0 {
			versions[strconv.FormatInt(version, 10)] = checksum
		}
	}
	text, err := json.Marshal(versions)
	if err != nil {
		return nil, fmt.Errorf("writing the manifest of migration %s: %w", f.target.Name, err)
	}
	return append(out,
		&corev1.ConfigMap{
			ObjectMeta: f.target.meta(name + "-manifest"),
			Immutable:  new(true),
			Data:       map[string]string{manifestKey: string(text)},
		}), nil
}

// chunks are files in as many ConfigMaps as it takes. A label says which volume of the Job they belong to.
func (f fileJob) chunks(name, volume string, files []*File) []*corev1.ConfigMap {
	var out []*corev1.ConfigMap
	size := sqlfile.MaxSize + 1
	for _, file := range files {
		if size+len(file.Content) > sqlfile.MaxSize {
			meta := f.target.meta(fmt.Sprintf("%s-%d", name, len(out)))
			meta.Labels[labelVolume] = volume
			out = append(out, &corev1.ConfigMap{ObjectMeta: meta, Immutable: new(true), BinaryData: map[string][]byte{}})
			size = 0
		}
		out[len(out)-1].BinaryData[file.Name] = file.Content
		size += len(file.Content)
	}
	return out
}

// projected is a volume of the ConfigMaps that are labeled with its name, nil where there are none.
func projected(volume string, maps []*corev1.ConfigMap) *corev1.Volume {
	files := &corev1.ProjectedVolumeSource{}
	for _, m := range maps {
		if m.Labels[labelVolume] == volume {
			files.Sources = append(files.Sources,
				corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: m.Name}}})
		}
	}
	if len(files.Sources) == 0 {
		return nil
	}
	return &corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{Projected: files}}
}

// arguments are those of the runner. Where no file is pending, it only checks the files of the phase validate.
func (f fileJob) arguments() []string {
	var args []string
	if len(f.pending) > 0 {
		args = []string{"up", filesPath, "--manifest", manifestPath + "/" + manifestKey, "--allow-out-of-order"}
		if f.options.Baseline > 0 {
			args = append(args, "--baseline", strconv.FormatInt(f.options.Baseline, 10))
		}
		for _, phase := range f.phases() {
			for _, file := range phase.files {
				args = append(args, "--"+string(phase.name), phase.path()+"/"+file.Name)
			}
		}
	} else {
		args = []string{"check"}
		for _, file := range f.dir.Validate {
			args = append(args, phaseFiles{name: runner.PhaseValidate}.path()+"/"+file.Name)
		}
	}
	if f.options.LockTimeout > 0 {
		args = append(args, "--lock-timeout", f.options.LockTimeout.String())
	}
	if f.options.StatementTimeout > 0 {
		args = append(args, "--statement-timeout", f.options.StatementTimeout.String())
	}
	return args
}

// jobObject is the Job, not yet to be started. It satisfies the Pod Security Standard "restricted", and its pods have no token.
func (f fileJob) job(maps []*corev1.ConfigMap) *batchv1.Job {
	name, credentials := f.name(), f.options.Credentials
	if credentials == nil {
		credentials = &SecretKey{Name: name, Key: secretKey}
	}
	meta := f.target.meta(name)
	out := task.Spec{
		Namespace: meta.Namespace, Name: name, Labels: meta.Labels, Container: container, Image: f.options.Image, Args: f.arguments(),
		SecretEnv: map[string]SecretKey{"DATABASE_URL": *credentials}, ServiceAccount: accountName, PullSecrets: f.options.PullSecrets,
		User: runnerUser, Memory: "256Mi", Grace: 30 * time.Second, Deadline: f.options.Timeout + margin, Retries: attempts,
	}.Job()
	out.Spec.Suspend = new(true)
	// Two runners at once would only wait for each other.
	out.Spec.PodReplacementPolicy = new(batchv1.Failed)
	// A statement that failed, and wrong arguments: another attempt does not help.
	out.Spec.PodFailurePolicy.Rules = append(out.Spec.PodFailurePolicy.Rules, batchv1.PodFailurePolicyRule{
		Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: new(container), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{1, 2},
		},
	})
	pod := &out.Spec.Template.Spec
	pod.Volumes = []corev1.Volume{
		{
			Name: "manifest",
			VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: maps[len(maps)-1].Name},
			}},
		},
	}
	pod.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "manifest", MountPath: manifestPath, ReadOnly: true}}
	paths := map[string]string{filesVolume: filesPath}
	for _, phase := range f.phases() {
		paths[string(phase.name)] = phase.path()
	}
	for _, name := range []string{filesVolume, string(runner.PhaseCheck), string(runner.PhaseValidate)} {
		if volume := projected(name, maps); volume != nil {
			pod.Volumes = append(pod.Volumes, *volume)
			pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts,
				corev1.VolumeMount{Name: name, MountPath: paths[name], ReadOnly: true})
		}
	}
	pod.Containers[0].SecurityContext.ReadOnlyRootFilesystem = new(true)
	return out
}
