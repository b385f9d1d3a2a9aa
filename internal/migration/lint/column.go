// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import "fmt"

func (l *linter) addColumn(t *table, def node, newForms forms) {
	unused, small := l.schema.unused(t.name), l.schema.isSmall(t.name)
	existed := t.columns[def.text("colname")]
	c := t.define(def)
	name := def.text("colname")
	object := t.name + "." + name
	offset := def.location()
	for _, item := range def.each("constraints") {
		if kind := item.node.text("contype"); kind == "CONSTR_CHECK" || kind == "CONSTR_FOREIGN" {
			l.noteOfColumn(t, name, item.node, newForms)
			if kind == "CONSTR_FOREIGN" {
				l.lockTarget(t, item.node)
			}
		}
	}
	if unused || existed != nil && existed.known && existed.new {
		return
	}
	c.required = c.notNull
	if c.typ.name == "json" {
		l.report(offset, "json-column", object, "json has no equality: SELECT DISTINCT and UNION over the table fail once it has such a column.",
			"Use jsonb.")
	}
	const addEmpty = "Add the column without it, ALTER COLUMN … SET DEFAULT for new rows, and fill the old rows in batches."
	if c.typ.serial() && !small {
		l.report(offset, "serial-rewrites", object, "Every row gets a number: "+t.name+" is rewritten under an ACCESS EXCLUSIVE lock.",
			"Add a plain column, create a sequence, SET DEFAULT nextval(…), and number the old rows in batches.")
	}
	if _, constrained := l.schema.resolve(c.typ); constrained && !small {
		l.report(offset, "default-rewrites", object, "A column of a domain with constraints rewrites "+t.name+" under an ACCESS EXCLUSIVE lock.",
			"Use the plain type and a CHECK constraint NOT VALID.")
	}
	const addColumnFirst = "Add the column alone, ADD CONSTRAINT … FOREIGN KEY … NOT VALID, and VALIDATE CONSTRAINT in a later transaction."
	generated, virtual := generation(def, newForms)
	for _, item := range def.each("constraints") {
		k, at := item.node, item.node.location()
		switch k.text("contype") {
		case "CONSTR_DEFAULT":
			kind, expression := k.any("raw_expr")
			c.hasDefault = !isNull(kind, expression)
			if what := l.volatile(kind, expression); what != "" && !small {
				l.report(at, "default-rewrites", object, what+" gives each row another value: "+t.name+" is rewritten under an ACCESS EXCLUSIVE lock.",
					addEmpty)
			}
		case "CONSTR_IDENTITY":
			if !small {
				l.report(at, "serial-rewrites", object, "Every row gets a number: "+t.name+" is rewritten under an ACCESS EXCLUSIVE lock.",
					"Add a plain column, number the old rows in batches, make it NOT NULL through a validated CHECK, then ADD GENERATED … AS IDENTITY.")
			}
		case "CONSTR_GENERATED":
			if !virtual && !small {
				l.report(at, "generated-rewrites", object,
					"A stored generated column is computed for every row: "+t.name+" is rewritten under an ACCESS EXCLUSIVE lock.",
					"Add a plain column, keep it up to date with a trigger or in the application, and fill the old rows in batches; from "+
						"PostgreSQL 18 on, a VIRTUAL column costs nothing.")
			}
		case "CONSTR_UNIQUE", "CONSTR_PRIMARY":
			if !small {
				l.report(at, "constraint-builds-index", object, "The index of the constraint is built under an ACCESS EXCLUSIVE lock: "+
					"nothing reads or writes "+t.name+" until then.",
					"Add the column alone, CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX.")
			}
		case "CONSTR_CHECK":
			if !small && !newForms.unenforced[at] {
				l.report(at, "check-scans", object, "All rows are read for the CHECK under an ACCESS EXCLUSIVE lock.",
					"Add the column alone, ADD CONSTRAINT … CHECK … NOT VALID, and VALIDATE CONSTRAINT in a later transaction.")
			}
		case "CONSTR_FOREIGN":
			target := relationName(k.child("pktable"))
			switch {
			case small || newForms.unenforced[at]:
			case c.hasDefault || generated:
				l.report(at, "foreign-key-scans", object, fmt.Sprintf("All rows of %s are checked while nothing can use it, and nothing can "+
					"write to %s.", t.name, target), addColumnFirst)
			default:
				l.warn(at, "foreign-key-scans", object, fmt.Sprintf("No row is checked, since the column is null in all of them, but while "+
					"the statement waits for the lock against writes to %s, nothing can use %s.", target, t.name), addColumnFirst)
			}
		case "CONSTR_NOTNULL":
			if generated && virtual && !small {
				l.report(at, "not-null-scans", object, "PostgreSQL computes the virtual column for all rows under an ACCESS EXCLUSIVE lock, "+
					"to see that none is null.", "Add the column without NOT NULL, then ADD CONSTRAINT … NOT NULL … NOT VALID, and VALIDATE "+
					"CONSTRAINT in a later transaction.")
			}
		}
	}
	if c.notNull && !c.hasDefault && !generated && !c.typ.serial() {
		l.report(offset, "column-required", object, "The statement fails if "+t.name+" has rows, and else the INSERTs of the running "+
			"version fail, which do not know the column.",
			"Give the column a constant DEFAULT, or let it be null until no old version writes.")
	}
}

// generation reports whether a column is generated, and whether it is virtual.
func generation(def node, newForms forms) (generated, virtual bool) {
	for _, item := range def.each("constraints") {
		if item.node.text("contype") == "CONSTR_GENERATED" {
			return true, newForms.virtual[item.node.location()]
		}
	}
	return false, false
}

func isNull(kind string, n node) bool {
	if kind == "TypeCast" {
		kind, n = n.any("arg")
	}
	return kind == "A_Const" && n.flag("isnull")
}
