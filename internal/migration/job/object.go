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

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

const (
	secretKey    = "url"
	manifestKey  = "manifest.json"
	filesPath    = "/slipway/files"
	manifestPath = "/slipway/manifest"
	container    = "migrate"
	// attempts are tries beside the first one, of what may succeed when it is tried again.
	attempts = 3
	// margin is by how much a Job may outlive the apply that waits for it, in seconds.
	margin = 60
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
	pod := corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		ServiceAccountName:            accountName,
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(30)),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: new(int64(65532)),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Volumes: []corev1.Volume{
			{Name: "files", VolumeSource: corev1.VolumeSource{Projected: files}},
			{Name: "manifest", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: maps[len(maps)-1].Name}}}},
		},
		Containers: []corev1.Container{{
			Name: container, Image: a.options.Image, Args: args,
			Env: []corev1.EnvVar{{Name: "DATABASE_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: credentials.Name}, Key: credentials.Key,
			}}}},
			VolumeMounts:             []corev1.VolumeMount{{Name: "files", MountPath: filesPath, ReadOnly: true}, {Name: "manifest", MountPath: manifestPath, ReadOnly: true}},
			TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("256Mi")},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
	for _, secret := range a.options.PullSecrets {
		pod.ImagePullSecrets = append(pod.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
	}
	meta := a.meta(name)
	podLabels := merged(meta.Labels, map[string]string{"sidecar.istio.io/inject": "false"}) // a sidecar would keep the pod from ending
	return &batchv1.Job{
		ObjectMeta: meta,
		Spec: batchv1.JobSpec{
			Suspend:               new(true),
			BackoffLimit:          new(int32(attempts)),
			ActiveDeadlineSeconds: new(int64(a.options.Timeout.Seconds()) + margin),
			// Two runners at once would only wait for each other.
			PodReplacementPolicy: new(batchv1.Failed),
			PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
				{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
					{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
				}},
				// A statement that failed, and wrong arguments: trying again does not help.
				{Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
					ContainerName: new(container), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{1, 2},
				}},
			}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: podLabels}, Spec: pod},
		},
	}
}
