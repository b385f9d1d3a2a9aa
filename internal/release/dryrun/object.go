// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package dryrun

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/autoscale"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/render"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/threeway"
)

// object tries one object: a POST where it does not exist, else the patch that Helm would send. The error is one that hinders
// the whole dry run.
func (t *run) object(ctx context.Context, key object.Key, o object.Rendered) error {
	mapping, err := t.mapper.RESTMapping(object.GVKOf(o.Object).GroupKind(), object.GVKOf(o.Object).Version)
	if meta.IsNoMatchError(err) {
		t.skip(t.whyNotServed(o), key)
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
		return t.refusedBy(key, "", err)
	case o.Hook:
		// Helm deletes an old hook before it makes the new one, so its name is free, and its fields are not patched.
		t.workload(key, o, nil, target, nil)
		return nil
	}
	base, stored := t.base[t.identify(o.Object)]
	if !stored {
		if owner := t.foreignOwner(live); owner != "" {
			if sibling := t.siblingOwner(ctx, live); sibling != "" {
				t.skip("not validated, since release "+sibling+" of this environment has it. The apply succeeds where that release is removed or replaced "+
					"first, or drops it, as this plan may have it; else give one of the two another name", key)
				return nil
			}
			t.refuse(key, "AlreadyExists", fmt.Sprintf("the name is taken: the object exists in the cluster and belongs to %s. "+
				"Give it another name, or let its owner drop it first", owner))
			return nil
		}
		// Helm takes for the old state what it is about to write.
		base = target
	}
	return t.patch(ctx, client, mapping, key, o, base, target, live, stored)
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
		return t.refusedBy(key, "", err)
	}
	t.workload(key, o, nil, made.Object, nil)
	return nil
}

// patch tries the patch from base to target. Where no deployed revision stored the object, as after a first install that failed,
// nobody can tell which of its values are somebody else's.
func (t *run) patch(ctx context.Context, client dynamic.ResourceInterface, mapping *meta.RESTMapping, key object.Key, o object.Rendered,
	base, target map[string]any, live *unstructured.Unstructured, stored bool,
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
		t.refuse(key, "Invalid", err.Error())
		return nil
	}
	result := live
	if patch != nil {
		result, err = client.Patch(ctx, live.GetName(), kind, patch, metav1.PatchOptions{
			DryRun: []string{metav1.DryRunAll}, FieldManager: environment.FieldManager, FieldValidation: metav1.FieldValidationStrict,
		})
		if err != nil {
			return t.refusedBy(key, "", err)
		}
	}
	if stored {
		found, err := t.overwritten(key, base, live.Object, result.Object)
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.overwrites = append(t.overwrites, found...)
		t.mu.Unlock()
	}
	t.workload(key, o, base, result.Object, live.Object)
	return nil
}

// foreignOwner says to whom an object belongs; empty where Helm would take it for this release's.
func (t *run) foreignOwner(live *unstructured.Unstructured) string {
	annotations := live.GetAnnotations()
	name, namespace := annotations[ownership.AnnotationReleaseName], annotations[ownership.AnnotationReleaseNamespace]
	ours := name == t.target.Name && namespace == t.target.Handle.Namespace
	switch {
	case ours && live.GetLabels()[ownership.LabelManagedBy] == ownership.ManagedByHelm:
		return ""
	case name != "" && !ours:
		return fmt.Sprintf("the Helm release %s in namespace %s", name, namespace)
	case live.GetLabels()[ownership.LabelManagedBy] != "" && live.GetLabels()[ownership.LabelManagedBy] != ownership.ManagedByHelm:
		return fmt.Sprintf("%q (label %s), not to a Helm release", live.GetLabels()[ownership.LabelManagedBy], ownership.LabelManagedBy)
	}
	if managers := live.GetManagedFields(); len(managers) > 0 {
		return fmt.Sprintf("no Helm release (it was made by %s)", managers[0].Manager)
	}
	return "no Helm release"
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

// whyNotServed tells a CRD that comes with the chart from a kind that nobody brings.
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

// refusedBy sorts the API server's answer: a missing right and a webhook without dry runs are reported, what says nothing about the
// object prevents the dry run, and all else is a refusal. prefix begins its message.
func (t *run) refusedBy(key object.Key, prefix string, err error) error {
	var status apierrors.APIStatus
	switch {
	case cluster.LacksRight(err):
		t.skip("not validated for lack of a right: "+cluster.AnswerText(err), key)
		return nil
	case strings.Contains(err.Error(), "does not support dry run"):
		t.skip("not validated, since an admission webhook does not support dry runs: "+cluster.AnswerText(err), key)
		return nil
	case cluster.IsTransient(err) || !errors.As(err, &status) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("validating %s: %w", key, err)
	case missingNamespace(status) != "" && t.rendersNamespace(missingNamespace(status)):
		t.skip("not validated, since their namespace "+missingNamespace(status)+" comes with the same release", key)
		return nil
	}
	reason := string(status.Status().Reason)
	if reason == "" {
		reason = "Refused"
	}
	t.refuse(key, reason, prefix+cluster.AnswerText(err))
	return nil
}

// missingNamespace is the namespace that an object was to be made in and that does not exist.
func missingNamespace(status apierrors.APIStatus) string {
	details := status.Status().Details
	if status.Status().Reason == metav1.StatusReasonNotFound && details != nil && details.Kind == "namespaces" {
		return details.Name
	}
	return ""
}

func (t *run) rendersNamespace(name string) bool {
	_, there := t.next.ByKey[object.Key("v1/Namespace/"+name)]
	return there
}
