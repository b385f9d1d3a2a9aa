// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package object

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Change is one differing leaf. Before or After is nil when the leaf was added or removed.
type Change struct {
	// Path is a JSON path. Elements of lists whose elements have names (containers, env, ports, volumes …) are matched by
	// them, and are named in the path: spec.template.spec.containers[app].image; others have their index.
	Path   string
	Before any
	After  any
}

// Diff lists the leaf differences of two objects as JSON paths with old and new value, in the order of the paths' parts.
// The empty result means that both have the same canonical JSON.
func Diff(before, after map[string]any) []Change {
	var changes []Change
	for _, e := range compare(nil, before, after, nil) {
		changes = flattenEdit(changes, e.path.String(), e.before, e.after)
	}
	return changes
}

// flattenEdit splits added or removed subtrees into their leaves.
func flattenEdit(changes []Change, path string, before, after any) []Change {
	one := before
	if before == (absent{}) {
		one = after
	} else if after != (absent{}) {
		return append(changes, Change{Path: path, Before: before, After: after})
	}
	add := func(path string, v any) {
		if before == (absent{}) {
			changes = flattenEdit(changes, path, before, v)
		} else {
			changes = flattenEdit(changes, path, v, after)
		}
	}
	switch subtree := one.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(subtree)) {
			add(field(path, key), subtree[key])
		}
		if len(subtree) > 0 {
			return changes
		}
	case []any:
		for i, element := range subtree {
			add(index(path, i), element)
		}
		if len(subtree) > 0 {
			return changes
		}
	}
	if before == (absent{}) {
		return append(changes, Change{Path: path, After: after})
	}
	return append(changes, Change{Path: path, Before: before})
}

// absent is a missing value, in contrast to null, which is a value.
type absent struct{}

// part is one step of a path: a field, or an element of a list with its name or index.
type part struct {
	name    string
	element bool
}

type treePath []part

func (p treePath) String() string {
	var out string
	for _, s := range p {
		if s.element {
			out += "[" + s.name + "]"
		} else {
			out = field(out, s.name)
		}
	}
	return out
}

func (p treePath) to(name string) treePath { return append(slices.Clip(p), part{name: name}) }
func (p treePath) element(name string) treePath {
	return append(slices.Clip(p), part{name: name, element: true})
}

// edit is a difference at the highest possible subtree: a leaf with two values, or a subtree that one side does not have.
type edit struct {
	path          treePath
	before, after any // absent{} where the value is missing
}

// isOrder reports an edit of the order of named elements.
func (e edit) isOrder() bool {
	before, ok := e.before.([]any)
	after, ok2 := e.after.([]any)
	return ok && ok2 && len(before) == len(after) && isScalars(before) && equal(sortedTexts(before), sortedTexts(after)) &&
		len(e.path) > 0
}

// isEmpty reports a change between a missing and an empty value, which are the same for Kubernetes.
func (e edit) isEmpty() bool {
	empty := func(v any) bool {
		switch v := v.(type) {
		case nil, absent:
			return true
		case map[string]any:
			return len(v) == 0
		case []any:
			return len(v) == 0
		}
		return false
	}
	return empty(e.before) && empty(e.after)
}

// compare finds the edits between two trees. whole may be nil; it selects the subtrees that are reported as one edit.
func compare(path treePath, before, after any, whole func(treePath) bool) []edit {
	if whole != nil && len(path) > 0 && whole(path) {
		if equal(before, after) {
			return nil
		}
		return []edit{{path, before, after}}
	}
	left, isMap := before.(map[string]any)
	right, alsoMap := after.(map[string]any)
	if isMap && alsoMap {
		return compareMaps(path, left, right, whole)
	}
	leftList, isList := before.([]any)
	rightList, alsoList := after.([]any)
	if isList && alsoList {
		return compareLists(path, leftList, rightList, whole)
	}
	if equal(before, after) {
		return nil
	}
	return []edit{{path, before, after}}
}

func compareMaps(path treePath, before, after map[string]any, whole func(treePath) bool) []edit {
	keys := maps.Clone(before)
	if keys == nil {
		keys = map[string]any{}
	}
	maps.Copy(keys, after)
	var edits []edit
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		left, was := before[key]
		right, is := after[key]
		switch {
		case !was:
			edits = append(edits, edit{path.to(key), absent{}, right})
		case !is:
			edits = append(edits, edit{path.to(key), left, absent{}})
		default:
			edits = append(edits, compare(path.to(key), left, right, whole)...)
		}
	}
	return edits
}

