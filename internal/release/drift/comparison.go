// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package drift

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmstore"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/threeway"
)

// Comparison is one comparison of live objects with rendered ones while it runs.
type Comparison struct {
	target  ownership.Release
	options Options

	dynamic dynamic.Interface
	client  kubernetes.Interface
	mapper  meta.RESTMapper

	Objects []*Object
	// stored are the objects of the deployed revision with their secrets; nil until they are needed.
	stored map[object.Identity]map[string]any
	// Secrets knows the secrets of the release once stored is there; nil before.
	Secrets *redact.Secrets
	// secretive says that some of the release's values are secret.
	secretive bool
	// hide says that stored cannot be read, so that live values may be secrets.
	hide bool

	mu          sync.Mutex
	autoscalers autoscale.Source
	Scaled      map[autoscale.Target]bool
	skipped     []string
}

// New prepares a comparison with the cluster of target. Errors as from cluster.Classify.
func New(target ownership.Release, options Options) (*Comparison, error) {
	d := &Comparison{target: target, options: options, Scaled: map[autoscale.Target]bool{}}
	var err error
	if d.dynamic, err = target.Cluster.Dynamic(); err == nil {
		if d.client, err = target.Cluster.Kubernetes(); err == nil {
			d.mapper, err = target.Cluster.RESTMapper()
		}
	}
	if err != nil {
		return nil, target.Cluster.Classify(err)
	}
	d.autoscalers = autoscale.Live(d.client)
	return d, nil
}

// Look reads and compares all objects. As long as nothing seems to differ, what the state shows is enough to compare with; Helm's
// record is read for the rest, since it alone says what was really installed of a chart that renders differently each time.
func (d *Comparison) Look(ctx context.Context) error {
	if err := d.list(ctx); err != nil {
		return err
	}
	if err := d.suspect(ctx); err != nil {
		return err
	}
	if d.stored == nil && slices.ContainsFunc(d.Objects, func(o *Object) bool { return o.suspicious() }) {
		if err := d.takeStored(ctx); err != nil {
			return err
		}
	}
	return cluster.Parallel(ctx, d.Objects, d.compare)
}

// suspect reads all objects and compares those whose masks can be filled.
func (d *Comparison) suspect(ctx context.Context) error {
	if err := cluster.Parallel(ctx, d.Objects, d.fetch); err != nil {
		return err
	}
	return cluster.Parallel(ctx, d.Objects, d.compareHere)
}

// takeStored compares what is suspicious with what Helm has stored. Without the right to read that, with what the state shows.
func (d *Comparison) takeStored(ctx context.Context) error {
	switch err := d.ReadStored(ctx); {
	case cluster.LacksRight(err):
		d.hide = true
		d.skip("Secrets and other masked leaves were compared only where nobody else has written to their object, for lack of the right to " +
			"read Helm's record")
		for _, o := range d.Objects {
			if o.Want == nil && o.Live != nil {
				o.Want, _ = object.FillMasks(o.shown, o.Live.Object)
			}
		}
		return nil
	case err != nil:
		return err
	}
	if !d.sameSet() {
		d.Objects = nil
		if err := d.listStored(ctx); err != nil {
			return err
		}
		return d.suspect(ctx)
	}
	for _, o := range d.Objects {
		o.Want = d.stored[d.identify(o.shown)]
	}
	d.learnDerived()
	return cluster.Parallel(ctx, d.Objects, d.compareHere)
}

// sameSet reports that Helm has stored just the objects that were compared.
func (d *Comparison) sameSet() bool {
	for _, o := range d.Objects {
		if _, there := d.stored[d.identify(o.shown)]; !there {
			return false
		}
	}
	return len(d.Objects) == len(d.stored)
}

func (d *Comparison) identify(o map[string]any) object.Identity {
	return object.IdentityIn(d.target.Handle.Namespace, o)
}

