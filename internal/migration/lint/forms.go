// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// forms are the parts of a statement that PostgreSQL 17's grammar does not accept.
type forms struct {
	since  int    // the version that introduced the newest of them; 0: none
	what   string // for a sentence
	offset int
	// notNull are the constraints of ADD CONSTRAINT … NOT NULL, by name ("" for one without), and their columns.
	notNull map[string]string
	// virtual are the offsets, in the rewritten statement, of GENERATED for virtual columns.
	virtual     map[int]bool
	notEnforced bool
	// unenforced are the offsets, in the rewritten statement, of the constraints that are NOT ENFORCED.
	unenforced map[int]bool
	enforced   bool // ALTER CONSTRAINT … ENFORCED
}

// rewriteNewForms replaces forms of later versions by forms of PostgreSQL 17, so that the statement can be parsed. Line ends keep
// their positions.
func rewriteNewForms(sql string) (string, forms) {
	found := forms{notNull: map[string]string{}, virtual: map[int]bool{}, unenforced: map[int]bool{}}
	var tokens []sqlfile.Token
	for _, token := range sqlfile.Tokens(sql) {
		if token.Kind != sqlfile.Comment {
			tokens = append(tokens, token)
		}
	}
	text := func(i int) string {
		if i < 0 || i >= len(tokens) {
			return ""
		}
		return sql[tokens[i].Start:tokens[i].End]
	}
	is := func(i int, words ...string) bool {
		for k, word := range words {
			if !strings.EqualFold(text(i+k), word) {
				return false
			}
		}
		return true
	}
	note := func(since int, what string, i int) {
		if since > found.since {
			found.since, found.what, found.offset = since, what, tokens[i].Start
		}
	}
	alterTable := is(0, "alter", "table")

	var out strings.Builder
	written := 0
	replace := func(first, last int, by string) {
		start, end := tokens[first].Start, tokens[last].End
		out.WriteString(sql[written:start])
		out.WriteString(by)
		out.WriteString(strings.Repeat("\n", strings.Count(sql[start:end], "\n")))
		written = end
	}
	generated := -1 // where the last GENERATED is in the output
	for i := 0; i < len(tokens); i++ {
		switch {
		case is(i, "repack") && i == 0:
			note(19, "REPACK", i)
			if strings.Contains(strings.ToLower(sql), "concurrently") {
				return "ANALYZE", found
			}
			return "VACUUM FULL", found
		case is(i, "not", "null") && alterTable && (is(i-1, "add") || is(i-3, "add", "constraint")),
			is(i, "not", "null") && is(i-2, "constraint") && (is(i-3, ",") || is(i-3, "(")) && i+2 < len(tokens) && !is(i+2, ",") && !is(i+2, ")"):
			name := ""
			if is(i-2, "constraint") {
				name = identifier(text(i - 1))
			}
			found.notNull[name] = identifier(text(i + 2))
			note(18, "a NOT NULL constraint of its own", i)
			if i+2 < len(tokens) {
				replace(i, i+2, "CHECK ("+text(i+2)+" IS NOT NULL)")
				i += 2
			}
		case is(i, "generated", "always", "as", "("):
			generated = out.Len() + tokens[i].Start - written
			end := closing(sql, tokens, i+3)
			if end < len(tokens) && !is(end+1, "stored") && !is(end+1, "virtual") {
				note(18, "a virtual generated column", i)
				found.virtual[generated] = true
				replace(end, end, ") STORED")
				i = end
			}
		case is(i, "virtual") && is(i-1, ")") && generated >= 0:
			note(18, "a virtual generated column", i)
			found.virtual[generated] = true
			replace(i, i, "STORED ")
		case is(i, "not", "enforced"):
			note(18, "NOT ENFORCED", i)
			found.notEnforced = true
			first, ofTable := constraintStart(sql, tokens, i)
			found.unenforced[out.Len()+tokens[first].Start-written] = true
			if alterTable && ofTable {
				replace(i, i+1, "NOT VALID")
			} else {
				replace(i, i+1, "")
			}
			i++
		case is(i, "enforced"):
			note(18, "ENFORCED", i)
			found.enforced = alterTable && is(i-3, "alter", "constraint")
			replace(i, i, "")
		case is(i, "without", "overlaps"):
			note(18, "WITHOUT OVERLAPS", i)
			replace(i, i+1, "")
			i++
		case is(i, "period") && is(i-1, ",") && i+1 < len(tokens) && !is(i+1, ",") && !is(i+1, ")") &&
			strings.Contains(strings.ToLower(sql), "foreign"):
			note(18, "PERIOD", i)
			replace(i, i, "")
		}
	}
	out.WriteString(sql[written:])
	return out.String(), found
}

// constraintStart is the index of the first token of the constraint that contains the token at index end, as the parser reports its
// location, and whether it is a constraint of the table after ADD.
func constraintStart(sql string, tokens []sqlfile.Token, end int) (first int, ofTable bool) {
	is := func(i int, words ...string) bool {
		return i >= 0 && slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(sql[tokens[i].Start:tokens[i].End], word) })
	}
	depth := 0
	first = end
	for i := end - 1; i >= 0; i-- {
		switch {
		case is(i, ")"):
			depth++
		case is(i, "(") && depth == 0, is(i, ",") && depth == 0:
			return first, false
		case is(i, "("):
			depth--
		case depth == 0 && is(i, "check", "references", "foreign"):
			first = i
			if is(i-2, "constraint") {
				first = i - 2
			}
			if is(i, "references") && !is(first, "constraint") {
				continue // perhaps of FOREIGN KEY
			}
			return first, is(first-1, "add")
		}
	}
	return first, false
}

// closing is the index of the parenthesis that closes the one at index open, or the number of tokens.
func closing(sql string, tokens []sqlfile.Token, open int) int {
	depth := 0
	for i := open; i < len(tokens); i++ {
		switch sql[tokens[i].Start:tokens[i].End] {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(tokens)
}

// identifier is an identifier as PostgreSQL stores it.
func identifier(text string) string {
	if strings.HasPrefix(text, `"`) {
		return strings.ReplaceAll(strings.Trim(text, `"`), `""`, `"`)
	}
	return strings.ToLower(text)
}

// introduced is the version that introduced a form of the grammar, if it is newer than the oldest supported one, or 0.
func introduced(kind string, n node) (since int, what string) {
	switch kind {
	case "MergeStmt":
		if len(n.each("returningList")) > 0 {
			return 17, "MERGE … RETURNING"
		}
		return 15, "MERGE"
	case "IndexStmt":
		if n.flag("nulls_not_distinct") {
			return 15, "NULLS NOT DISTINCT"
		}
	case "AlterTableStmt":
		for _, command := range n.each("cmds") {
			switch command.node.text("subtype") {
			case "AT_SetExpression":
				return 17, "SET EXPRESSION"
			case "AT_SetAccessMethod":
				return 15, "SET ACCESS METHOD"
			}
			if _, def := command.node.any("def"); def.flag("nulls_not_distinct") {
				return 15, "NULLS NOT DISTINCT"
			}
		}
	}
	return 0, ""
}
