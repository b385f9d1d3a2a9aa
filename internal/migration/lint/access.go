// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import "strings"

const accessAdvice = "Do it apart from the application's migrations, when no running version depends on it, and acknowledge the finding."

func (l *linter) access(kind string, n node) {
	switch kind {
	case "GrantStmt":
		if !n.flag("is_grant") {
			l.revoke(n)
		}
	case "GrantRoleStmt":
		if !n.flag("is_grant") {
			l.report(0, "access-change", "", "The running version may lose access with the membership.", accessAdvice)
		}
	case "AlterDefaultPrivilegesStmt":
		// It changes no existing object.
	case "AlterRoleStmt", "AlterRoleSetStmt":
		role := n.child("role").text("rolename")
		if l.schema.created["OBJECT_ROLE "+role] {
			return
		}
		l.report(0, "access-change", role,
			"New sessions of the role behave differently, or cannot log in: the running version reconnects at any time.", accessAdvice)
	case "AlterDatabaseSetStmt", "AlterDatabaseStmt":
		l.report(0, "access-change", n.text("dbname"), "New sessions of every application on the database behave differently.", accessAdvice)
	case "AlterSystemStmt":
		l.report(0, "access-change", "", "The whole server is reconfigured, for all databases.", accessAdvice)
	case "DropRoleStmt", "ReassignOwnedStmt", "DropOwnedStmt":
		l.report(0, "access-change", "", "The running version may lose its role, its objects or its rights.", accessAdvice)
	case "AlterOwnerStmt":
		itemKind, item := n.any("object")
		name := objectName(wrapped{itemKind, item})
		objectType := n.text("objectType")
		if f := l.schema.functions[name]; f != nil || l.schema.created[objectType+" "+name] {
			return
		}
		if t := l.schema.types[name]; t != nil && t.new {
			return
		}
		l.report(0, "access-change", name, "The running version may lose access to the "+word(objectType)+".", accessAdvice)
	}
}

func (l *linter) revoke(n node) {
	fromPublic := true
	for _, grantee := range n.each("grantees") {
		fromPublic = fromPublic && grantee.node.text("roletype") == "ROLESPEC_PUBLIC"
	}
	objectType := n.text("objtype")
	for _, object := range n.each("objects") {
		name := objectName(object)
		created := l.schema.created[objectType+" "+name]
		switch {
		case object.kind == "RangeVar":
			name = relationName(object.node)
			created = l.schema.unused(name) || l.schema.created["OBJECT_SEQUENCE "+name]
		case l.schema.functions[name] != nil:
			created = true
		}
		if created {
			continue
		}
		if fromPublic && (objectType == "OBJECT_SCHEMA" || objectType == "OBJECT_DATABASE" || strings.HasPrefix(objectType, "OBJECT_FUNC")) {
			l.warn(0, "access-change", name, "A role of the running version may have its access through PUBLIC alone.",
				"Grant the roles what they need first, and acknowledge the finding.")
			continue
		}
		l.report(0, "access-change", name, "The running version may lose access.", accessAdvice)
	}
}

// tableRule analyzes triggers, policies and rules.
func (l *linter) tableRule(kind string, n node) {
	relation := n.child("relation")
	if kind == "CreatePolicyStmt" || kind == "AlterPolicyStmt" {
		relation = n.child("table")
	}
	name := relationName(relation)
	switch kind {
	case "CreateTrigStmt":
		l.schema.created["OBJECT_TRIGGER "+name+"."+n.text("trigname")] = true
		l.writeLock(name, 0)
	case "CreatePolicyStmt":
		l.schema.created["OBJECT_POLICY "+name+"."+n.text("policy_name")] = true
		l.strongLock(name, 0)
	case "AlterPolicyStmt":
		if !l.schema.unused(name) {
			l.report(0, "row-security", name, "The running version sees other rows, or may write others, at once.",
				"Add a policy next to it, deploy, and drop the old one in a contract migration.")
		}
		l.strongLock(name, 0)
	case "RuleStmt":
		if !l.schema.unused(name) && !l.schema.table(name).view {
			l.report(0, "rule-on-table", name,
				"A rule rewrites the statements of the running version, under an ACCESS EXCLUSIVE lock while it is made.", "Use a trigger.")
			l.strongLock(name, 0)
		}
	}
}

func (l *linter) enableRowSecurity(t *table) {
	if l.schema.unused(t.name) {
		return
	}
	prefix := "OBJECT_POLICY " + t.name + "."
	for key := range l.schema.created {
		if strings.HasPrefix(key, prefix) {
			l.warn(0, "row-security", t.name, "From now on the running version sees only the rows that a policy lets it see.",
				"Make sure that the policies let all roles of the running version through, and acknowledge the finding.")
			return
		}
	}
	l.report(0, "row-security", t.name, "Without a policy, row level security hides all rows from everybody but the owner.",
		"CREATE POLICY first, for every role that uses the table; enable row level security in a later release.")
}

func (l *linter) alterEnum(n node) {
	name := joined(n.names("typeName"))
	t := l.schema.types[name]
	unused := t != nil && t.new
	if old := n.text("oldVal"); old != "" {
		if !unused {
			l.report(0, "rename", name, "The running version writes and expects the value '"+old+"'.",
				"Add the new value, switch the application, and move the rows in batches.")
		}
		return
	}
	if !unused {
		l.tx.enumAdded[n.text("newVal")] = true
	}
}

// enumUse reports the use of an enum's new value in the transaction that added it.
func (l *linter) enumUse(kind string, n node) {
	if kind == "AlterEnumStmt" || l.judgingTransactionless() {
		return
	}
	added := l.enumValues()
	if len(added) == 0 {
		return
	}
	walk(map[string]any(n), func(kind string, below node) bool {
		if value := below.child("sval").text("sval"); kind == "A_Const" && value != "" && added[value] {
			l.report(below.location(), "enum-value-in-same-transaction", value, "A new value of an enum cannot be used before the "+
				"transaction that added it is over: the statement fails.",
				"Use the value in a later file.")
		}
		return true
	})
}

func (l *linter) judgingTransactionless() bool { return l.tx == nil || !l.tx.wrapped && !l.tx.perhaps }

// enumValues are the values that were added in the transaction, or in the file if it is not known whether a transaction wraps it.
func (l *linter) enumValues() map[string]bool {
	if l.tx.wrapped {
		return l.tx.enumAdded
	}
	added := map[string]bool{}
	for _, before := range l.parsed[:l.position] {
		if before.kind == "AlterEnumStmt" && before.node.text("oldVal") == "" {
			if t := l.schema.types[joined(before.node.names("typeName"))]; t == nil || !t.new {
				added[before.node.text("newVal")] = true
			}
		}
	}
	return added
}

func (l *linter) alterSequence(n node) {
	name := relationName(n.child("sequence"))
	if l.schema.created["OBJECT_SEQUENCE "+name] {
		return
	}
	for _, option := range n.each("options") {
		switch option.node.text("defname") {
		case "restart", "minvalue", "maxvalue":
			l.report(0, "sequence-change", name, "The running version gets numbers that it may have had before, or none.",
				"Make sure that the numbers are free, and acknowledge the finding.")
			return
		}
	}
}
