// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"strings"
)

func (l *linter) addConstraint(t *table, def node, newForms forms) {
	unused, small := l.schema.unused(t.name), l.schema.isSmall(t.name)
	notValid := def.flag("skip_validation")
	offset := def.location()
	added := l.note(t, def, newForms)
	if added.kind == "CONSTR_FOREIGN" {
		target := relationName(def.child("pktable"))
		l.lockTarget(t, def)
		if !unused && t.partitioned && notValid && !newForms.notEnforced && l.options.Postgres > 0 && l.options.Postgres < 18 {
			l.report(offset, "wrong-version", t.name,
				"Before PostgreSQL 18, a foreign key on a partitioned table cannot be NOT VALID: the statement fails.",
				"Add the foreign key NOT VALID to each partition, validate it there, then add it to the parent.")
		}
		if unused && t.filled && !notValid && !l.schema.free(target) {
			l.report(offset, "foreign-key-scans", t.name, fmt.Sprintf("All rows that the files put into %s are looked up in %s, while nothing can "+
				"write to %s.", t.name, target, target),
				"Add the foreign key before the rows, or ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in a later transaction.")
		}
		if unused {
			return
		}
		if !notValid && !small {
			l.report(offset, "foreign-key-scans", t.name, fmt.Sprintf("All rows of %s are checked while neither it nor %s can be written.", t.name,
				target),
				"ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in a later transaction.")
		}
		return
	}
	if unused || small {
		return
	}
	switch added.kind {
	case "CONSTR_UNIQUE", "CONSTR_PRIMARY":
		using := def.text("indexname")
		if using == "" {
			l.report(offset, "constraint-builds-index", t.name, "The index of the constraint is built under an ACCESS EXCLUSIVE lock: "+
				"nothing reads or writes "+t.name+" until then.",
				"CREATE UNIQUE INDEX CONCURRENTLY in a file of its own, then ADD CONSTRAINT … USING INDEX.")
			return
		}
		if added.kind == "CONSTR_PRIMARY" {
			l.primaryKeyUsing(t, added.columns, offset)
		}
	case "CONSTR_EXCLUSION":
		l.report(offset, "exclusion-constraint", t.name, "The index of an EXCLUDE constraint is built under an ACCESS EXCLUSIVE lock, "+
			"and there is no form that does not.",
			"Make a new table with the constraint and move the rows in batches, or do it in a maintenance window.")
	case "CONSTR_CHECK":
		if !notValid {
			l.report(offset, "check-scans", t.name,
				"All rows are read under an ACCESS EXCLUSIVE lock: nothing reads or writes "+t.name+" until then.",
				"ADD CONSTRAINT … CHECK … NOT VALID, and VALIDATE CONSTRAINT in a later transaction.")
		}
	case "CONSTR_NOTNULL":
		if !notValid && !t.provesNotNull(added.columns[0], nil) {
			l.report(offset, "not-null-scans", t.name+"."+added.columns[0], "All rows are read under an ACCESS EXCLUSIVE lock: nothing "+
				"reads or writes "+t.name+" until then.",
				"ADD CONSTRAINT … NOT NULL … NOT VALID, and VALIDATE CONSTRAINT in a later transaction.")
		}
	}
}

// primaryKeyUsing takes the columns of the index, which are none if no file shows it.
func (l *linter) primaryKeyUsing(t *table, columns []string, offset int) {
	for _, name := range columns {
		c := t.columns[name]
		if c == nil || !c.known || t.provesNotNull(name, nil) || c.nullProof() {
			continue
		}
		l.report(offset, "primary-key-scans", t.name+"."+name, fmt.Sprintf("%s may be null: PostgreSQL reads all rows under an ACCESS "+
			"EXCLUSIVE lock to make it NOT NULL for the primary key.", name),
			"ADD CHECK ("+name+" IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT in a later transaction, SET NOT NULL, and then the primary key.")
	}
}

// nullProof reports whether the column was NOT NULL before the primary key made it so.
func (c *column) nullProof() bool { return c.notNull && c.typ.name != "" && !c.becameKey }

