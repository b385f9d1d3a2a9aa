// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

// Severity says what a finding means for a plan.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // stops the plan unless it is acknowledged
	Warning Severity = "warning" // is shown
)

// Class says what kind of harm a rule is about.
type Class string

// The classes.
const (
	Locks        Class = "locks"         // holds a strong lock for as long as a table is read or written
	Compatible   Class = "compatibility" // breaks the version of the application that is still running
	Data         Class = "data"          // loses data, or changes a lot of it at once
	Transactions Class = "transactions"  // cannot run, or not safely again, as it is cut into transactions
)

// Rule is something that the linter looks for.
type Rule struct {
	ID       string
	Class    Class
	Severity Severity // of most of its findings
	Title    string
}

// Rules are all rules, by class.
func Rules() []Rule { return append([]Rule(nil), rules...) }

var rules = []Rule{
	{"index-blocks-writes", Locks, Error, "CREATE INDEX without CONCURRENTLY"},
	{"index-drop-blocks", Locks, Error, "DROP INDEX without CONCURRENTLY"},
	{"reindex-blocks", Locks, Error, "REINDEX without CONCURRENTLY"},
	{"constraint-builds-index", Locks, Error, "UNIQUE or PRIMARY KEY that builds its index under a lock"},
	{"primary-key-scans", Locks, Error, "PRIMARY KEY USING INDEX on a column that may be null"},
	{"exclusion-constraint", Locks, Error, "EXCLUDE constraint on an existing table"},
	{"check-scans", Locks, Error, "CHECK constraint without NOT VALID"},
	{"foreign-key-scans", Locks, Error, "foreign key without NOT VALID"},
	{"not-null-scans", Locks, Error, "SET NOT NULL without a validated constraint"},
	{"default-rewrites", Locks, Error, "new column with a default that differs from row to row"},
	{"serial-rewrites", Locks, Error, "new serial or identity column"},
	{"generated-rewrites", Locks, Error, "new stored generated column"},
	{"type-change", Locks, Error, "column type changed with a rewrite, or narrowed"},
	{"table-rewrite", Locks, Error, "VACUUM FULL, CLUSTER, SET LOGGED, SET TABLESPACE and others that write the table anew"},
	{"refresh-blocks-reads", Locks, Error, "REFRESH MATERIALIZED VIEW without CONCURRENTLY"},
	{"attach-scans", Locks, Error, "ATTACH PARTITION without a validated CHECK"},
	{"detach-blocks", Locks, Error, "DETACH PARTITION without CONCURRENTLY"},
	{"explicit-lock", Locks, Error, "LOCK TABLE"},
	{"domain-scans", Locks, Error, "constraint on a domain, checked in all tables at once"},
	{"concurrently-on-partitioned", Locks, Error, "CONCURRENTLY on a partitioned table"},
	{"rule-on-table", Locks, Warning, "CREATE RULE on an existing table"},

	{"drop-column", Compatible, Error, "column dropped"},
	{"drop-table", Compatible, Error, "table dropped"},
	{"drop-object", Compatible, Error, "view, function, type or another object dropped"},
	{"drop-constraint", Compatible, Warning, "primary key or unique constraint dropped"},
	{"drop-default", Compatible, Warning, "default dropped"},
	{"drop-not-null", Compatible, Warning, "NOT NULL dropped"},
	{"rename", Compatible, Error, "table, column or another object renamed"},
	{"move-schema", Compatible, Error, "object moved to another schema"},
	{"column-required", Compatible, Error, "new NOT NULL column without a default"},
	{"access-change", Compatible, Error, "owner, privilege or setting of a role or database changed"},
	{"row-security", Compatible, Error, "row level security on an existing table"},
	{"replica-identity", Compatible, Warning, "replica identity changed"},
	{"trigger-disabled", Compatible, Error, "triggers disabled"},
	{"sequence-change", Compatible, Error, "sequence or identity moved"},
	{"json-column", Compatible, Warning, "json column"},
	{"inheritance-change", Compatible, Warning, "inheritance changed"},
	{"extension-update", Compatible, Warning, "extension updated"},

	{"truncate", Data, Error, "table emptied"},
	{"drop-database", Data, Error, "database dropped"},
	{"write-whole-table", Data, Error, "UPDATE, DELETE, INSERT or MERGE over a whole table in one statement"},
	{"backfill-under-lock", Data, Error, "backfill in the transaction of a change that locks a table"},

	{"concurrently-in-transaction", Transactions, Error, "statement that cannot run in a transaction, in one"},
	{"concurrently-if-not-exists", Transactions, Warning, "CREATE INDEX CONCURRENTLY that a retry may take for done"},
	{"validate-in-same-transaction", Transactions, Error, "constraint added and validated in one transaction"},
	{"enum-value-in-same-transaction", Transactions, Error, "new enum value used in the transaction that adds it"},
	{"many-tables-locked", Transactions, Warning, "several tables locked in one transaction"},
	{"transaction-control", Transactions, Error, "BEGIN or COMMIT that does not fit the file"},
	{"lock-timeout-off", Transactions, Warning, "lock_timeout switched off"},
	{"not-analysed", Transactions, Error, "statement that the linter cannot read"},
	{"file-format", Transactions, Error, "file that goose cannot run"},
	{"duplicate-version", Transactions, Error, "two files with one version"},
	{"wrong-version", Transactions, Error, "statement that the target version of PostgreSQL does not know"},
	{"identifier-too-long", Transactions, Warning, "name longer than 63 bytes"},
	{"acknowledgement", Transactions, Error, "acknowledgement that does not count"},
	{"acknowledgement-unused", Transactions, Warning, "acknowledgement of nothing"},
}

var rulesByID = func() map[string]Rule {
	byID := make(map[string]Rule, len(rules))
	for _, rule := range rules {
		byID[rule.ID] = rule
	}
	return byID
}()
