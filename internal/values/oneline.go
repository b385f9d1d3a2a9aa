// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

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
