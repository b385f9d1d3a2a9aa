// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"slices"
)

// harmless are the commands of ALTER TABLE with a weak lock, or with one so short that no application notices it.
var harmless = map[string]bool{
	"AT_SetStatistics": true, "AT_SetOptions": true, "AT_ResetOptions": true, "AT_SetRelOptions": true, "AT_ResetRelOptions": true,
	"AT_ValidateConstraint": true, "AT_AttachPartition": true, "AT_DetachPartition": true, "AT_DetachPartitionFinalize": true,
	"AT_ClusterOn": true, "AT_DropCluster": true, "AT_ReplicaIdentity": true,
}

func (l *linter) alterTable(n node, newForms forms) {
	relation := n.child("relation")
	name := relationName(relation)
	objtype := n.text("objtype")
	if l.schema.created["OBJECT_SEQUENCE "+name] || l.schema.created["OBJECT_VIEW "+name] {
		return // ALTER TABLE also accepts these
	}
	if objtype == "OBJECT_INDEX" || objtype == "OBJECT_SEQUENCE" || objtype == "OBJECT_TYPE" {
		l.alterOther(n, objtype, name)
		return
	}
	t := l.schema.table(name)
	strong := false
	droppedCheck := map[string]bool{} // columns whose proof of NOT NULL this statement drops
	for _, command := range n.each("cmds") {
		cmd := command.node
		if cmd.text("subtype") == "AT_DropConstraint" {
			if c := t.constraints[cmd.text("name")]; c != nil && c.notNull != "" {
				droppedCheck[c.notNull] = true
			}
		}
	}
	for _, command := range n.each("cmds") {
		cmd := command.node
		subtype := cmd.text("subtype")
		strong = strong || !harmless[subtype]
		l.alterCommand(t, subtype, cmd, newForms, droppedCheck)
	}
	if strong {
		l.strongLock(name, 0)
	}
}

func (l *linter) alterCommand(t *table, subtype string, cmd node, newForms forms, droppedCheck map[string]bool) {
	_, def := cmd.any("def")
	name := cmd.text("name")
	object := t.name + "." + name
	unused, small := l.schema.unused(t.name), l.schema.isSmall(t.name)
	contract := l.contract()
	offset := def.location()
	switch subtype {
	case "AT_AddColumn":
		l.addColumn(t, def, newForms)
	case "AT_DropColumn":
		l.dropColumn(t, name, contract)
	case "AT_AlterColumnType":
		l.changeType(t, cmd)
	case "AT_AddConstraint":
		l.addConstraint(t, def, newForms)
	case "AT_ValidateConstraint":
		l.validate(t, name)
	case "AT_DropConstraint":
		l.dropConstraint(t, name, contract, cmd.text("behavior") == "DROP_CASCADE")
	case "AT_SetNotNull":
		l.setNotNull(t, name, droppedCheck)
	case "AT_DropNotNull":
		c := t.column(name)
		if !unused && !c.new && !contract {
			l.report(0, "drop-not-null", object, "New versions may write nulls, which the running version has never met in "+name+".",
				"Make sure that the running version can read a null there, and acknowledge the finding.")
		}
		c.notNull = false
	case "AT_ColumnDefault":
		l.columnDefault(t, name, def)
	case "AT_AlterConstraint":
		if newForms.enforced && !unused && !small {
			l.report(0, "foreign-key-scans", t.name, "Enforcing the constraint checks every row of "+t.name+" under a lock.",
				"Add a new constraint NOT VALID, validate it in a later transaction, then drop the old one.")
		}
	case "AT_SetExpression":
		if !unused && !small {
			l.report(0, "generated-rewrites", object, "SET EXPRESSION rewrites all rows of "+t.name+" under an ACCESS EXCLUSIVE lock.",
				"Add a new column for the new expression and switch the readers to it.")
		}
	case "AT_SetLogged", "AT_SetUnLogged", "AT_SetTableSpace", "AT_SetAccessMethod":
		if !unused && !small {
			what := map[string]string{
				"AT_SetLogged":       "SET LOGGED",
				"AT_SetUnLogged":     "SET UNLOGGED",
				"AT_SetTableSpace":   "SET TABLESPACE",
				"AT_SetAccessMethod": "SET ACCESS METHOD",
			}[subtype]
			l.report(0, "table-rewrite", t.name, what+" rewrites "+t.name+" under an ACCESS EXCLUSIVE lock: nothing reads or writes it until then.",
				"Copy into a new table in batches and switch over, or do it in a maintenance window.")
		}
	case "AT_EnableRowSecurity", "AT_ForceRowSecurity":
		l.enableRowSecurity(t)
	case "AT_ReplicaIdentity":
		if !unused {
			if def.text("identity_type") == "n" {
				l.report(0, "replica-identity", t.name, "Without a replica identity, updates and deletes of a published table fail.",
					"Keep an identity: DEFAULT, or USING INDEX with a unique index on columns that are NOT NULL.")
				l.raise()
			} else {
				l.report(0, "replica-identity", t.name,
					"Changing the replica identity changes what logical replication sends; FULL makes every update larger.",
					"Check the subscribers, and acknowledge the finding.")
			}
		}
	case "AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser":
		if !unused {
			l.report(0, "trigger-disabled", t.name,
				"While triggers are off, for all sessions, what they keep in step is not, and ALL switches off foreign keys too.",
				"Set session_replication_role for the session that loads data, or make the trigger's function leave out these rows.")
		}
	case "AT_ChangeOwner":
		if !unused {
			l.report(0, "access-change", t.name, "The new owner has all rights on "+t.name+", and the old one those that were granted: "+
				"the running version may lose access.", "Grant the new role what it needs, deploy, and change the owner in a contract migration.")
		}
	case "AT_AttachPartition":
		l.attach(t, def)
	case "AT_DetachPartition":
		if !unused && !def.flag("concurrent") {
			l.report(0, "detach-blocks", t.name, "DETACH PARTITION holds ACCESS EXCLUSIVE locks on the parent and the partition: nothing "+
				"reads or writes "+t.name+", and it waits for all that runs on it.",
				"ALTER TABLE … DETACH PARTITION … CONCURRENTLY, in a file of its own with '-- +goose NO TRANSACTION'.")
			l.strongLock(t.name, 0)
		}
		if def.flag("concurrent") && t.hasDefault {
			l.report(0, "detach-blocks", t.name, "PostgreSQL refuses to detach a partition CONCURRENTLY while the table has a DEFAULT partition.",
				"Detach the DEFAULT partition first, at a quiet time.")
		}
	case "AT_AddInherit", "AT_DropInherit":
		if !unused {
			l.report(0, "inheritance-change", t.name, "Queries of the parent see other rows at once.",
				"Make sure that the running version does not mind, and acknowledge the finding.")
		}
	case "AT_DropIdentity", "AT_SetIdentity":
		if !unused && !t.column(name).new {
			l.report(offset, "sequence-change", object, "The running version relies on the numbers that the column gets by itself.",
				"Keep the identity until no running version needs it, and do this in a contract migration.")
		}
	}
}

