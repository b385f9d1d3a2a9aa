// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package values

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
)

// checkScalar refuses numbers that a chart would not get as they are written, and notes texts that are read as something else.
func (b *treeBuilder) checkScalar(at *yamlnode.Node, data any, path []string) error {
	if !b.strict {
		return nil
	}
	const written = yamlnode.SingleQuotedStyle | yamlnode.DoubleQuotedStyle | yamlnode.LiteralStyle | yamlnode.FoldedStyle | yamlnode.TaggedStyle
	plain := at.Style&written == 0
	switch data := data.(type) {
	case string:
		return nil
	case bool:
		if plain && !strings.EqualFold(at.Value, "true") && !strings.EqualFold(at.Value, "false") {
			b.trap(at, path, fmt.Sprintf("the boolean %t", data))
		}
		return nil
	case json.Number:
		return refuse(at, "%s is %s, a number with more digits than Helm keeps; write it in quotes", JoinPath(path), at.Value)
	case int64:
		if data > maxExact || data < -maxExact {
			return refuse(at, "%s is %s, a number with more digits than Helm keeps (integers up to 2^53 are exact); write it in quotes", JoinPath(path), at.Value)
		}
	case float64:
		if isInteger(at.Value) {
			return refuse(at, "%s is %s, a number with more digits than Helm keeps (integers up to 2^53 are exact); write it in quotes", JoinPath(path), at.Value)
		}
	}
	if text := numberText(data); plain && text != at.Value {
		b.trap(at, path, "the number "+text)
	}
	return nil
}

func (b *treeBuilder) trap(at *yamlnode.Node, path []string, means string) {
	b.layer.Traps = append(b.layer.Traps, Trap{Path: JoinPath(path), Line: at.Line, Column: at.Column, Text: at.Value, Means: means})
}

// isInteger reports a text of nothing but digits, with a sign and underscores where they may stand.
func isInteger(text string) bool {
	text = strings.TrimLeft(text, "+-")
	return text != "" && strings.Trim(text, "0123456789_") == ""
}

// numberText writes a number so that every reader of YAML takes it for the same one.
func numberText(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		if size := math.Abs(v); size != 0 && (size < 1e-6 || size >= 1e21) {
			text := strconv.FormatFloat(v, 'e', -1, 64)
			if mantissa, exponent, _ := strings.Cut(text, "e"); !strings.Contains(mantissa, ".") {
				return mantissa + ".0e" + exponent
			}
			return text
		}
		text := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	case json.Number:
		return v.String()
	}
	return fmt.Sprint(v)
}
