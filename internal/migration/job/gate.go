// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/task"
)

const (
	labelVersion      = "app.kubernetes.io/version"
	labelInstance     = "app.kubernetes.io/instance"
	labelRelease      = "slipway.dev/release"
	labelCheck        = "slipway.dev/check"
	recordKey         = "record"
	maxBlockedReasons = 10
)

// Gate says when a contract migration may run.
type Gate struct {
	// SafeAfter is the first version of the application that works with the migrated schema.
	SafeAfter string
	// Release limits what is looked at to one release: its record, and pods that carry its name in app.kubernetes.io/instance. Empty:
	// everything in the namespace.
	Release string
	// Soak is how long the release must have been known good.
	Soak time.Duration
	// AlsoUsedBy are readers outside the namespace, name to version.
	AlsoUsedBy map[string]string
}

// Blocked says why a contract migration must wait, sorted; nothing where it may run. It only reads.
func Blocked(ctx context.Context, target Target, gate Gate, now time.Time) ([]string, error) {
	safe, err := semver.NewVersion(gate.SafeAfter)
	if err != nil {
		return nil, fmt.Errorf("safe_after %q is no version: %w", gate.SafeAfter, err)
	}
	g := &gateCheck{gate: gate, safe: safe, reasons: map[string]bool{}}
	for name, version := range gate.AlsoUsedBy {
		g.judge(name+" (also_used_by)", version)
	}
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	failed := func(what string, err error) error {
		return target.Cluster.Classify(fmt.Errorf("listing %s of namespace %s: %w", what, target.Handle.Namespace, err))
	}
	namespace := target.Handle.Namespace
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, failed("pods", err)
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			g.workload("Pod/"+p.Name, p.Labels, p.Spec)
		}
	}
	jobs, err := client.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, failed("Jobs", err)
	}
	for i := range jobs.Items {
		if j := &jobs.Items[i]; !ended(j) {
			g.workload("Job/"+j.Name, merged(j.Labels, j.Spec.Template.Labels), j.Spec.Template.Spec)
		}
	}
	crons, err := client.BatchV1().CronJobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, failed("CronJobs", err)
	}
	for i := range crons.Items {
		c := &crons.Items[i]
		template := c.Spec.JobTemplate.Spec.Template
		g.workload("CronJob/"+c.Name, merged(c.Labels, template.Labels), template.Spec)
	}
	records, err := client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{LabelSelector: labelRelease})
	if err != nil {
		return nil, failed("records", err)
	}
	for i := range records.Items {
		g.record(&records.Items[i], now)
	}
	reasons := slices.Sorted(maps.Keys(g.reasons))
	if more := len(reasons) - maxBlockedReasons; more > 0 {
		reasons = append(reasons[:maxBlockedReasons], fmt.Sprintf("and %d more", more))
	}
	return reasons, nil
}

type gateCheck struct {
	gate    Gate
	safe    *semver.Version
	reasons map[string]bool
}

func (g *gateCheck) judge(who, version string) {
	switch v, err := semver.NewVersion(version); {
	case version == "":
		g.reasons[who+" is of an unknown version"] = true
	case err != nil:
		g.reasons[fmt.Sprintf("%s is of version %s, which cannot be compared with %s", who, version, g.gate.SafeAfter)] = true
	case v.LessThan(g.safe):
		g.reasons[fmt.Sprintf("%s is of version %s, before %s", who, version, g.gate.SafeAfter)] = true
	}
}

// workload judges what runs or will run. Slipway's own Jobs do not use the schema as the application does.
func (g *gateCheck) workload(who string, labels map[string]string, pod corev1.PodSpec) {
	if labels[LabelMigration] != "" || labels[labelCheck] != "" || g.gate.Release != "" && labels[labelInstance] != g.gate.Release {
		return
	}
	version := labels[labelVersion]
	if version == "" && len(pod.Containers) > 0 {
		version = imageTag(pod.Containers[0].Image)
	}
	g.judge(who, version)
}

// record judges what a release could be rolled back to: its newest known-good revision.
func (g *gateCheck) record(object *corev1.ConfigMap, now time.Time) {
	name := object.Labels[labelRelease]
	if g.gate.Release != "" && name != g.gate.Release {
		return
	}
	var record struct {
		KnownGood []struct {
			Version string    `json:"version"`
			At      time.Time `json:"at"`
		} `json:"knownGood"`
	}
	if err := json.Unmarshal([]byte(object.Data[recordKey]), &record); err != nil {
		g.reasons["the record of release "+name+" cannot be read"] = true
		return
	}
	if len(record.KnownGood) == 0 {
		return
	}
	good := record.KnownGood[0]
	g.judge("what release "+name+" would be rolled back to", good.Version)
	if until := good.At.Add(g.gate.Soak); g.gate.Soak > 0 && now.Before(until) {
		g.reasons[fmt.Sprintf("release %s has to hold until %s (soak)", name, until.UTC().Format(time.RFC3339))] = true
	}
}

func imageTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndex(image, "/")+1:]
	_, tag, _ := strings.Cut(name, ":")
	return tag
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}

func ended(j *batchv1.Job) bool { return task.EndOf(j) != nil }

// State is what is known of a migration in its namespace.
type State struct {
	// Recorded is false where there is no mirror, or where a Job has not been mirrored yet.
	Recorded   bool
	Applied    map[string]string // nil where there is no mirror
	Progress   *Progress         // of commands; nil where none is recorded
	InstanceID string            // of the mirror
	Validated  string            // ValidateDigest of what was validated last
}

// Observe reads a migration. A mirror that is gone is no error. Errors: *MirrorError, others as from environment.Check.
func Observe(ctx context.Context, target Target) (*State, error) {
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	found, m, err := readMirror(ctx, client, target)
	if err != nil {
		return nil, err
	}
	out := &State{}
	if found != nil {
		out.Recorded, out.Applied, out.InstanceID = true, m.Applied, found.Annotations[annotationInstance]
		out.Validated = m.Validated
		if m.Commands != nil {
			out.Progress = new(m.Commands.progress())
			out.Recorded = m.Commands.Begun == nil
		}
	}
	jobs, err := client.BatchV1().Jobs(target.Handle.Namespace).List(ctx,
		metav1.ListOptions{LabelSelector: LabelMigration + "=" + target.Name})
	if err != nil && !cluster.IsNotFound(err) {
		return nil, target.Cluster.Classify(fmt.Errorf("listing Jobs of migration %s: %w", target.Name, err))
	}
	if err == nil && len(jobs.Items) > 0 {
		out.Recorded = false
	}
	return out, nil
}