// raise turns the last finding into an error.
func (l *linter) raise() {
	if last := len(l.findings) - 1; last >= 0 && l.analyzing {
		l.findings[last].Severity = Error
	}
}

func (l *linter) contract() bool { return l.options.Contract || l.current.Contract }

func (l *linter) alterOther(n node, objtype, name string) {
	for _, command := range n.each("cmds") {
		subtype := command.node.text("subtype")
		switch {
		case objtype == "OBJECT_INDEX" && subtype == "AT_SetTableSpace":
			if i := l.schema.indexes[lastName(name)]; i == nil || !l.schema.free(i.table) {
				l.report(0, "table-rewrite", name, "SET TABLESPACE rewrites the index under an ACCESS EXCLUSIVE lock.",
					"REINDEX (CONCURRENTLY, TABLESPACE …) INDEX "+name+".")
			}
		case objtype == "OBJECT_SEQUENCE" && subtype == "AT_ChangeOwner":
			if !l.schema.created["OBJECT_SEQUENCE "+name] {
				l.report(0, "access-change", name, "The running version may lose access to the sequence.",
					"Grant the new role what it needs, and change the owner in a contract migration.")
			}
		case objtype == "OBJECT_TYPE":
			if known := l.schema.types[name]; known != nil && known.new {
				continue
			}
			if subtype == "AT_DropColumn" && !l.contract() {
				l.report(0, "drop-object", name, "The running version may still read the attribute "+command.node.text("name")+".",
					"Do it in a contract migration, when no version that reads it runs.")
			}
			if subtype == "AT_AlterColumnType" {
				l.report(0, "type-change", name, "The running version reads and writes the old type of the attribute.",
					"Add an attribute of the new type.")
			}
		}
	}
}

