// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package reach

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// value is what an expression can hold of the secrets.
type value struct {
	// secret says that the value can be a secret, or be made of one.
	secret bool
	// places are the maps that the value can be, by their index in the analysis. Each of them holds a secret somewhere below.
	places []int
	// fields are the entries of a map that the template builds, and elements those without a literal key, and the elements of lists.
	fields   map[string]value
	elements *value
}

// Limits beyond which a value counts as secret as a whole, so that the analysis of recursive templates ends.
const (
	maxDepth = 5
	maxKey   = 2000
)

var secretValue = value{secret: true}

// leaks reports that the printed value shows something of a secret.
func (v value) leaks() bool {
	if v.secret || len(v.places) > 0 || v.elements != nil && v.elements.leaks() {
		return true
	}
	for _, field := range v.fields {
		if field.leaks() {
			return true
		}
	}
	return false
}

func (v value) depth() int {
	deepest := 0
	for _, field := range v.fields {
		deepest = max(deepest, 1+field.depth())
	}
	if v.elements != nil {
		deepest = max(deepest, 1+v.elements.depth())
	}
	return deepest
}

// limited is v, or what stands for it if it is too large.
func (v value) limited() value {
	if v.depth() <= maxDepth && len(v.key()) <= maxKey {
		return v
	}
	return value{secret: v.leaks()}
}

// key is the same for equal values.
func (v value) key() string {
	var b strings.Builder
	v.writeKey(&b)
	return b.String()
}

func (v value) writeKey(b *strings.Builder) {
	if v.secret {
		b.WriteByte('!')
	}
	for _, place := range v.places {
		fmt.Fprintf(b, "%d,", place)
	}
	for _, name := range slices.Sorted(maps.Keys(v.fields)) {
		fmt.Fprintf(b, "%q{", name)
		v.fields[name].writeKey(b)
		b.WriteByte('}')
	}
	if v.elements != nil {
		b.WriteByte('[')
		v.elements.writeKey(b)
		b.WriteByte(']')
	}
}

// with is a value that can be either.
func (v value) with(other value) value {
	out := value{secret: v.secret || other.secret, places: v.places, fields: v.fields, elements: v.elements}
	if len(other.places) > 0 {
		out.places = slices.Concat(v.places, other.places)
		slices.Sort(out.places)
		out.places = slices.Compact(out.places)
	}
	if len(other.fields) > 0 {
		out.fields = maps.Clone(v.fields)
		if out.fields == nil {
			out.fields = map[string]value{}
		}
		for name, field := range other.fields {
			out.fields[name] = out.fields[name].with(field)
		}
	}
	if other.elements != nil {
		elements := *other.elements
		if v.elements != nil {
			elements = elements.with(*v.elements)
		}
		out.elements = &elements
	}
	return out.limited()
}

// place is a map of the values, or what a template gets as its dot.
type place struct {
	// secret is a leaf that is or holds a secret.
	secret   bool
	children map[string]int
}

// field is the entry of v with a known name.
func (a *Analysis) field(v value, name string) value {
	out := value{secret: v.secret}
	for _, p := range v.places {
		if child, ok := a.places[p].children[name]; ok {
			out = out.with(a.at(child))
		}
	}
	out = out.with(v.fields[name])
	if v.elements != nil {
		out = out.with(*v.elements)
	}
	return out
}

// any is each entry of v.
func (a *Analysis) any(v value) value {
	out := value{secret: v.secret}
	for _, p := range v.places {
		for _, child := range a.places[p].children {
			out = out.with(a.at(child))
		}
	}
	for _, field := range v.fields {
		out = out.with(field)
	}
	if v.elements != nil {
		out = out.with(*v.elements)
	}
	return out
}

func (a *Analysis) at(p int) value {
	if a.places[p].secret {
		return secretValue
	}
	return value{places: []int{p}}
}

func (a *Analysis) newPlace() int {
	a.places = append(a.places, place{children: map[string]int{}})
	return len(a.places) - 1
}

// insert makes the leaf at path below p a secret.
func (a *Analysis) insert(p int, path []string) {
	for _, name := range path {
		child, ok := a.places[p].children[name]
		if !ok {
			child = a.newPlace()
			a.places[p].children[name] = child
		}
		p = child
	}
	a.places[p].secret = true
}
