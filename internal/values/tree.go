// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// form is what a node is.
type form uint8

const (
	formNull form = iota
	formScalar
	formList
	formMap
)

// Node is a value with the place that it comes from. Nodes are never changed once they are made: trees share what they have in
// common, so that the values of thousands of environments cost little more than what differs between them.
type Node struct {
	form   form
	scalar any      // string, bool, int64, float64 or json.Number
	keys   []string // of a map, sorted
	items  []*Node  // of a list, in its order; of a map, in the order of keys
	layer  *Layer
	line   int32
	column int32

	// reset is set on a list above a null or another value that is not a list, so that the chart's items do not belong to it.
	reset bool
	// prunable is set if this node or one below it is left out of final values: a null, or a list item to be removed.
	prunable bool
}

// Origin is the place of a value.
type Origin struct {
	Layer  string `json:"layer"`
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`   // counted from 1; 0 where it is not known
	Column int    `json:"column,omitempty"` // counted from 1
}

// String is "clients/client-a/values.yaml:12".
func (o Origin) String() string {
	if o.Line == 0 {
		return o.File
	}
	return o.File + ":" + strconv.Itoa(o.Line)
}

// Origin of the node; of a map it is that of the last layer that added to it.
func (n *Node) Origin() Origin {
	if n == nil || n.layer == nil {
		return Origin{}
	}
	return Origin{Layer: n.layer.Name, File: n.layer.Path, Line: int(n.line), Column: int(n.column)}
}

// IsMap reports a map. A node that is not a map, a list or null is a scalar.
func (n *Node) IsMap() bool { return n != nil && n.form == formMap }

// IsList reports a list.
func (n *Node) IsList() bool { return n != nil && n.form == formList }

// IsNull reports a null or a missing node.
func (n *Node) IsNull() bool { return n == nil || n.form == formNull }

// Scalar is the value of a scalar, nil for anything else.
func (n *Node) Scalar() any {
	if n == nil || n.form != formScalar {
		return nil
	}
	return n.scalar
}

// Keys of a map, sorted. Callers must not change it.
func (n *Node) Keys() []string {
	if !n.IsMap() {
		return nil
	}
	return n.keys
}

// Items of a list in order, or of a map in the order of its keys. Callers must not change it.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	return n.items
}

// Child is the value of a key, nil if there is none or n is not a map.
func (n *Node) Child(key string) *Node {
	if !n.IsMap() {
		return nil
	}
	if i, found := slices.BinarySearch(n.keys, key); found {
		return n.items[i]
	}
	return nil
}

// At follows a path, written as for Set; "[2]" after a key takes the third item of a list. It is nil if there is nothing.
func (n *Node) At(path string) *Node {
	at := n
	for _, key := range splitPath(path) {
		if below := at.Child(key); below != nil {
			at = below
			continue
		}
		name, indexes, ok := cutIndexes(key)
		if !ok {
			return nil
		}
		if name != "" {
			at = at.Child(name)
		}
		for _, index := range indexes {
			if !at.IsList() || index >= len(at.items) {
				return nil
			}
			at = at.items[index]
		}
	}
	return at
}

// cutIndexes splits "key[1][2]".
func cutIndexes(key string) (name string, indexes []int, ok bool) {
	open := strings.IndexByte(key, '[')
	if open < 0 || !strings.HasSuffix(key, "]") {
		return "", nil, false
	}
	for part := range strings.SplitSeq(key[open+1:len(key)-1], "][") {
		index, err := strconv.Atoi(part)
		if err != nil || index < 0 {
			return "", nil, false
		}
		indexes = append(indexes, index)
	}
	return key[:open], indexes, true
}

// Plain is the node as plain data, as Parse returns it. The caller owns it.
func (n *Node) Plain() any {
	if n == nil {
		return nil
	}
	switch n.form {
	case formScalar:
		return n.scalar
	case formList:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = item.Plain()
		}
		return out
	case formMap:
		return n.Map()
	}
	return nil
}

// Map is a map node as plain data; anything else is an empty map.
func (n *Node) Map() map[string]any {
	if !n.IsMap() {
		return map[string]any{}
	}
	out := make(map[string]any, len(n.keys))
	for i, key := range n.keys {
		out[key] = n.items[i].Plain()
	}
	return out
}

// Walk calls visit for each leaf (scalars, nulls, empty maps, and lists as a whole) in the order of paths' keys, until visit
// returns false. The path is valid during the call only.
func (n *Node) Walk(visit func(path []string, leaf *Node) bool) {
	if n != nil {
		n.walk(nil, visit)
	}
}

func (n *Node) walk(path []string, visit func([]string, *Node) bool) bool {
	if n.form != formMap || len(n.keys) == 0 {
		return len(path) == 0 || visit(path, n)
	}
	for i, key := range n.keys {
		if !n.items[i].walk(append(path, key), visit) {
			return false
		}
	}
	return true
}

// Scalars calls visit for each scalar, also those in lists, where an item's step in the path is "[0]".
func (n *Node) Scalars(visit func(path []string, leaf *Node)) {
	if n != nil {
		n.scalars(nil, visit)
	}
}

func (n *Node) scalars(path []string, visit func([]string, *Node)) {
	switch n.form {
	case formScalar:
		visit(path, n)
	case formMap:
		for i, key := range n.keys {
			n.items[i].scalars(append(path, key), visit)
		}
	case formList:
		for i, item := range n.items {
			item.scalars(append(path, "["+strconv.Itoa(i)+"]"), visit)
		}
	}
}

// JoinPath writes keys as a dotted path, as Set takes it; steps "[0]" follow the key before them without a dot.
func JoinPath(keys []string) string {
	var out strings.Builder
	for i, key := range keys {
		if i > 0 && (!strings.HasPrefix(key, "[") || !strings.HasSuffix(key, "]")) {
			out.WriteByte('.')
		}
		if strings.ContainsAny(key, `\.`) {
			key = strings.ReplaceAll(strings.ReplaceAll(key, `\`, `\\`), ".", `\.`)
		}
		out.WriteString(key)
	}
	return out.String()
}

// Equal reports that two nodes have the same content, regardless of their origins.
func (n *Node) Equal(other *Node) bool {
	if n == other {
		return true
	}
	if n == nil || other == nil || n.form != other.form || len(n.items) != len(other.items) {
		return false
	}
	if n.form == formScalar {
		return n.scalar == other.scalar
	}
	if n.form == formMap && !slices.Equal(n.keys, other.keys) {
		return false
	}
	for i, item := range n.items {
		if !item.Equal(other.items[i]) {
			return false
		}
	}
	return true
}

// AppendYAML appends the node as a YAML document in one fixed form: keys sorted, two spaces of indent, texts that a
// reader of YAML 1.1 or 1.2 could take for another type in double quotes, multi-line texts as blocks where that is exact. Equal
// content gives equal bytes, and reading them returns the content.
func (n *Node) AppendYAML(out []byte) []byte {
	if n == nil || n.form == formMap && len(n.keys) == 0 {
		return append(out, "{}\n"...)
	}
	return appendYAML(out, n, 0)
}

// OneLine is the node as YAML on one line: {a: 1, b: [x, "on"]}.
func (n *Node) OneLine() string { return string(n.appendOneLine(nil)) }

func (n *Node) appendOneLine(out []byte) []byte {
	if n == nil {
		return append(out, "null"...)
	}
	switch n.form {
	case formMap:
		out = append(out, '{')
		for i, key := range n.keys {
			if i > 0 {
				out = append(out, ", "...)
			}
			out = appendText(out, key)
			out = append(out, ": "...)
			out = n.items[i].appendOneLine(out)
		}
		return append(out, '}')
	case formList:
		out = append(out, '[')
		for i, item := range n.items {
			if i > 0 {
				out = append(out, ", "...)
			}
			out = item.appendOneLine(out)
		}
		return append(out, ']')
	}
	return appendScalar(out, n.scalar)
}

// WithTexts is the tree with change applied to each string except keys.
func (n *Node) WithTexts(change func(string) (string, error)) (*Node, error) {
	if n == nil {
		return nil, nil
	}
	if n.form == formScalar {
		text, ok := n.scalar.(string)
		if !ok {
			return n, nil
		}
		changed, err := change(text)
		if err != nil || changed == text {
			return n, err
		}
		out := *n
		out.scalar = changed
		return &out, nil
	}
	out := *n
	out.items = make([]*Node, len(n.items))
	same := true
	for i, item := range n.items {
		below, err := item.WithTexts(change)
		if err != nil {
			return nil, err
		}
		same = same && below == item
		out.items[i] = below
	}
	if same {
		return n, nil
	}
	return &out, nil
}

// TreeOf makes a tree of plain data. All nodes have the layer as their origin, without a line. It is for data that was not read from
// a file, such as a chart's defaults.
func TreeOf(layer *Layer, v map[string]any) (*Node, error) { return treeOf(layer, nil, v) }

func treeOf(layer *Layer, path []string, v any) (*Node, error) {
	n := &Node{layer: layer}
	switch v := v.(type) {
	case nil:
		n.form, n.prunable = formNull, true
	case map[string]any:
		n.form, n.keys = formMap, slices.Sorted(maps.Keys(v))
		n.items = make([]*Node, len(n.keys))
		for i, key := range n.keys {
			below, err := treeOf(layer, append(slices.Clip(path), key), v[key])
			if err != nil {
				return nil, err
			}
			n.items[i], n.prunable = below, n.prunable || below.prunable
		}
	case []any:
		n.form, n.items = formList, make([]*Node, len(v))
		for i, item := range v {
			below, err := treeOf(layer, append(slices.Clip(path), "["+strconv.Itoa(i)+"]"), item)
			if err != nil {
				return nil, err
			}
			n.items[i], n.prunable = below, n.prunable || below.prunable
		}
	case string, bool, int64:
		n.form, n.scalar = formScalar, v
	case json.Number:
		n.form, n.scalar = formScalar, plainNumbers(v)
	default:
		// Other numbers are converted by their text.
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("the value of %s has no counterpart in YAML: %w", JoinPath(path), err)
		}
		number := json.Number(text)
		if _, err := number.Float64(); err != nil {
			return nil, fmt.Errorf("the value of %s is a %T, which values do not have", JoinPath(path), v)
		}
		n.form, n.scalar = formScalar, plainNumbers(number)
	}
	return n, nil
}