func compareLists(path treePath, before, after []any, whole func(treePath) bool) []edit {
	if identity := identityOf(before, after); identity != nil {
		return compareNamed(path, before, after, identity, whole)
	}
	if len(before) != len(after) && isScalars(before) && isScalars(after) {
		if edits := compareScalars(path, before, after); len(edits) > 0 {
			return edits
		}
	}
	var edits []edit
	for i := range max(len(before), len(after)) {
		at := path.element(fmt.Sprint(i))
		switch {
		case i >= len(before):
			edits = append(edits, edit{at, absent{}, after[i]})
		case i >= len(after):
			edits = append(edits, edit{at, before[i], absent{}})
		default:
			edits = append(edits, compare(at, before[i], after[i], whole)...)
		}
	}
	return edits
}

func compareNamed(path treePath, before, after []any, identity func(any) string, whole func(treePath) bool) []edit {
	now := make(map[string]any, len(after))
	for _, element := range after {
		now[identity(element)] = element
	}
	was := make(map[string]bool, len(before))
	var edits []edit
	var orderBefore, orderAfter []any
	for _, element := range before {
		name := identity(element)
		was[name] = true
		other, stays := now[name]
		if !stays {
			edits = append(edits, edit{path.element(name), element, absent{}})
			continue
		}
		orderBefore = append(orderBefore, name)
		edits = append(edits, compare(path.element(name), element, other, whole)...)
	}
	for _, element := range after {
		name := identity(element)
		if was[name] {
			orderAfter = append(orderAfter, name)
		} else {
			edits = append(edits, edit{path.element(name), absent{}, element})
		}
	}
	if !slices.Equal(orderBefore, orderAfter) {
		edits = append(edits, edit{path, orderBefore, orderAfter})
	}
	return edits
}

// compareScalars reports the added and removed elements of lists of different length (arguments, hosts). It reports nothing where
// other differences remain; the caller then compares by index.
func compareScalars(path treePath, before, after []any) []edit {
	count := map[string]int{}
	text := func(v any) string { s, _ := Canonical(v); return s }
	for _, v := range after {
		count[text(v)]++
	}
	var edits []edit
	for i, v := range before {
		if count[text(v)] > 0 {
			count[text(v)]--
		} else {
			edits = append(edits, edit{path.element(fmt.Sprint(i)), v, absent{}})
		}
	}
	for i := len(after) - 1; i >= 0; i-- {
		if v := after[i]; count[text(v)] > 0 {
			count[text(v)]--
			edits = append(edits, edit{path.element(fmt.Sprint(i)), absent{}, v})
		}
	}
	return edits
}

func isScalars(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool {
		switch v.(type) {
		case map[string]any, []any:
			return true
		}
		return false
	})
}

// identities are the fields, or pairs of them, that can name the elements of Kubernetes' lists.
var identities = [][]string{
	{"name"}, {"mountPath"}, {"containerPort", "protocol"}, {"port", "protocol"}, {"host"}, {"key"}, {"type", "resource.name"},
	{"type"}, {"kind", "name"}, {"ip"},
}

// identityOf finds the fields that name each element of both lists uniquely; nil if there are none.
func identityOf(before, after []any) func(any) string {
	if len(before)+len(after) == 0 {
		return nil
	}
	for _, fields := range identities {
		identity := func(element any) string { return identify(element, fields) }
		if isUnique(before, identity) && isUnique(after, identity) {
			return identity
		}
	}
	return nil
}

func isUnique(list []any, identity func(any) string) bool {
	seen := make(map[string]bool, len(list))
	for _, element := range list {
		name := identity(element)
		if name == "" || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

// identify joins the fields of an element; the first one is required.
func identify(element any, fields []string) string {
	var names []string
	for i, name := range fields {
		at := element
		for key := range strings.SplitSeq(name, ".") {
			table, ok := at.(map[string]any)
			if !ok {
				at = nil
				break
			}
			at = table[key]
		}
		switch v := at.(type) {
		case string:
			names = append(names, v)
		case int64, float64:
			text, _ := Canonical(v)
			names = append(names, text)
		default:
			if i == 0 {
				return ""
			}
		}
	}
	return strings.Join(names, "/")
}
