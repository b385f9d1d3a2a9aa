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

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/threeway"
)

// run is one dry run of a release.
type run struct {
	target   ownership.Release
	previous map[object.Key]string
	next     *render.Result
	Options

	objects dynamic.Interface
	client  kubernetes.Interface
	mapper  meta.RESTMapper
	// base are the objects of the deployed revision as they were rendered, without hooks; empty where nothing is deployed.
	base map[object.Identity]map[string]any
	// attempts are those of the revisions after it, which failed or did not end.
	attempts []map[object.Identity]map[string]any
	// scaled are the workloads whose replicas an autoscaler sets.
	scaled map[autoscale.Target]bool

	answers *answers
	pods    *podCheck
}

// Run validates the objects of next that differ from previous (nil on create) with dry runs: Helm's own three-way patch with
// dryRun=All for what exists, POST for what does not, one Pod per changed pod template, and quota arithmetic over
// (replicas + surge). Unchanged objects cost nothing; work is bounded-parallel. Nothing is written. The base of the
// three-way patch is the stored manifest of the deployed revision. Errors only for what prevents the dry run as a whole
// (cluster.Classify).
func Run(
	ctx context.Context, target ownership.Release, previous map[object.Key]string, next *render.Result, options Options,
) (*Result, error) {
	t := &run{target: target, previous: previous, next: next, Options: options, answers: newAnswers(next)}
	t.pods = &podCheck{run: t}
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
	if err := t.pods.all(ctx); err != nil {
		return nil, target.Cluster.Classify(err)
	}
	if err := (&quotaCheck{run: t, loads: t.pods.loads}).all(ctx); err != nil {
		return nil, target.Cluster.Classify(err)
	}
	return t.answers.result(), nil
}

// anythingToRun is whether an object differs, or may differ where the plan shows only a mask.
func (t *run) anythingToRun() bool {
	if t.Outside {
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
		if (t.Outside && !o.Hook || there && masked) && !object.SameValue(stored, o.Object) {
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
			t.answers.skip("the cluster's HorizontalPodAutoscalers cannot be listed, so replicas that one of them sets may be shown as changed", key)
			return nil
		}
		if err != nil {
			return t.target.Cluster.Classify(err)
		}
	}
	return nil
}

// object tries one object: a POST where it does not exist, else the patch that Helm would send. The error is one that hinders
// the whole dry run.
func (t *run) object(ctx context.Context, key object.Key, o object.Rendered) error {
	mapping, err := t.mapper.RESTMapping(object.GVKOf(o.Object).GroupKind(), object.GVKOf(o.Object).Version)
	if meta.IsNoMatchError(err) {
		t.answers.skip(t.whyNotServed(o), key)
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking the cluster for %s: %w", object.GVKOf(o.Object).GroupKind(), err)
	}
	name, _ := object.NameOf(o.Object)
	target := object.DeepCopy(o.Object)
	var client dynamic.ResourceInterface = t.objects.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		namespace := t.identify(o.Object).Namespace
		object.SetNamespace(target, namespace)
		client = t.objects.Resource(mapping.Resource).Namespace(namespace)
	}
	live, err := client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		return t.create(ctx, client, key, o, target)
	case err != nil:
		return t.answers.refusedBy(key, "", err)
	case o.Hook:
		// Helm deletes an old hook before it makes the new one, so its name is free, and its fields are not patched.
		t.pods.add(key, o, nil, target, nil)
		return nil
	}
	base, stored := t.base[t.identify(o.Object)]
	var taken *Takeover
	if !stored {
		if reason, cure := t.Taking.Refusal(t.target, t.target.OwnerOf(live)); reason != "" {
			if sibling := t.siblingOwner(ctx, live); sibling != "" {
				t.answers.skip("not validated, since release "+sibling+" of this environment has it. The apply succeeds where that release is "+
					"removed or replaced "+
					"first, or drops it, as this plan may have it; else give one of the two another name", key)
				return nil
			}
			t.answers.refuse(
				key,
				"AlreadyExists",
				fmt.Sprintf("The object exists in the cluster, and %s. %s", reason, strings.TrimSuffix(cure, ".")),
			)
			return nil
		}
		// Helm takes for the old state what it is about to write.
		base, taken = target, takeoverOf(t.target, key, live)
	}
	return t.patch(ctx, client, mapping, key, o, base, target, live, taken)
}

