// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

// Effects of a Setting.
const (
	// Wins: this is the value.
	Wins = "sets"
	// Adds: a part of the value, by a list rule.
	Adds = "adds to"
	// Overridden: a later layer has another value.
	Overridden = "is overridden"
	// Hidden: a later layer replaces or removes a map above it.
	Hidden = "is hidden"
	// Removes: a null.
	Removes = "removes"
)

// Setting is what one layer sets for a value.
type Setting struct {
	Origin
	Effect string
	// Path is the path of the value, or of a map above it that the layer replaces or removes.
	Path  string
	Value *Node
}

// descend follows keys through maps.
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
