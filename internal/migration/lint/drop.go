// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"slices"
	"strings"
)

var objectWords = map[string]string{
	"OBJECT_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_MATVIEW": "materialized view", "OBJECT_FUNCTION": "function",
	"OBJECT_PROCEDURE": "procedure", "OBJECT_ROUTINE": "routine", "OBJECT_TYPE": "type", "OBJECT_DOMAIN": "domain",
	"OBJECT_SEQUENCE": "sequence", "OBJECT_SCHEMA": "schema", "OBJECT_EXTENSION": "extension", "OBJECT_TRIGGER": "trigger",
	"OBJECT_POLICY": "policy", "OBJECT_RULE": "rule", "OBJECT_AGGREGATE": "aggregate", "OBJECT_OPERATOR": "operator",
	"OBJECT_FOREIGN_TABLE": "foreign table", "OBJECT_COLLATION": "collation", "OBJECT_COLUMN": "column", "OBJECT_CAST": "cast",
	"OBJECT_ATTRIBUTE": "attribute", "OBJECT_PUBLICATION": "publication", "OBJECT_FOREIGN_SERVER": "foreign server",
}

func word(objectType string) string {
	if text, known := objectWords[objectType]; known {
		return text
	}
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(objectType, "OBJECT_"), "_", " "))
}

const dropAdvice = "Drop it in a contract migration (slipway_migration with kind = \"contract\", or '-- slipway:kind contract' " +
	"in the file), when no version that uses it runs or could be rolled back to."

func (l *linter) drop(n node) {
	removed := n.text("removeType")
	cascade := n.text("behavior") == "DROP_CASCADE"
	objects := n.each("objects")
	if n.flag("concurrent") && (cascade || len(objects) > 1) {
		what := "several indexes at once"
		if cascade {
			what = "with CASCADE"
		}
		l.report(0, "concurrently-in-transaction", "", "PostgreSQL refuses DROP INDEX CONCURRENTLY "+what+", and the file fails.",
			"Drop one index in a statement, without CASCADE: DROP INDEX CONCURRENTLY a; DROP INDEX CONCURRENTLY b.")
		return
	}
	for _, object := range objects {
		name := objectName(object)
		switch removed {
		case "OBJECT_INDEX":
			l.dropIndex(n, lastName(name))
		case "OBJECT_TABLE", "OBJECT_FOREIGN_TABLE":
			l.dropTable(name, cascade)
		default:
			l.dropObject(removed, name, cascade)
		}
		l.schema.dropped[removed+" "+name] = true
	}
}

func (l *linter) dropIndex(n node, name string) {
	i := l.schema.indexes[name]
	if i != nil && l.schema.table(i.table).partitioned {
		if n.flag("concurrent") {
			l.report(0, "concurrently-on-partitioned", name, "PostgreSQL refuses DROP INDEX CONCURRENTLY for an index of a partitioned table.",
				"DROP INDEX, at a quiet time; the runner's lock timeout keeps the wait short.")
		}
		return
	}
	if t, c := l.schema.constraintOf(name); c != nil && !l.schema.unused(t.name) {
		l.report(0, "drop-constraint", name, "The index belongs to the constraint of that name of "+t.name+", and PostgreSQL refuses to drop it "+
			"without the constraint: the file fails.",
			"ALTER TABLE "+t.name+" DROP CONSTRAINT "+name+" in a contract migration, when no running version relies on it.")
		l.raise()
		return
	}
	if i == nil && strings.HasSuffix(name, "_pkey") {
		l.report(0, "drop-constraint", name, "An index of this name belongs to a primary key, and PostgreSQL refuses to drop it without the "+
			"constraint: the file fails.",
			"ALTER TABLE … DROP CONSTRAINT "+name+" in a contract migration, when no running version relies on it.")
		l.raise()
		return
	}
	delete(l.schema.indexes, name)
	l.schema.dropped["OBJECT_INDEX "+name] = true
	if i != nil && l.schema.unused(i.table) {
		return
	}
	if i != nil && i.enforces && !i.new && !l.contract() && !l.schema.hasIndexLike(i) {
		l.report(0, "drop-constraint", i.table, "The index enforces uniqueness: without it, duplicates can be written, and ON CONFLICT of the "+
			"running version fails.",
			"Build the index that replaces it first, or drop it in a contract migration, when no running version relies on it.")
	}
	if n.flag("concurrent") || i != nil && l.schema.isSmall(i.table) {
		return
	}
	l.report(0, "index-drop-blocks", name, "DROP INDEX waits for all queries of the table under an ACCESS EXCLUSIVE lock, and "+
		"every other query waits behind it.",
		"DROP INDEX CONCURRENTLY, in a file of its own with '-- +goose NO TRANSACTION'.")
	if i != nil {
		l.strongLock(i.table, 0)
	}
}

