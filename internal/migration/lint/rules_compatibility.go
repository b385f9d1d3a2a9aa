// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

// atTheEnd is the example of what is right in a contract migration.
func atTheEnd(sql string) string { return "-- slipway:kind contract\n-- +goose Up\n" + sql }

var compatibilityRules = []Rule{
	{
		ID: "drop-column", Class: Compatible, Severity: Error, Title: "column dropped",
		Why:      "The running version may read or write it, and fails the moment that it is gone; going back to that version is no longer possible.",
		SafeForm: "Drop it in a contract migration, when no version that names it runs or could be rolled back to.",
		Unsafe:   "ALTER TABLE users DROP COLUMN nickname;",
		Safe:     atTheEnd("ALTER TABLE users DROP COLUMN nickname;"),
	},
	{
		ID: "drop-table", Class: Compatible, Severity: Error, Title: "table dropped",
		Why:      "The running version may use it, and the rows are gone for good.",
		SafeForm: "Drop it in a contract migration.",
		Unsafe:   "DROP TABLE coupons;",
		Safe:     atTheEnd("DROP TABLE coupons;"),
	},
	{
		ID: "drop-object", Class: Compatible, Severity: Error, Title: "view, function, type or another object dropped",
		Why:      "The running version may need it. What the same transaction makes again under its name is left alone.",
		SafeForm: "Drop it in a contract migration.",
		Unsafe:   "DROP VIEW active_users;",
		Safe:     "DROP VIEW active_users;\nCREATE VIEW active_users AS SELECT id, email FROM users;",
	},
	{
		ID: "drop-constraint", Class: Compatible, Severity: Warning, Title: "primary key or unique constraint dropped",
		Why:      "Duplicates can be written, and `ON CONFLICT` of the running version fails; without a primary key, so does logical replication. A primary key is an error, a unique constraint a warning.",
		SafeForm: "Drop it in a contract migration; exchange a primary key in one `ALTER TABLE … ADD … USING INDEX`.",
		Unsafe:   "ALTER TABLE users DROP CONSTRAINT users_email_key;",
		Safe:     atTheEnd("ALTER TABLE users DROP CONSTRAINT users_email_key;"),
	},
	{
		ID: "drop-default", Class: Compatible, Severity: Warning, Title: "default dropped",
		Why:      "The running version may leave the column to its default. It is an error where the column is known to be NOT NULL.",
		SafeForm: "Drop it in a contract migration.",
		Unsafe:   "ALTER TABLE orders ALTER COLUMN state DROP DEFAULT;",
		Safe:     atTheEnd("ALTER TABLE orders ALTER COLUMN state DROP DEFAULT;"),
	},
	{
		ID: "drop-not-null", Class: Compatible, Severity: Warning, Title: "NOT NULL dropped",
		Why:      "New versions may write nulls, which the running version has never met.",
		SafeForm: "Make sure that the running version can read them, and acknowledge the finding.",
		Unsafe:   "ALTER TABLE users ALTER COLUMN phone DROP NOT NULL;",
	},
	{
		ID: "rename", Class: Compatible, Severity: Error, Title: "table, column or another object renamed",
		Why:      "The running version uses the old name, and fails the moment that it is gone.",
		SafeForm: "The new one beside the old, both kept in step by a trigger or a view; the old one goes in a contract migration. Indexes, constraints and triggers may be renamed.",
		Unsafe:   "ALTER TABLE users RENAME COLUMN name TO full_name;",
		Safe:     "ALTER TABLE users ADD COLUMN full_name text;",
	},
	{
		ID: "move-schema", Class: Compatible, Severity: Error, Title: "object moved to another schema",
		Why:      "The running version does not find it.",
		SafeForm: "The new one beside the old, or a view of the old name in the same transaction.",
		Unsafe:   "ALTER TABLE users SET SCHEMA app;",
	},
	{
		ID: "column-required", Class: Compatible, Severity: Error, Title: "new NOT NULL column without a default",
		Why:      "The statement fails if the table has rows, and else the INSERTs of the running version do, which do not know the column.",
		SafeForm: "A constant DEFAULT, which costs nothing, kept until no old version writes.",
		Unsafe:   "ALTER TABLE orders ADD COLUMN state text NOT NULL;",
		Safe:     "ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT 'new';",
	},
	{
		ID: "access-change", Class: Compatible, Severity: Error, Title: "owner, privilege or setting of a role or database changed",
		Why:      "The running version may lose access, or its new sessions behave differently.",
		SafeForm: "Grant what is needed first; take away apart from the application's migrations, and acknowledge the finding.",
		Unsafe:   "REVOKE INSERT ON orders FROM app;",
		Safe:     "GRANT INSERT ON orders TO app;",
	},
	{
		ID: "row-security", Class: Compatible, Severity: Error, Title: "row level security on an existing table",
		Why:      "Without a policy, all rows are hidden from everybody but the owner at once; with one, the running version sees only what the policy lets it see (a warning).",
		SafeForm: "`CREATE POLICY` first, for every role that uses the table; enable row level security in a later release.",
		Unsafe:   "ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;",
		Safe:     "CREATE POLICY own_rows ON invoices USING (client = current_user);",
	},
	{
		ID: "replica-identity", Class: Compatible, Severity: Warning, Title: "replica identity changed",
		Why:      "Logical replication sends other rows; with NOTHING (an error), updates and deletes of a published table fail.",
		SafeForm: "DEFAULT, or USING INDEX with a unique index on columns that are NOT NULL, after a look at the subscribers.",
		Unsafe:   "ALTER TABLE orders REPLICA IDENTITY FULL;",
	},
	{
		ID: "trigger-disabled", Class: Compatible, Severity: Error, Title: "triggers disabled",
		Why:      "What they keep in step is not, for all sessions; ALL switches off foreign keys too.",
		SafeForm: "`session_replication_role` for the session that loads data, or a trigger that leaves out these rows.",
		Unsafe:   "ALTER TABLE orders DISABLE TRIGGER ALL;",
		Safe:     "SET session_replication_role = 'replica';",
	},
	{
		ID: "sequence-change", Class: Compatible, Severity: Error, Title: "sequence or identity moved",
		Why:      "The running version gets numbers that it has had before, or none.",
		SafeForm: "Make sure that the numbers are free, and acknowledge the finding.",
		Unsafe:   "ALTER SEQUENCE orders_id_seq RESTART WITH 1;",
	},
	{
		ID: "json-column", Class: Compatible, Severity: Warning, Title: "json column",
		Why:      "json has no equality: `SELECT DISTINCT` and `UNION` over the table fail once it has such a column.",
		SafeForm: "jsonb.",
		Unsafe:   "ALTER TABLE orders ADD COLUMN extra json;",
		Safe:     "ALTER TABLE orders ADD COLUMN extra jsonb;",
	},
	{
		ID: "inheritance-change", Class: Compatible, Severity: Warning, Title: "inheritance changed",
		Why:      "Queries of the parent see other rows at once.",
		SafeForm: "Make sure that the running version does not mind, and acknowledge the finding.",
		Unsafe:   "ALTER TABLE orders_old NO INHERIT orders;",
	},
	{
		ID: "extension-update", Class: Compatible, Severity: Warning, Title: "extension updated",
		Why:      "Functions, types and operators that the running version uses may change.",
		SafeForm: "Read the extension's release notes; update it in a file of its own, at a quiet time.",
		Unsafe:   "ALTER EXTENSION postgis UPDATE;",
	},
}
