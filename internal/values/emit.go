// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// appendYAML writes a node on lines of its own.
func appendYAML(out []byte, n *Node, indent int) []byte {
	switch n.form {
	case formMap:
		for i, key := range n.keys {
			out = appendIndent(out, indent)
			out = appendText(out, key)
			out = append(out, ':')
			out = appendBelow(out, n.items[i], indent)
		}
	case formList:
		for _, item := range n.items {
			out = appendIndent(out, indent)
			out = append(out, '-')
			if item.form == formMap && len(item.keys) > 0 {
				// The first key is next to the dash.
				out = append(out, ' ')
				start := len(out)
				out = appendYAML(out, item, indent+2)
				out = append(out[:start], out[start+indent+2:]...)
				continue
			}
			out = appendBelow(out, item, indent)
		}
	default:
		out = appendScalar(out, n.scalar)
		out = append(out, '\n')
	}
	return out
}

// appendBelow writes a node after a colon or dash at indent.
func appendBelow(out []byte, n *Node, indent int) []byte {
	switch {
	case n.form == formMap && len(n.keys) > 0, n.form == formList && len(n.items) > 0:
		out = append(out, '\n')
		return appendYAML(out, n, indent+2)
	case n.form == formMap:
		return append(out, " {}\n"...)
	case n.form == formList:
		return append(out, " []\n"...)
	case n.form == formNull:
		return append(out, " null\n"...)
	}
	out = append(out, ' ')
	if text, ok := n.scalar.(string); ok && isBlock(text) {
		return appendBlock(out, text, indent+2)
	}
	out = appendScalar(out, n.scalar)
	return append(out, '\n')
}

func appendIndent(out []byte, indent int) []byte {
	const spaces = "                                "
	for indent > len(spaces) {
		out, indent = append(out, spaces...), indent-len(spaces)
	}
	return append(out, spaces[:indent]...)
}

func appendScalar(out []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(out, "null"...)
	case string:
		return appendText(out, v)
	case bool:
		return strconv.AppendBool(out, v)
	case int64:
		return strconv.AppendInt(out, v, 10)
	case float64, json.Number:
		return append(out, numberText(v)...)
	}
	return out
}

func appendText(out []byte, text string) []byte {
	if isPlain(text) {
		return append(out, text...)
	}
	return appendQuoted(out, text)
}

// isPlain reports a text that no reader needs quotes for.
func isPlain(text string) bool {
	if text == "" || len(text) > 200 {
		return false
	}
	first := text[0]
	switch {
	case first >= '0' && first <= '9':
		return isQuantity(text)
	case first != '/' && (first < 'A' || first > 'Z') && (first < 'a' || first > 'z'):
		return false
	}
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '_', c == '-', c == '.', c == '/', c == '@', c == '+', c == '=', c == ';', c == '(', c == ')':
		case c == ':' || c == ' ':
			// Neither at the end, nor a colon before a space.
			if i == len(text)-1 || text[i+1] == ' ' || text[i+1] == ':' {
				return false
			}
		default:
			return false
		}
	}
	if len(text) > 5 {
		return true
	}
	lower := strings.ToLower(text)
	return !isWord(text) && lower != "nan" && lower != "inf"
}

// isQuantity reports texts such as 500m, 2Gi and 30s, which no reader parses as a number.
func isQuantity(text string) bool {
	digits := strings.TrimLeft(text, "0123456789")
	if len(text) == len(digits) || len(text)-len(digits) > 9 {
		return false
	}
	switch digits {
	case "m", "s", "h", "ms", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei":
		return true
	}
	return false
}

func appendQuoted(out []byte, text string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r == '\n':
			out = append(out, `\n`...)
		case r == '\t':
			out = append(out, `\t`...)
		case r == '\r':
			out = append(out, `\r`...)
		case r < ' ' || r == 0x7f:
			out = append(out, '\\', 'x', hex[r>>4], hex[r&15])
		case r < utf8.RuneSelf || unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			out = append(out, '\\', 'U')
			for shift := 28; shift >= 0; shift -= 4 {
				out = append(out, hex[r>>shift&15])
			}
		default:
			out = append(out, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		}
	}
	return append(out, '"')
}

// isBlock reports a multi-line text that a literal block preserves exactly.
func isBlock(text string) bool {
	body := strings.TrimSuffix(text, "\n")
	if !strings.Contains(body, "\n") || body[0] == ' ' || body[0] == '\t' || body[0] == '\n' || strings.HasSuffix(body, "\n") {
		return false
	}
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" && (line[len(line)-1] == ' ' || line[len(line)-1] == '\t') {
			return false
		}
		for _, r := range line {
			if r < ' ' && r != '\t' || r == utf8.RuneError || r >= 0x7f && !unicode.IsPrint(r) {
				return false
			}
		}
	}
	return true
}

func appendBlock(out []byte, text string, indent int) []byte {
	body, ended := strings.CutSuffix(text, "\n")
	out = append(out, '|')
	if !ended {
		out = append(out, '-')
	}
	out = append(out, '\n')
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			out = appendIndent(out, indent)
			out = append(out, line...)
		}
		out = append(out, '\n')
	}
	return out
}