// constraintOf is the constraint whose index has a name.
func (s *schema) constraintOf(name string) (*table, *constraint) {
	for _, t := range s.tables {
		c := t.constraints[name]
		if c != nil && (c.kind == "CONSTR_UNIQUE" || c.kind == "CONSTR_PRIMARY" || c.kind == "CONSTR_EXCLUSION") {
			return t, c
		}
	}
	return nil, nil
}

// hasIndexLike reports whether another unique index, or a constraint, covers the columns of a unique index.
func (s *schema) hasIndexLike(i *index) bool {
	for _, other := range s.indexes {
		if other != i && other.table == i.table && other.unique && slices.Equal(other.columns, i.columns) {
			return true
		}
	}
	for _, c := range s.table(i.table).constraints {
		if (c.kind == "CONSTR_UNIQUE" || c.kind == "CONSTR_PRIMARY") && slices.Equal(c.columns, i.columns) {
			return true
		}
	}
	return false
}

func (l *linter) dropTable(name string, cascade bool) {
	t := l.schema.tables[name]
	delete(l.schema.tables, name)
	l.schema.forgetPartition(name)
	if t != nil && (t.new || t.temporary) || l.contract() {
		return
	}
	reason := "The running version may still use the table, and the rows are gone for good."
	if cascade {
		reason += " CASCADE takes views and foreign keys of other tables with it."
	}
	l.report(0, "drop-table", name, reason, dropAdvice)
	l.hold(name, true)
}

func (l *linter) dropObject(removed, name string, cascade bool) {
	known := removed + " " + name
	switch {
	case l.schema.created[known], l.contract():
		return
	case removed == "OBJECT_VIEW" || removed == "OBJECT_MATVIEW":
		if t := l.schema.tables[name]; t != nil && t.new {
			delete(l.schema.tables, name)
			return
		}
	case removed == "OBJECT_TYPE" || removed == "OBJECT_DOMAIN":
		if t := l.schema.types[name]; t != nil && t.new {
			return
		}
	case removed == "OBJECT_FUNCTION" || removed == "OBJECT_PROCEDURE":
		if f := l.schema.functions[name]; f != nil && f.new {
			return
		}
	case removed == "OBJECT_TRIGGER" || removed == "OBJECT_POLICY" || removed == "OBJECT_RULE":
		table := name[:max(0, strings.LastIndexByte(name, '.'))]
		if l.schema.unused(table) {
			return
		}
	case removed == "OBJECT_STATISTIC_EXT" || removed == "OBJECT_EVENT_TRIGGER":
		return
	}
	if !cascade && l.recreated(removed, name) {
		return
	}
	reason := fmt.Sprintf("The running version may still need the %s.", word(removed))
	if cascade {
		reason += " CASCADE also drops everything that depends on it."
	}
	l.report(0, "drop-object", name, reason, dropAdvice)
}

// recreated reports whether a later statement of the same transaction makes an object of that kind and name.
func (l *linter) recreated(removed, name string) bool {
	for _, later := range l.parsed[min(l.position+1, len(l.parsed)):] {
		if !l.tx.wrapped && !l.tx.perhaps || later.kind == "TransactionStmt" {
			return false
		}
		n := later.node
		var made, makes string
		switch later.kind {
		case "ViewStmt":
			made, makes = relationName(n.child("view")), "OBJECT_VIEW"
		case "CreateTableAsStmt":
			made, makes = relationName(n.child("into").child("rel")), n.text("objtype")
		case "CreateFunctionStmt":
			made, makes = joined(n.names("funcname")), "OBJECT_FUNCTION"
			if n.flag("is_procedure") {
				makes = "OBJECT_PROCEDURE"
			}
		case "CreateTrigStmt":
			made, makes = relationName(n.child("relation"))+"."+n.text("trigname"), "OBJECT_TRIGGER"
		case "CreatePolicyStmt":
			made, makes = relationName(n.child("table"))+"."+n.text("policy_name"), "OBJECT_POLICY"
		case "RuleStmt":
			made, makes = relationName(n.child("relation"))+"."+n.text("rulename"), "OBJECT_RULE"
		case "CreateEnumStmt":
			made, makes = joined(n.names("typeName")), "OBJECT_TYPE"
		case "CompositeTypeStmt":
			made, makes = relationName(n.child("typevar")), "OBJECT_TYPE"
		default:
			continue
		}
		if made == name && makes == removed {
			return true
		}
	}
	return false
}

