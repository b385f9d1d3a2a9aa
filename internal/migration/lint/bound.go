// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"slices"
	"strconv"
)

// bound is the bound of a partition.
type bound struct {
	isDefault   bool
	from, below string   // of a range over one column; "" for MINVALUE and MAXVALUE
	values      []string // of a list
	unknown     bool     // by hash, over several columns, or of other expressions than constants
}

// partitionKey are the columns of PARTITION BY, or nil if it has expressions.
func partitionKey(spec node) []string {
	var columns []string
	for _, param := range spec.each("partParams") {
		name := param.node.text("name")
		if name == "" {
			return nil
		}
		columns = append(columns, name)
	}
	return columns
}

func boundOf(n node) bound {
	b := bound{isDefault: n.flag("is_default")}
	switch n.text("strategy") {
	case "r":
		var from, below bool
		b.from, from = rangeDatum(n.each("lowerdatums"))
		b.below, below = rangeDatum(n.each("upperdatums"))
		b.unknown = !from || !below
	case "l":
		for _, value := range n.each("listdatums") {
			text, known := literal(value.kind, value.node)
			b.values = append(b.values, text)
			b.unknown = b.unknown || !known
		}
	default:
		b.unknown = !b.isDefault
	}
	return b
}

func rangeDatum(datums []wrapped) (text string, known bool) {
	if len(datums) != 1 {
		return "", false
	}
	datum := datums[0].node
	if kind := datum.text("kind"); kind == "PARTITION_RANGE_DATUM_MINVALUE" || kind == "PARTITION_RANGE_DATUM_MAXVALUE" {
		return "", true
	}
	if datums[0].kind == "ColumnRef" { // MINVALUE and MAXVALUE, before they are analyzed
		name := columnRef(datums[0].kind, datum)
		return "", name == "minvalue" || name == "maxvalue"
	}
	if datums[0].kind == "PartitionRangeDatum" {
		return literal(datum.any("value"))
	}
	return literal(datums[0].kind, datum)
}

// literal is the text of a constant, also of one with a cast.
func literal(kind string, n node) (text string, known bool) {
	for kind == "TypeCast" {
		kind, n = n.any("arg")
	}
	if kind != "A_Const" || n.flag("isnull") {
		return "", false
	}
	if float := n.child("fval"); float != nil {
		return float.text("fval"), true
	}
	if n.child("boolval") != nil {
		return strconv.FormatBool(n.child("boolval").flag("boolval")), true
	}
	if n.child("ival") != nil {
		return strconv.Itoa(n.child("ival").number("ival")), true
	}
	return n.child("sval").text("sval"), n.child("sval") != nil
}

// atMost reports whether a <= b is certain.
func atMost(a, b string) bool {
	x, noX := strconv.ParseFloat(a, 64)
	y, noY := strconv.ParseFloat(b, 64)
	if noX == nil && noY == nil {
		return x <= y
	}
	// Dates and times of one form sort as texts.
	return a == b || len(a) == len(b) && len(a) >= 10 && a[4] == '-' && b[4] == '-' && a < b
}

// comparison is one of a column with a constant: "<", "<=", ">", ">=", "=", "<>". For "=" and "<>" there may be several constants.
type comparison struct {
	operator string
	values   []string
}

// compared reads a condition that has a value as a comparison of a column: if NOT column < 1 holds, column >= 1 does.
func compared(column, kind string, n node, value bool) (comparison, bool) {
	if kind != "A_Expr" {
		return comparison{}, false
	}
	operator := joined(n.names("name"))
	leftKind, left := n.any("lexpr")
	rightKind, right := n.any("rexpr")
	if columnRef(leftKind, left) != column {
		leftKind, rightKind, left, right = rightKind, leftKind, right, left
		turned, is := map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}[operator]
		if !is || columnRef(leftKind, left) != column {
			return comparison{}, false
		}
		operator = turned
	}
	c := comparison{operator: operator}
	if !value {
		c.operator = negated[operator]
	}
	var constants []wrapped
	switch n.text("kind") {
	case "AEXPR_OP":
		constants = []wrapped{{rightKind, right}}
	case "AEXPR_IN":
		constants = right.each("items")
	case "AEXPR_OP_ANY", "AEXPR_OP_ALL":
		if (n.text("kind") == "AEXPR_OP_ANY") != (operator == "=") || rightKind != "A_ArrayExpr" {
			return comparison{}, false
		}
		constants = right.each("elements")
	}
	for _, constant := range constants {
		text, known := literal(constant.kind, constant.node)
		if !known {
			return comparison{}, false
		}
		c.values = append(c.values, text)
	}
	return c, len(c.values) > 0
}

