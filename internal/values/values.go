// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package values merges and checks chart values offline, with Helm's rules: maps merge key by key, lists and scalars are
// replaced, and null deletes a key.
package values

// Merge merges layers, later ones win, as "helm -f a -f b" does. Inputs are not changed. A null in a later layer stays
// a null here, since Helm removes the chart's default with it.
func Merge(layers ...map[string]any) map[string]any

// ReadFile reads a values file with Helm's YAML rules (sigs.k8s.io/yaml); an empty file is an empty map. Duplicate keys,
// a top level that is no map, and text that is no UTF-8 are *FileError with file and line.
func ReadFile(path string) (map[string]any, error)

// Set returns v with the dotted path ("image.tag") set to value, making maps on the way. Error: *PathError where a
// non-map is in the way.
func Set(v map[string]any, path string, value any) (map[string]any, error)

// Leaves lists the dotted paths of all leaves, sorted.
func Leaves(v map[string]any) []string

// UnknownKeys compares v with the keys that a chart knows (its own values, those of its subcharts, "global", and where
// there is a schema its properties) and returns those it does not know, each with the nearest known one. Maps that are
// empty in the chart's defaults (labels, annotations, env) are open.
func UnknownKeys(v map[string]any, known map[string]any) []UnknownKey

// UnknownKey is a key that the chart does not have.
type UnknownKey struct {
	Path    string
	Nearest string // "" where nothing is near
}
