// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/wasilibs/go-pgquery/parser"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// loop is a loop of a DO block.
type loop struct{ commits bool }

// block analyzes the statements of a DO block as if they were in the file. It reports statements that it cannot know, such as text
// that is built at run time.
func (l *linter) block(n node) {
	statement := l.parsed[l.position]
	for _, arg := range n.each("args") {
		if _, value := arg.node.any("arg"); arg.node.text("defname") == "language" && value.text("sval") != "plpgsql" {
			l.warn(0, "not-analyzed", "", "The block is written in "+value.text("sval")+", which the linter does not read.",
				"Review it by hand, and acknowledge the finding.")
			return
		}
	}
	l.run(statement.SQL, statement.Line, "DO block")
	l.fixedLine = 0
}

// run analyzes the statements of a PL/pgSQL body that runs now.
func (l *linter) run(sql string, line int, what string) {
	var text string
	var tree any
	err := tooMuch(sql)
	if err == nil {
		text, err = parseWith(parser.ParsePlPgSqlToJSON, sql)
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &tree)
	}
	if err != nil {
		l.report(0, "not-analyzed", "",
			"PL/pgSQL's grammar does not accept the "+what+" ("+err.Error()+"), so that the linter cannot analyze it.",
			"Correct it, or review it by hand and acknowledge the finding.")
		return
	}
	b := &blockReader{linter: l, firstLine: line + strings.Count(sql[:bodyStart(sql)], "\n")}
	commits := contains(tree, "PLpgSQL_stmt_commit")
	if commits && l.tx.wrapped {
		l.report(0, "concurrently-in-transaction", "", "A "+what+" with COMMIT cannot run inside a transaction block, and this one "+
			"does: PostgreSQL refuses it.",
			"Put it into a file of its own with '-- +goose NO TRANSACTION', without BEGIN and COMMIT.")
	}
	outer, outerLoop := l.tx.wrapped, l.loop
	l.tx.wrapped = outer || !commits
	b.read(tree)
	l.tx.wrapped, l.loop = outer, outerLoop
}

// language is that of a function, in lower case.
func language(n node) string {
	for _, option := range n.each("options") {
		if _, arg := option.node.any("arg"); option.node.text("defname") == "language" {
			return strings.ToLower(arg.text("sval"))
		}
	}
	return ""
}

// bodyText is the text between the quotes after AS.
func bodyText(n node) string {
	for _, option := range n.each("options") {
		if _, arg := option.node.any("arg"); option.node.text("defname") == "as" {
			return strings.Join(arg.names("items"), " ")
		}
	}
	return ""
}

// calls analyzes the bodies of functions and procedures of these files that a statement calls.
func (l *linter) calls(n node) {
	if l.depth > 3 {
		return
	}
	walk(map[string]any(n), func(kind string, below node) bool {
		if kind != "FuncCall" && kind != "funccall" {
			return true
		}
		f := l.schema.functions[joined(below.names("funcname"))]
		if f == nil || f.definition == "" && f.statements == "" || !l.analyzing {
			return true
		}
		line := l.fixedLine
		if line == 0 {
			l.fixedLine = l.parsed[l.position].Line
		}
		// Findings are reported at the call, since the call runs the statements.
		l.depth++
		l.pinned++
		if f.definition != "" {
			l.run(f.definition, f.line, "function")
		} else {
			l.runSQL(f.statements)
		}
		l.pinned--
		l.depth--
		l.fixedLine = line
		return true
	})
}

// runSQL analyzes the statements of an SQL function that runs now.
func (l *linter) runSQL(body string) {
	outer := l.tx.wrapped
	l.tx.wrapped = true
	b := &blockReader{linter: l}
	for _, sql := range sqlfile.Split(body) {
		b.query(sql)
	}
	l.tx.wrapped = outer
}

// bodyStart is where the text of a block starts, after its quote.
func bodyStart(sql string) int {
	for _, token := range sqlfile.Tokens(sql) {
		if token.Kind == sqlfile.Literal {
			if sql[token.Start] == '$' {
				return token.Start + 1 + strings.IndexByte(sql[token.Start+1:], '$') + 1
			}
			return token.Start + 1
		}
	}
	return 0
}

type blockReader struct {
	*linter
	firstLine int
}

