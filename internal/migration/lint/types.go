// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// columnType is a type by PostgreSQL's internal name: int4, varchar, timestamptz.
type columnType struct {
	name  string
	mods  []int // length, or precision and scale
	array bool
}

func typeOf(n node) columnType {
	names := n.names("names")
	if len(names) > 1 && names[0] == "pg_catalog" {
		names = names[1:]
	}
	t := columnType{name: joined(names), array: len(n.each("arrayBounds")) > 0}
	for _, mod := range n.each("typmods") {
		if value, err := strconv.Atoi(constant(mod)); err == nil {
			t.mods = append(t.mods, value)
		}
	}
	if t.name == "bigint" {
		t.name = "int8"
	}
	return t
}

func (t columnType) String() string {
	text := map[string]string{
		"int4":   "integer",
		"int8":   "bigint",
		"int2":   "smallint",
		"bool":   "boolean",
		"float8": "double precision",
		"float4": "real",
		"bpchar": "char",
	}[t.name]
	if text == "" {
		text = t.name
	}
	if t.name == "interval" && len(t.mods) > 0 {
		fields, precision := t.interval()
		text += intervalFields[fields]
		if precision < 6 {
			text += "(" + strconv.Itoa(precision) + ")"
		}
	} else if len(t.mods) > 0 {
		parts := make([]string, len(t.mods))
		for i, mod := range t.mods {
			parts[i] = strconv.Itoa(mod)
		}
		text += "(" + strings.Join(parts, ",") + ")"
	}
	if t.array {
		text += "[]"
	}
	return text
}

// serialTypes are the integers that the columns get.
var serialTypes = map[string]string{
	"serial": "int4", "serial4": "int4", "bigserial": "int8", "serial8": "int8", "smallserial": "int2", "serial2": "int2",
}

func (t columnType) serial() bool { return serialTypes[t.name] != "" }

// verdict of a change of type.
type verdict int

const (
	free verdict = iota
	rewrite
	narrowing
	checks  // all rows are read, and none is written
	depends // on the old type of the column
)

// change returns the cost of a change from one type to another.
func (t columnType) change(to columnType) verdict {
	if t.array || to.array {
		if t.array == to.array && t.name == to.name && slices.Equal(t.mods, to.mods) {
			return free
		}
		return rewrite
	}
	if binary[lastName(t.name)+" "+lastName(to.name)] {
		// Only a varchar has a length that a length check of the new type can be compared with.
		from := columnType{name: to.name}
		if t.name == "varchar" {
			from.mods = t.mods
		}
		return from.sized(to)
	}
	switch {
	case t.name == to.name && slices.Equal(t.mods, to.mods):
		return free
	case t.name == to.name && (t.name == "varchar" || t.name == "varbit"):
		return t.sized(to)
	case t.name == "bit" && to.name == "varbit" && len(to.mods) == 0:
		return free
	case t.name == "interval" && to.name == "interval":
		fields, precision := t.interval()
		newFields, newPrecision := to.interval()
		switch {
		case lowestField(newFields) > lowestField(fields):
			return narrowing
		case lowestField(fields) > 0 || newPrecision >= precision:
			return free
		}
		return narrowing
	case t.name == "numeric" && to.name == "numeric":
		switch {
		case len(to.mods) == 0:
			return free
		case len(t.mods) == 0 || to.mods[0] < t.mods[0]:
			return narrowing
		case scale(to) == scale(t):
			return free
		}
		return rewrite
	case t.name == to.name && slices.Contains([]string{"timestamp", "timestamptz", "time", "timetz"}, t.name):
		if precision(to) >= precision(t) {
			return free
		}
		return narrowing
	case integerSize(t) > 0 && integerSize(to) > 0 && integerSize(to) < integerSize(t):
		return narrowing
	}
	return rewrite
}

