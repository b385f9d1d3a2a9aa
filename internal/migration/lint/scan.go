// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"slices"
	"strings"
)

// selectStatement analyzes a query: what its WITH writes, what it reads, and the table that INTO makes.
func (l *linter) selectStatement(n node) {
	for _, cte := range n.child("withClause").each("ctes") {
		if inner, query := cte.node.any("ctequery"); inner != "SelectStmt" && inner != "" {
			l.write(inner, query)
		}
	}
	l.reads(n)
	if into := n.child("intoClause"); into != nil {
		if t := l.addRelation(into.child("rel"), false); t != nil && t.new {
			t.filled = l.selectsMany(n)
		}
	}
}

// copy analyzes COPY.
func (l *linter) copy(n node) {
	if _, query := n.any("query"); query != nil {
		l.reads(query)
		return
	}
	name := relationName(n.child("relation"))
	switch {
	case n.flag("is_from") && l.schema.unused(name):
		l.schema.table(name).filled = true
	case !n.flag("is_from") && !l.schema.free(name):
		l.readUnderLock(name)
	}
}

// reads reports a query that reads a whole table while its transaction holds a lock.
func (l *linter) reads(query node) {
	if query == nil {
		return
	}
	if table := l.readsWhole(query, true); table != "" {
		l.readUnderLock(table)
	}
}

func (l *linter) readUnderLock(table string) {
	if locked, held, ok := l.whileLocked(); ok && l.tx.wrapped {
		l.report(0, "backfill-under-lock", table, fmt.Sprintf("The statement reads %s as a whole while the transaction holds the lock on %s "+
			"that it took in line %d: %s %s until then.", table, locked, held.line, held.blocks(), locked),
			"Put the statement and the change of the table into files of their own, or run the statement before the change.")
	}
}

// readsWhole is an existing table that a query, or an UPDATE or DELETE with other tables, reads as a whole, or "". With few, a
// comparison of a key with a column of another table reads few rows.
func (l *linter) readsWhole(n node, few bool) string {
	for _, side := range []string{"larg", "rarg"} {
		if part := n.child(side); part != nil {
			if table := l.readsWhole(part, few); table != "" {
				return table
			}
		}
	}
	if table := l.readsInside(n); table != "" {
		return table
	}
	sources := slices.Concat(n.each("fromClause"), n.each("usingClause"))
	if kind, source := n.any("sourceRelation"); source != nil { // of MERGE
		sources = append(sources, wrapped{kind, source})
	}
	where, condition := n.any("whereClause")
	tables := l.tablesOf(n, sources)
	if len(tables) == 0 || l.stopsEarly(n, tables) {
		return ""
	}
	for _, table := range tables {
		if l.bounds(table, where, condition, few && len(tables) == 1 && n.child("relation") != nil) {
			return "" // the others are joined to few rows
		}
	}
	return tables[0]
}

// selectsMany reports whether a query may return many rows of existing tables. A range of a key, which bounds a batch, may hold many.
func (l *linter) selectsMany(query node) bool {
	for _, side := range []string{"larg", "rarg"} {
		if part := query.child(side); part != nil && l.selectsMany(part) {
			return true
		}
	}
	sources := query.each("fromClause")
	for _, source := range sources {
		if _, inner := source.node.any("subquery"); source.kind == "RangeSubselect" && l.selectsMany(inner) {
			return true
		}
	}
	for _, cte := range query.child("withClause").each("ctes") {
		if _, inner := cte.node.any("ctequery"); l.selectsMany(inner) {
			return true
		}
	}
	tables := l.tablesOf(query, sources)
	if len(tables) == 0 || l.stopsEarly(query, tables) {
		return false
	}
	kind, condition := query.any("whereClause")
	for _, part := range flatten(wrapped{kind, condition}, true) {
		if part.kind == "A_Expr" && part.node.text("kind") != "AEXPR_BETWEEN" && l.bounds(tables[0], part.kind, part.node, false) {
			return false
		}
	}
	return true
}

