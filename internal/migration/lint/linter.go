// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// linter processes the files in the order in which they run.
type linter struct {
	options   Options
	schema    *schema
	analyzing bool // false for the history
	findings  []Finding
	used      map[ackKey]bool
	refused   map[string]bool // files that are reported as a whole

	current *sqlfile.File
	tx      *transaction
	// statements of the current file, parsed, and the index of the current one.
	parsed   []parsedStatement
	position int
	// line of the statement, for statements within a DO block whose positions are unknown; else 0.
	fixedLine int
	loop      *loop           // in a DO block
	depth     int             // of calls
	utc       bool            // the session's time zone was set to UTC in this file
	pinned    int             // the line of a call, where findings are reported
	reported  map[string]bool // findings of the current file, to avoid duplicates
}

type ackKey struct {
	file string // empty for options
	note int
	rule string
}

// parsedStatement is a statement with its parse tree, or the error.
type parsedStatement struct {
	sqlfile.Statement
	kind     string
	node     node
	err      error
	newForms forms
}

// transaction is the transaction that a statement runs in.
type transaction struct {
	id int
	// wrapped is true if statements before or after it share it; it is false for a single statement.
	wrapped bool
	// explicit is true after BEGIN.
	explicit bool
	// perhaps is true if it depends on the tool whether the file is wrapped.
	perhaps bool

	locked    []string // existing tables whose writes it blocks, in the order in which it locked them
	locks     map[string]tableLock
	several   bool            // it was reported that it locks several
	enumAdded map[string]bool // values
}

func (l *linter) file(ctx context.Context, file *sqlfile.File) error {
	l.current = file
	l.reported, l.utc = map[string]bool{}, false
	l.parsed = l.parsed[:0]
	if file.Problem != nil && !l.refused[file.Name] {
		l.reportAt(file.Problem.Line, "file-format", "", "goose cannot run the file: "+file.Problem.Reason+".", fileFormatAdvice)
	}
	for _, note := range file.Notes {
		if note.Problem != "" {
			l.reportAt(note.Line, "acknowledgement", "", "The comment does not count: "+note.Problem+".",
				`Write: -- slipway:allow RULE reason="why it is safe here" until=2027-03-31 (until may be left out).`)
			continue
		}
		for _, rule := range note.Rules {
			if _, known := rulesByID[rule]; !known {
				l.reportAt(note.Line, "acknowledgement", "", fmt.Sprintf("The comment names the rule %q, which does not exist.", rule),
					"Take the name of the rule from the finding.")
			}
		}
	}
	for _, statement := range file.Statements {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("linting %s: %w", file.Name, err)
		}
		l.parsed = append(l.parsed, parseStatement(statement))
	}
	l.tx = nil
	for i := range l.parsed {
		l.position = i
		l.place(i)
		l.statement(&l.parsed[i])
		if err := l.parsed[i].err; err != nil && file.Format == sqlfile.Goose && strings.Contains(err.Error(), "unterminated dollar-quoted") {
			break // goose splits within the statement, and its parts follow
		}
	}
	if last := len(l.parsed) - 1; last >= 0 && l.tx != nil && l.tx.explicit {
		l.position = last
		l.report(0, "transaction-control", "", "The transaction that BEGIN opened is never committed: the work of the file is lost, "+
			"or its locks are held for as long as the session lives.",
			"End it with COMMIT, or leave BEGIN out: the runner wraps the file in a transaction.")
	}
	l.unusedNotes()
	return nil
}

func parseStatement(statement sqlfile.Statement) parsedStatement {
	parsed := parsedStatement{Statement: statement}
	parsed.kind, parsed.node, parsed.err = parse(statement.SQL)
	if parsed.err == nil {
		return parsed
	}
	// PostgreSQL 17's grammar does not accept later forms.
	if rewritten, newForms := rewriteNewForms(statement.SQL); newForms.since > 0 {
		if kind, tree, err := parse(rewritten); err == nil {
			parsed.kind, parsed.node, parsed.err, parsed.newForms = kind, tree, nil, newForms
			return parsed
		}
	}
	// Nor does it accept the variables that the tool replaces.
	if filled := fillIn(statement.SQL); filled != statement.SQL {
		statement.SQL = filled
		if again := parseStatement(statement); again.err == nil {
			return again
		}
	}
	return parsed
}

// variables are what tools replace: ${name}, {{ name }}, and psql's :name, :'name' and :"name".
var variables = regexp.MustCompile(`\$\{\s*[\w.:-]*?(\w+)\s*\}|\{\{-?[^{}]*?(\w+)[^{}\w]*\}\}|(^|[^:\w\]\[]):(\w*[A-Za-z_]\w*|'\w+'|"\w+")`)