// binary are the types that PostgreSQL stores alike, so that a change from the first to the second needs no rewrite.
var binary = func() map[string]bool {
	pairs := map[string]bool{"xml text": true, "xml varchar": true, "cidr inet": true}
	for _, group := range []string{"text varchar citext", "int4 oid regclass regtype regproc regprocedure regnamespace regrole"} {
		for from := range strings.FieldsSeq(group) {
			for to := range strings.FieldsSeq(group) {
				if from != to {
					pairs[from+" "+to] = true
				}
			}
		}
	}
	return pairs
}()

// sized compares the lengths of two types that are alike but for those.
func (t columnType) sized(to columnType) verdict {
	if len(to.mods) == 0 || len(t.mods) > 0 && to.mods[0] >= t.mods[0] {
		return free
	}
	return narrowing
}

// intervalFields are the fields of an interval by PostgreSQL's bits.
var intervalFields = map[int]string{
	1 << 2: " year", 1 << 1: " month", 1<<2 | 1<<1: " year to month", 1 << 3: " day", 1 << 10: " hour", 1 << 11: " minute", 1 << 12: " second",
	1<<3 | 1<<10: " day to hour", 1<<3 | 1<<10 | 1<<11: " day to minute", 1<<3 | 1<<10 | 1<<11 | 1<<12: " day to second",
	1<<10 | 1<<11: " hour to minute", 1<<10 | 1<<11 | 1<<12: " hour to second", 1<<11 | 1<<12: " minute to second",
}

// interval are the fields of an interval and the digits of its seconds.
func (t columnType) interval() (fields, precision int) {
	fields, precision = 0x7FFF, 6
	if len(t.mods) > 0 {
		fields = t.mods[0]
	}
	if len(t.mods) > 1 {
		precision = t.mods[1]
	}
	return fields, precision
}

// lowestField is the rank of the smallest unit that an interval keeps, from 0 for seconds.
func lowestField(fields int) int {
	for rank, bit := range []int{12, 11, 10, 3, 1} {
		if fields&(1<<bit) != 0 {
			return rank
		}
	}
	return 5
}

func scale(t columnType) int {
	if len(t.mods) < 2 {
		return 0
	}
	return t.mods[1]
}

func precision(t columnType) int {
	if len(t.mods) == 0 {
		return 6
	}
	return t.mods[0]
}

func (t columnType) isTimestamp() bool {
	return !t.array && (t.name == "timestamp" || t.name == "timestamptz")
}

func integerSize(t columnType) int { return map[string]int{"int2": 2, "int4": 4, "int8": 8}[t.name] }

func (l *linter) changeType(t *table, n node) {
	_, def := n.any("def")
	name := n.text("name")
	to := typeOf(def.child("typeName"))
	c := t.column(name)
	defer func() { c.typ, c.known = to, true }()
	if l.schema.unused(t.name) || c.new {
		return
	}
	from, known := c.typ, c.known
	result, what := l.costOfType(t, name, from, known, to, def)
	base, _ := l.schema.resolve(to)
	object := t.name + "." + name
	offset := def.location()
	if l.utc && result != free && (!known || from.isTimestamp()) && to.isTimestamp() && precision(to) >= precision(from) &&
		def.child("raw_default") == nil {
		l.warn(offset, "type-change", object, "While the session's time zone is UTC, PostgreSQL changes timestamp to timestamptz, and "+
			"back, without a rewrite; the running version meets another type.",
			"Make sure that the running version and its driver read both types alike, and acknowledge the finding.")
		l.strongLock(t.name, offset)
		return
	}
	const advice = "Add a column of the new type, keep both in step with a trigger or in the application, copy in batches, switch " +
		"the reads, and drop the old column in a later, contract migration."
	switch {
	case result == free:
		return
	case result == checks && l.schema.isSmall(t.name):
		return
	case result == checks:
		l.report(offset, "type-change", object, fmt.Sprintf("PostgreSQL keeps the rows of %s, but %s under an ACCESS EXCLUSIVE lock: nothing "+
			"reads or writes it until then.", t.name, what), advice)
	case result == narrowing:
		l.report(offset, "type-change", object,
			fmt.Sprintf("From %s to %s, values may no longer fit; the running version still writes them, and every row is checked or "+
				"rewritten while %s is locked.", from, to, t.name), advice)
	case result == depends && (base.name == "text" || base.name == "varchar"):
		l.warn(offset, "type-change", object, fmt.Sprintf("The files do not show what type %s has. From text, or a varchar that is "+
			"not longer, %s costs nothing; from any other type it rewrites %s under an ACCESS EXCLUSIVE lock.", name, to, t.name),
			"Check the type of the column, and acknowledge the finding if it is text or a shorter varchar; else: "+advice)
	case !known:
		l.report(offset, "type-change", object,
			fmt.Sprintf("Changing %s to %s rewrites %s and its indexes under an ACCESS EXCLUSIVE lock, unless it has nearly that type "+
				"already, which the files do not show.", name, to, t.name), advice)
	case l.schema.isSmall(t.name):
		l.warn(offset, "type-change", object, fmt.Sprintf("The running version reads and writes %s as %s, and will meet %s.", name, from, to),
			advice)
	default:
		l.report(offset, "type-change", object,
			fmt.Sprintf("From %s to %s, PostgreSQL rewrites %s and its indexes under an ACCESS EXCLUSIVE lock: nothing reads or writes "+
				"it until then.", from, to, t.name), advice)
	}
	l.strongLock(t.name, offset)
}