func (l *linter) validate(t *table, name string) {
	c := t.constraints[name]
	if c != nil && (c.validated || c.notEnforced) { // the latter is refused
		return
	}
	// A constraint that no file shows may be one that is not valid.
	if locked, held, ok := l.whileLocked(); ok && !l.schema.free(t.name) {
		l.report(0, "validate-in-same-transaction", t.name, fmt.Sprintf("VALIDATE reads all rows of %s while the transaction holds the lock "+
			"on %s that it took in line %d: %s %s until then, and NOT VALID has no benefit.", t.name, locked, held.line, held.blocks(), locked),
			"VALIDATE CONSTRAINT as the only command of a statement, in a file of its own, which runs in a later transaction.")
	}
	if c == nil {
		return
	}
	c.validated = true
	if c.kind == "CONSTR_NOTNULL" && len(c.columns) == 1 {
		t.column(c.columns[0]).notNull = true
	}
}

func (l *linter) setNotNull(t *table, name string, dropped map[string]bool) {
	c := t.column(name)
	was := c.notNull
	c.notNull = true
	if c.new && l.analyzing && !l.schema.unused(t.name) && !c.hasDefault {
		c.required = true
	}
	if was || l.schema.free(t.name) {
		return
	}
	object := t.name + "." + name
	const advice = "ADD CONSTRAINT … CHECK (%[1]s IS NOT NULL) NOT VALID; VALIDATE CONSTRAINT in a later transaction; then SET NOT " +
		"NULL, which reads nothing; then DROP CONSTRAINT in a statement of its own. From PostgreSQL 18 on: ADD CONSTRAINT … NOT NULL " +
		"%[1]s NOT VALID, then VALIDATE CONSTRAINT."
	switch {
	case t.provesNotNull(name, dropped):
	case t.provesNotNull(name, nil):
		l.report(0, "not-null-scans", object, "The CHECK that shows that there are no nulls is dropped by the same statement: "+
			"PostgreSQL does not use it, and reads all rows under an ACCESS EXCLUSIVE lock.",
			"DROP CONSTRAINT in a statement of its own, after SET NOT NULL.")
	case l.proofDroppedLater(t, name), l.proofValidatedUnseen(t, name):
	default:
		l.report(0, "not-null-scans", object, "All rows are read under an ACCESS EXCLUSIVE lock: nothing reads or writes "+t.name+" until then.",
			fmt.Sprintf(advice, name))
	}
}

// proofDroppedLater reports whether a later statement drops a constraint that is not in these files but has the name of the CHECK for
// this column: the last step of the safe form, whose earlier steps are in another set of files.
func (l *linter) proofDroppedLater(t *table, column string) bool {
	for _, later := range l.parsed[min(l.position+1, len(l.parsed)):] {
		if later.kind != "AlterTableStmt" || relationName(later.node.child("relation")) != t.name {
			continue
		}
		for _, command := range later.node.each("cmds") {
			if command.node.text("subtype") == "AT_DropConstraint" && l.namesProof(t, command.node.text("name"), column) {
				return true
			}
		}
	}
	return false
}

// proofValidatedUnseen reports the same for a constraint that was validated in these files and added in others.
func (l *linter) proofValidatedUnseen(t *table, column string) bool {
	for _, before := range l.parsed[:l.position] {
		if before.kind != "AlterTableStmt" || relationName(before.node.child("relation")) != t.name {
			continue
		}
		for _, command := range before.node.each("cmds") {
			if command.node.text("subtype") == "AT_ValidateConstraint" && l.namesProof(t, command.node.text("name"), column) {
				return true
			}
		}
	}
	return false
}

func (l *linter) namesProof(t *table, name, column string) bool {
	_, known := t.constraints[name]
	return !known && strings.Contains(name, column) && matches(name, "null", "_nn", "nn_", "check", "chk", "present", "required")
}

// matches reports whether a name contains one of the parts.
func matches(name string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(strings.ToLower(name), part) {
			return true
		}
	}
	return false
}
