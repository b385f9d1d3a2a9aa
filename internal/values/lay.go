// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"fmt"
)

func lay(below, above *Node, at cursor) *Node {
	switch {
	case above == nil:
		return below
	case below == nil:
		return above
	case below.form == formMap && above.form == formMap:
		return layMaps(below, above, at)
	case above.form == formList && at != nil:
		rule := at.rule()
		if rule == nil || rule.How == Replace {
			return above
		}
		if below.form == formList {
			return mergeLists(below, above, at, rule)
		}
		alone := *above
		alone.reset = true
		return &alone
	}
	return above
}

func layMaps(below, above *Node, at cursor) *Node {
	if len(above.keys) == 0 && len(below.keys) > 0 {
		return below
	}
	out := &Node{
		form: formMap, layer: above.layer, line: above.line, column: above.column,
		keys:  make([]string, 0, len(below.keys)+len(above.keys)),
		items: make([]*Node, 0, len(below.keys)+len(above.keys)),
	}
	add := func(key string, value *Node) {
		out.keys, out.items = append(out.keys, key), append(out.items, value)
		out.prunable = out.prunable || value.prunable
	}
	i, j := 0, 0
	for i < len(below.keys) || j < len(above.keys) {
		switch {
		case j == len(above.keys) || i < len(below.keys) && below.keys[i] < above.keys[j]:
			add(below.keys[i], below.items[i])
			i++
		case i == len(below.keys) || above.keys[j] < below.keys[i]:
			add(above.keys[j], above.items[j])
			j++
		default:
			add(above.keys[j], lay(below.items[i], above.items[j], at.step(above.keys[j])))
			i, j = i+1, j+1
		}
	}
	return out
}

// Conflict is a value that does not have its apparent effect.
type Conflict struct {
	Path   string
	Origin Origin
	// Text is a sentence that begins with the path.
	Text string
	// Fatal conflicts would give the chart other values than the layers set; others are only warnings.
	Fatal bool
}

type finisher struct {
	include   bool
	conflicts []Conflict
}

func (f *finisher) conflict(fatal bool, path []string, n *Node, format string, arguments ...any) {
	at := JoinPath(path)
	f.conflicts = append(f.conflicts, Conflict{Path: at, Origin: n.Origin(), Text: at + " " + fmt.Sprintf(format, arguments...), Fatal: fatal})
}

// under puts a map of defaults under a map of values.
func (f *finisher) under(defaults, values *Node, at cursor, path []string) *Node {
	out := &Node{
		form: formMap, layer: values.layer, line: values.line, column: values.column,
		keys:  make([]string, 0, len(defaults.keys)+len(values.keys)),
		items: make([]*Node, 0, len(defaults.keys)+len(values.keys)),
	}
	add := func(key string, value *Node) {
		if value != nil {
			out.keys, out.items = append(out.keys, key), append(out.items, value)
		}
	}
	i, j := 0, 0
	for i < len(defaults.keys) || j < len(values.keys) {
		switch {
		case j == len(values.keys) || i < len(defaults.keys) && defaults.keys[i] < values.keys[j]:
			if f.include {
				add(defaults.keys[i], f.ofChart(defaults.items[i]))
			}
			i++
		case i == len(defaults.keys) || values.keys[j] < defaults.keys[i]:
			add(values.keys[j], f.prune(values.items[j]))
			j++
		default:
			key := values.keys[j]
			add(key, f.meet(defaults.items[i], values.items[j], at.step(key), append(path, key)))
			i, j = i+1, j+1
		}
	}
	return out
}

// meet merges a value with the chart's default for it.
func (f *finisher) meet(below, above *Node, at cursor, path []string) *Node {
	switch {
	case above.form == formNull:
		if below.form != formNull {
			f.conflict(true, path, above, "is null, which would remove the default of the chart (%s); a values file cannot do that "+
				"reliably. Give it the value that switches the feature off (for example \"\", {}, [] or false)", describe(below))
		}
		return nil
	case below.form == formMap && above.form == formMap:
		return f.under(below, above, at, path)
	case below.form == formMap:
		f.conflict(false, path, above, "is %s, where the chart has a map", describe(above))
	case above.form == formMap && below.form != formNull:
		f.conflict(false, path, above, "is a map, where the chart has %s", describe(below))
	case below.form == formList && above.form == formList && !above.reset:
		if rule := at.rule(); rule != nil && rule.How != Replace {
			return f.prune(mergeLists(below, above, at, rule))
		}
	}
	return f.prune(above)
}

// ofChart is a default that no layer touches. A list with nulls in it is left to the chart.
func (f *finisher) ofChart(n *Node) *Node {
	if n.form == formNull || n.form == formList && n.prunable {
		return nil
	}
	if n.form != formMap || !n.prunable {
		return n
	}
	out := *n
	out.keys, out.items, out.prunable = nil, nil, false
	for i, key := range n.keys {
		if item := f.ofChart(n.items[i]); item != nil {
			out.keys, out.items = append(out.keys, key), append(out.items, item)
		}
	}
	return &out
}

// prune removes nulls and removed items; it returns nil if nothing of a node is left.
func (f *finisher) prune(n *Node) *Node {
	if !n.prunable {
		return n
	}
	if n.form == formNull {
		return nil
	}
	out := *n
	out.keys, out.items, out.prunable = nil, make([]*Node, 0, len(n.items)), false
	for i, item := range n.items {
		if n.form == formList && removed(item) {
			continue
		}
		below := f.prune(item)
		if below == nil {
			continue
		}
		if n.form == formMap {
			out.keys = append(out.keys, n.keys[i])
		}
		out.items = append(out.items, below)
	}
	return &out
}

// describe shows a value in a message: short scalars as they are, the rest by kind.
func describe(n *Node) string {
	if n.form == formScalar {
		if text := string(appendScalar(nil, n.scalar)); len(text) <= 40 {
			return text
		}
	}
	return Kind(n.Plain())
}
