// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/redact"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/helmstore"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
)

// drifts is one comparison of live objects with rendered ones while it runs.
type drifts struct {
	target  Target
	options DriftOptions

	dynamic dynamic.Interface
	client  kubernetes.Interface
	mapper  meta.RESTMapper

	objects []*drifting
	// stored are the objects of the deployed revision with their secrets; nil until they are needed.
	stored map[object.Identity]map[string]any
	// scrub knows the secrets of the release once stored is there; nil before.
	scrub *redact.Secrets
	// hide says that stored cannot be read, so that live values may be secrets.
	hide bool

	mu          sync.Mutex
	autoscalers autoscale.Source
	scaled      map[autoscale.Target]bool
	skipped     []string
}

// drifting is one object of the release.
type drifting struct {
	key object.Key
	// shown is the object with masks; want what it is compared with, nil where that cannot be told.
	shown, want map[string]any
	mapping     *meta.RESTMapping
	at          dynamic.ResourceInterface
	// live is nil where the object is gone.
	live *unstructured.Unstructured

	// whole says what is wrong with the object as a whole, leaves which of its leaves differ.
	whole   string
	lasting bool
	leaves  []object.Drift
	// patch would put the leaves back.
	patch     []byte
	patchType types.PatchType
}

// What is said of whole objects.
const (
	driftGone     = "is gone"
	driftDeleting = "is being deleted"
	// Beginnings of what is said of objects that are not the release's any more.
	driftForeign   = "belongs to "
	driftNotServed = "is of a kind that the cluster does not serve any more"
)

func newDrifts(target Target, options DriftOptions) (*drifts, error) {
	d := &drifts{target: target, options: options, scaled: map[autoscale.Target]bool{}}
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

// look reads and compares all objects. As long as nothing seems to differ, what the state shows is enough to compare with; Helm's
// record is read for the rest, since it alone says what was really installed of a chart that renders differently each time.
func (d *drifts) look(ctx context.Context) error {
	if err := d.list(ctx); err != nil {
		return err
	}
	if err := d.suspect(ctx); err != nil {
		return err
	}
	if d.stored == nil && slices.ContainsFunc(d.objects, func(o *drifting) bool { return o.suspicious() }) {
		if err := d.takeStored(ctx); err != nil {
			return err
		}
	}
	return cluster.Parallel(ctx, d.objects, d.compare)
}

// suspect reads all objects and compares those whose masks can be filled.
func (d *drifts) suspect(ctx context.Context) error {
	if err := cluster.Parallel(ctx, d.objects, d.fetch); err != nil {
		return err
	}
	return cluster.Parallel(ctx, d.objects, d.compareHere)
}

// suspicious reports that an object is not certain to be as it was rendered.
func (o *drifting) suspicious() bool {
	return o.whole != "" || len(o.leaves) > 0 || o.live != nil && o.want == nil
}

// takeStored compares what is suspicious with what Helm has stored. Without the right to read that, with what the state shows.
func (d *drifts) takeStored(ctx context.Context) error {
	switch err := d.readStored(ctx); {
	case cluster.LacksRight(err):
		d.hide = true
		d.skip("Secrets and other masked leaves were compared only where nobody else has written to their object, for lack of the right to read Helm's record")
		for _, o := range d.objects {
			if o.want == nil && o.live != nil {
				o.want, _ = object.FillMasks(o.shown, o.live.Object)
			}
		}
		return nil
	case err != nil:
		return err
	}
	if !d.sameSet() {
		d.objects = nil
		if err := d.listStored(ctx); err != nil {
			return err
		}
		return d.suspect(ctx)
	}
	for _, o := range d.objects {
		o.want = d.stored[d.identify(o.shown)]
	}
	return cluster.Parallel(ctx, d.objects, d.compareHere)
}

// sameSet reports that Helm has stored just the objects that were compared.
func (d *drifts) sameSet() bool {
	for _, o := range d.objects {
		if _, there := d.stored[d.identify(o.shown)]; !there {
			return false
		}
	}
	return len(d.objects) == len(d.stored)
}

func (d *drifts) identify(o map[string]any) object.Identity {
	return object.IdentityIn(d.target.Handle.Namespace, o)
}

// list finds out which objects there should be.
func (d *drifts) list(ctx context.Context) error {
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
			d.add(&drifting{key: key, shown: shown})
		}
	}
	return nil
}

