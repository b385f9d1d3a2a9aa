// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package dryrun asks the API server whether it would accept a rendering, and what the apply would overwrite. It writes nothing.
package dryrun

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// run is one dry run of a release.
type run struct {
	target   ownership.Release
	previous map[object.Key]string
	next     *render.Result
	// outside says that the deployed revision is not the one that previous shows.
	outside bool

	objects dynamic.Interface
	client  kubernetes.Interface
	mapper  meta.RESTMapper
	// base are the objects of the deployed revision as they were rendered, without hooks; empty where nothing is deployed.
	base map[object.Identity]map[string]any
	// scaled are the workloads whose replicas an autoscaler sets.
	scaled map[autoscale.Target]bool

	mu         sync.Mutex
	refusals   []Refusal
	overwrites []Overwrite
	skipped    map[string][]string // by reason
	loads      []*load
}

// Run validates the objects of next that differ from previous (nil on create) with dry runs: Helm's own three-way patch with
// dryRun=All for what exists, POST for what does not, one Pod per changed pod template, and quota arithmetic over
// (replicas + surge). Unchanged objects cost nothing; work is bounded-parallel. Nothing is written. The base of the
// three-way patch is the stored manifest of the deployed revision. outside says that this revision was not made by Slipway:
// then everything in which it differs from next is validated, and what it changed since previous counts as overwritten. Errors
// only for what prevents the dry run as a whole (cluster.Classify).
func Run(ctx context.Context, target ownership.Release, previous map[object.Key]string, next *render.Result,
	outside bool) (*Result, error) {
	t := &run{target: target, previous: previous, next: next, outside: outside, skipped: map[string][]string{}}
	if !t.anythingToRun() {
		return &Result{}, nil
	}
	if _, err := environment.Check(ctx, target.Cluster, target.Handle); err != nil {
		return nil, err
	}
	if err := CheckNamespaces(ctx, target, next); err != nil {
		return nil, err
	}
	if err := t.connect(); err != nil {
		return nil, target.Cluster.Classify(err)
	}
	if err := t.readBase(ctx); err != nil {
		return nil, err
	}
	changed := t.changed()
	if err := t.readAutoscalers(ctx, changed); err != nil {
		return nil, err
	}
	err := cluster.Parallel(ctx, changed, func(ctx context.Context, key object.Key) error { return t.object(ctx, key, next.ByKey[key]) })
	if err != nil {
		return nil, target.Cluster.Classify(err)
	}
	if err := t.pods(ctx); err != nil {
		return nil, target.Cluster.Classify(err)
	}
	if err := t.quotas(ctx); err != nil {
		return nil, target.Cluster.Classify(err)
	}
	return t.result(), nil
}

// anythingToRun is whether an object differs, or may differ where the plan shows only a mask.
func (t *run) anythingToRun() bool {
	if t.outside {
		return true
	}
	for key, text := range t.next.Objects {
		if t.differs(key) || strings.Contains(text, object.MaskSecret) {
			return true
		}
	}
	return false
}

func (t *run) differs(key object.Key) bool {
	_, volatile := t.next.Volatile[key]
	before, there := t.previous[key]
	return volatile || !there || before != t.next.Objects[key]
}

// changed are the objects to validate: those that differ from previous, and those with a secret that is another one than in the
// deployed revision. Where that was made outside, all in which it differs.
func (t *run) changed() []object.Key {
	var out []object.Key
	for _, key := range slices.Sorted(maps.Keys(t.next.Objects)) {
		if t.differs(key) {
			out = append(out, key)
			continue
		}
		o := t.next.ByKey[key]
		stored, there := t.base[t.identify(o.Object)]
		masked := strings.Contains(t.next.Objects[key], object.MaskSecret)
		if (t.outside && !o.Hook || there && masked) && !sameValue(stored, o.Object) {
			out = append(out, key)
		}
	}
	return out
}

func (t *run) connect() error {
	var err error
	if t.objects, err = t.target.Cluster.Dynamic(); err != nil {
		return err
	}
	if t.client, err = t.target.Cluster.Kubernetes(); err != nil {
		return err
	}
	t.mapper, err = t.target.Cluster.RESTMapper()
	return err
}

// identify takes the release's namespace for an object that names none; for objects of the whole cluster that is as good as
// any other.
func (t *run) identify(o map[string]any) object.Identity {
	gvk := object.GVKOf(o)
	name, namespace := object.NameOf(o)
	if namespace == "" {
		namespace = t.target.Handle.Namespace
	}
	return object.Identity{Group: gvk.Group, Kind: gvk.Kind, Namespace: namespace, Name: name}
}

// readAutoscalers finds the autoscalers of the rendering, and those of the cluster where a changed workload sets replicas.
func (t *run) readAutoscalers(ctx context.Context, changed []object.Key) error {
	t.scaled = map[autoscale.Target]bool{}
	for _, o := range t.next.ByKey {
		autoscale.AddRendered(t.scaled, t.identify(o.Object).Namespace, o.Object)
	}
	source := autoscale.Live(t.client)
	for _, key := range changed {
		o := t.next.ByKey[key]
		if !object.HasReplicas(o.Object) || o.Hook {
			continue
		}
		err := autoscale.AddLive(ctx, source, t.identify(o.Object).Namespace, t.scaled)
		if cluster.LacksRight(err) {
			t.skip("the cluster's HorizontalPodAutoscalers cannot be listed, so replicas that one of them sets may be shown as changed", key)
			return nil
		}
		if err != nil {
			return t.target.Cluster.Classify(err)
		}
	}
	return nil
}

func (t *run) refuse(key object.Key, reason, message string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refusals = append(t.refusals, Refusal{Object: key, Reason: reason, Message: t.next.Secrets.Text(message)})
}

func (t *run) skip(reason string, key object.Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.skipped[reason], key.Short()) {
		t.skipped[reason] = append(t.skipped[reason], key.Short())
	}
}

func (t *run) result() *Result {
	out := &Result{Refusals: t.refusals, Overwrites: t.overwrites}
	slices.SortFunc(out.Refusals, func(a, b Refusal) int {
		return strings.Compare(string(a.Object)+"\x00"+a.Message, string(b.Object)+"\x00"+b.Message)
	})
	slices.SortFunc(out.Overwrites, func(a, b Overwrite) int {
		return strings.Compare(string(a.Object)+"\x00"+a.Path, string(b.Object)+"\x00"+b.Path)
	})
	for _, reason := range slices.Sorted(maps.Keys(t.skipped)) {
		names := t.skipped[reason]
		slices.Sort(names)
		out.Skipped = append(out.Skipped, fmt.Sprintf("%s: %s", strings.Join(names, ", "), t.next.Secrets.Text(reason)))
	}
	return out
}

// Result is what the API server says of a rendering that is not applied yet.
type Result struct {
	// Refusals would fail the apply: schema errors, immutable fields, admission, quota, Pod Security, a name that is taken.
	Refusals []Refusal
	// Overwrites are live differences that the apply would put back: hand edits, replicas that an HPA owns.
	Overwrites []Overwrite
	// Skipped says in words what could not be validated and why (no right to dry-run, the kind is not served yet).
	Skipped []string
}

// Refusal is one refused object.
type Refusal struct {
	Object object.Key
	// Reason is the API's reason ("Invalid", "Forbidden", "AlreadyExists") and Message its text, without secret data.
	Reason  string
	Message string
}

// Overwrite is one leaf of a live object.
type Overwrite struct {
	Object object.Key
	Path   string
	Live   string
	Target string
}