// list finds out which objects there should be.
func (d *Comparison) list(ctx context.Context) error {
	keys := slices.Sorted(maps.Keys(d.options.Rendered))
	fromStored := d.stored != nil || d.options.Rendered == nil || slices.ContainsFunc(keys, namesSecret)
	if fromStored {
		return d.listStored(ctx)
	}
	for _, key := range keys {
		shown, err := object.Decode(d.options.Rendered[key])
		if err != nil {
			return err
		}
		if shown = withoutStringData(shown); !isHook(shown) {
			d.add(&Object{Key: key, shown: shown})
		}
	}
	return nil
}

// listStored takes the objects from Helm's record.
func (d *Comparison) listStored(ctx context.Context) error {
	if err := d.ReadStored(ctx); err != nil {
		return err
	}
	secretive := d.secretKinds()
	for _, o := range d.stored {
		key, err := object.KeyOf(o, d.target.Handle.Namespace)
		if err != nil {
			return fmt.Errorf("reading the objects of revision %d of release %s: %w", d.options.Revision, d.target.Name, err)
		}
		var shown map[string]any
		text, known := d.options.Rendered[key]
		switch hidden := secretKey(o); {
		case known:
			if shown, err = object.Decode(text); err != nil {
				return err
			}
			shown = withoutStringData(shown)
		case secretive[hidden] || d.options.Rendered == nil && d.secretive:
			// Its name may be made of a secret, and nothing says what else of it is.
			key, shown = hidden, shellOf(o)
		case secretive[object.MaskSecret]: // Its kind may be made of one.
			key, shown = object.MaskSecret, shellOf(o)
			shown["apiVersion"], shown["kind"] = object.MaskSecret, object.MaskSecret
		default:
			shown, _ = d.Secrets.Mask(object.MaskSecretData(o)).(map[string]any)
		}
		d.add(&Object{Key: object.Key(d.Secrets.Text(string(key))), shown: shown, Want: o})
	}
	slices.SortFunc(d.Objects, func(a, b *Object) int { return compareKeys(a.Key, b.Key) })
	d.learnDerived()
	return nil
}

// learnDerived keeps out of the texts what the chart has made of secrets.
func (d *Comparison) learnDerived() {
	var raw, shown []map[string]any
	for _, o := range d.Objects {
		if o.Want != nil && o.shown != nil {
			raw, shown = append(raw, o.Want), append(shown, o.shown)
		}
	}
	render.AddDerived(d.Secrets, raw, shown, func(string) bool { return false })
	d.Secrets.Complete()
}

func (d *Comparison) add(o *Object) {
	if o.Want == nil {
		o.Want = d.stored[d.identify(o.shown)]
	}
	d.Objects = append(d.Objects, o)
	of := o.shown
	if o.Want != nil {
		of = o.Want
	}
	autoscale.AddRendered(d.Scaled, d.identify(of).Namespace, of)
}

// fetch reads one live object, and settles with what it is compared where that takes no look at Helm's record.
func (d *Comparison) fetch(ctx context.Context, o *Object) error {
	like := o.shown
	if o.Want != nil {
		like = o.Want
	}
	gvk := object.GVKOf(like)
	mapping, err := d.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		o.Whole, o.Lasting = notServed+": "+gvk.Kind+" in "+gvk.GroupVersion().String(), true
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking the cluster for %s: %w", gvk.GroupKind(), err)
	}
	o.Mapping = mapping
	o.at = d.dynamic.Resource(mapping.Resource)
	name, _ := object.NameOf(like)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		o.at = d.dynamic.Resource(mapping.Resource).Namespace(d.identify(like).Namespace)
	}
	live, err := o.at.Get(ctx, name, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		o.Whole = gone
		return nil
	case cluster.LacksRight(err):
		d.skip(fmt.Sprintf("%s was not compared: %s", o.Key.Short(), cluster.AnswerText(err)))
		o.at = nil
		return nil
	case err != nil:
		return fmt.Errorf("reading %s: %w", o.Key.Short(), err)
	}
	o.Live = live
	if o.Want == nil {
		filled, whole := object.FillMasks(o.shown, live.Object)
		if !object.HasMask(o.shown, object.MaskSecret, object.MaskRevision) || whole && writtenOnlyByUs(live) {
			o.Want = filled
		}
	}
	return nil
}

