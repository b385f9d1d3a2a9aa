// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

const (
	labelVersion      = "app.kubernetes.io/version"
	labelInstance     = "app.kubernetes.io/instance"
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
	client, err := target.Cluster.Kubernetes()
	if err != nil {
		return nil, err
	}
	return blockedBy(ctx, client, target, gate, now)
}

func blockedBy(ctx context.Context, client kubernetes.Interface, target Target, gate Gate, now time.Time) ([]string, error) {
	safe, err := semver.NewVersion(gate.SafeAfter)
	if err != nil {
		return nil, fmt.Errorf("safe_after %q is no version: %w", gate.SafeAfter, err)
	}
	g := &gateCheck{gate: gate, safe: safe, reasons: map[string]bool{}}
	for name, version := range gate.AlsoUsedBy {
		g.version(name+" (also_used_by)", version)
	}
	unlisted := func(what string, err error) error {
		return target.Cluster.Classify(fmt.Errorf("listing %s of namespace %s: %w", what, target.Handle.Namespace, err))
	}
	namespace := target.Handle.Namespace
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, unlisted("pods", err)
	}
	for i := range pods.Items {
		if p := &pods.Items[i]; p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			g.workload("Pod/"+p.Name, p.Labels, p.Spec)
		}
	}
	jobs, err := client.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, unlisted("Jobs", err)
	}
	for i := range jobs.Items {
		if j := &jobs.Items[i]; !ended(j) {
			g.workload("Job/"+j.Name, merged(j.Labels, j.Spec.Template.Labels), j.Spec.Template.Spec)
		}
	}
	crons, err := client.BatchV1().CronJobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, unlisted("CronJobs", err)
	}
	for i := range crons.Items {
		c := &crons.Items[i]
		template := c.Spec.JobTemplate.Spec.Template
		g.workload("CronJob/"+c.Name, merged(c.Labels, template.Labels), template.Spec)
	}
	releases, failed, err := record.List[record.Release](ctx, client,
		record.Place{Cluster: target.Cluster, Handle: target.Handle, Kind: record.OfRelease})
	if err != nil {
		return nil, err
	}
	for _, stored := range releases {
		if g.wanted(stored.Place.Name) {
			g.release(stored.Place.Name, stored.Content, now)
		}
	}
	for name, err := range failed {
		if g.wanted(name) {
			g.unreadable(name, err)
		}
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

// version blocks on what is older than the safe version, or of an unknown one.
func (g *gateCheck) version(who, version string) {
	switch v, err := semver.NewVersion(version); {
	case version == "":
		g.reasons[who+" is of an unknown version"] = true
	case err != nil:
		g.reasons[fmt.Sprintf("%s is of version %s, which cannot be compared with %s", who, version, g.gate.SafeAfter)] = true
	case v.LessThan(g.safe):
		g.reasons[fmt.Sprintf("%s is of version %s, before %s", who, version, g.gate.SafeAfter)] = true
	}
}

// workload checks what runs or will run. Slipway's own Jobs do not use the schema as the application does.
func (g *gateCheck) workload(who string, labels map[string]string, pod corev1.PodSpec) {
	if labels[record.LabelMigration] != "" || labels[record.LabelCheck] != "" ||
		g.gate.Release != "" && labels[labelInstance] != g.gate.Release {
		return
	}
	version := labels[labelVersion]
	if version == "" && len(pod.Containers) > 0 {
		version = imageTag(pod.Containers[0].Image)
	}
	g.version(who, version)
}

// release checks what a release could be rolled back to: its newest known-good revision.
func (g *gateCheck) release(name string, known *record.Release, now time.Time) {
	if len(known.KnownGood) == 0 {
		return
	}
	good := known.KnownGood[0]
	g.version("what release "+name+" would be rolled back to", good.Version)
	if until := good.At.Add(g.gate.Soak); g.gate.Soak > 0 && now.Before(until) {
		g.reasons[fmt.Sprintf("release %s has to hold until %s (soak)", name, until.UTC().Format(time.RFC3339))] = true
	}
}

// unreadable blocks on a record that cannot be understood: what it says is not known.
func (g *gateCheck) unreadable(name string, err error) {
	if _, newer := errors.AsType[*record.NewerError](err); newer {
		g.reasons["the record of release "+name+" was written by a newer version of Slipway"] = true
		return
	}
	g.reasons["the record of release "+name+" cannot be read"] = true
}

// wanted reports whether a release is one that the gate looks at.
func (g *gateCheck) wanted(release string) bool {
	return g.gate.Release == "" || g.gate.Release == release
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