func (t *run) create(ctx context.Context, client dynamic.ResourceInterface, key object.Key, o object.Rendered,
	target map[string]any) error {
	if !o.Hook {
		t.target.Annotate(target)
	}
	made, err := client.Create(ctx, &unstructured.Unstructured{Object: target}, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: environment.FieldManager, FieldValidation: metav1.FieldValidationStrict,
	})
	if err != nil {
		return t.answers.refusedBy(key, "", err)
	}
	t.pods.add(key, o, nil, made.Object, nil)
	return nil
}

// patch tries the patch from base to target. Where no deployed revision stored the object, as after a first install that failed,
// it is unknown which of its values belong to others.
func (t *run) patch(ctx context.Context, client dynamic.ResourceInterface, mapping *meta.RESTMapping, key object.Key, o object.Rendered,
	base, target map[string]any, live *unstructured.Unstructured, taken *Takeover,
) error {
	if _, ns := object.NameOf(target); ns != "" {
		base = object.DeepCopy(base)
		object.SetNamespace(base, ns)
	}
	t.target.Annotate(target)
	id := t.identify(o.Object)
	if t.scaled[autoscale.Target{Namespace: id.Namespace, Kind: id.Kind, Name: id.Name}] {
		base, target = object.WithoutReplicas(base), object.WithoutReplicas(target)
	}
	patch, kind, err := threeway.Patch(mapping, base, target, live.Object)
	if err != nil {
		t.answers.refuse(key, "Invalid", err.Error())
		return nil
	}
	result := live
	if patch != nil {
		result, err = client.Patch(ctx, live.GetName(), kind, patch, metav1.PatchOptions{
			DryRun: []string{metav1.DryRunAll}, FieldManager: environment.FieldManager, FieldValidation: metav1.FieldValidationStrict,
		})
		if err != nil && taken != nil {
			return t.refuseTakeover(key, taken, live, err)
		}
		if err != nil {
			return t.answers.refusedBy(key, "", err)
		}
	}
	if taken != nil {
		if err := t.changes(taken, o.Object, live, result); err != nil {
			return err
		}
	} else {
		found, err := (&overwriteSearch{run: t, key: key}).all(base, live.Object, result.Object)
		if err != nil {
			return err
		}
		t.answers.overwrite(found)
	}
	t.pods.add(key, o, base, result.Object, live.Object)
	return nil
}

// siblingOwner is another release of Slipway in the same namespace that has an object; empty where there is none, or where
// that is unknown.
func (t *run) siblingOwner(ctx context.Context, live *unstructured.Unstructured) string {
	annotations := live.GetAnnotations()
	name := annotations[ownership.AnnotationReleaseName]
	if name == "" || annotations[ownership.AnnotationReleaseNamespace] != t.target.Handle.Namespace {
		return ""
	}
	place := record.Place{Cluster: t.target.Cluster, Handle: t.target.Handle, Kind: record.OfRelease, Name: name}
	found, err := record.Read[record.Release](ctx, t.client, place)
	if err != nil || found.Content == nil {
		return ""
	}
	return name
}

// whyNotServed distinguishes a CRD that comes with the chart from a kind that nothing defines.
func (t *run) whyNotServed(o object.Rendered) string {
	gvk := object.GVKOf(o.Object)
	kind := gvk.Kind + "." + gvk.Group
	brought := t.next.Brings[kind]
	for _, other := range t.next.ByKey {
		brought = brought || render.DefinedKind(other.Object) == kind
	}
	if brought {
		return fmt.Sprintf("not validated, since the definition of %s comes with the same release", gvk.GroupKind())
	}
	return fmt.Sprintf("not validated, since the cluster does not serve %s in %s; the apply needs its definition (CRD) to be there", gvk.Kind,
		gvk.GroupVersion())
}

// Options say what a dry run starts from.
type Options struct {
	// Outside says that the deployed revision was not made by Slipway: everything in which it differs from next is validated, and what it
	// changed since previous counts as overwritten.
	Outside bool
	// Attempted says that revisions after the deployed one failed, or did not end.
	Attempted bool
	// Taking says which running objects are taken over.
	Taking ownership.Taking
}

// Result is the API server's answer to a rendering that is not applied yet.
type Result struct {
	// Refusals would fail the apply: schema errors, immutable fields, admission, quota, Pod Security, a name that is taken.
	Refusals []Refusal
	// Overwrites are live differences that the apply would reset: hand edits, replicas that an HPA owns.
	Overwrites []Overwrite
	// Takeovers are running objects that no revision of the release has yet.
	Takeovers []Takeover
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