// fillIn replaces variables by their names. Line ends keep their positions.
func fillIn(sql string) string {
	return variables.ReplaceAllString(sql, "$1$2$3$4")
}

// place decides which transaction a statement runs in.
func (l *linter) place(i int) {
	if l.tx != nil && l.tx.explicit {
		return
	}
	statement := l.parsed[i]
	wrapped, perhaps := false, false
	id := l.current.Statements[i].Group
	switch l.current.Transaction {
	case sqlfile.WholeFile:
		wrapped, id = true, 0
	case sqlfile.Unknown:
		if l.current.Format == sqlfile.Flyway && l.flywayWraps() {
			wrapped, id = true, 0
			break
		}
		perhaps = !slices.ContainsFunc(l.parsed, func(other parsedStatement) bool {
			return refusesTransaction(other) != "" || other.kind == "TransactionStmt"
		})
	case sqlfile.PerStatement:
	}
	if !wrapped {
		wrapped = statement.Wrapped || i > 0 && l.parsed[i-1].Group == statement.Group ||
			i+1 < len(l.parsed) && l.parsed[i+1].Group == statement.Group
	}
	if l.tx != nil && l.tx.id == id && wrapped {
		return
	}
	l.tx = l.schema.begin(id)
	l.tx.wrapped, l.tx.perhaps = wrapped, perhaps
}

// flywayWraps reports whether Flyway runs the current file in a transaction: it does so unless PostgreSQL refuses all its statements
// there. Flyway refuses files with both; a setting that allows them is not visible here.
func (l *linter) flywayWraps() bool {
	transactional := false
	for _, s := range l.parsed {
		switch {
		case s.kind == "TransactionStmt":
			return false // the author does it explicitly
		case s.kind != "VariableSetStmt" && refusesTransaction(s) == "":
			transactional = true
		}
	}
	return transactional
}

// statement analyzes one statement and records its changes.
func (l *linter) statement(s *parsedStatement) {
	if s.err != nil {
		l.notAnalyzed(s)
		return
	}
	l.newForms(s)
	if what := refusesTransaction(*s); what != "" {
		l.inTransaction(what)
	}
	l.analyze(s.kind, s.node, s.newForms)
}

func (l *linter) notAnalyzed(s *parsedStatement) {
	offset, message := -1, s.err.Error()
	var failed *syntaxError
	if errors.As(s.err, &failed) {
		offset = failed.offset
	}
	if offset < 0 || offset > len(s.SQL) {
		offset = 0
	}
	advice := "Correct the statement, or move it to a file that is reviewed by hand and acknowledge this finding there."
	if l.current.Format == sqlfile.Goose && strings.Contains(s.SQL, "$") {
		advice = "Put '-- +goose StatementBegin' before and '-- +goose StatementEnd' after a statement that holds semicolons within " +
			"it: goose splits at each line that ends in one."
	}
	l.report(offset, NotAnalyzed, "",
		"PostgreSQL's grammar does not accept the statement ("+message+"), so that the linter cannot analyze it.", advice)
}

func (l *linter) newForms(s *parsedStatement) {
	since, what := s.newForms.since, s.newForms.what
	if since == 0 {
		since, what = introduced(s.kind, s.node)
	}
	if since > 0 && l.options.Postgres > 0 && l.options.Postgres < since {
		l.report(s.newForms.offset, "wrong-version", "", fmt.Sprintf("%s exists since PostgreSQL %d, and the target is PostgreSQL %d: "+
			"the statement fails.", what, since, l.options.Postgres),
			"Write the statement for the target version.")
	}
}

// report adds a finding at a byte offset of the current statement.
func (l *linter) report(offset int, rule, object, reason, safeForm string) {
	line := l.fixedLine
	if line == 0 {
		statement := l.parsed[l.position]
		line = statement.Line
		if offset > 0 && offset <= len(statement.SQL) {
			line += strings.Count(statement.SQL[:offset], "\n")
		}
	}
	l.reportAt(line, rule, object, reason, safeForm)
}

// warn is report with the severity of a warning.
func (l *linter) warn(offset int, rule, object, reason, safeForm string) {
	before := len(l.findings)
	l.report(offset, rule, object, reason, safeForm)
	if len(l.findings) > before {
		l.findings[before].Severity = Warning
	}
}

func (l *linter) reportAt(line int, rule, object, reason, safeForm string) {
	if !l.analyzing {
		return
	}
	key := fmt.Sprint(line, rule, object)
	if l.reported[key] {
		return
	}
	l.reported[key] = true
	known := rulesByID[rule]
	finding := Finding{
		File: l.current.Name, Line: line, Rule: rule, Class: known.Class, Severity: known.Severity,
		Object: object, Reason: reason, SafeForm: safeForm,
	}
	l.acknowledge(&finding)
	l.findings = append(l.findings, finding)
}
