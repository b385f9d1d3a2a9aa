// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"fmt"
	"maps"
)

// AlignMasks returns two versions of one object, in canonical JSON, in which a place that only one of them masks is masked in both. What
// cannot be compared is then no difference.
func AlignMasks(a, b string) (string, string, error) {
	one, err := DecodeNumbers(a)
	if err != nil {
		return a, b, fmt.Errorf("reading an object: %w", err)
	}
	other, err := DecodeNumbers(b)
	if err != nil {
		return a, b, fmt.Errorf("reading an object: %w", err)
	}
	first, second := alignMaps(one, other)
	if a, err = Canonical(first); err != nil {
		return a, b, err
	}
	b, err = Canonical(second)
	return a, b, err
}

func alignMaps(a, b map[string]any) (one, other map[string]any) {
	one, other = maps.Clone(a), maps.Clone(b)
	for key, value := range a {
		if counterpart, there := b[key]; there {
			one[key], other[key] = alignValues(value, counterpart)
		}
	}
	return one, other
}

func alignValues(a, b any) (one, other any) {
	if a == MaskSecret || b == MaskSecret {
		return MaskSecret, MaskSecret
	}
	if left, ok := a.(map[string]any); ok {
		if right, ok := b.(map[string]any); ok {
			return alignMaps(left, right)
		}
	}
	left, ok := a.([]any)
	right, ok2 := b.([]any)
	if !ok || !ok2 || len(left) != len(right) {
		return a, b
	}
	first, second := make([]any, len(left)), make([]any, len(right))
	for i := range left {
		first[i], second[i] = alignValues(left[i], right[i])
	}
	return first, second
}
