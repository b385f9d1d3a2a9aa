// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// The parser is a WebAssembly program with a small stack and no check of its depth. Beyond some hundred levels it overwrites its own
// memory, and then fails, never ends, or returns wrong results. So statements deeper than maxDepth or longer than maxLength are not
// parsed. Files that people write stay far below both.
const (
	maxDepth  = 100     // levels, as depth counts them
	maxLength = 4 << 20 // bytes of one statement, whose tree takes some fifty times as much memory
)

// tooMuch returns why a statement is too deeply nested to parse, or nil.
func tooMuch(sql string) error {
	if len(sql) > maxLength {
		return &syntaxError{message: fmt.Sprintf("it has %d bytes, and the linter reads statements of up to %d", len(sql), maxLength), offset: -1}
	}
	if levels, offset := depth(sql, false); levels > maxDepth {
		return &syntaxError{
			message: fmt.Sprintf("it is nested %d levels deep, or chains as many operators, and the linter reads statements of up to %d", levels,
				maxDepth),
			offset: offset,
		}
	}
	return nil
}

// frame is an open parenthesis, bracket, CASE or block.
type frame struct {
	operators int // of the current operand: each is a level of the tree
	sets      int // UNION, JOIN and similar words, each a level around all before it
}

// operatorWords make the tree a level deeper, as operators do.
var operatorWords = set("not is isnull notnull like ilike similar between in collate at operator overlaps")

// setWords chain queries and tables.
var setWords = set("union intersect except join")

// operandEnds are words after which another operand begins, next to the one before and not above it.
var operandEnds = set("and or select from where on then when else set values using group having order limit returning")

// depth is an upper estimate of the depth of PostgreSQL's tree of a statement, with the position of the deepest level. With body, sql is
// the text between the quotes of a PL/pgSQL function.
func depth(sql string, body bool) (deepest, offset int) {
	frames := []frame{{}}
	open := 0 // levels of all frames but the last
	push := func() {
		last := frames[len(frames)-1]
		open += 1 + last.operators + last.sets
		frames = append(frames, frame{})
	}
	pop := func() {
		if len(frames) > 1 {
			frames = frames[:len(frames)-1]
			last := frames[len(frames)-1]
			open -= 1 + last.operators + last.sets
		}
	}
	previous, inOperator := "", 0
	for _, token := range sqlfile.Tokens(sql) {
		if token.Kind == sqlfile.Comment {
			continue
		}
		text := strings.ToLower(sql[token.Start:token.End])
		last := &frames[len(frames)-1]
		switch {
		case token.Kind == sqlfile.Literal && !body && strings.HasPrefix(text, "$") && len(text) > 4:
			inner := sql[token.Start+1 : token.End-1]
			if within, at := depth(inner, true); within > deepest {
				deepest, offset = within, token.Start+1+at
			}
		case token.Kind == sqlfile.Word:
			switch {
			case body && previous != "end" && (text == "begin" || text == "loop" ||
				text == "if" && (previous == ";" || previous == "then" || previous == "else" || previous == "loop" || previous == "begin")):
				last.sets += 3 // the parser for PL/pgSQL needs more of its stack for a block
				push()
			case text == "case" && previous != "end":
				last.operators++ // itself and its WHEN
				push()
			case text == "end":
				pop()
				if body {
					frames[len(frames)-1] = frame{}
				}
			case operandEnds[text]:
				last.operators = 0
				if (text == "select" || text == "values") && (previous == "(" || previous == ")") {
					last.sets += 2 // a query in a query
				}
			case operatorWords[text]:
				last.operators++
			case setWords[text]:
				last.sets++
			}
		case token.Kind == sqlfile.Symbol:
			switch text {
			case "(", "[":
				push()
			case ")", "]":
				pop()
			case ",":
				last.operators = 0
			case ";":
				*last = frame{}
			case ".":
			default:
				if token.Start != inOperator { // an operator has several characters
					last.operators++
				}
				inOperator = token.End
			}
		}
		last = &frames[len(frames)-1]
		if levels := open + last.operators + last.sets; levels > deepest {
			deepest, offset = levels, token.Start
		}
		previous = text
	}
	return deepest, offset
}
