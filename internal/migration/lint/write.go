// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// oneBatch is the limit of rows that one statement may write, if numbers in it show how many.
const oneBatch = 500_000

const batchAdvice = "Write in batches of some thousand rows, each in a transaction of its own: a loop in the application or a " +
	"job, or a DO block with COMMIT in its loop in a file with '-- +goose NO TRANSACTION'. Select a batch with WHERE key IN " +
	"(SELECT key … LIMIT n)."

// write analyzes a statement that changes rows.
func (l *linter) write(kind string, n node) {
	for _, cte := range n.child("withClause").each("ctes") {
		if inner, query := cte.node.any("ctequery"); inner != "SelectStmt" {
			l.write(inner, query)
		}
	}
	name := relationName(n.child("relation"))
	if name == "" || l.isCTE(n, name) {
		return
	}
	if l.schema.free(name) {
		l.fills(kind, name, n)
		return
	}
	bounded := contains(map[string]any(n), "CurrentOfExpr") || hasLimit(n)
	switch kind {
	case "UpdateStmt", "DeleteStmt":
		where, condition := n.any("whereClause")
		sources := n.each("fromClause")
		if kind == "DeleteStmt" {
			sources = n.each("usingClause")
		}
		few := len(sources) > 0 && l.fewRows(n, sources)
		bounded = bounded || l.bounds(name, where, condition, few)
	case "MergeStmt":
		source, from := n.any("sourceRelation")
		join, condition := n.any("joinCondition")
		bounded = bounded || l.fewRows(n, []wrapped{{source, from}}) && l.bounds(name, join, condition, true)
	case "InsertStmt":
		_, query := n.any("selectStmt")
		bounded = bounded || query == nil || l.fewSelected(n, query)
	}
	verb := map[string]string{
		"UpdateStmt": "UPDATE changes",
		"DeleteStmt": "DELETE removes",
		"InsertStmt": "INSERT … SELECT writes",
		"MergeStmt":  "MERGE changes",
	}[kind]
	switch {
	case bounded && (l.loop == nil || l.loop.commits):
		if table := l.readsInside(n); table != "" {
			l.readUnderLock(table)
		}
		return
	case bounded:
		l.warn(0, "write-whole-table", name, "The loop works in batches, but in one transaction: all rows stay locked until its end, "+
			"and nothing can be vacuumed.", "COMMIT in the loop, in a file with '-- +goose NO TRANSACTION'.")
	default:
		l.report(0, "write-whole-table", name,
			verb+" as many rows as there are, in one transaction: they stay locked until its end, replicas lag, and the table grows.", batchAdvice)
	}
	if locked, held, ok := l.whileLocked(); ok && l.tx.wrapped {
		l.report(0, "backfill-under-lock", name, fmt.Sprintf("The transaction holds the lock on %s that it took in line %d for as "+
			"long as this statement runs: %s %s until all rows are written.", locked, held.line, held.blocks(), locked), backfillAdvice)
	}
}

const backfillAdvice = "Put the change of the table and the backfill into files of their own, and write in batches."

// fills records that a statement puts rows into a new table, or changes them. What it reads for that may be long.
func (l *linter) fills(kind, name string, n node) {
	if kind == "InsertStmt" {
		_, query := n.any("selectStmt")
		l.reads(query)
		if l.selectsMany(query) {
			l.schema.table(name).filled = true
		}
		return
	}
	if table := l.readsWhole(n, !l.schema.table(name).filled); table != "" {
		l.readUnderLock(table)
	}
}

func (l *linter) isCTE(n node, name string) bool {
	for _, cte := range n.child("withClause").each("ctes") {
		if cte.node.text("ctename") == name {
			return true
		}
	}
	return false
}

// hasLimit reports whether a query with a LIMIT selects the rows that a statement writes: in its WITH, its FROM, or its IN. A LIMIT in
// the values that it writes does not restrict their number.
func hasLimit(n node) bool {
	for _, key := range []string{"withClause", "fromClause", "usingClause", "sourceRelation", "whereClause", "selectStmt"} {
		if limited(key, n[key]) {
			return true
		}
	}
	return false
}

func limited(key string, value any) bool {
	found := false
	walk(map[string]any{key: value}, func(kind string, below node) bool {
		switch {
		case kind == "SubLink" && below.text("subLinkType") != "ANY_SUBLINK" && below.text("subLinkType") != "ARRAY_SUBLINK", kind == "ResTarget":
			return false
		}
		if _, limit := below.any("limitCount"); limit != nil {
			found = true
		}
		return !found
	})
	return found
}

