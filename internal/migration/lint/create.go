// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"strings"
)

func (l *linter) addRelation(relation node, view bool) *table {
	name := relationName(relation)
	if name == "" {
		return nil
	}
	if known, exists := l.schema.tables[name]; exists && !known.new && len(known.columns) > 0 && !l.schema.dropped["OBJECT_TABLE "+name] {
		return known // CREATE OR REPLACE, or IF NOT EXISTS
	}
	t := &table{
		name: name, new: true, view: view, temporary: relation.text("relpersistence") == "t",
		columns: map[string]*column{}, constraints: map[string]*constraint{},
	}
	l.schema.tables[name] = t
	return t
}

func (l *linter) createTable(n node, newForms forms) {
	t := l.addRelation(n.child("relation"), false)
	if t == nil || !t.new {
		return
	}
	t.partitioned = n.child("partspec") != nil
	for _, element := range n.each("tableElts") {
		switch element.kind {
		case "ColumnDef":
			t.define(element.node)
		case "Constraint":
			l.note(t, element.node, newForms)
		}
	}
	for _, parent := range n.each("inhRelations") {
		// A partition has the columns of its parent.
		of := l.schema.table(relationName(parent.node))
		for name, inherited := range of.columns {
			copied := *inherited
			t.columns[name] = &copied
		}
		if n.child("partbound").flag("is_default") {
			of.hasDefault = true
		}
	}
	for _, element := range n.each("tableElts") {
		if element.kind != "ColumnDef" {
			continue
		}
		for _, c := range element.node.each("constraints") {
			if c.node.text("contype") == "CONSTR_FOREIGN" {
				l.referenced(c.node)
			}
		}
	}
}

// referenced records that a new foreign key briefly locks the table that it refers to against writes.
func (l *linter) referenced(n node) {
	if target := relationName(n.child("pktable")); target != "" {
		l.schema.table(target)
	}
}

// define records a column from its definition.
func (t *table) define(def node) *column {
	c := &column{new: true, known: true, typ: typeOf(def.child("typeName"))}
	name := def.text("colname")
	t.columns[name] = c
	for _, item := range def.each("constraints") {
		switch item.node.text("contype") {
		case "CONSTR_NOTNULL":
			c.notNull = true
		case "CONSTR_PRIMARY":
			c.notNull = true
			t.constraints[constraintName(item.node, t, name)] = &constraint{
				kind: "CONSTR_PRIMARY", columns: []string{name}, validated: true, new: true,
			}
		case "CONSTR_UNIQUE":
			t.constraints[constraintName(item.node, t, name)] = &constraint{
				kind: "CONSTR_UNIQUE", columns: []string{name}, validated: true, new: true,
			}
		case "CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED":
			c.hasDefault = true
		}
	}
	if c.typ.serial() {
		c.notNull, c.hasDefault = true, true
	}
	return c
}

// note records a table constraint.
func (l *linter) note(t *table, n node, newForms forms) *constraint {
	c := &constraint{kind: n.text("contype"), validated: !n.flag("skip_validation"), tx: l.tx, at: l.position, new: true}
	switch c.kind {
	case "CONSTR_FOREIGN":
		c.columns = n.names("fk_attrs")
	default:
		c.columns = n.names("keys")
	}
	if using := n.text("indexname"); using != "" {
		if i := l.schema.indexes[using]; i != nil {
			c.columns = i.columns
		}
	}
	if c.kind == "CONSTR_CHECK" {
		kind, expression := n.any("raw_expr")
		c.notNull = provenNotNull(kind, expression)
	}
	name := constraintName(n, t, strings.Join(c.columns, "_"))
	if columnName, is := newForms.notNull[n.text("conname")]; is && c.kind == "CONSTR_CHECK" {
		c.kind, c.columns, c.notNull = "CONSTR_NOTNULL", []string{columnName}, ""
		if c.validated {
			t.column(columnName).notNull = true
		}
	}
	if c.kind == "CONSTR_PRIMARY" {
		for _, name := range c.columns {
			key := t.column(name)
			key.becameKey = key.becameKey || !key.notNull
			key.notNull = true
		}
	}
	t.constraints[name] = c
	return c
}

// constraintName is the name of a constraint, or PostgreSQL's default name.
func constraintName(n node, t *table, columns string) string {
	if name := n.text("conname"); name != "" {
		return name
	}
	base := lastName(t.name)
	switch n.text("contype") {
	case "CONSTR_PRIMARY":
		return base + "_pkey"
	case "CONSTR_UNIQUE":
		return base + "_" + columns + "_key"
	case "CONSTR_FOREIGN":
		return base + "_" + columns + "_fkey"
	}
	return base + "_" + columns + "_check"
}

