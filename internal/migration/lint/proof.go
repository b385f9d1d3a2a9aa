// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"maps"
	"slices"
)

// columnSet is a set of the columns of one table.
type columnSet map[string]bool

func union(sets []columnSet) columnSet {
	all := columnSet{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}

func intersection(sets []columnSet) columnSet {
	if len(sets) == 0 {
		return nil
	}
	all := maps.Clone(sets[0])
	for _, set := range sets[1:] {
		maps.DeleteFunc(all, func(name string, _ bool) bool { return !set[name] })
	}
	return all
}

// notNullIf are the columns that PostgreSQL knows to be not null if a condition has a value: it derives that from tests for null
// alone, combined by AND, OR and NOT, and not from comparisons, which a null passes.
func notNullIf(value bool, kind string, n node) columnSet {
	switch kind {
	case "NullTest":
		present := n.text("nulltesttype") == "IS_NOT_NULL"
		if row, fields := n.any("arg"); row == "RowExpr" && present && value { // all of its fields are
			return columnsOf(fields.each("args"))
		}
		if present == value {
			return columnOf(n, "arg")
		}
	case "A_Expr":
		_, right := n.any("rexpr")
		operator := n.text("kind")
		if (operator == "AEXPR_DISTINCT") == value && (operator == "AEXPR_DISTINCT" || operator == "AEXPR_NOT_DISTINCT") && right.flag("isnull") {
			return columnOf(n, "lexpr")
		}
	case "BoolExpr":
		var sets []columnSet
		operator := n.text("boolop")
		for _, arg := range n.each("args") {
			sets = append(sets, notNullIf(value != (operator == "NOT_EXPR"), arg.kind, arg.node))
		}
		if operator == "NOT_EXPR" || (operator == "AND_EXPR") == value {
			return union(sets)
		}
		return intersection(sets)
	}
	return nil
}

func columnOf(n node, key string) columnSet {
	if name := columnRef(n.any(key)); name != "" {
		return columnSet{name: true}
	}
	return nil
}

func columnsOf(items []wrapped) columnSet {
	names := columnSet{}
	for _, item := range items {
		if name := columnRef(item.kind, item.node); name != "" {
			names[name] = true
		}
	}
	return names
}

// columnsIn are the names of the columns that an expression uses.
func columnsIn(n node, keys ...string) columnSet {
	names := columnSet{}
	for _, key := range keys {
		walk(map[string]any{key: n[key]}, func(kind string, below node) bool {
			if name := columnRef(kind, below); name != "" {
				names[name] = true
			}
			return true
		})
	}
	return names
}

// provesNotNull reports whether a validated CHECK proves that a column has no nulls, without the constraints in except.
func (t *table) provesNotNull(column string, except map[string]bool) bool {
	for name, c := range t.constraints {
		if c.notNull[column] && c.validated && !except[name] {
			return true
		}
	}
	return false
}

// renameColumn gives a column a new name in all that uses it.
func (s *schema) renameColumn(t *table, from, to string) {
	if c := t.columns[from]; c != nil {
		delete(t.columns, from)
		t.columns[to] = c
	}
	for _, c := range t.constraints {
		renameIn(c.columns, c.notNull, from, to)
		renameIn(nil, c.uses, from, to)
		c.expression = renamedRefs(c.expression, from, to)
	}
	for _, i := range s.indexes {
		if i.table == t.name {
			renameIn(i.columns, i.uses, from, to)
		}
	}
	renameIn(t.key, nil, from, to)
}

func renameIn(list []string, names columnSet, from, to string) {
	for i, name := range list {
		if name == from {
			list[i] = to
		}
	}
	if names[from] {
		delete(names, from)
		names[to] = true
	}
}

// renamedRefs is an expression with another name for one of its columns.
func renamedRefs(expression wrapped, from, to string) wrapped {
	if expression.node == nil {
		return expression
	}
	renamed, _ := renamedValue(map[string]any{expression.kind: expression.node}, from, to, false).(map[string]any)
	kind, body := unwrap(renamed)
	return wrapped{kind, body}
}

func renamedValue(value any, from, to string, inRef bool) any {
	switch value := value.(type) {
	case node:
		return renamedValue(map[string]any(value), from, to, inRef)
	case map[string]any:
		copied := make(map[string]any, len(value))
		for key, below := range value {
			copied[key] = renamedValue(below, from, to, inRef || key == "ColumnRef")
		}
		if inRef && copied["sval"] == from {
			copied["sval"] = to
		}
		return copied
	case []any:
		copied := make([]any, len(value))
		for i, below := range value {
			copied[i] = renamedValue(below, from, to, inRef)
		}
		return copied
	}
	return value
}

// dropColumnFacts forgets a column with the constraints and indexes that PostgreSQL drops with it.
func (s *schema) dropColumnFacts(t *table, name string) {
	delete(t.columns, name)
	maps.DeleteFunc(t.constraints, func(_ string, c *constraint) bool { return c.uses[name] || slices.Contains(c.columns, name) })
	maps.DeleteFunc(s.indexes, func(_ string, i *index) bool {
		return i.table == t.name && (i.uses[name] || slices.Contains(i.columns, name))
	})
}