// inOrder are the fields with statements, in the order in which they run.
var inOrder = []string{
	"action", "body", "then_body", "elsif_list", "else_body", "stmts", "case_when_list", "else_stmts", "exceptions",
	"exc_list",
}

func (b *blockReader) read(value any) {
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			b.read(item)
		}
	case map[string]any:
		for kind, body := range value {
			inner, ok := body.(map[string]any)
			if ok && strings.HasPrefix(kind, "PLpgSQL_") {
				b.node(kind, inner)
			}
		}
		for _, key := range inOrder {
			if below, has := value[key]; has {
				b.read(below)
			}
		}
	}
}

func (b *blockReader) node(kind string, n node) {
	if line := n.number("lineno"); line > 0 && b.pinned == 0 {
		b.fixedLine = b.firstLine + line - 1
	}
	switch kind {
	case "PLpgSQL_stmt_loop", "PLpgSQL_stmt_while", "PLpgSQL_stmt_fori", "PLpgSQL_stmt_fors", "PLpgSQL_stmt_dynfors", "PLpgSQL_stmt_foreach_a",
		"PLpgSQL_stmt_forc":
		outer := b.loop
		if _, expression := n.any("query"); kind == "PLpgSQL_stmt_fors" && expression != nil {
			b.query(expression.text("query")) // as a statement before the loop
		}
		b.loop = &loop{commits: contains(map[string]any(n), "PLpgSQL_stmt_commit") || outer != nil && outer.commits}
		b.read(map[string]any(n))
		b.loop = outer
	case "PLpgSQL_stmt_execsql":
		_, expression := n.any("sqlstmt")
		b.query(expression.text("query"))
	case "PLpgSQL_stmt_perform":
		_, expression := n.any("expr")
		b.query(expression.text("query"))
	case "PLpgSQL_stmt_dynexecute":
		_, expression := n.any("query")
		b.dynamic(expression.text("query"))
	default:
		b.read(map[string]any(n))
	}
}

func (b *blockReader) query(sql string) {
	kind, tree, err := parse(sql)
	found := forms{}
	if err != nil {
		var rewritten string
		if rewritten, found = rewriteNewForms(sql); found.since > 0 {
			kind, tree, err = parse(rewritten)
		}
	}
	if err != nil {
		b.warn(0, "not-analyzed", "", "A statement of the block cannot be parsed ("+err.Error()+").",
			"Review it by hand, and acknowledge the finding.")
		return
	}
	if what := refusesTransaction(parsedStatement{kind: kind, node: tree}); what != "" {
		b.report(0, "concurrently-in-transaction", "", what+" cannot run in a DO block, which is a transaction by itself: PostgreSQL refuses it.",
			"Write it as a statement of its own, in a file with '-- +goose NO TRANSACTION'.")
	}
	b.analyze(kind, tree, found)
}

// placeholder replaces a name that is inserted at run time.
const placeholder = "placeholder"

var formatPlaceholder = regexp.MustCompile(`%(\d+\$)?(-?\d+)?([ILs%])`)

// dynamic analyzes the text of EXECUTE if it is a literal, also as the pattern of format().
func (b *blockReader) dynamic(expression string) {
	kind, tree, err := parse("SELECT " + expression)
	if err == nil && kind == "SelectStmt" {
		targets := tree.each("targetList")
		if len(targets) == 1 {
			kind, value := targets[0].node.any("val")
			if sql := b.pattern(kind, value); sql != "" {
				if _, _, err := parse(sql); err == nil {
					b.query(sql)
					return
				}
			}
		}
	}
	b.warn(0, "not-analyzed", "", "EXECUTE runs a text that is built at run time: the linter cannot analyze it.",
		"Write the statement out, or review it by hand and acknowledge the finding.")
}

func (b *blockReader) pattern(kind string, n node) string {
	if text := constant(wrapped{kind, n}); text != "" {
		return text
	}
	if kind != "FuncCall" || !slices.Contains([]string{"format", "pg_catalog.format"}, joined(n.names("funcname"))) {
		return ""
	}
	args := n.each("args")
	if len(args) == 0 {
		return ""
	}
	return formatPlaceholder.ReplaceAllStringFunc(constant(args[0]), func(match string) string {
		switch match[len(match)-1] {
		case 'L':
			return "'?'"
		case '%':
			return "%"
		}
		return placeholder
	})
}