// costOfType is the cost of a change of a column's type, and what PostgreSQL does if it only reads the rows.
func (l *linter) costOfType(t *table, name string, from columnType, known bool, to columnType, def node) (result verdict, what string) {
	result = depends
	if known {
		result = l.schema.change(from, to)
	}
	if def.child("raw_default") != nil {
		kind, expression := def.any("raw_default")
		var casts []columnType // from the outermost to the innermost
		for kind == "TypeCast" {
			casts = append(casts, typeOf(expression.child("typeName")))
			kind, expression = expression.any("arg")
		}
		if columnRef(kind, expression) != name {
			return rewrite, ""
		}
		at := from
		for i := len(casts) - 1; i >= 0 && known; i-- {
			result = max(result, l.schema.change(at, casts[i]))
			at = casts[i]
		}
		if len(casts) > 0 {
			result = max(result, l.schema.change(casts[0], to))
		}
	}
	if result != free {
		if _, constrained := l.schema.resolve(to); result == checks && constrained {
			what = "checks all of them for the constraints of the domain " + to.name
		}
		return result, what
	}
	// An index of the column itself stays if it compares the values as before.
	otherOrder := def.child("collClause") != nil || l.schema.operators(from) != l.schema.operators(to)
	for indexName, i := range l.schema.indexes {
		if i.table == t.name && (i.uses[name] || otherOrder && slices.Contains(i.columns, name)) {
			return checks, "builds the index " + indexName + " again"
		}
	}
	for constraintName, c := range t.constraints {
		switch {
		case c.kind == "CONSTR_CHECK" && c.validated && c.uses[name]:
			return checks, "checks all of them for " + constraintName + " again"
		case otherOrder && (c.kind == "CONSTR_UNIQUE" || c.kind == "CONSTR_PRIMARY" || c.kind == "CONSTR_EXCLUSION") &&
			slices.Contains(c.columns, name):
			return checks, "builds the index of " + constraintName + " again"
		}
	}
	return free, ""
}

// change is the cost of a change from one type to another. A column may leave a domain at no cost; if it gets one with constraints,
// all rows are checked.
func (s *schema) change(from, to columnType) verdict {
	if from.name == to.name && from.array == to.array && slices.Equal(from.mods, to.mods) {
		return free
	}
	was, _ := s.resolve(from)
	base, constrained := s.resolve(to)
	result := was.change(base)
	if result == free && constrained {
		return checks
	}
	return result
}

// operators names the operators by which an index compares values of a type.
func (s *schema) operators(t columnType) string {
	base, _ := s.resolve(t)
	switch name := lastName(base.name); name {
	case "varchar":
		return "text"
	case "cidr":
		return "inet"
	default:
		return name
	}
}
