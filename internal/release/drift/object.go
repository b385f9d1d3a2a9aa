// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package drift

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/object"
	"github.com/slipway-dev/terraform-provider-slipway/internal/release/ownership"
)

// Object is one object of the release.
type Object struct {
	Key object.Key
	// shown is the object with masks; want what it is compared with, nil where that is unknown.
	shown, Want map[string]any
	Mapping     *meta.RESTMapping
	at          dynamic.ResourceInterface
	// Live is nil where the object is gone.
	Live *unstructured.Unstructured

	// Whole says what is wrong with the object as a whole, leaves which of its leaves differ.
	Whole   string
	Lasting bool
	Leaves  []object.Drift
	// patch would put the leaves back.
	patch     []byte
	patchType types.PatchType
}

// suspicious reports that an object is not certain to be as it was rendered.
func (o *Object) suspicious() bool {
	return o.Whole != "" || len(o.Leaves) > 0 || o.Live != nil && o.Want == nil
}

// ignoredWhole reports a rule for the object without paths.
func (o *Object) ignoredWhole(rules []object.IgnoreRule) bool {
	return slices.ContainsFunc(rules, func(r object.IgnoreRule) bool { return len(r.Paths) == 0 && r.CoversObject(o.Key) })
}

// What is said of whole objects.
const (
	gone     = "is gone"
	Deleting = "is being deleted"
	// Beginnings of what is said of objects that are not the release's any more.
	foreign   = "belongs to "
	notServed = "is of a kind that the cluster does not serve any more"
)

// anotherOwner says to whom else an object belongs; empty where it is this release's, or nobody's.
func anotherOwner(target ownership.Release, live *unstructured.Unstructured) string {
	annotations := live.GetAnnotations()
	name, namespace := annotations[ownership.AnnotationReleaseName], annotations[ownership.AnnotationReleaseNamespace]
	manager := live.GetLabels()[ownership.LabelManagedBy]
	switch {
	case name != "" && (name != target.Name || namespace != target.Handle.Namespace):
		return fmt.Sprintf(foreign+"the Helm release %s in namespace %s now", name, namespace)
	case name == "" && manager != "" && manager != ownership.ManagedByHelm:
		return fmt.Sprintf(foreign+"%q now (label %s)", manager, ownership.LabelManagedBy)
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

// writtenOnlyByUs reports that nobody but Slipway has set any field outside the subresources, so that what Slipway wrote there is
// still what is there. The managed fields show which values others have set.
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
