// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"maps"
	"slices"
)

// Change is one differing leaf. Before or After is nil when the leaf was added or removed.
type Change struct {
	Path   string
	Before any
	After  any
}

// Diff lists the leaf differences of two objects as JSON paths with old and new value, sorted by path order of the
// objects' sorted keys.
func Diff(before, after map[string]any) []Change {
	return leafChanges(nil, "", before, after)
}

func leafChanges(changes []Change, path string, before, after any) []Change {
	beforeMap, isMap := before.(map[string]any)
	afterMap, alsoMap := after.(map[string]any)
	if (isMap || before == nil) && (alsoMap || after == nil) && len(beforeMap)+len(afterMap) > 0 {
		keys := maps.Clone(beforeMap)
		if keys == nil {
			keys = map[string]any{}
		}
		maps.Copy(keys, afterMap)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			changes = leafChanges(changes, field(path, key), beforeMap[key], afterMap[key])
		}
		return changes
	}
	beforeList, isList := before.([]any)
	afterList, alsoList := after.([]any)
	if (isList || before == nil) && (alsoList || after == nil) && len(beforeList)+len(afterList) > 0 {
		for i := range max(len(beforeList), len(afterList)) {
			var left, right any
			if i < len(beforeList) {
				left = beforeList[i]
			}
			if i < len(afterList) {
				right = afterList[i]
			}
			changes = leafChanges(changes, index(path, i), left, right)
		}
		return changes
	}
	if equal(before, after) {
		return changes
	}
	return append(changes, Change{Path: path, Before: before, After: after})
}
