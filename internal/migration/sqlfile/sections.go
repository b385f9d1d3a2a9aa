// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import (
	"path"
	"regexp"
	"strings"
)

// readSections takes what stands between the line of the way up and that of the way down.
func (f *File) readSections(text, up, down, noTransaction string) {
	f.Transaction = WholeFile
	start, end, offset := -1, len(text), 0
	for line := range strings.SplitAfterSeq(text, "\n") {
		comment := strings.ToLower(strings.TrimSpace(line))
		if strings.HasPrefix(comment, "--") {
			comment = strings.TrimSpace(strings.TrimLeft(comment, "-"))
			switch {
			case strings.HasPrefix(comment, up):
				start = offset + len(line)
				if strings.Contains(comment, noTransaction) {
					f.Transaction = PerStatement
				}
			case strings.HasPrefix(comment, down) && start >= 0 && end == len(text):
				end = offset
			}
		}
		offset += len(line)
	}
	f.add(text, start, text[start:max(start, end)], false)
}

// wayDown is a comment by which one of many tools tells where its way down begins: a line with nothing else in it.
var wayDown = regexp.MustCompile(`(?i)^(#\s*)?--[-\s]*(?:=+\s*down\s*=+|\+?(?:micrate|rambler|migrate)?[\s:]*down(?:\s+migration)?\s*:?|!downs|create above / drop below ----|//\s*@undo)\s*$`)

// upOnly blanks what follows the line of the way down, and Play's markers, which are no comments of SQL.
func upOnly(text string) string {
	offset := 0
	for line := range strings.SplitAfterSeq(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if wayDown.MatchString(trimmed) && len(split(text[:offset])) > 0 {
			return text[:offset]
		}
		if strings.HasPrefix(trimmed, "# ---") {
			text = text[:offset] + strings.Repeat(" ", len(strings.TrimRight(line, "\n"))) + text[offset+len(strings.TrimRight(line, "\n")):]
		}
		offset += len(line)
	}
	return text
}

var (
	liquibaseChange = regexp.MustCompile(`(?i)^--\s*changeset\s+\S+:\S+(.*)$`)
	// flywayName is V1__name.sql, V2024.01.02.1__name.sql or R__name.sql.
	flywayName = regexp.MustCompile(`^(V[0-9][0-9._]*|R)__.+\.sql$`)
	undoName   = regexp.MustCompile(`(?i)^U[0-9][0-9._]*__.+\.sql$|(^|[._-])(down|rollback|undo|revert)\.sql$`)
)

// isWayDown tells whether a file, by its name, holds only a way down.
func isWayDown(name string) bool { return undoName.MatchString(path.Base(name)) }

// readLiquibase reads Liquibase's formatted SQL: each change set is a transaction unless it says otherwise.
func (f *File) readLiquibase(text string) {
	f.Transaction = PerStatement
	wrapped, delimiter, start, offset := true, "", 0, 0
	flush := func(end int) {
		part := text[start:end]
		if delimiter != "" && delimiter != ";" {
			part = blankLines(part, delimiter)
		}
		first := len(f.Statements)
		f.add(text, start, part, false)
		for i := first; i < len(f.Statements); i++ {
			f.Statements[i].Wrapped = wrapped
			if wrapped {
				f.Statements[i].Group = f.Statements[first].Group
			}
		}
	}
	for line := range strings.SplitAfterSeq(text, "\n") {
		if match := liquibaseChange.FindStringSubmatch(strings.TrimSpace(line)); match != nil {
			flush(offset)
			start = offset + len(line)
			options := strings.ToLower(match[1])
			wrapped = !strings.Contains(options, "runintransaction:false")
			delimiter = ""
			if _, after, found := strings.Cut(options, "enddelimiter:"); found {
				delimiter, _, _ = strings.Cut(strings.TrimSpace(after), " ")
			}
		}
		offset += len(line)
	}
	flush(len(text))
}

// blankLines puts blanks in the place of lines that hold nothing but a delimiter.
func blankLines(text, delimiter string) string {
	var out strings.Builder
	for line := range strings.SplitAfterSeq(text, "\n") {
		if strings.EqualFold(strings.TrimSpace(line), delimiter) {
			line = strings.Repeat(" ", len(strings.TrimRight(line, "\n"))) + line[len(strings.TrimRight(line, "\n")):]
		}
		out.WriteString(line)
	}
	return out.String()
}