// provenNotNull is the column c of an expression c IS NOT NULL, also as a part of a conjunction; else "".
func provenNotNull(kind string, n node) string {
	switch {
	case kind == "NullTest" && n.text("nulltesttype") == "IS_NOT_NULL":
		kind, arg := n.any("arg")
		return columnRef(kind, arg)
	case kind == "BoolExpr" && n.text("boolop") == "AND_EXPR":
		for _, arg := range n.each("args") {
			if name := provenNotNull(arg.kind, arg.node); name != "" {
				return name
			}
		}
	}
	return ""
}

// columnRef is the name of the column that an expression is, or "".
func columnRef(kind string, n node) string {
	if kind != "ColumnRef" {
		return ""
	}
	names := n.names("fields")
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1]
}

func (l *linter) createIndex(n node) {
	name := relationName(n.child("relation"))
	t := l.schema.table(name)
	i := &index{table: t.name, new: true, unique: n.flag("unique")}
	for _, element := range n.each("indexParams") {
		i.columns = append(i.columns, element.node.text("name"))
	}
	if n.child("whereClause") != nil {
		i.unique = false
	}
	label := n.text("idxname")
	offset := 0
	switch {
	case l.schema.unused(name) && (!t.partitioned || !n.flag("concurrent")):
	case n.flag("concurrent"):
		switch {
		case t.partitioned:
			l.report(offset, "concurrently-on-partitioned", name, "PostgreSQL refuses CREATE INDEX CONCURRENTLY on a partitioned table.",
				"CREATE INDEX … ON ONLY "+name+", then CREATE INDEX CONCURRENTLY on each partition and ALTER INDEX … ATTACH PARTITION.")
		case n.flag("if_not_exists") && !l.schema.dropped["OBJECT_INDEX "+label] && !l.droppedBefore(label):
			l.report(offset, "concurrently-if-not-exists", label, "An index of that name that a failed build left behind is invalid, and "+
				"IF NOT EXISTS mistakes it for the finished one.",
				fmt.Sprintf("DROP INDEX CONCURRENTLY IF EXISTS %s before it, or leave IF NOT EXISTS out: the runner removes the leftover of "+
					"a failed build before a retry.", label))
		case label == "":
			l.warn(offset, "concurrently-if-not-exists", name, "An index without a name gets another one at each retry: a failed build "+
				"leaves an invalid index next to the new one.",
				"Give the index a name.")
		}
	case n.child("relation").flag("inh"): // ON ONLY is used only for partitioned tables, and builds nothing there
		if !l.schema.isSmall(name) {
			advice := "CREATE INDEX CONCURRENTLY, in a file of its own with '-- +goose NO TRANSACTION'."
			if t.partitioned {
				advice = "CREATE INDEX … ON ONLY " + name + ", then CREATE INDEX CONCURRENTLY on each partition and ALTER INDEX … ATTACH PARTITION."
			}
			l.report(offset, "index-blocks-writes", name,
				"CREATE INDEX holds a SHARE lock: nothing can be written to "+name+" until the index is built.", advice)
		}
		l.strongLock(name, offset)
	}
	if label == "" {
		label = strings.Join(append([]string{lastName(t.name)}, i.columns...), "_") + "_idx"
	}
	l.schema.indexes[label] = i
}

// droppedBefore reports whether an earlier statement of the file dropped the index.
func (l *linter) droppedBefore(name string) bool {
	for _, before := range l.parsed[:l.position] {
		if before.kind != "DropStmt" || before.node.text("removeType") != "OBJECT_INDEX" {
			continue
		}
		for _, object := range before.node.each("objects") {
			if lastName(objectName(object)) == name {
				return true
			}
		}
	}
	return false
}

func (l *linter) createFunction(n node) {
	f := &function{volatile: true, new: true}
	for _, option := range n.each("options") {
		if option.node.text("defname") == "volatility" {
			_, arg := option.node.any("arg")
			f.volatile = arg.text("sval") == "volatile"
		}
	}
	name := joined(n.names("funcname"))
	if statement := l.parsed[l.position]; statement.kind == "CreateFunctionStmt" {
		switch language(n) {
		case "plpgsql":
			f.definition, f.line = statement.SQL, statement.Line
		case "sql":
			f.statements = bodyText(n)
		}
	}
	if known := l.schema.functions[name]; known != nil && !known.new {
		f.new = false
	}
	l.schema.functions[name] = f
}