// implies reports whether a condition that has a value puts all rows on one side of the bound: inside it, or outside.
func (b bound) implies(inside, value bool, column, kind string, n node) bool {
	if kind == "BoolExpr" {
		args, operator := n.each("args"), n.text("boolop")
		if operator == "NOT_EXPR" {
			return len(args) == 1 && b.implies(inside, !value, column, args[0].kind, args[0].node)
		}
		if (operator == "AND_EXPR") == value { // all of the arguments have the value
			if inside {
				return b.contains(args, value, column)
			}
			return slices.ContainsFunc(args, func(arg wrapped) bool { return b.implies(inside, value, column, arg.kind, arg.node) }) ||
				b.allExcluded(args, value, column)
		}
		return !slices.ContainsFunc(args, func(arg wrapped) bool { return !b.implies(inside, value, column, arg.kind, arg.node) })
	}
	only := []wrapped{{kind, n}}
	if inside {
		return b.contains(only, value, column)
	}
	return b.allExcluded(only, value, column)
}

var negated = map[string]string{"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "<>", "<>": "="}

// contains reports whether conditions that all have a value put every row inside the bound.
func (b bound) contains(conditions []wrapped, value bool, column string) bool {
	above, below := b.from == "", b.below == ""
	for _, condition := range conditions {
		if condition.kind == "BoolExpr" && b.implies(true, value, column, condition.kind, condition.node) {
			return true
		}
		for _, part := range flatten(condition, value) {
			c, is := compared(column, part.kind, part.node, value)
			if !is {
				continue
			}
			switch c.operator {
			case "=":
				if len(b.values) > 0 && !slices.ContainsFunc(c.values, func(v string) bool { return !slices.Contains(b.values, v) }) {
					return true
				}
				above = above || b.values == nil && !slices.ContainsFunc(c.values, func(v string) bool { return !atMost(b.from, v) })
			case ">", ">=":
				above = above || atMost(b.from, c.values[0])
			case "<":
				below = below || atMost(c.values[0], b.below)
			case "<=":
				below = below || atMost(c.values[0], b.below) && c.values[0] != b.below
			}
		}
	}
	return b.values == nil && above && below
}

// flatten takes conjunctions apart, and BETWEEN.
func flatten(condition wrapped, value bool) []wrapped {
	if n := condition.node; value && n.text("kind") == "AEXPR_BETWEEN" {
		_, ends := n.any("rexpr")
		var parts []wrapped
		for i, end := range ends.each("items") {
			parts = append(parts, wrapped{"A_Expr", node{
				"kind": "AEXPR_OP", "lexpr": n["lexpr"], "rexpr": map[string]any{end.kind: map[string]any(end.node)},
				"name": []any{map[string]any{"String": map[string]any{"sval": []string{">=", "<="}[i&1]}}},
			}})
		}
		return parts
	}
	if condition.kind == "BoolExpr" && value && condition.node.text("boolop") == "AND_EXPR" {
		var parts []wrapped
		for _, arg := range condition.node.each("args") {
			parts = append(parts, flatten(arg, value)...)
		}
		return parts
	}
	return []wrapped{condition}
}

// allExcluded reports whether conditions that all have a value keep every row outside the bound.
func (b bound) allExcluded(conditions []wrapped, value bool, column string) bool {
	var excluded []string
	for _, condition := range conditions {
		c, is := compared(column, condition.kind, condition.node, value)
		if !is {
			continue
		}
		switch {
		case c.operator == "<>":
			excluded = append(excluded, c.values...)
		case c.operator == "=" && b.values != nil && !slices.ContainsFunc(c.values, func(v string) bool { return slices.Contains(b.values, v) }),
			c.operator == "<" && b.from != "" && atMost(c.values[0], b.from),
			(c.operator == ">" || c.operator == ">=") && b.below != "" && atMost(b.below, c.values[0]):
			return true
		}
	}
	return len(b.values) > 0 && !slices.ContainsFunc(b.values, func(v string) bool { return !slices.Contains(excluded, v) })
}
