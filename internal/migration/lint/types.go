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
	switch t.name {
	case "bigint":
		t.name = "int8"
	case "interval":
		t.mods = nil // fields and precision, hard to compare
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
	if len(t.mods) > 0 {
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

func (t columnType) serial() bool {
	return slices.Contains([]string{"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"}, t.name)
}

// verdict of a change of type.
type verdict int

const (
	free verdict = iota
	rewrite
	narrowing
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
	length := func(c columnType) int {
		if len(c.mods) == 0 {
			return 1 << 30
		}
		return c.mods[0]
	}
	text := func(c columnType) bool { return c.name == "text" || c.name == "varchar" }
	switch {
	case text(t) && text(to):
		if length(to) >= length(t) {
			return free
		}
		return narrowing
	case t.name == to.name && slices.Equal(t.mods, to.mods):
		return free
	case t.name == "varbit" && to.name == "varbit":
		if length(to) >= length(t) {
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
	case t.name == "cidr" && to.name == "inet":
		return free
	case integerSize(t) > 0 && integerSize(to) > 0 && integerSize(to) < integerSize(t):
		return narrowing
	}
	return rewrite
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
	result := depends
	if known {
		result = from.change(to)
	}
	if def.child("raw_default") != nil {
		kind, expression := def.any("raw_default")
		if kind == "TypeCast" { // USING c::type is the default
			kind, expression = expression.any("arg")
		}
		if columnRef(kind, expression) != name {
			result = rewrite
		}
	}
	if def.child("collClause") != nil && (!known || result == free) {
		result = rewrite
	}
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
	case result == narrowing:
		l.report(offset, "type-change", object,
			fmt.Sprintf("From %s to %s, values may no longer fit; the running version still writes them, and every row is checked or "+
				"rewritten while %s is locked.", from, to, t.name), advice)
	case result == depends && (to.name == "text" || to.name == "varchar"):
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
