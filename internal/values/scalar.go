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

// explicitStyle are the styles of a scalar whose type is explicit: quoted, a block, or with a tag.
const explicitStyle = yamlnode.SingleQuotedStyle | yamlnode.DoubleQuotedStyle | yamlnode.LiteralStyle | yamlnode.FoldedStyle |
	yamlnode.TaggedStyle

// isInteger reports a text of nothing but digits, with a sign and underscores where they are allowed.
func isInteger(text string) bool {
	text = strings.TrimLeft(text, "+-")
	return text != "" && strings.Trim(text, "0123456789_") == ""
}

// numberText writes a number so that every reader of YAML reads the same number.
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
