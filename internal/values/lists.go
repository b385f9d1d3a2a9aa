// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"fmt"
	"slices"
	"strings"
)

// How a list of a layer is merged with the list below it.
const (
	// Replace takes the list of the later layer as a whole, as Helm does. It is the default.
	Replace = "replace"
	// Append adds the items of the later layer after those below.
	Append = "append"
	// MergeByKey merges items that agree in their keys, as maps, and appends the others. An item with "$patch: delete" removes
	// the item below instead.
	MergeByKey = "merge"
)

// ListRule defines how the lists at a path are merged.
type ListRule struct {
	// Path is dotted as for Set. "*" matches any one key, and "[]" after a key steps into the items of a list that is merged
	// by key: "containers[].env".
	Path string
	// How is Replace, Append or MergeByKey.
	How string
	// Keys are the fields that together name an item, for MergeByKey.
	Keys []string
}

// Rules are list rules, ready for use. The nil *Rules has none.
type Rules struct{ root *ruleNode }

type ruleNode struct {
	children map[string]*ruleNode
	rule     *ListRule
}

const (
	anyKey   = "*"
	listStep = "[]"
)

// NewRules checks rules and makes them ready for use. Error: *PathError.
func NewRules(rules []ListRule) (*Rules, error) {
	out := &Rules{root: &ruleNode{}}
	for _, rule := range rules {
		switch {
		case rule.How != Replace && rule.How != Append && rule.How != MergeByKey:
			return nil, &PathError{Path: rule.Path, Reason: fmt.Sprintf("the list rule is %q; there are replace, append and merge", rule.How)}
		case rule.How == MergeByKey && (len(rule.Keys) == 0 || slices.Contains(rule.Keys, "")):
			return nil, &PathError{Path: rule.Path, Reason: "to merge a list, set the keys that name an item, for example name"}
		case rule.How != MergeByKey && len(rule.Keys) > 0:
			return nil, &PathError{Path: rule.Path, Reason: "only the rule merge has keys"}
		}
		steps := splitPath(strings.ReplaceAll(rule.Path, listStep, "."+listStep))
		if slices.Contains(steps, "") || steps[0] == listStep || steps[len(steps)-1] == listStep {
			return nil, &PathError{Path: rule.Path, Reason: "it is no path of a list"}
		}
		at := out.root
		for _, step := range steps {
			if at.children == nil {
				at.children = map[string]*ruleNode{}
			}
			if at.children[step] == nil {
				at.children[step] = &ruleNode{}
			}
			at = at.children[step]
		}
		if at.rule != nil {
			return nil, &PathError{Path: rule.Path, Reason: "there are two rules for it"}
		}
		at.rule = &rule
	}
	return out, nil
}

// cursor is the position in the rules that a path has reached; nil if no rule can apply further down.
type cursor []*ruleNode

func (r *Rules) start() cursor {
	if r == nil || len(r.root.children) == 0 {
		return nil
	}
	return cursor{r.root}
}

// step follows a key. An exact name takes precedence over "*".
func (c cursor) step(key string) cursor {
	if c == nil {
		return nil
	}
	var next cursor
	for _, at := range c {
		if below := at.children[key]; below != nil {
			next = append(next, below)
		}
	}
	if key == listStep {
		return next
	}
	for _, at := range c {
		if below := at.children[anyKey]; below != nil {
			next = append(next, below)
		}
	}
	return next
}

func (c cursor) rule() *ListRule {
	for _, at := range c {
		if at.rule != nil {
			return at.rule
		}
	}
	return nil
}

// Check finds lists of a layer to which the rules cannot be applied: items without their keys, or two items of one name.
// Error: *FileError with the line.
func (r *Rules) Check(layer *Layer) error { return checkLists(layer.Root(), r.start(), nil) }

