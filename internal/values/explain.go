// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import "slices"

// Effects of a Setting.
const (
	// Wins: this is the value.
	Wins = "sets"
	// Adds: a part of the value, by a list rule.
	Adds = "adds to"
	// Overridden: a later layer has another value.
	Overridden = "is overridden"
	// Hidden: a later layer replaces or removes what this is a part of.
	Hidden = "is hidden"
	// Removes: a null.
	Removes = "removes"
)

// Setting is what one layer says of a value.
type Setting struct {
	Origin
	Effect string
	// Path is that of the value, or that of a map above it where the layer replaces or removes that.
	Path  string
	Value *Node
}

// Explain tells what layers say of the value at a path, last layer first; layers are in the order in which they are laid. Where
// the path leads to a map, the settings are those of the map itself. There are none where no layer knows the path.
func (r *Rules) Explain(path string, layers []*Node) []Setting {
	keys := splitPath(path)
	at := r.start()
	for _, key := range keys {
		at = at.step(key)
	}
	rule := at.rule()
	combines := rule != nil && rule.How != Replace
	var out []Setting
	won, cut := false, false // the value is found; nothing below matters any more
	parts := formNull        // what a layer below must have to add to the value
	for _, layer := range slices.Backward(layers) {
		n, depth := descend(layer, keys)
		if n == nil || depth < len(keys) && n.form == formMap {
			continue
		}
		setting := Setting{Origin: n.Origin(), Path: JoinPath(keys[:depth]), Value: n}
		switch {
		case cut:
			setting.Effect = Hidden
		case n.form == formNull || depth < len(keys):
			setting.Effect, cut = Removes, true
		case !won:
			setting.Effect, won = Wins, true
			if n.form == formMap || n.form == formList && combines {
				parts = n.form
			}
		case parts != formNull && n.form == parts:
			setting.Effect = Adds
		default:
			setting.Effect, parts = Overridden, formNull
		}
		out = append(out, setting)
	}
	return out
}

// descend goes along keys as far as maps go.
func descend(n *Node, keys []string) (*Node, int) {
	for depth, key := range keys {
		if !n.IsMap() {
			return n, depth
		}
		below := n.Child(key)
		if below == nil {
			return nil, depth
		}
		n = below
	}
	return n, len(keys)
}
