// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// words are the words of a statement in lower case, and quoted names unchanged; no literals, comments or punctuation.
func words(sql string) []string {
	var list []string
	for _, token := range sqlfile.Tokens(sql) {
		text := sql[token.Start:token.End]
		switch token.Kind {
		case sqlfile.Word:
			list = append(list, strings.ToLower(text))
		case sqlfile.QuotedWord:
			list = append(list, text)
		}
	}
	return list
}

func firstWord(sql string) string {
	if list := words(sql); len(list) > 0 {
		return list[0]
	}
	return ""
}

func concurrently(sql string) bool { return slices.Contains(words(sql), "concurrently") }

// needsNoTransaction reports whether PostgreSQL may refuse a statement in a transaction. In doubt, it reports true.
func needsNoTransaction(sql string) bool {
	list := words(sql)
	if len(list) < 2 || slices.Contains(list, "concurrently") {
		return true
	}
	harmless := []string{
		"table", "view", "materialized", "function", "procedure", "trigger", "type", "domain", "sequence", "or", "temp",
		"temporary", "unlogged", "unique", "index", "schema", "extension", "policy", "role", "constraint", "if",
	}
	switch list[0] {
	case "alter", "create", "drop":
		return !slices.Contains(harmless, list[1])
	case "update", "insert", "delete", "merge", "with", "comment", "grant", "revoke", "truncate", "lock", "select", "analyze", "refresh":
		return false
	}
	return true
}

func hasTransactionControl(file *sqlfile.File) bool {
	return slices.ContainsFunc(file.Fragments, func(f sqlfile.Fragment) bool {
		return slices.Contains([]string{"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"}, firstWord(f.SQL))
	})
}