// Explain returns what layers set for the value at a path, last layer first; layers are in the order in which they apply. If the
// path leads to a map, the settings are those of the map itself. There are none if no layer has the path.
func (r *Rules) Explain(path string, layers []*Node) []Setting {
	keys := splitPath(path)
	at := r.start()
	for _, key := range keys {
		at = at.step(key)
	}
	rule := at.rule()
	combines := rule != nil && rule.How != Replace
	var out []Setting
	won, cut := false, false // the value is found; lower layers do not matter
	parts := formNull        // what a lower layer must have to add to the value
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

// Lay lays a layer over what is below it, with Helm's rules, except where a list rule says otherwise: maps are merged key by key,
// anything else is replaced, and null hides what is below. Neither is changed; either may be nil.
func (r *Rules) Lay(below, above *Node) *Node { return lay(below, above, r.start()) }

// Finish makes final values from merged layers and the chart's defaults: no null and no list item to be removed is left, and
// a chart that renders with the final values as a file gets the result of Helm with the layers. With include, the chart's
// defaults are part of the result; without, only what the layers set, since Helm adds the defaults itself.
//
// A null that would remove a default of the chart is a fatal Conflict: a file cannot express that without a null, which each
// version of Helm interprets differently.
func (r *Rules) Finish(defaults, merged *Node, include bool) (*Node, []Conflict) {
	f := finisher{include: include}
	if merged == nil {
		merged = &Node{form: formMap}
	}
	if defaults == nil {
		return f.prune(merged), nil
	}
	return f.under(defaults, merged, r.start(), nil), f.conflicts
}

func checkLists(n *Node, at cursor, path []string) error {
	if at == nil || n == nil {
		return nil
	}
	switch n.form {
	case formMap:
		for i, key := range n.keys {
			if err := checkLists(n.items[i], at.step(key), append(path, key)); err != nil {
				return err
			}
		}
	case formList:
		rule := at.rule()
		if rule == nil || rule.How != MergeByKey {
			return nil
		}
		seen := map[string]bool{}
		for _, item := range n.items {
			name, ok := itemName(item, rule)
			refused := &FileError{Path: item.Origin().File, Line: item.Origin().Line}
			if !ok {
				refused.Reason = fmt.Sprintf("the list %s is merged by %s, and this item has no %s", JoinPath(path), strings.Join(rule.Keys, " and "),
					strings.Join(rule.Keys, " or no "))
				return refused
			}
			if seen[name] {
				refused.Reason = fmt.Sprintf("the list %s is merged by %s, and two items of this layer agree in it", JoinPath(path),
					strings.Join(rule.Keys, " and "))
				return refused
			}
			seen[name] = true
			if err := checkLists(item, at.step(listStep), append(path, listStep)); err != nil {
				return err
			}
		}
	}
	return nil
}

// itemName identifies an item by its keys. Only scalars name an item.
func itemName(item *Node, rule *ListRule) (string, bool) {
	var name strings.Builder
	for _, key := range rule.Keys {
		value := item.Child(key)
		if value == nil || value.form != formScalar {
			return "", false
		}
		fmt.Fprintf(&name, "%T %v\x00", value.scalar, value.scalar)
	}
	return name.String(), true
}

// removed reports an item that removes the one below.
func removed(item *Node) bool {
	patch := item.Child("$patch")
	return patch != nil && patch.scalar == "delete"
}

// mergeLists applies a rule to two lists.
func mergeLists(below, above *Node, at cursor, rule *ListRule) *Node {
	out := &Node{form: formList, layer: above.layer, line: above.line, column: above.column, reset: below.reset}
	if rule.How == Append {
		out.items = slices.Concat(below.items, above.items)
		out.prunable = below.prunable || above.prunable
		return out
	}
	out.items = slices.Clone(below.items)
	places := make(map[string]int, len(out.items))
	for i, item := range out.items {
		if name, ok := itemName(item, rule); ok {
			places[name] = i
		}
	}
	items := at.step(listStep)
	var gone []int
	for _, item := range above.items {
		name, _ := itemName(item, rule) // Check has refused items without
		i, exists := places[name]
		switch {
		case exists && removed(item):
			gone = append(gone, i)
		case exists && removed(out.items[i]):
			out.items[i] = item // it was removed and is added again as a whole
		case exists:
			out.items[i] = lay(out.items[i], item, items)
		default:
			out.items = append(out.items, item)
		}
	}
	slices.Sort(gone)
	for _, i := range slices.Backward(gone) {
		out.items = slices.Delete(out.items, i, i+1)
	}
	for _, item := range out.items {
		out.prunable = out.prunable || item.prunable || removed(item)
	}
	return out
}
