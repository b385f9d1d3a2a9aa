// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/threeway"
)

// compareHere finds out without a request in what a live object seems to differ.
func (d *drifts) compareHere(ctx context.Context, o *drifting) error {
	o.leaves, o.patch = nil, nil
	if o.ignoredWhole(d.options.Ignore) {
		o.whole, o.live = "", nil
		return nil
	}
	if o.whole != "" || o.live == nil || o.want == nil {
		return nil
	}
	if owner := anotherOwner(d.target, o.live); owner != "" {
		o.whole, o.lasting = owner, true
		return nil
	}
	if o.live.GetDeletionTimestamp() != nil {
		o.whole = driftDeleting
		return nil
	}
	patch, kind, restored, err := threeway.Restoring(o.mapping, d.wanted(o), o.live.Object)
	if err != nil {
		return fmt.Errorf("comparing %s: %w", o.key.Short(), err)
	}
	if patch == nil {
		return nil
	}
	o.patch, o.patchType = patch, kind
	o.leaves, err = d.leaves(ctx, o, restored)
	return err
}

// compare asks the API server in what an object that seems to differ really does.
func (d *drifts) compare(ctx context.Context, o *drifting) error {
	if len(o.leaves) == 0 {
		return nil
	}
	answer, err := o.at.Patch(ctx, o.live.GetName(), o.patchType, o.patch, metav1.PatchOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: environment.FieldManager,
	})
	if err != nil {
		return d.untried(o, err)
	}
	// The answer may hold changes that this patch did not ask for, such as those of a webhook.
	asked := o.leaves
	if o.leaves, err = d.leaves(ctx, o, answer.Object); err != nil {
		return err
	}
	o.leaves = slices.DeleteFunc(o.leaves, func(leaf object.Drift) bool {
		return !slices.ContainsFunc(asked, func(other object.Drift) bool { return sameOrBelow(leaf.Path, other.Path) })
	})
	return nil
}

// sameOrBelow reports that one of two leaves is the other one, or lies in it: a patch may make what the server then fills.
func sameOrBelow(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// wanted is the object as Helm would write it: with Helm's marks, and without replicas that an autoscaler sets.
func (d *drifts) wanted(o *drifting) map[string]any {
	want := object.DeepCopy(o.want)
	if namespace := o.live.GetNamespace(); namespace != "" {
		object.SetNamespace(want, namespace)
	}
	d.target.Annotate(want)
	delete(want, "status")
	id := object.IdentityIn(d.target.Handle.Namespace, want)
	d.mu.Lock()
	autoscaled := d.scaled[autoscale.Target{Namespace: id.Namespace, Kind: id.Kind, Name: id.Name}]
	d.mu.Unlock()
	if autoscaled {
		want = object.WithoutReplicas(want)
	}
	return want
}

// leaves are the differences that count.
func (d *drifts) leaves(ctx context.Context, o *drifting, restored map[string]any) ([]object.Drift, error) {
	onlyOurs := writtenOnlyByUs(o.live)
	found := object.Drifts(o.live.Object, restored, o.shown, func(leaf object.Drift) bool {
		// What is there beyond the rendered was filled in by the API server then, inside a list that is replaced as a whole.
		return onlyOurs && leaf.Restored == nil || d.ignored(o, leaf)
	})
	if !slices.ContainsFunc(found, isReplicas) {
		return found, nil
	}
	autoscaled, err := d.isAutoscaled(ctx, o)
	if err != nil {
		return nil, err
	}
	if autoscaled {
		found = slices.DeleteFunc(found, isReplicas)
	}
	return found, nil
}

func isReplicas(leaf object.Drift) bool { return leaf.Path == "spec.replicas" }

// isAutoscaled asks the cluster for autoscalers that are none of the release's.
func (d *drifts) isAutoscaled(ctx context.Context, o *drifting) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	namespace := o.live.GetNamespace()
	err := autoscale.AddLive(ctx, d.autoscalers, namespace, d.scaled)
	if err != nil && !cluster.LacksRight(err) {
		return false, err
	}
	return d.scaled[autoscale.Target{Namespace: namespace, Kind: o.live.GetKind(), Name: o.live.GetName()}], nil
}

