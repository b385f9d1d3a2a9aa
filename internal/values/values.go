// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package values merges and checks chart values offline, with Helm's rules: maps merge key by key, lists and scalars are
// replaced, and null deletes a key.
package values

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Merge merges layers; later ones take precedence, as with "helm -f a -f b". Inputs are not changed, and the result shares nothing
// with them. A null in a later layer stays a null here, since Helm removes the chart's default with it.
func Merge(layers ...map[string]any) map[string]any {
	out := map[string]any{}
	for _, layer := range layers {
		mergeInto(out, layer)
	}
	return out
}

// mergeInto merges layer into out, which the caller owns.
func mergeInto(out, layer map[string]any) {
	for key, value := range layer {
		table, isTable := value.(map[string]any)
		below, isBelow := out[key].(map[string]any)
		if isTable && isBelow {
			mergeInto(below, table)
			continue
		}
		out[key] = clone(value)
	}
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v == nil {
			return v
		}
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = clone(value)
		}
		return out
	case []any:
		if v == nil {
			return v
		}
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = clone(value)
		}
		return out
	}
	return v
}

// PathError is a path that cannot be set, or that is not valid.
type PathError struct {
	Path   string
	Reason string
}

func (e *PathError) Error() string { return fmt.Sprintf("cannot set %q: %s", e.Path, e.Reason) }

// Set returns a copy of v with the dotted path ("image.tag") set to value, creating maps on the way; a dot in a key is
// written "\.". Error: *PathError where a non-map is in the way, or the path has an empty part.
func Set(v map[string]any, path string, value any) (map[string]any, error) {
	keys := splitPath(path)
	if slices.Contains(keys, "") {
		return nil, &PathError{Path: path, Reason: "a part of the path is empty"}
	}
	out := maps.Clone(v)
	if out == nil {
		out = map[string]any{}
	}
	at := out
	for i, key := range keys[:len(keys)-1] {
		switch below := at[key].(type) {
		case nil:
			at[key] = map[string]any{}
		case map[string]any:
			at[key] = maps.Clone(below)
		default:
			return nil, &PathError{Path: path, Reason: fmt.Sprintf("%s is %s, not a map", joinPath(keys[:i+1]), Kind(below))}
		}
		next, ok := at[key].(map[string]any)
		if !ok || next == nil {
			next = map[string]any{}
			at[key] = next
		}
		at = next
	}
	at[keys[len(keys)-1]] = value
	return out, nil
}

// Get returns what is at a dotted path, written as for Set.
func Get(v map[string]any, path string) (value any, ok bool) {
	value = v
	for _, key := range splitPath(path) {
		at, isMap := value.(map[string]any)
		if !isMap {
			return nil, false
		}
		if value, ok = at[key]; !ok {
			return nil, false
		}
	}
	return value, true
}

// Cut takes what is at a dotted path, written as for Set, out of v, with the maps that this leaves empty. It changes v.
func Cut(v map[string]any, path string) (value any, ok bool) {
	return cut(v, splitPath(path))
}

func cut(v map[string]any, keys []string) (value any, ok bool) {
	if value, ok = v[keys[0]]; !ok {
		return nil, false
	}
	if len(keys) == 1 {
		delete(v, keys[0])
		return value, true
	}
	below, isMap := value.(map[string]any)
	if !isMap {
		return nil, false
	}
	value, ok = cut(below, keys[1:])
	if ok && len(below) == 0 {
		delete(v, keys[0])
	}
	return value, ok
}

// Leaves lists the dotted paths of all leaves, sorted. Lists and empty maps are leaves; a dot in a key is written "\.".
func Leaves(v map[string]any) []string {
	paths := leaves(nil, nil, v)
	slices.Sort(paths)
	return paths
}

func leaves(paths []string, at []string, v map[string]any) []string {
	for key, value := range v {
		below := append(slices.Clip(at), key)
		if table, ok := value.(map[string]any); ok && len(table) > 0 {
			paths = leaves(paths, below, table)
			continue
		}
		paths = append(paths, joinPath(below))
	}
	return paths
}

func joinPath(keys []string) string {
	escaped := make([]string, len(keys))
	for i, key := range keys {
		escaped[i] = strings.ReplaceAll(strings.ReplaceAll(key, `\`, `\\`), ".", `\.`)
	}
	return strings.Join(escaped, ".")
}

func splitPath(path string) []string {
	var keys []string
	var key strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path):
			i++
			key.WriteByte(path[i])
		case c == '.':
			keys = append(keys, key.String())
			key.Reset()
		default:
			key.WriteByte(c)
		}
	}
	return append(keys, key.String())
}

// Kind names what a plain value is, for messages: "a map", "a list", "a string", "a boolean", "a number" or "null".
func Kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	default:
		return "a number"
	}
}
