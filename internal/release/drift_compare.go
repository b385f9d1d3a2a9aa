// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch"
	"helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
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
	patch, kind, restored, err := restoringPatch(o.mapping, d.wanted(o), o.live.Object)
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
	want := deepCopyMap(o.want)
	if namespace := o.live.GetNamespace(); namespace != "" {
		setNamespace(want, namespace)
	}
	markOwned(d.target, want)
	delete(want, "status")
	id := identityIn(d.target.Handle.Namespace, want)
	d.mu.Lock()
	autoscaled := d.scaled[scaled{id.namespace, id.kind, id.name}]
	d.mu.Unlock()
	if autoscaled {
		want = withoutReplicas(want)
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
	err := addLiveTargets(ctx, d.autoscalers, namespace, d.scaled)
	if err != nil && !lacksRight(err) {
		return false, err
	}
	return d.scaled[scaled{namespace, o.live.GetKind(), o.live.GetName()}], nil
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
	case lacksRight(err):
		d.skip("differences were not tried on the API server for lack of a right, so that some may be none: " + errorText(err))
	case cluster.IsTransient(err) || !errors.As(err, &status) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("trying %s: %w", o.key.Short(), err)
	case apierrors.IsNotFound(err):
		o.leaves, o.live, o.whole = nil, nil, driftGone
	default:
		d.skip(fmt.Sprintf("%s: the API server refuses to have it put back: %s", o.key.Short(), errorText(err)))
	}
	return nil
}

// restoringPatch is the patch that puts back what of target is not live, and what it would make of live. Kinds that client-go
// knows get Helm's own patch. For all others Helm compares with its own last manifest only and would find nothing; they get what
// target has laid over live: maps are merged, lists are replaced.
func restoringPatch(mapping *meta.RESTMapping, target, live map[string]any) (patch []byte, kind types.PatchType, restored map[string]any, err error) {
	now, err := json.Marshal(live)
	if err != nil {
		return nil, "", nil, fmt.Errorf("writing the live object: %w", err)
	}
	var then []byte
	versioned := kube.AsVersioned(&resource.Info{Mapping: mapping, Object: &unstructured.Unstructured{Object: target}})
	if _, untyped := versioned.(runtime.Unstructured); untyped {
		kind = types.MergePatchType
		if then, err = json.Marshal(lay(target, live)); err == nil {
			patch, err = jsonpatch.CreateMergePatch(now, then)
		}
	} else {
		if patch, kind, err = threeWayPatch(mapping, target, target, live); err == nil && patch != nil {
			then, err = strategicpatch.StrategicMergePatch(now, patch, versioned)
		}
	}
	if err != nil {
		return nil, "", nil, fmt.Errorf("computing the patch: %w", err)
	}
	if len(patch) == 0 || string(patch) == "{}" {
		return nil, kind, nil, nil
	}
	restored, err = decodeTyped(string(then))
	return patch, kind, restored, err
}

// lay lays one tree over another: maps are merged, all else replaces. A null asks for nothing where nothing is.
func lay(over, under map[string]any) map[string]any {
	out := make(map[string]any, len(under))
	for key, v := range under {
		out[key] = v
	}
	for key, v := range over {
		table, isMap := v.(map[string]any)
		below, alsoMap := out[key].(map[string]any)
		switch {
		case isMap && alsoMap:
			out[key] = lay(table, below)
		case isMap:
			out[key] = lay(table, nil)
		case v == nil:
			delete(out, key)
		default:
			out[key] = v
		}
	}
	return out
}

// anotherOwner says to whom else an object belongs; empty where it is this release's, or nobody's.
func anotherOwner(target Target, live *unstructured.Unstructured) string {
	annotations := live.GetAnnotations()
	name, namespace := annotations[annotationReleaseName], annotations[annotationReleaseNamespace]
	manager := live.GetLabels()[labelManagedBy]
	switch {
	case name != "" && (name != target.Name || namespace != target.Handle.Namespace):
		return fmt.Sprintf(driftForeign+"the Helm release %s in namespace %s now", name, namespace)
	case name == "" && manager != "" && manager != managedByHelm:
		return fmt.Sprintf(driftForeign+"%q now (label %s)", manager, labelManagedBy)
	}
	return ""
}

// identityIn takes the release's namespace for an object that names none.
func identityIn(namespace string, o map[string]any) identity {
	gvk := gvkOf(o)
	name, own := nameOf(o)
	if own == "" {
		own = namespace
	}
	return identity{gvk.Group, gvk.Kind, own, name}
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

// decodeTyped reads JSON with the number types that typed objects are converted from.
func decodeTyped(text string) (map[string]any, error) {
	var o map[string]any
	if err := utiljson.Unmarshal([]byte(text), &o); err != nil {
		return nil, fmt.Errorf("reading the JSON of an object: %w", err)
	}
	return o, nil
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