// listStored takes the objects from Helm's record.
func (d *drifts) listStored(ctx context.Context) error {
	if err := d.readStored(ctx); err != nil {
		return err
	}
	for _, o := range d.stored {
		key, err := object.KeyOf(o, d.target.Handle.Namespace)
		if err != nil {
			return fmt.Errorf("reading the objects of revision %d of release %s: %w", d.options.Revision, d.target.Name, err)
		}
		var shown map[string]any
		if text, known := d.options.Rendered[key]; known {
			if shown, err = object.Decode(text); err != nil {
				return err
			}
			shown = withoutStringData(shown)
		} else {
			shown, _ = d.scrub.Mask(object.MaskSecretData(o)).(map[string]any)
		}
		d.add(&drifting{key: object.Key(d.scrub.Text(string(key))), shown: shown, want: o})
	}
	slices.SortFunc(d.objects, func(a, b *drifting) int { return compareKeys(a.key, b.key) })
	return nil
}

func (d *drifts) add(o *drifting) {
	if o.want == nil {
		o.want = d.stored[d.identify(o.shown)]
	}
	d.objects = append(d.objects, o)
	of := o.shown
	if o.want != nil {
		of = o.want
	}
	autoscale.AddRendered(d.scaled, d.identify(of).Namespace, of)
}

// fetch reads one live object, and settles with what it is compared where that takes no look at Helm's record.
func (d *drifts) fetch(ctx context.Context, o *drifting) error {
	like := o.shown
	if o.want != nil {
		like = o.want
	}
	gvk := object.GVKOf(like)
	mapping, err := d.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		o.whole, o.lasting = driftNotServed+": "+gvk.Kind+" in "+gvk.GroupVersion().String(), true
		return nil
	}
	if err != nil {
		return fmt.Errorf("asking the cluster for %s: %w", gvk.GroupKind(), err)
	}
	o.mapping = mapping
	o.at = d.dynamic.Resource(mapping.Resource)
	name, _ := object.NameOf(like)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		o.at = d.dynamic.Resource(mapping.Resource).Namespace(d.identify(like).Namespace)
	}
	live, err := o.at.Get(ctx, name, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err):
		o.whole = driftGone
		return nil
	case cluster.LacksRight(err):
		d.skip(fmt.Sprintf("%s was not compared: %s", o.key.Short(), cluster.AnswerText(err)))
		o.at = nil
		return nil
	case err != nil:
		return fmt.Errorf("reading %s: %w", o.key.Short(), err)
	}
	o.live = live
	if o.want == nil {
		filled, whole := object.FillMasks(o.shown, live.Object)
		if !hasAnyMask(o.shown) || whole && writtenOnlyByUs(live) {
			o.want = filled
		}
	}
	return nil
}

// writtenOnlyByUs reports that nobody but Slipway has set any field outside the subresources, so that what Slipway wrote there is
// still what is there. A value that somebody else set belongs to him by the API server's own books.
func writtenOnlyByUs(live *unstructured.Unstructured) bool {
	ours := false
	for _, entry := range live.GetManagedFields() {
		if entry.Subresource != "" {
			continue
		}
		if entry.Manager != environment.FieldManager {
			return false
		}
		ours = true
	}
	return ours
}

// readStored reads what Helm has stored of the deployed revision.
func (d *drifts) readStored(ctx context.Context) error {
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
	d.scrub = helmstore.SecretsOf(raw, secret)
	d.stored = map[object.Identity]map[string]any{}
	for _, o := range raw.Objects {
		if !o.Hook {
			d.stored[d.identify(o.Object)] = withoutStringData(o.Object)
		}
	}
	return nil
}

func (d *drifts) skip(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.skipped, text) {
		d.skipped = append(d.skipped, text)
	}
}
