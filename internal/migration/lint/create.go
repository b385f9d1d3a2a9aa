// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"maps"
	"slices"
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
	t := newTable(name)
	t.new, t.view, t.temporary = true, view, relation.text("relpersistence") == "t"
	l.schema.tables[name] = t
	return t
}

func (l *linter) createTable(n node, newForms forms) {
	t := l.addRelation(n.child("relation"), false)
	if t == nil || !t.new {
		return
	}
	t.defined = true
	if spec := n.child("partspec"); spec != nil {
		t.partitioned, t.key = true, partitionKey(spec)
	}
	for _, element := range n.each("tableElts") {
		switch element.kind {
		case "ColumnDef":
			t.define(element.node)
			for _, item := range element.node.each("constraints") {
				if kind := item.node.text("contype"); kind == "CONSTR_CHECK" || kind == "CONSTR_FOREIGN" {
					l.noteOfColumn(t, element.node.text("colname"), item.node, newForms)
				}
			}
		case "Constraint":
			l.note(t, element.node, newForms)
		case "TableLikeClause":
			t.copyColumns(l.schema.table(relationName(element.node.child("relation"))), element.node.number("options"))
		}
	}
	for _, parent := range n.each("inhRelations") {
		of := l.schema.table(relationName(parent.node))
		t.copyColumns(of, likeConstraints)
		if bounds := n.child("partbound"); bounds != nil {
			l.createPartition(of, t, bounds)
		}
	}
	for _, element := range n.each("tableElts") {
		constraints := []wrapped{element}
		if element.kind == "ColumnDef" {
			constraints = element.node.each("constraints")
		}
		for _, c := range constraints {
			if c.node.text("contype") == "CONSTR_FOREIGN" {
				l.lockTarget(t, c.node)
			}
		}
	}
}

// likeConstraints is PostgreSQL's bit of LIKE … INCLUDING CONSTRAINTS.
const likeConstraints = 1 << 2

// copyColumns takes over the columns of another table as LIKE and PARTITION OF do.
func (t *table) copyColumns(of *table, options int) {
	for name, c := range of.columns {
		copied := *c
		t.columns[name] = &copied
	}
	for name, c := range of.constraints {
		if c.kind == "CONSTR_CHECK" && options&likeConstraints != 0 {
			copied := *c
			copied.notNull, copied.uses, copied.columns = maps.Clone(c.notNull), maps.Clone(c.uses), slices.Clone(c.columns)
			copied.validated = !c.notEnforced
			t.constraints[name] = &copied
		}
	}
}

// createTableAs analyzes CREATE TABLE AS and CREATE MATERIALIZED VIEW.
func (l *linter) createTableAs(n node) {
	into := n.child("into")
	_, query := n.any("query")
	t := l.addRelation(into.child("rel"), n.text("objtype") == "OBJECT_MATVIEW")
	if into.flag("skipData") {
		return
	}
	l.reads(query)
	if t != nil && t.new {
		t.filled = l.selectsMany(query)
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
	c := &constraint{kind: n.text("contype"), new: true}
	c.notEnforced = newForms.unenforced[n.location()]
	c.validated = !n.flag("skip_validation") && !c.notEnforced
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
		delete(l.schema.indexes, using) // it has the name of the constraint from now on
	}
	if c.kind == "CONSTR_CHECK" {
		kind, expression := n.any("raw_expr")
		c.expression, c.uses, c.notNull = wrapped{kind, expression}, columnsIn(n, "raw_expr"), notNullIf(true, kind, expression)
	}
	name := constraintName(n, t, strings.Join(c.columns, "_"))
	if columnName, is := newForms.notNull[n.text("conname")]; is && c.kind == "CONSTR_CHECK" {
		c.kind, c.columns, c.notNull = "CONSTR_NOTNULL", []string{columnName}, nil
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

// noteOfColumn records a constraint in the definition of a column.
func (l *linter) noteOfColumn(t *table, column string, n node, newForms forms) {
	c := l.note(t, n, newForms)
	if len(c.columns) > 0 {
		return
	}
	if n.text("conname") == "" {
		delete(t.constraints, constraintName(n, t, ""))
		t.constraints[constraintName(n, t, column)] = c
	}
	c.columns = []string{column}
}

// constraintName is the name of a constraint, or PostgreSQL's default name.
func constraintName(n node, t *table, columns string) string {
	if name := n.text("conname"); name != "" {
		return name
	}
	if using := n.text("indexname"); using != "" {
		return using
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
	i := &index{table: t.name, new: true, unique: n.flag("unique"), enforces: n.flag("unique")}
	i.uses = columnsIn(n, "indexParams", "whereClause")
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
	// On a partitioned table, ON ONLY builds nothing. A table that no file shows is taken for one.
	case n.child("relation").flag("inh") || t.defined && !t.partitioned:
		if !l.schema.isSmall(name) {
			advice := "CREATE INDEX CONCURRENTLY, in a file of its own with '-- +goose NO TRANSACTION'."
			if t.partitioned {
				advice = "CREATE INDEX … ON ONLY " + name + ", then CREATE INDEX CONCURRENTLY on each partition and ALTER INDEX … ATTACH PARTITION."
			}
			l.report(offset, "index-blocks-writes", name,
				"CREATE INDEX holds a SHARE lock: nothing can be written to "+name+" until the index is built.", advice)
		}
		l.writeLock(name, offset)
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
