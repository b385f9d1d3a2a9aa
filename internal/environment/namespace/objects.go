// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package namespace

import (
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/slipway-dev/terraform-provider-slipway/internal/cluster"
	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
)

const (
	labelManagedBy  = cluster.LabelManagedBy
	labelPartOf     = "slipway.dev/part-of"
	partEnvironment = "environment"

	// annotationOrigin says whether the namespace is ours to delete.
	annotationOrigin = "slipway.dev/origin"
	originCreated    = "created"
	originAdopted    = "adopted"

	// annotationNetwork and annotationLimits keep what was asked for, next to what it was turned into (the API server completes
	// a LimitRange), so that an import finds it again.
	annotationNetwork = "slipway.dev/network"
	annotationLimits  = "slipway.dev/limits"

	quotaName      = "slipway"
	limitRangeName = "slipway"
	defaultAccount = "default" // the ServiceAccount that every namespace has
)

var (
	namespaces      = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	serviceAccounts = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
	networkPolicies = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"}
	quotas          = schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	limitRanges     = schema.GroupVersionResource{Version: "v1", Resource: "limitranges"}
)

// ownedKinds are the kinds of the objects in a namespace that belong to its environment.
var ownedKinds = []schema.GroupVersionResource{serviceAccounts, networkPolicies, quotas, limitRanges}

var kindOf = map[schema.GroupVersionResource]string{
	namespaces: "Namespace", serviceAccounts: "ServiceAccount", networkPolicies: "NetworkPolicy", quotas: "ResourceQuota",
	limitRanges: "LimitRange",
}

// ownerLabels are on everything that an environment owns.
func ownerLabels(h environment.Handle) map[string]string {
	return map[string]string{environment.LabelClient: h.Client, environment.LabelStage: h.Stage, labelManagedBy: environment.FieldManager}
}

// wanted is one object that the environment owns wholly.
type wanted struct {
	resource    schema.GroupVersionResource
	name        string
	spec        map[string]any
	annotations map[string]string
	// same compares the live spec, which the API server may have completed or written another way.
	same func(live, want map[string]any) bool
}

// object is what is written to the API server.
func (w wanted) object(h environment.Handle) *unstructured.Unstructured {
	labels := ownerLabels(h)
	labels[labelPartOf] = partEnvironment
	return newObject(w.resource, w.name, labels, w.annotations, map[string]any{"spec": w.spec})
}

func newObject(
	gvr schema.GroupVersionResource, name string, labels, annotations map[string]string, content map[string]any,
) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": gvr.GroupVersion().String(),
		"kind":       kindOf[gvr],
	}}
	maps.Copy(object.Object, content)
	object.SetName(name)
	object.SetLabels(labels)
	if len(annotations) > 0 {
		object.SetAnnotations(annotations)
	}
	return object
}

// matches reports that a live object is as wanted, in spec and in our labels and annotations.
func (w wanted) matches(h environment.Handle, live *unstructured.Unstructured) bool {
	want := w.object(h)
	return w.same(specOf(live), w.spec) && covers(live.GetLabels(), want.GetLabels()) && covers(live.GetAnnotations(), w.annotations)
}

// mayReplace refuses an object of another owner; live is nil where there is none. Unlike a ServiceAccount, such an object
// cannot be shared, and what it says would be lost.
func (w wanted) mayReplace(h environment.Handle, live *unstructured.Unstructured) error {
	if live == nil || live.GetLabels()[labelPartOf] == partEnvironment || live.GetLabels()[environment.LabelClient] == h.Client {
		return nil
	}
	return &ObjectForeignError{Namespace: h.Namespace, Kind: kindOf[w.resource], Name: w.name}
}

// covers reports that have contains all of want.
func covers(have, want map[string]string) bool {
	for key, value := range want {
		if got, ok := have[key]; !ok || got != value {
			return false
		}
	}
	return true
}

func samePolicy(live, want map[string]any) bool {
	return reflect.DeepEqual(withoutEmptyLists(live), withoutEmptyLists(want))
}

func withoutEmptyLists(spec map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range spec {
		if list, ok := value.([]any); !ok || len(list) > 0 {
			out[key] = value
		}
	}
	return out
}

func sameQuota(live, want map[string]any) bool {
	hard, wantHard := stringsAt(live, "hard"), stringsAt(want, "hard")
	return len(hard) == len(wantHard) && quantitiesCover(hard, wantHard)
}

// sameLimits ignores what the API server completed: a maximum becomes the default, a default becomes the default request.
func sameLimits(live, want map[string]any) bool {
	liveLimits, wantLimits := firstLimits(live), firstLimits(want)
	if liveLimits == nil || liveLimits["type"] != wantLimits["type"] {
		return false
	}
	for _, field := range limitFields {
		if !quantitiesCover(stringsAt(liveLimits, field), stringsAt(wantLimits, field)) {
			return false
		}
	}
	return true
}

var limitFields = []string{"default", "defaultRequest", "max", "min"}

func firstLimits(spec map[string]any) map[string]any {
	list, _ := spec["limits"].([]any)
	if len(list) != 1 {
		return nil
	}
	limits, _ := list[0].(map[string]any)
	return limits
}

// quantitiesCover reports that have contains all of want, in whatever spelling: "1" is "1000m".
func quantitiesCover(have, want map[string]string) bool {
	for key, value := range want {
		if got, ok := have[key]; !ok || !sameQuantity(got, value) {
			return false
		}
	}
	return true
}

func sameQuantity(a, b string) bool {
	one, err := resource.ParseQuantity(a)
	if err != nil {
		return a == b
	}
	other, err := resource.ParseQuantity(b)
	return err == nil && one.Cmp(other) == 0
}

// ValidQuantity reports that s is a Kubernetes quantity that is not negative, for example "500m" or "4Gi".
func ValidQuantity(s string) bool {
	quantity, err := resource.ParseQuantity(s)
	return err == nil && quantity.Sign() >= 0
}

func stringsAt(object map[string]any, field string) map[string]string {
	values, _, err := unstructured.NestedStringMap(object, field)
	if err != nil {
		return nil
	}
	return values
}

func anyMap(values map[string]string) map[string]any {
	out := make(map[string]any, len(values))
	for key, value := range values {
		out[key] = value
	}
	return out
}
