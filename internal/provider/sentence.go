// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

// ended closes a sentence that may be a question.
func ended(text string) string {
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// capitalized makes the beginning of a sentence of a text.
func capitalized(s string) string {
	if first, _, _ := strings.Cut(s, " "); s == "" || strings.Contains(first, "://") {
		return s // an address is not a word
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// orNone is the text of an attribute in a sentence.
func orNone(v types.String) string {
	if v.ValueString() == "" {
		return "(none)"
	}
	return v.ValueString()
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}
