// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import "slices"

// harmless are the commands of ALTER TABLE with a weak lock, or with one so short that no application notices it.
var harmless = map[string]bool{
	"AT_SetStatistics": true, "AT_SetOptions": true, "AT_ResetOptions": true, "AT_SetRelOptions": true, "AT_ResetRelOptions": true,
	"AT_ValidateConstraint": true, "AT_AttachPartition": true, "AT_DetachPartition": true, "AT_DetachPartitionFinalize": true,
	"AT_ClusterOn": true, "AT_DropCluster": true, "AT_ReplicaIdentity": true,
}

// writesOnly are the commands of ALTER TABLE whose lock blocks writes, but not reads.
var writesOnly = map[string]bool{
	"AT_EnableTrig": true, "AT_EnableTrigAll": true, "AT_EnableTrigUser": true, "AT_EnableAlwaysTrig": true, "AT_EnableReplicaTrig": true,
	"AT_DisableTrig": true, "AT_DisableTrigAll": true, "AT_DisableTrigUser": true,
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
	dropped := map[string]bool{} // constraints that this statement drops
	strong, reads := false, false
	for _, command := range n.each("cmds") {
		cmd, subtype := command.node, command.node.text("subtype")
		_, def := cmd.any("def")
		if subtype == "AT_DropConstraint" {
			dropped[cmd.text("name")] = true
		}
		strong = strong || !harmless[subtype]
		foreignKey := subtype == "AT_AddConstraint" && def.text("contype") == "CONSTR_FOREIGN"
		reads = reads || !harmless[subtype] && !foreignKey && !writesOnly[subtype]
	}
	// PostgreSQL takes the strongest lock that a command needs before it runs the first one.
	if strong {
		l.lock(name, 0, reads, nil)
	}
	for _, command := range n.each("cmds") {
		l.alterCommand(t, command.node.text("subtype"), command.node, newForms, dropped)
	}
}

func (l *linter) alterCommand(t *table, subtype string, cmd node, newForms forms, dropped map[string]bool) {
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
		l.setNotNull(t, name, dropped)
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
		defer l.schema.detach(t, relationName(def.child("name")))
		if !unused && !def.flag("concurrent") {
			l.report(0, "detach-blocks", t.name, "DETACH PARTITION holds ACCESS EXCLUSIVE locks on the parent and the partition: nothing "+
				"reads or writes "+t.name+", and it waits for all that runs on it.",
				"ALTER TABLE … DETACH PARTITION … CONCURRENTLY, in a file of its own with '-- +goose NO TRANSACTION'.")
			l.strongLock(t.name, 0)
		}
		if _, has := t.defaultPartition(); has && def.flag("concurrent") {
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
	l.schema.dropColumnFacts(t, name)
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
	delete(l.schema.indexes, name)
	if c != nil && c.kind == "CONSTR_NOTNULL" && len(c.columns) == 1 {
		t.column(c.columns[0]).notNull = false
	}
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