func (d *drifts) ignored(o *drifting, leaf object.Drift) bool {
	covers := func(rule object.IgnoreRule) bool { return rule.Covers(o.key, leaf) }
	return slices.ContainsFunc(injected, covers) || slices.ContainsFunc(d.options.Ignore, covers)
}

// injected are leaves that charts leave open, or fill with a stand-in, for a controller to write a certificate into.
var injected = []object.IgnoreRule{
	{Kind: "MutatingWebhookConfiguration", Paths: []string{"webhooks[*].clientConfig.caBundle"}},
	{Kind: "ValidatingWebhookConfiguration", Paths: []string{"webhooks[*].clientConfig.caBundle"}},
	{Kind: "APIService", Paths: []string{"spec.caBundle"}},
	{Kind: "CustomResourceDefinition", Paths: []string{"spec.conversion.webhook.clientConfig.caBundle"}},
}

// ignoredWhole reports a rule for the object without paths.
func (o *drifting) ignoredWhole(rules []object.IgnoreRule) bool {
	return slices.ContainsFunc(rules, func(r object.IgnoreRule) bool { return len(r.Paths) == 0 && r.CoversObject(o.key) })
}

// untried judges a dry run that was refused: what was computed here stands then.
func (d *drifts) untried(o *drifting, err error) error {
	var status apierrors.APIStatus
	switch {
	case cluster.LacksRight(err):
		d.skip("differences were not tried on the API server for lack of a right, so that some may be none: " + cluster.AnswerText(err))
	case cluster.IsTransient(err) || !errors.As(err, &status) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("trying %s: %w", o.key.Short(), err)
	case apierrors.IsNotFound(err):
		o.leaves, o.live, o.whole = nil, nil, driftGone
	default:
		d.skip(fmt.Sprintf("%s: the API server refuses to have it put back: %s", o.key.Short(), cluster.AnswerText(err)))
	}
	return nil
}

// anotherOwner says to whom else an object belongs; empty where it is this release's, or nobody's.
func anotherOwner(target Target, live *unstructured.Unstructured) string {
	annotations := live.GetAnnotations()
	name, namespace := annotations[ownership.AnnotationReleaseName], annotations[ownership.AnnotationReleaseNamespace]
	manager := live.GetLabels()[ownership.LabelManagedBy]
	switch {
	case name != "" && (name != target.Name || namespace != target.Handle.Namespace):
		return fmt.Sprintf(driftForeign+"the Helm release %s in namespace %s now", name, namespace)
	case name == "" && manager != "" && manager != ownership.ManagedByHelm:
		return fmt.Sprintf(driftForeign+"%q now (label %s)", manager, ownership.LabelManagedBy)
	}
	return ""
}

// withoutStringData writes the stringData of a v1 Secret as data, as the API server stores it. Masks stay what they are.
func withoutStringData(o map[string]any) map[string]any {
	plain, ok := o["stringData"].(map[string]any)
	if !ok || o["kind"] != "Secret" || o["apiVersion"] != "v1" {
		return o
	}
	out := maps.Clone(o)
	delete(out, "stringData")
	data := map[string]any{}
	if encoded, ok := o["data"].(map[string]any); ok {
		data = maps.Clone(encoded)
	}
	for key, v := range plain {
		if text, ok := v.(string); ok && v != object.MaskSecret {
			v = base64.StdEncoding.EncodeToString([]byte(text))
		}
		data[key] = v
	}
	out["data"] = data
	return out
}

func isHook(o map[string]any) bool {
	metadata, _ := o["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	return annotations[helmrelease.HookAnnotation] != nil
}

func namesSecret(key object.Key) bool { return strings.Contains(string(key), object.MaskSecret) }

func compareKeys(a, b object.Key) int { return strings.Compare(string(a), string(b)) }

// hasAnyMask reports a mask of either kind anywhere in a value.
func hasAnyMask(v any) bool {
	switch v := v.(type) {
	case string:
		return v == object.MaskSecret || v == object.MaskRevision
	case map[string]any:
		for _, child := range v {
			if hasAnyMask(child) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasAnyMask)
	}
	return false
}