// ReadStored reads what Helm has stored of the deployed revision.
func (d *Comparison) ReadStored(ctx context.Context) error {
	if d.stored != nil {
		return nil
	}
	secrets := helmstore.Bind(ctx, d.client.CoreV1().Secrets(d.target.Handle.Namespace))
	found, err := storage.Init(driver.NewSecrets(secrets)).Get(d.target.Name, d.options.Revision)
	if err != nil {
		return fmt.Errorf("reading revision %d of release %s: %w", d.options.Revision, d.target.Name, err)
	}
	raw := &render.Raw{Manifest: found.Manifest, Hooks: found.Hooks}
	if err := raw.Parse(d.target.Handle.Namespace); err != nil {
		return fmt.Errorf("reading the objects of revision %d of release %s: %w", d.options.Revision, d.target.Name, err)
	}
	_, secret := helmstore.SplitValues(found.Config, d.options.SecretPaths)
	d.Secrets, d.secretive = helmstore.SecretsOf(raw, secret), len(secret) > 0
	d.stored = map[object.Identity]map[string]any{}
	for _, o := range raw.Objects {
		if !o.Hook {
			d.stored[d.identify(o.Object)] = withoutStringData(o.Object)
		}
	}
	return nil
}

func (d *Comparison) skip(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.skipped, text) {
		d.skipped = append(d.skipped, text)
	}
}

// compareHere finds out without a request in what a live object seems to differ.
func (d *Comparison) compareHere(ctx context.Context, o *Object) error {
	o.Leaves, o.patch = nil, nil
	if o.ignoredWhole(d.options.Ignore) {
		o.Whole, o.Live = "", nil
		return nil
	}
	if o.Whole != "" || o.Live == nil || o.Want == nil {
		return nil
	}
	if owner := anotherOwner(d.target, o.Live); owner != "" {
		o.Whole, o.Lasting = owner, true
		return nil
	}
	if o.Live.GetDeletionTimestamp() != nil {
		o.Whole = Deleting
		return nil
	}
	patch, kind, restored, err := threeway.Restoring(o.Mapping, d.Wanted(o), o.Live.Object)
	if err != nil {
		return fmt.Errorf("comparing %s: %w", o.Key.Short(), err)
	}
	if patch == nil {
		return nil
	}
	o.patch, o.patchType = patch, kind
	o.Leaves, err = d.leaves(ctx, o, restored)
	return err
}

// compare asks the API server in what an object that seems to differ really does.
func (d *Comparison) compare(ctx context.Context, o *Object) error {
	if len(o.Leaves) == 0 {
		return nil
	}
	answer, err := o.at.Patch(ctx, o.Live.GetName(), o.patchType, o.patch, metav1.PatchOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: environment.FieldManager,
	})
	if err != nil {
		return d.untried(o, err)
	}
	// The answer may hold changes that this patch did not ask for, such as those of a webhook.
	asked := o.Leaves
	if o.Leaves, err = d.leaves(ctx, o, answer.Object); err != nil {
		return err
	}
	o.Leaves = slices.DeleteFunc(o.Leaves, func(leaf object.Drift) bool {
		return !slices.ContainsFunc(asked, func(other object.Drift) bool { return sameOrBelow(leaf.Path, other.Path) })
	})
	return nil
}

// Wanted is the object as Helm would write it: with Helm's label and annotations, and without replicas that an autoscaler sets.
func (d *Comparison) Wanted(o *Object) map[string]any {
	want := object.DeepCopy(o.Want)
	if namespace := o.Live.GetNamespace(); namespace != "" {
		object.SetNamespace(want, namespace)
	}
	d.target.Annotate(want)
	delete(want, "status")
	id := object.IdentityIn(d.target.Handle.Namespace, want)
	d.mu.Lock()
	autoscaled := d.Scaled[autoscale.Target{Namespace: id.Namespace, Kind: id.Kind, Name: id.Name}]
	d.mu.Unlock()
	if autoscaled {
		want = object.WithoutReplicas(want)
	}
	return want
}