// fewRows reports whether all relations of a FROM are small, new, or written out.
func (l *linter) fewRows(statement node, sources []wrapped) bool {
	for _, source := range sources {
		switch source.kind {
		case "RangeVar":
			if name := relationName(source.node); !l.isCTE(statement, name) && !l.schema.free(name) {
				return false
			}
		case "RangeFunction":
		case "RangeSubselect":
			_, query := source.node.any("subquery")
			if len(query.each("valuesLists")) == 0 && !l.fewSelected(statement, query) {
				return false
			}
		case "JoinExpr":
			leftKind, left := source.node.any("larg")
			rightKind, right := source.node.any("rarg")
			if !l.fewRows(statement, []wrapped{{leftKind, left}, {rightKind, right}}) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func (l *linter) fewSelected(statement, query node) bool {
	if query.text("op") != "" && query.text("op") != "SETOP_NONE" {
		left, right := query.child("larg"), query.child("rarg")
		return l.fewSelected(statement, left) && l.fewSelected(statement, right)
	}
	sources := query.each("fromClause")
	if len(sources) == 0 || l.fewRows(statement, sources) {
		return true
	}
	if len(sources) != 1 || sources[0].kind != "RangeVar" {
		return false
	}
	where, condition := query.any("whereClause")
	return l.bounds(relationName(sources[0].node), where, condition, false)
}

// keyNames are columns that usually identify one row.
var keyNames = set("id uuid guid key code slug name email username login ctid identifier iso iso2 iso3 iso_code sku isbn ean handle")

// isKey reports whether a column identifies few rows.
func (l *linter) isKey(table, column string) bool {
	t := l.schema.table(table)
	for _, c := range t.constraints {
		if (c.kind == "CONSTR_PRIMARY" || c.kind == "CONSTR_UNIQUE") && len(c.columns) > 0 && c.columns[0] == column {
			return true
		}
	}
	for _, i := range l.schema.indexes {
		if i.table == table && i.unique && len(i.columns) == 1 && i.columns[0] == column {
			return true
		}
	}
	if keyNames[column] {
		return true
	}
	// The templates' template_name, and the email_templates'.
	whose, what, _ := cutLast(column, "_")
	name := lastName(table)
	if !keyNames[what] || whose == "" {
		return false
	}
	return slices.ContainsFunc([]string{whose, whose + "s", whose + "es", strings.TrimSuffix(whose, "y") + "ies"}, func(plural string) bool {
		return strings.HasSuffix("_"+name, "_"+plural)
	})
}

func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return "", text, false
}

// bounds reports whether a condition limits the rows of a table to a few. With few, the joined rows are few, so that a comparison of
// its key with another column also limits them.
func (l *linter) bounds(table, kind string, n node, few bool) bool {
	switch kind {
	case "BoolExpr":
		args := n.each("args")
		switch n.text("boolop") {
		case "AND_EXPR":
			return l.rangeOfKey(table, args) || slices.ContainsFunc(args, func(arg wrapped) bool { return l.bounds(table, arg.kind, arg.node, few) })
		case "OR_EXPR":
			return !slices.ContainsFunc(args, func(arg wrapped) bool { return !l.bounds(table, arg.kind, arg.node, few) })
		}
	case "A_Expr":
		leftKind, left := n.any("lexpr")
		rightKind, right := n.any("rexpr")
		column := columnRef(leftKind, left)
		operator := joined(n.names("name"))
		switch n.text("kind") {
		case "AEXPR_OP":
			if operator == "<" || operator == "<=" {
				// Numbers usually start at 1.
				last, err := strconv.Atoi(constant(wrapped{rightKind, right}))
				return err == nil && last <= oneBatch && column != "" && l.isKey(table, column)
			}
			if operator != "=" {
				return false
			}
			if other := columnRef(rightKind, right); other != "" && column != "" {
				return (few || l.loop != nil) && (l.isKey(table, column) || l.isKey(table, other))
			}
			if column == "" {
				column, rightKind = columnRef(rightKind, right), leftKind
				right = left
			}
			return column != "" && l.isKey(table, column) && l.fixed(rightKind, right)
		case "AEXPR_IN", "AEXPR_OP_ANY":
			if joined(n.names("name")) == "<>" {
				return false
			}
			return column != "" && l.isKey(table, column) && !contains(map[string]any(right), "SubLink") && rightKind != "SubLink"
		case "AEXPR_BETWEEN", "AEXPR_BETWEEN_SYM":
			ends := right.each("items")
			if len(ends) == 2 {
				first, noFirst := strconv.Atoi(constant(ends[0]))
				last, noLast := strconv.Atoi(constant(ends[1]))
				if noFirst == nil && noLast == nil && last-first > oneBatch {
					return false
				}
			}
			return column != ""
		}
	case "SubLink":
		if n.text("subLinkType") != "ANY_SUBLINK" {
			return false
		}
		testKind, test := n.any("testexpr")
		_, query := n.any("subselect")
		return l.isKey(table, columnRef(testKind, test)) && l.fewSelected(n, query)
	case "CurrentOfExpr":
		return true
	}
	return false
}

// rangeOfKey reports whether one column is compared from below and from above.
func (l *linter) rangeOfKey(table string, args []wrapped) bool {
	below, above := map[string]bool{}, map[string]bool{}
	for _, arg := range args {
		if arg.kind != "A_Expr" || arg.node.text("kind") != "AEXPR_OP" {
			continue
		}
		leftKind, left := arg.node.any("lexpr")
		rightKind, right := arg.node.any("rexpr")
		column := columnRef(leftKind, left)
		if column == "" || !l.isKey(table, column) && l.loop == nil && !l.fixed(rightKind, right) {
			continue
		}
		switch joined(arg.node.names("name")) {
		case ">", ">=":
			below[column] = true
		case "<", "<=":
			above[column] = true
		}
	}
	for column := range below {
		if above[column] {
			return true
		}
	}
	return false
}

// fixed reports whether an expression has one value for all rows.
func (l *linter) fixed(kind string, n node) bool {
	switch kind {
	case "A_Const", "ParamRef", "SetToDefault", "SQLValueFunction":
		return true
	case "TypeCast":
		inner, arg := n.any("arg")
		return l.fixed(inner, arg)
	case "SubLink":
		return n.text("subLinkType") == "EXPR_SUBLINK"
	case "ColumnRef":
		return l.loop != nil
	case "FuncCall", "A_Expr", "A_ArrayExpr":
		return !contains(map[string]any(n), "ColumnRef")
	}
	return false
}
