// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/values"
)

// checkLayer returns the findings of a file, independent of the environments that use it.
func (f *Fleet) checkLayer(position int, layer *values.Layer) []Finding {
	return append(f.checkKeys(position, layer), f.secretsIn(layer.Root())...)
}

// layerFindings are those of checkKeys for a layer in the description, found once.
func (f *Fleet) layerFindings(position int) []Finding {
	found, _ := f.layers.LoadOrStore(position, &layerFile{})
	kept, ok := found.(*layerFile)
	if !ok {
		return nil
	}
	kept.once.Do(func() { kept.findings = f.checkKeys(position, f.Layers[position].inline) })
	return slices.Clip(kept.findings)
}

// checkKeys finds traps, locked keys and unknown ones.
func (f *Fleet) checkKeys(position int, layer *values.Layer) []Finding {
	var findings []Finding
	for _, trap := range layer.Traps {
		findings = append(findings, Finding{
			Rule: RuleTrap, Severity: SeverityWarning, Key: trap.Path,
			Origin: values.Origin{Layer: layer.Name, File: layer.Path, Line: trap.Line, Column: trap.Column},
			Text:   fmt.Sprintf("%s: %s without quotes is %s; write it in quotes if a text is meant", trap.Path, trap.Text, trap.Means),
		})
	}
	for _, lock := range f.Locked {
		if position <= lock.position {
			continue
		}
		matchPath(layer.Root(), steps(lock.Path), nil, true, func(path []string, n *values.Node) {
			text := fmt.Sprintf("%s is locked after layer %s, and layer %s sets it", values.JoinPath(path), lock.Layer, layer.Name)
			if lock.Reason != "" {
				text += ": " + lock.Reason
			}
			findings = append(findings,
				Finding{Rule: RuleLocked, Severity: SeverityError, Key: values.JoinPath(path), Origin: n.Origin(), Text: text})
		})
	}
	if f.chart != nil {
		for _, unknown := range f.chart.UnknownKeys(layer.Root().Map()) {
			text := fmt.Sprintf("%s is no value of chart %s", unknown.Path, f.chart.Name)
			if unknown.Nearest != "" {
				text += fmt.Sprintf("; did you mean %s?", unknown.Nearest)
			}
			findings = append(findings,
				Finding{Rule: RuleUnknown, Severity: SeverityError, Key: unknown.Path, Origin: layer.Root().At(unknown.Path).Origin(), Text: text})
		}
	}
	return findings
}

// steps splits a dotted path; a dot in a key is written "\.".
func steps(path string) []string {
	var out []string
	var key strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path):
			i++
			key.WriteByte(path[i])
		case path[i] == '.':
			out = append(out, key.String())
			key.Reset()
		default:
			key.WriteByte(path[i])
		}
	}
	return append(out, key.String())
}

// matchPath calls found for each value at a path, in which "*" matches any one key. With cut, it is also called for a value above the
// path that replaces or removes what is at the path.
func matchPath(n *values.Node, pattern, at []string, cut bool, found func(path []string, n *values.Node)) {
	if n == nil {
		return
	}
	if len(pattern) == 0 {
		found(at, n)
		return
	}
	if !n.IsMap() {
		if cut && len(at) > 0 {
			found(at, n)
		}
		return
	}
	if pattern[0] != "*" {
		matchPath(n.Child(pattern[0]), pattern[1:], append(at, pattern[0]), cut, found)
		return
	}
	for i, key := range n.Keys() {
		// A scalar next to the maps that the pattern matches does not matter.
		item := n.Items()[i]
		matchPath(item, pattern[1:], append(at, key), cut && (item.IsMap() || item.IsNull()), found)
	}
}

// matchesAny reports that a path is at or below one of the patterns.
func matchesAny(patterns [][]string, path []string) bool {
next:
	for _, pattern := range patterns {
		if len(path) < len(pattern) {
			continue
		}
		for i, step := range pattern {
			if step != "*" && step != path[i] {
				continue next
			}
		}
		return true
	}
	return false
}

func patterns(paths []string) [][]string {
	out := make([][]string, len(paths))
	for i, path := range paths {
		out[i] = steps(path)
	}
	return out
}
