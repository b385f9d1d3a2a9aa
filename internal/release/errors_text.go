// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package release

import (
	"fmt"
	"strings"
)

// shortText is an error's text without the ornaments of the libraries below.
func shortText(err error) string {
	text := strings.TrimSpace(err.Error())
	// Helm collects the errors of several objects in a list, also where there is one.
	text = strings.TrimPrefix(text, "1 error occurred:\n\t* ")
	return strings.TrimSpace(strings.ReplaceAll(text, "\n\n", "\n"))
}

// cut shortens text for people.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// objectCount is "1 object" or "3 objects".
func objectCount(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

// firstLine is the first line of a text.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
