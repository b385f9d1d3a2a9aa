// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"maps"
	"slices"
)

const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"

// MaskSecretData returns a copy in which each entry of data, stringData and binaryData of a v1 Secret is MaskSecret, and
// so is the copy of them that kubectl leaves in an annotation; other kinds are returned unchanged.
func MaskSecretData(o map[string]any) map[string]any {
	if o["kind"] != "Secret" || o["apiVersion"] != "v1" {
		return o
	}
	out := maps.Clone(o)
	for _, field := range []string{"data", "stringData", "binaryData"} {
		switch data := o[field].(type) {
		case nil:
		case map[string]any:
			masked := make(map[string]any, len(data))
			for key := range data {
				masked[key] = MaskSecret
			}
			out[field] = masked
		default:
			out[field] = MaskSecret
		}
	}
	metadata, _ := o["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	if _, ok := annotations[lastAppliedAnnotation]; ok {
		annotations = maps.Clone(annotations)
		annotations[lastAppliedAnnotation] = MaskSecret
		metadata = maps.Clone(metadata)
		metadata["annotations"] = annotations
		out["metadata"] = metadata
	}
	return out
}

// MaskDifferences returns a copy of base in which every leaf that differs from one of variants is mask. A map whose keys,
// or a list whose length, is not the same in all of them is masked as a whole, since a key can be made from a secret too;
// only at the top, where the keys are field names, the differing fields are masked one by one. masked lists the paths,
// sorted.
func MaskDifferences(base map[string]any, mask string, variants ...map[string]any) (out map[string]any, masked []string) {
	m := masker{mask: mask}
	out = make(map[string]any, len(base))
	for _, key := range slices.Sorted(maps.Keys(base)) {
		others := make([]any, 0, len(variants))
		missing := false
		for _, variant := range variants {
			value, ok := variant[key]
			missing = missing || !ok
			others = append(others, value)
		}
		if missing {
			out[key] = m.hide(field("", key))
			continue
		}
		out[key] = m.value(field("", key), base[key], others)
	}
	slices.Sort(m.paths)
	return out, m.paths
}

type masker struct {
	mask  string
	paths []string
}

func (m *masker) hide(path string) string {
	m.paths = append(m.paths, path)
	return m.mask
}

func (m *masker) value(path string, base any, variants []any) any {
	switch base := base.(type) {
	case map[string]any:
		others, ok := allOf[map[string]any](variants)
		if !ok || slices.ContainsFunc(others, func(o map[string]any) bool { return !sameKeys(base, o) }) {
			return m.hide(path)
		}
		out := make(map[string]any, len(base))
		for _, key := range slices.Sorted(maps.Keys(base)) {
			values := make([]any, len(others))
			for i, other := range others {
				values[i] = other[key]
			}
			out[key] = m.value(field(path, key), base[key], values)
		}
		return out
	case []any:
		others, ok := allOf[[]any](variants)
		if !ok || slices.ContainsFunc(others, func(o []any) bool { return len(o) != len(base) }) {
			return m.hide(path)
		}
		out := make([]any, len(base))
		for i := range base {
			values := make([]any, len(others))
			for j, other := range others {
				values[j] = other[i]
			}
			out[i] = m.value(index(path, i), base[i], values)
		}
		return out
	default:
		if slices.ContainsFunc(variants, func(v any) bool { return !equal(base, v) }) {
			return m.hide(path)
		}
		return base
	}
}

func allOf[T any](values []any) ([]T, bool) {
	out := make([]T, 0, len(values))
	for _, value := range values {
		typed, ok := value.(T)
		if !ok {
			return nil, false
		}
		out = append(out, typed)
	}
	return out, true
}

func sameKeys(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for key := range a {
		if _, ok := b[key]; !ok {
			return false
		}
	}
	return true
}

// equal compares by canonical JSON, in which 1 and 1.0 are the same.
func equal(a, b any) bool {
	left, errLeft := Canonical(a)
	right, errRight := Canonical(b)
	return errLeft == nil && errRight == nil && left == right
}

// HasMask reports one of the masks in a value or anywhere below it.
func HasMask(v any, masks ...string) bool {
	switch v := v.(type) {
	case string:
		return slices.Contains(masks, v)
	case map[string]any:
		for _, below := range v {
			if HasMask(below, masks...) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(below any) bool { return HasMask(below, masks...) })
	}
	return false
}
