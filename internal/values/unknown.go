// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"maps"
	"slices"
	"strings"
)

// UnknownKey is a key that the chart does not have.
type UnknownKey struct {
	Path    string
	Nearest string // dotted path of the nearest known key, "" if nothing is near
}

// UnknownKeys compares v with the keys that a chart knows (its own values, those of its subcharts, "global", and where
// there is a schema its properties) and returns those it does not know, each with the nearest known one, sorted. Maps that
// are empty in known (labels, annotations, env) are open, and so is a key that is null or not a map in known.
func UnknownKeys(v map[string]any, known map[string]any) []UnknownKey {
	return unknownKeys(nil, nil, v, known)
}

func unknownKeys(found []UnknownKey, at []string, v, known map[string]any) []UnknownKey {
	for _, key := range slices.Sorted(maps.Keys(v)) {
		path := append(slices.Clip(at), key)
		below, ok := known[key]
		if !ok {
			unknown := UnknownKey{Path: joinPath(path)}
			if nearest := Nearest(key, slices.Collect(maps.Keys(known))); nearest != "" {
				unknown.Nearest = joinPath(append(slices.Clip(at), nearest))
			}
			found = append(found, unknown)
			continue
		}
		table, isTable := v[key].(map[string]any)
		knownTable, isKnownTable := below.(map[string]any)
		if isTable && isKnownTable && len(knownTable) > 0 {
			found = unknownKeys(found, path, table, knownTable)
		}
	}
	return found
}

// Nearest is the candidate with the smallest edit distance to name, if that is at most a third of the name's length
// (one edit is always near); the first by name among equals, "" if none is near.
func Nearest(name string, candidates []string) string {
	nearest, best := "", max(1, len([]rune(name))/3)+1
	for _, candidate := range slices.Sorted(slices.Values(candidates)) {
		d := distance(name, candidate)
		if d > 0 && strings.EqualFold(name, candidate) {
			d = 1
		}
		if d < best {
			nearest, best = candidate, d
		}
	}
	return nearest
}

// distance is the number of single-character edits (insert, delete, replace, and swap of two neighbors) between two
// texts.
func distance(a, b string) int {
	left, right := []rune(a), []rune(b)
	previous, current := make([]int, len(right)+1), make([]int, len(right)+1)
	var before []int
	for j := range current {
		current[j] = j
	}
	for i := 1; i <= len(left); i++ {
		before, previous, current = previous, current, make([]int, len(right)+1)
		current[0] = i
		for j := 1; j <= len(right); j++ {
			cost := 1
			if left[i-1] == right[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && left[i-1] == right[j-2] && left[i-2] == right[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
	}
	return current[len(right)]
}
