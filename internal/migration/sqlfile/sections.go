// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import (
	"path"
	"regexp"
	"strings"
)

// downSection is a comment with which one of many tools begins its down section: a line with nothing else.
var downSection = regexp.MustCompile(`(?i)^(#\s*)?--[-\s]*(?:=+\s*down\s*=+|\+?(?:micrate|rambler|` +
	`migrate)?[\s:]*down(?:\s+migration)?\s*:?|!downs|create above / drop below ----|//\s*@undo)\s*$`)

// upOnly blanks the text after the line of the down section, and Play's markers, which are not comments in SQL.
func upOnly(text string) string {
	offset := 0
	for line := range strings.SplitAfterSeq(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if downSection.MatchString(trimmed) && len(split(text[:offset])) > 0 {
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

// isDownMigration reports whether a file, by its name, is a down migration.
func isDownMigration(name string) bool { return undoName.MatchString(path.Base(name)) }

// blankLines replaces lines with only a delimiter by blanks.
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