func (l *linter) addColumn(t *table, def node, newForms forms) {
	unused, small := l.schema.unused(t.name), l.schema.isSmall(t.name)
	existed := t.columns[def.text("colname")]
	c := t.define(def)
	name := def.text("colname")
	object := t.name + "." + name
	offset := def.location()
	for _, item := range def.each("constraints") {
		if kind := item.node.text("contype"); kind == "CONSTR_CHECK" || kind == "CONSTR_FOREIGN" {
			added := l.note(t, item.node, newForms)
			if len(added.columns) == 0 {
				added.columns = []string{name}
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
	if domain := l.schema.types[c.typ.name]; domain != nil && domain.constrained && !small {
		l.report(offset, "default-rewrites", object, "A column of a domain with constraints rewrites "+t.name+" under an ACCESS EXCLUSIVE lock.",
			"Use the plain type and a CHECK constraint NOT VALID.")
	}
	generated := false
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
			generated = true
			if !newForms.virtual[at] && !small {
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
			if !small && !k.flag("skip_validation") {
				l.report(at, "check-scans", object, "All rows are read for the CHECK under an ACCESS EXCLUSIVE lock.",
					"Add the column alone, ADD CONSTRAINT … CHECK … NOT VALID, and VALIDATE CONSTRAINT in a later transaction.")
			}
		case "CONSTR_FOREIGN":
			if target := relationName(k.child("pktable")); !small {
				l.report(at, "foreign-key-scans", object, fmt.Sprintf("The foreign key locks %s against all use and %s against writes; with "+
					"a default, all rows are checked as long.", t.name, target),
					"Add the column alone, ADD CONSTRAINT … FOREIGN KEY … NOT VALID, and VALIDATE CONSTRAINT in a later transaction.")
			}
		}
	}
	if c.notNull && !c.hasDefault && !generated && !c.typ.serial() {
		l.report(offset, "column-required", object, "The statement fails if "+t.name+" has rows, and else the INSERTs of the running "+
			"version fail, which do not know the column.",
			"Give the column a constant DEFAULT, or let it be null until no old version writes.")
	}
}

func isNull(kind string, n node) bool {
	if kind == "TypeCast" {
		kind, n = n.any("arg")
	}
	return kind == "A_Const" && n.flag("isnull")
}

func (l *linter) columnDefault(t *table, name string, def node) {
	c := t.column(name)
	if def != nil {
		c.hasDefault = true
		return
	}
	c.hasDefault = false
	if l.schema.unused(t.name) || l.contract() {
		return
	}
	object := t.name + "." + name
	switch {
	case c.required:
		l.report(0, "column-required", object, "With its default gone, the new NOT NULL column makes the INSERTs of the running "+
			"version fail, which do not know it.",
			"Keep the default until no old version writes, and drop it in a contract migration.")
	case c.new:
	default:
		l.report(0, "drop-default", object, "The running version may leave the column to its default.",
			"Drop the default in a contract migration, when every running version writes the column.")
		if c.notNull {
			l.raise()
		}
	}
}

func (l *linter) dropColumn(t *table, name string, contract bool) {
	c := t.columns[name]
	delete(t.columns, name)
	if l.schema.unused(t.name) || contract || c != nil && c.new {
		return
	}
	l.report(0, "drop-column", t.name+"."+name, "The running version may still read or write the column, and fails as soon as it "+
		"is gone; a rollback to that version is no longer possible.",
		"Drop it in a contract migration (slipway_migration with kind = \"contract\", or '-- slipway:kind contract' in the file), "+
			"when no version that names it runs or could be rolled back to.")
}

func (l *linter) dropConstraint(t *table, name string, contract, cascade bool) {
	c := t.constraints[name]
	delete(t.constraints, name)
	if l.schema.unused(t.name) || contract || c != nil && c.new {
		return
	}
	kind := ""
	switch {
	case c != nil:
		kind = c.kind
	case matches(name, "_pkey", "_pk", "pk_", "primary"):
		kind = "CONSTR_PRIMARY"
	case matches(name, "_key", "uniq", "uq_", "_uq", "uk_", "_uk"):
		kind = "CONSTR_UNIQUE"
	}
	switch kind {
	case "CONSTR_PRIMARY":
		if slices.ContainsFunc(l.addedLater(t.name), func(added node) bool {
			return added.text("contype") == "CONSTR_PRIMARY" && added.text("indexname") != ""
		}) {
			return // replaced in the same transaction
		}
		l.report(0, "drop-constraint", t.name, "Without a primary key, logical replication of updates and deletes fails, ON CONFLICT "+
			"of the running version fails, and duplicates can be written.",
			"Build the new unique index first, set REPLICA IDENTITY USING INDEX where the table is published, and exchange the keys in "+
				"one ALTER TABLE … USING INDEX.")
		l.raise()
	case "CONSTR_UNIQUE":
		l.report(0, "drop-constraint", t.name, "The running version may rely on the constraint, for example with ON CONFLICT, and "+
			"duplicates can be written from now on.",
			"Drop it in a contract migration, when no running version relies on it.")
		if cascade {
			l.raise() // the foreign keys that refer to it are dropped, too
		}
	}
}

// addedLater are the constraints that the current statement and later ones of the file add to a table.
func (l *linter) addedLater(name string) []node {
	var added []node
	for _, later := range l.parsed[l.position:] {
		if later.kind != "AlterTableStmt" || relationName(later.node.child("relation")) != name {
			continue
		}
		for _, command := range later.node.each("cmds") {
			if _, def := command.node.any("def"); command.node.text("subtype") == "AT_AddConstraint" {
				added = append(added, def)
			}
		}
	}
	return added
}