// leaves are the differences that count.
func (d *Comparison) leaves(ctx context.Context, o *Object, restored map[string]any) ([]object.Drift, error) {
	onlyOurs := writtenOnlyByUs(o.Live)
	found := object.Drifts(o.Live.Object, restored, o.shown, func(leaf object.Drift) bool {
		// What is there beyond the rendered was filled in by the API server then, inside a list that is replaced as a whole.
		return onlyOurs && leaf.Restored == nil || d.Ignored(o, leaf)
	})
	if !slices.ContainsFunc(found, IsReplicas) {
		return found, nil
	}
	autoscaled, err := d.isAutoscaled(ctx, o)
	if err != nil {
		return nil, err
	}
	if autoscaled {
		found = slices.DeleteFunc(found, IsReplicas)
	}
	return found, nil
}

// isAutoscaled asks the cluster for autoscalers that are none of the release's.
func (d *Comparison) isAutoscaled(ctx context.Context, o *Object) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	namespace := o.Live.GetNamespace()
	err := autoscale.AddLive(ctx, d.autoscalers, namespace, d.Scaled)
	if err != nil && !cluster.LacksRight(err) {
		return false, err
	}
	return d.Scaled[autoscale.Target{Namespace: namespace, Kind: o.Live.GetKind(), Name: o.Live.GetName()}], nil
}

// Ignored reports that a rule covers a leaf, so that it is no drift.
func (d *Comparison) Ignored(o *Object, leaf object.Drift) bool {
	covers := func(rule object.IgnoreRule) bool { return rule.Covers(o.Key, leaf) }
	return slices.ContainsFunc(injected, covers) || slices.ContainsFunc(d.options.Ignore, covers)
}

// untried handles a dry run that was refused: then what was computed here is reported.
func (d *Comparison) untried(o *Object, err error) error {
	var status apierrors.APIStatus
	switch {
	case cluster.LacksRight(err):
		d.skip("differences were not validated on the API server for lack of a right, so some of them may not be real: " +
			cluster.AnswerText(err))
	case cluster.IsTransient(err) || !errors.As(err, &status) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("validating %s: %w", o.Key.Short(), err)
	case apierrors.IsNotFound(err):
		o.Leaves, o.Live, o.Whole = nil, nil, gone
	default:
		d.skip(fmt.Sprintf("%s: the API server refuses to restore it: %s", o.Key.Short(), cluster.AnswerText(err)))
	}
	return nil
}

// Differences puts what was found into words.
func (d *Comparison) Differences() *Differences {
	out := &Differences{}
	for _, o := range d.Objects {
		if o.Whole != "" {
			out.Found = append(out.Found, Difference{Object: o.Key, Text: o.Whole, Lasting: o.Lasting})
		}
		for _, leaf := range o.Leaves {
			out.Found = append(out.Found, Difference{Object: o.Key, Path: d.Secrets.Text(leaf.Path), Text: d.leafText(leaf)})
		}
	}
	slices.SortFunc(out.Found, func(a, b Difference) int {
		return strings.Compare(string(a.Object)+"\x00"+a.Path, string(b.Object)+"\x00"+b.Path)
	})
	out.Found = slices.Compact(out.Found) // several leaves below one mask
	for _, text := range d.skipped {
		out.Skipped = append(out.Skipped, d.Secrets.Text(text))
	}
	slices.Sort(out.Skipped)
	return out
}

func (d *Comparison) leafText(leaf object.Drift) string {
	if leaf.Live == object.MaskSecret && leaf.Restored == object.MaskSecret {
		return "differs " + object.MaskSecret
	}
	if d.hide && leaf.Live != nil {
		leaf.Live = object.MaskSecret
	}
	return d.Secrets.Text(object.LeafText(leaf.Live)) + " → " + d.Secrets.Text(object.LeafText(leaf.Restored))
}
