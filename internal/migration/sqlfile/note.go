// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import (
	"regexp"
	"strings"
	"time"
)

// Note is an acknowledgement in a comment above a statement:
//
//	-- slipway:allow drop-column, rename reason="no version since 1.4 reads it" until=2027-03-31
//
// It applies to the statement that follows it, or to the whole file with "slipway:allow-file".
type Note struct {
	Line      int
	Rules     []string
	Reason    string
	Until     time.Time // the last day, in UTC, on which it applies; zero: without end
	WholeFile bool
	Statement int    // index in File.Statements; -1 if none follows
	Problem   string // why it does not count
}

var (
	noteReason = regexp.MustCompile(`reason\s*=\s*(?:"([^"]*)"|'([^']*)')`)
	noteUntil  = regexp.MustCompile(`until\s*=\s*"?([^\s"]+)"?`)
)

const directive = "slipway:"

func parseNote(text string) Note {
	var note Note
	if match := noteReason.FindStringSubmatch(text); match != nil {
		note.Reason = strings.TrimSpace(match[1] + match[2])
		text = strings.Replace(text, match[0], "", 1)
	}
	if match := noteUntil.FindStringSubmatch(text); match != nil {
		text = strings.Replace(text, match[0], "", 1)
		day, err := time.Parse(time.DateOnly, match[1])
		if err != nil {
			note.Problem = "until is not a day such as 2027-03-31"
		}
		note.Until = day
	}
	note.Rules = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
	switch {
	case note.Problem != "":
	case note.Reason == "":
		note.Problem = `an acknowledgement needs a reason="…"`
	case len(note.Rules) == 0:
		note.Problem = "an acknowledgement needs the names of the rules that it is for"
	}
	return note
}
