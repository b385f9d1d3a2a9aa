// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"fmt"
	"maps"
	"slices"
)

// Summary describes the difference of two object sets in words, sorted by key, for reviewers.
func Summary(before, after map[Key]string) []string {
	keys := maps.Clone(before)
	if keys == nil {
		keys = map[Key]string{}
	}
	maps.Copy(keys, after)
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		old, was := before[key]
		now, is := after[key]
		switch {
		case !was:
			lines = append(lines, key.Short()+": added")
		case !is:
			lines = append(lines, key.Short()+": removed")
		case old != now:
			left, _ := decodeJSON([]byte(old))
			right, _ := decodeJSON([]byte(now))
			for _, c := range leafChanges(nil, "", left, right) {
				lines = append(lines, fmt.Sprintf("%s: %s %v → %v", key.Short(), c.Path, c.Before, c.After))
			}
		}
	}
	return lines
}
