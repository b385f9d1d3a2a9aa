// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// analyze reports findings for one statement, and records its changes of the schema.
func (l *linter) analyze(kind string, n node, newForms forms) {
	switch kind {
	case "TransactionStmt":
		l.transactionControl(n)
	case "CreateStmt":
		l.createTable(n, newForms)
	case "CreateTableAsStmt":
		l.createTableAs(n)
	case "SelectStmt":
		l.selectStatement(n)
		l.calls(n)
	case "CopyStmt":
		l.copy(n)
	case "CallStmt":
		l.calls(n)
	case "ViewStmt":
		l.addRelation(n.child("view"), true)
	case "CreateForeignTableStmt":
		l.addRelation(n.child("base").child("relation"), false)
	case "IndexStmt":
		l.createIndex(n)
	case "AlterTableStmt":
		l.alterTable(n, newForms)
	case "DropStmt":
		l.drop(n)
	case "RenameStmt":
		l.rename(n)
	case "AlterObjectSchemaStmt":
		l.moveSchema(n)
	case "CreateEnumStmt":
		l.schema.types[joined(n.names("typeName"))] = &userType{kind: "enum", new: true}
	case "CompositeTypeStmt":
		l.schema.types[relationName(n.child("typevar"))] = &userType{kind: "composite", new: true}
	case "CreateRangeStmt":
		l.schema.types[joined(n.names("typeName"))] = &userType{kind: "range", new: true}
	case "CreateDomainStmt":
		l.createDomain(n)
	case "AlterDomainStmt":
		l.alterDomain(n)
	case "AlterEnumStmt":
		l.alterEnum(n)
	case "CreateFunctionStmt":
		l.createFunction(n)
	case "CreateTrigStmt", "CreatePolicyStmt", "AlterPolicyStmt", "RuleStmt":
		l.tableRule(kind, n)
	case "CreateSeqStmt":
		l.schema.created["OBJECT_SEQUENCE "+relationName(n.child("sequence"))] = true
	case "CreateSchemaStmt":
		l.schema.created["OBJECT_SCHEMA "+n.text("schemaname")] = true
		for _, element := range n.each("schemaElts") {
			l.analyze(element.kind, element.node, newForms)
		}
	case "CreateExtensionStmt":
		l.schema.created["OBJECT_EXTENSION "+n.text("extname")] = true
	case "CreateRoleStmt":
		l.schema.created["OBJECT_ROLE "+n.text("role")] = true
	case "AlterSeqStmt":
		l.alterSequence(n)
	case "ReindexStmt":
		l.reindex(n)
	case "VacuumStmt", "ClusterStmt":
		l.rewriteCommand(kind, n)
	case "RefreshMatViewStmt":
		l.refresh(n)
	case "LockStmt":
		l.lockTable(n)
	case "TruncateStmt":
		l.truncate(n)
	case "DropdbStmt":
		l.report(0, "drop-database", n.text("dbname"), "The database and all its contents are lost.",
			"Remove it from the migrations: a database is removed by hand.")
	case "UpdateStmt", "DeleteStmt", "InsertStmt", "MergeStmt":
		l.write(kind, n)
	case "GrantStmt", "GrantRoleStmt", "AlterRoleStmt", "AlterRoleSetStmt", "AlterDatabaseSetStmt", "AlterDatabaseStmt",
		"AlterSystemStmt", "DropRoleStmt", "AlterOwnerStmt", "ReassignOwnedStmt", "DropOwnedStmt", "AlterDefaultPrivilegesStmt":
		l.access(kind, n)
	case "AlterExtensionStmt":
		l.report(0, "extension-update", n.text("extname"), "Updating an extension may change functions, types and operators that the "+
			"running application uses, and may rewrite objects.",
			"Read the extension's release notes; update it in a file of its own, at a quiet time.")
	case "VariableSetStmt":
		l.setVariable(n)
	case "DoStmt":
		l.block(n)
	}
	l.enumUse(kind, n)
	l.longNames(kind)
}

func (l *linter) transactionControl(n node) {
	const advice = "Leave it out: the runner wraps the file in a transaction. For statements that cannot run in one, write '-- " +
		"+goose NO TRANSACTION' and put them into a file of their own."
	kind := n.text("kind")
	switch kind {
	case "TRANS_STMT_BEGIN", "TRANS_STMT_START":
		if l.tx.explicit {
			l.report(0, "transaction-control", "", "BEGIN within a transaction does nothing, and the next COMMIT ends the outer one.", "Remove it.")
			return
		}
		if l.tx.wrapped && l.current.Transaction != sqlfile.Unknown {
			l.report(0, "transaction-control", "",
				"The file runs in a transaction already: BEGIN does nothing, and the next COMMIT ends the runner's transaction, so that the "+
					"rest runs outside it and the file is not recorded with it.", advice)
			return
		}
		l.tx = l.schema.begin(-1 - l.position)
		l.tx.explicit, l.tx.wrapped = true, true
	case "TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE":
		if l.tx.explicit {
			l.tx = nil
			return
		}
		if l.tx.wrapped && l.current.Transaction != sqlfile.Unknown {
			l.report(0, "transaction-control", "",
				strings.TrimPrefix(kind, "TRANS_STMT_")+" ends the transaction that the runner opened: the rest of the file runs outside "+
					"it, and a failure leaves half of it applied.", advice)
		}
	}
}