// readsInside is readsWhole for the queries within a statement: in its WITH, its FROM, its conditions and its values.
func (l *linter) readsInside(n node) string {
	found := ""
	visit := func(kind string, below node) bool {
		if found != "" {
			return false
		}
		switch kind {
		case "SubLink":
			_, query := below.any("subselect")
			// It stops at the first row, unless a condition leaves out rows.
			if where, _ := query.any("whereClause"); below.text("subLinkType") == "EXISTS_SUBLINK" && where == "" {
				return false
			}
			found = l.readsCorrelated(query)
		case "RangeSubselect":
			_, query := below.any("subquery")
			found = l.readsWhole(query, true)
		case "CommonTableExpr":
			if inner, query := below.any("ctequery"); inner == "SelectStmt" {
				found = l.readsWhole(query, true)
			}
		default:
			return true
		}
		return false
	}
	for key, below := range n {
		if key != "larg" && key != "rarg" && key != "selectStmt" {
			walk(map[string]any{key: below}, visit)
		}
	}
	if inner, query := n.any("selectStmt"); found == "" && inner == "SelectStmt" {
		found = l.readsWhole(query, true)
	}
	return found
}

// readsCorrelated is readsWhole for a query that may refer to the rows around it: then a comparison with its key reads few.
func (l *linter) readsCorrelated(query node) string {
	tables := l.tablesOf(query, query.each("fromClause"))
	where, condition := query.any("whereClause")
	if len(tables) == 1 && l.bounds(tables[0], where, condition, true) {
		return ""
	}
	return l.readsWhole(query, true)
}

// tablesOf are the existing tables of a FROM that may have many rows.
func (l *linter) tablesOf(statement node, sources []wrapped) []string {
	var tables []string
	for _, source := range sources {
		switch source.kind {
		case "RangeVar":
			name := relationName(source.node)
			schema := source.node.text("schemaname")
			catalog := schema == "pg_catalog" || schema == "information_schema" || strings.HasPrefix(name, "pg_")
			if !catalog && name != placeholder && !l.isCTE(statement, name) && !l.schema.free(name) {
				tables = append(tables, name)
			}
		case "JoinExpr":
			left, leftNode := source.node.any("larg")
			right, rightNode := source.node.any("rarg")
			tables = append(tables, l.tablesOf(statement, []wrapped{{left, leftNode}, {right, rightNode}})...)
		}
	}
	return tables
}

// aggregates read all rows before they return one.
var aggregates = set("count sum avg min max array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg bool_and bool_or " +
	"every bit_and bit_or stddev variance percentile_cont percentile_disc mode")

// stopsEarly reports whether a query ends after a few rows: it has a LIMIT and needs no other rows for it, or takes the first or last
// key from an index.
func (l *linter) stopsEarly(n node, tables []string) bool {
	if len(tables) != 1 {
		return false
	}
	table := tables[0]
	grouped := len(n.each("groupClause")) > 0 || n["distinctClause"] != nil
	aggregate, readsAll := false, false
	walk(map[string]any{"targetList": n["targetList"]}, func(kind string, below node) bool {
		if name := lastName(joined(below.names("funcname"))); kind == "FuncCall" && aggregates[name] {
			arg := below.each("args")
			ofKey := (name == "min" || name == "max") && len(arg) == 1 && l.isKey(table, columnRef(arg[0].kind, arg[0].node))
			aggregate, readsAll = true, readsAll || !ofKey
		}
		return kind != "SubLink"
	})
	if aggregate {
		where, _ := n.any("whereClause")
		return !grouped && where == "" && !readsAll
	}
	if _, limit := n.any("limitCount"); limit == nil || grouped {
		return false
	}
	sorted := n.each("sortClause")
	if len(sorted) == 0 {
		return true
	}
	kind, by := sorted[0].node.any("node")
	return l.isKey(table, columnRef(kind, by))
}