func (l *linter) rename(n node) {
	kind := n.text("renameType")
	name := relationName(n.child("relation"))
	to := n.text("newname")
	object, what := name, word(kind)
	unused := name != "" && l.schema.unused(name)
	switch kind {
	case "OBJECT_INDEX":
		if i := l.schema.indexes[lastName(name)]; i != nil {
			delete(l.schema.indexes, lastName(name))
			l.schema.indexes[to] = i
		}
		return
	case "OBJECT_TABCONSTRAINT":
		t := l.schema.table(name)
		if c := t.constraints[n.text("subname")]; c != nil {
			delete(t.constraints, n.text("subname"))
			t.constraints[to] = c // and its index, if it has one
		}
		l.strongLock(name, 0)
		return
	case "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE", "OBJECT_DOMCONSTRAINT", "OBJECT_STATISTIC_EXT":
		return
	case "OBJECT_COLUMN":
		t := l.schema.table(name)
		object = name + "." + n.text("subname")
		if c := t.columns[n.text("subname")]; c != nil {
			unused = unused || c.new
		}
		l.schema.renameColumn(t, n.text("subname"), to)
	case "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE":
		full := to
		if schema, _, found := strings.Cut(name, "."); found {
			full = schema + "." + to
		}
		l.schema.moveTable(name, full)
		if !unused && l.viewLater(name) {
			l.warn(0, "rename", object, "The view of the old name replaces the table, but not for everything: locks, COPY, TRUNCATE, "+
				"triggers and ON CONFLICT of the running version may fail on it.",
				"Make sure that the running version does not use them, and acknowledge the finding.")
			return
		}
	case "OBJECT_SEQUENCE":
		unused = l.schema.created["OBJECT_SEQUENCE "+name]
	default:
		_, target := n.any("object")
		if target != nil {
			k, inner := n.any("object")
			object = objectName(wrapped{k, inner})
		}
		if kind == "OBJECT_SCHEMA" || kind == "OBJECT_DATABASE" || kind == "OBJECT_ROLE" {
			object = n.text("subname")
		}
		unused = l.schema.created[kind+" "+object]
		if t := l.schema.types[object]; t != nil {
			unused = unused || t.new
			delete(l.schema.types, object)
			l.schema.types[to] = t
		}
		if f := l.schema.functions[object]; f != nil {
			unused = unused || f.new
		}
	}
	if unused {
		return
	}
	l.report(0, "rename", object, fmt.Sprintf("The running version uses the old name of the %s, and fails the moment that it is %s.", what,
		to),
		"Add the new one next to the old one, keep both in sync (a trigger, or a view of the old name), switch the application, and "+
			"drop the old one in a later, contract migration.")
	if kind == "OBJECT_COLUMN" || kind == "OBJECT_TABLE" {
		l.strongLock(name, 0)
	}
}

// moveTable gives a table another name.
func (s *schema) moveTable(name, full string) {
	moved := *s.table(name)
	delete(s.tables, name)
	moved.name = full
	s.tables[full] = &moved
	s.movePartition(name, full)
	for _, i := range s.indexes {
		if i.table == name {
			i.table = full
		}
	}
}

// viewLater reports whether a later statement of the same transaction makes a view of the name.
func (l *linter) viewLater(name string) bool {
	return (l.tx.wrapped || l.tx.perhaps) && l.recreated("OBJECT_VIEW", name)
}

func (l *linter) moveSchema(n node) {
	name := relationName(n.child("relation"))
	if name == "" {
		kind, object := n.any("object")
		name = objectName(wrapped{kind, object})
	} else if l.schema.unused(name) {
		return
	}
	if l.schema.created[n.text("objectType")+" "+name] {
		return
	}
	if full := qualified(n.text("newschema"), lastName(name)); n.text("objectType") == "OBJECT_TABLE" {
		l.schema.moveTable(name, full)
		defer l.strongLock(full, 0)
	}
	l.report(0, "move-schema", name, "The running version does not find it in the schema "+n.text("newschema")+".",
		"Make a view of the old name in the same transaction, or add the new one next to the old one and drop the old one in a "+
			"contract migration.")
}
