// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package route

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/terraform-provider-slipway/internal/environment"
	"github.com/slipway-dev/terraform-provider-slipway/internal/record"
)

// AnnotationSplits is on each object in which Slipway divides a route: what it divides there, for whom, and how it was before. It is
// on the object itself, since one patch then writes both or neither.
const AnnotationSplits = "slipway.dev/splits"

// annotations are the content of AnnotationSplits: the entries by the names of the splits.
type annotations map[string]annotation

// annotation is the entry of one split: what it did to an object.
type annotation struct {
	Client   string `json:"client"`
	Stage    string `json:"stage"`
	Instance string `json:"instance"`
	// Route is the name of the base route, empty where it has none.
	Route string `json:"route,omitempty"`
	// Before are the destinations that the base route had; nil in an object of our own.
	Before []any `json:"before,omitempty"`
	// Fixed is the digest of the base route without its destinations, for a rule without a name.
	Fixed string `json:"fixed,omitempty"`
	// Header is the digest of the header route, where one was written.
	Header string `json:"header,omitempty"`
	// Subsets are those that were added to a DestinationRule of another owner.
	Subsets []string `json:"subsets,omitempty"`
}

func readAnnotations(object *unstructured.Unstructured) (annotations, error) {
	text, ok := object.GetAnnotations()[AnnotationSplits]
	if !ok {
		return annotations{}, nil
	}
	found := annotations{}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return nil, fmt.Errorf("reading the annotation %s of %s %s: %w", AnnotationSplits, object.GetKind(), object.GetName(), err)
	}
	for name, m := range found {
		for i := range m.Before {
			m.Before[i] = integers(m.Before[i])
		}
		found[name] = m
	}
	return found, nil
}

// integers makes whole numbers of JSON what they are in an unstructured object.
func integers(value any) any {
	switch typed := value.(type) {
	case map[string]any:
		for key, entry := range typed {
			typed[key] = integers(entry)
		}
	case []any:
		for i, entry := range typed {
			typed[i] = integers(entry)
		}
	case float64:
		if whole := int64(typed); float64(whole) == typed {
			return whole
		}
	}
	return value
}

func (a annotations) text() (string, error) {
	text, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("writing the annotation %s: %w", AnnotationSplits, err)
	}
	return string(text), nil
}

// mine returns the entry of this split. Errors: *ForeignError if the split of this name, or the route, is managed for another environment.
func (a annotations) mine(owner Owner, object, route string) (annotation, bool, error) {
	for name, other := range a {
		if name != owner.Name && other.Route != "" && other.Route == route {
			return annotation{}, false, &ForeignError{Object: fmt.Sprintf("route %s of %s", route, object), Whose: "the split " + name}
		}
	}
	found, ok := a[owner.Name]
	if ok && (found.Client != owner.Handle.Client || found.Stage != owner.Handle.Stage) {
		return annotation{}, false, &ForeignError{Object: object, Whose: fmt.Sprintf("client %s, stage %s", found.Client, found.Stage)}
	}
	return found, ok, nil
}

// digest names JSON content.
func digest(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// withoutField is a shallow copy without one field.
func withoutField(object map[string]any, field string) map[string]any {
	out := make(map[string]any, len(object))
	for key, value := range object {
		if key != field {
			out[key] = value
		}
	}
	return out
}

// whose says in words for whom an object is managed, empty where it has no labels of ours.
func whose(object *unstructured.Unstructured) string {
	labels := object.GetLabels()
	if labels[environment.LabelClient] == "" || labels[record.LabelCanary] == "" {
		return ""
	}
	return fmt.Sprintf("client %s, stage %s, split %s", labels[environment.LabelClient], labels[environment.LabelStage],
		labels[record.LabelCanary])
}

// ownedBy says in words what else writes an object, so that it cannot become ours; empty where nothing is known to.
func ownedBy(object *unstructured.Unstructured) string {
	for _, reference := range object.GetOwnerReferences() {
		if reference.Controller != nil && *reference.Controller {
			return reference.Kind + " " + reference.Name
		}
	}
	if release := object.GetAnnotations()["meta.helm.sh/release-name"]; release != "" {
		return "the Helm release " + release
	}
	return ""
}