// inTransaction reports a statement that cannot run in a transaction but is in one.
func (l *linter) inTransaction(what string) {
	const advice = "Put it into a file of its own with '-- +goose NO TRANSACTION', without BEGIN and COMMIT."
	if l.tx.wrapped {
		l.report(0, "concurrently-in-transaction", "", what+" cannot run inside a transaction block, and this one does: PostgreSQL refuses it.",
			advice)
	}
}

// refusesTransaction names a statement that PostgreSQL does not run in a transaction; else it is "".
func refusesTransaction(s parsedStatement) string {
	n := s.node
	switch s.kind {
	case "IndexStmt":
		if n.flag("concurrent") {
			return "CREATE INDEX CONCURRENTLY"
		}
	case "DropStmt":
		if n.flag("concurrent") {
			return "DROP INDEX CONCURRENTLY"
		}
	case "ReindexStmt":
		if reindexConcurrently(n) {
			return "REINDEX CONCURRENTLY"
		}
		if kind := n.text("kind"); kind == "REINDEX_OBJECT_DATABASE" || kind == "REINDEX_OBJECT_SYSTEM" || kind == "REINDEX_OBJECT_SCHEMA" {
			return "REINDEX " + strings.TrimPrefix(kind, "REINDEX_OBJECT_")
		}
	case "AlterTableStmt":
		for _, command := range n.each("cmds") {
			_, def := command.node.any("def")
			if command.node.text("subtype") == "AT_DetachPartition" && def.flag("concurrent") {
				return "DETACH PARTITION CONCURRENTLY"
			}
		}
	case "VacuumStmt":
		if n.flag("is_vacuumcmd") {
			return "VACUUM"
		}
	case "CreatedbStmt":
		return "CREATE DATABASE"
	case "DropdbStmt":
		return "DROP DATABASE"
	case "AlterSystemStmt":
		return "ALTER SYSTEM"
	case "CreateTableSpaceStmt":
		return "CREATE TABLESPACE"
	case "DropTableSpaceStmt":
		return "DROP TABLESPACE"
	case "CreateSubscriptionStmt":
		for _, option := range n.each("options") {
			if option.node.text("defname") == "create_slot" || option.node.text("defname") == "connect" {
				return ""
			}
		}
		return "CREATE SUBSCRIPTION"
	}
	return ""
}

func (l *linter) setVariable(n node) {
	if strings.EqualFold(n.text("name"), "timezone") {
		args := n.each("args")
		l.utc = len(args) == 1 && slices.Contains([]string{"utc", "etc/utc", "gmt", "zulu"}, strings.ToLower(constant(args[0])))
		return
	}
	if n.text("name") != "lock_timeout" || n.text("kind") != "VAR_SET_VALUE" {
		return
	}
	for _, argument := range n.each("args") {
		if text := constant(argument); strings.Trim(text, "0msind ") == "" && strings.HasPrefix(text, "0") {
			l.report(0, "lock-timeout-off", "", "Without lock_timeout, a statement that waits for its lock makes every later query on "+
				"the table wait behind it.",
				"Remove the line: the runner sets a lock_timeout and retries.")
		}
	}
}

// constant is the text of a constant, or "".
func constant(item wrapped) string {
	if item.kind == "TypeCast" {
		kind, arg := item.node.any("arg")
		return constant(wrapped{kind, arg})
	}
	if item.kind != "A_Const" {
		return ""
	}
	if text := item.node.child("sval"); text != nil {
		return text.text("sval")
	}
	if number := item.node.child("ival"); number != nil {
		return fmt.Sprint(number.number("ival"))
	}
	return ""
}

// longNames uses the text, since the parser truncates names as PostgreSQL does.
func (l *linter) longNames(kind string) {
	switch kind {
	case "CreateStmt", "IndexStmt", "RenameStmt", "AlterTableStmt", "ViewStmt", "CreateFunctionStmt", "CreateTrigStmt", "CreateEnumStmt",
		"CreateTableAsStmt":
	default:
		return
	}
	sql := l.parsed[l.position].SQL
	for _, token := range sqlfile.Tokens(sql) {
		name := sql[token.Start:token.End]
		if token.Kind == sqlfile.QuotedWord {
			name = name[1 : len(name)-1]
		}
		if (token.Kind == sqlfile.Word || token.Kind == sqlfile.QuotedWord) && len(name) > 63 {
			l.report(token.Start, "identifier-too-long", name,
				fmt.Sprintf("The name has %d bytes. PostgreSQL cuts it to 63, so that later statements may hit another object, or none.",
					len(name)), "Use a shorter name.")
		}
	}
}
