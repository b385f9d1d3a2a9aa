// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import "strings"

// TokenKind is the kind of a Token.
type TokenKind int

// The kinds of tokens. Blanks are not tokens.
const (
	Word       TokenKind = iota // a keyword, an identifier without quotes or a number
	QuotedWord                  // "identifier"
	Literal                     // 'text', E'text', $$text$$
	Symbol                      // one character of punctuation or of an operator
	Comment                     // to the end of the line, or /* nested */
)

// Token is a piece of SQL, by byte offsets.
type Token struct {
	Kind       TokenKind
	Start, End int
}

// Tokens splits SQL as PostgreSQL's scanner does, as far as needed to find the ends of statements, and never fails:
// a text or comment without an end extends to the end of the input.
func Tokens(sql string) []Token {
	var tokens []Token
	for i := 0; i < len(sql); {
		kind, end := Symbol, i+1
		switch c := sql[i]; {
		case isBlank(c):
			i++
			continue
		case strings.HasPrefix(sql[i:], "--"):
			kind, end = Comment, lineEnd(sql, i)
		case strings.HasPrefix(sql[i:], "/*"):
			kind, end = Comment, blockCommentEnd(sql, i)
		case c == '\'':
			kind, end = Literal, quoteEnd(sql, i, '\'', false)
		case c == '"':
			kind, end = QuotedWord, quoteEnd(sql, i, '"', false)
		case (c == 'e' || c == 'E') && i+1 < len(sql) && sql[i+1] == '\'':
			kind, end = Literal, quoteEnd(sql, i+1, '\'', true)
		case strings.IndexByte("bBxXnN", c) >= 0 && i+1 < len(sql) && sql[i+1] == '\'':
			kind, end = Literal, quoteEnd(sql, i+1, '\'', false)
		case (c == 'u' || c == 'U') && i+2 < len(sql) && sql[i+1] == '&' && (sql[i+2] == '\'' || sql[i+2] == '"'):
			kind, end = Literal, quoteEnd(sql, i+2, sql[i+2], false)
			if sql[i+2] == '"' {
				kind = QuotedWord
			}
		case c == '$':
			if tag := dollarTag(sql[i:]); tag != "" {
				kind, end = Literal, len(sql)
				if length := strings.Index(sql[i+len(tag):], tag); length >= 0 {
					end = i + len(tag) + length + len(tag)
				}
			}
		case isWord(c):
			kind = Word
			for end < len(sql) && (isWord(sql[end]) || sql[end] == '$') {
				end++
			}
		}
		tokens = append(tokens, Token{Kind: kind, Start: i, End: end})
		i = end
	}
	return tokens
}

// Split returns the statements of SQL, without their semicolons and the comments before them.
func Split(sql string) []string {
	var statements []string
	for _, place := range split(sql) {
		statements = append(statements, sql[place.Start:place.End])
	}
	return statements
}

// split finds the statements of SQL: where each starts (its first token that is not a comment) and ends (its semicolon, not
// included, or the end of the input).
func split(sql string) []Token {
	var (
		statements []Token
		current    = Token{Start: -1}
		parens     int
		nested     int // of BEGIN ATOMIC … END and CASE … END in it
		previous   string
	)
	for _, token := range Tokens(sql) {
		if token.Kind == Comment {
			continue
		}
		text := sql[token.Start:token.End]
		if current.Start < 0 {
			if text == ";" {
				continue
			}
			current = Token{Start: token.Start, End: token.End}
		}
		word := ""
		if token.Kind == Word {
			word = strings.ToLower(text)
		}
		switch {
		case text == "(" && token.Kind == Symbol:
			parens++
		case text == ")" && token.Kind == Symbol && parens > 0:
			parens--
		case word == "atomic" && previous == "begin":
			nested++
		case word == "case" && nested > 0:
			nested++
		case word == "end" && nested > 0:
			nested--
		case text == ";" && token.Kind == Symbol && parens == 0 && nested == 0:
			statements = append(statements, current)
			current, previous = Token{Start: -1}, ""
			continue
		}
		current.End = token.End
		previous = word
	}
	if current.Start >= 0 {
		statements = append(statements, current)
	}
	return statements
}

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

func isWord(c byte) bool {
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func lineEnd(sql string, from int) int {
	if length := strings.IndexByte(sql[from:], '\n'); length >= 0 {
		return from + length
	}
	return len(sql)
}

func blockCommentEnd(sql string, from int) int {
	depth := 0
	for i := from; i < len(sql); i++ {
		switch {
		case strings.HasPrefix(sql[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(sql[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(sql)
}

// quoteEnd is the end of the text that the quote at from starts. A doubled quote is part of it.
func quoteEnd(sql string, from int, quote byte, backslashes bool) int {
	for i := from + 1; i < len(sql); i++ {
		switch {
		case backslashes && sql[i] == '\\':
			i++
		case sql[i] == quote && i+1 < len(sql) && sql[i+1] == quote:
			i++
		case sql[i] == quote:
			return i + 1
		}
	}
	return len(sql)
}

// dollarTag is the $tag$ that sql starts with, or "".
func dollarTag(sql string) string {
	for i := 1; i < len(sql); i++ {
		switch c := sql[i]; {
		case c == '$':
			return sql[:i+1]
		case !isWord(c) || i == 1 && c >= '0' && c <= '9':
			return ""
		}
	}
	return ""
}
