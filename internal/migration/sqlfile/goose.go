// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import (
	"strings"
)

// section is goose's position in a file.
type section int

const (
	beforeUp section = iota
	inUp
	inUpBlock // between StatementBegin and StatementEnd
	inDown
	inDownBlock
)

// endsWithSemicolon reports whether the last word of a line, before a word that starts a comment, ends in a semicolon.
func endsWithSemicolon(line string) bool {
	last := ""
	for word := range strings.FieldsSeq(line) {
		if strings.HasPrefix(word, "--") {
			break
		}
		last = word
	}
	return strings.HasSuffix(last, ";")
}
