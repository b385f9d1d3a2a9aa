// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// DeepCopy copies a tree of maps and lists.
func DeepCopy(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = deepCopyValue(v)
	}
	return out
}

func deepCopyValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return DeepCopy(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = deepCopyValue(v[i])
		}
		return out
	default:
		return v
	}
}

// GVKOf is the kind of an object.
func GVKOf(o map[string]any) schema.GroupVersionKind {
	apiVersion, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	return schema.FromAPIVersionAndKind(apiVersion, kind)
}

// NameOf is the name of an object, and the namespace that it names.
func NameOf(o map[string]any) (name, namespace string) {
	metadata, _ := o["metadata"].(map[string]any)
	name, _ = metadata["name"].(string)
	namespace, _ = metadata["namespace"].(string)
	return name, namespace
}

// Identity names an object of the cluster, in any of its API versions.
type Identity struct{ Group, Kind, Namespace, Name string }

// IdentityIn is the identity of an object. One that names no namespace gets the given one.
func IdentityIn(namespace string, o map[string]any) Identity {
	gvk := GVKOf(o)
	name, own := NameOf(o)
	if own == "" {
		own = namespace
	}
	return Identity{gvk.Group, gvk.Kind, own, name}
}

// Decode reads JSON with the number types that typed objects are converted from.
func Decode(text string) (map[string]any, error) {
	var o map[string]any
	if err := utiljson.Unmarshal([]byte(text), &o); err != nil {
		return nil, fmt.Errorf("reading the JSON of an object: %w", err)
	}
	return o, nil
}

// SetNamespace writes a namespace into an object that has metadata.
func SetNamespace(o map[string]any, namespace string) {
	if metadata, ok := o["metadata"].(map[string]any); ok {
		metadata["namespace"] = namespace
	}
}

// DecodeNumbers reads canonical JSON and keeps numbers as they are written.
func DecodeNumbers(canonical string) (map[string]any, error) {
	var o map[string]any
	decoder := json.NewDecoder(strings.NewReader(canonical))
	decoder.UseNumber()
	if err := decoder.Decode(&o); err != nil {
		return nil, fmt.Errorf("reading canonical JSON of an object: %w", err)
	}
	return o, nil
}

// maxLeafText is how many characters of one leaf a message shows.
const maxLeafText = 120

// LeafText is a leaf as messages show it: JSON, shortened where it is long, "(none)" where it is absent.
func LeafText(v any) string {
	if v == nil {
		return "(none)"
	}
	if s, ok := v.(string); ok && (s == MaskSecret || s == MaskRevision) {
		return s
	}
	text, err := Canonical(v)
	if err != nil {
		return "(unprintable)"
	}
	if runes := []rune(text); len(runes) > maxLeafText {
		text = string(runes[:maxLeafText]) + "…"
	}
	return text
}
