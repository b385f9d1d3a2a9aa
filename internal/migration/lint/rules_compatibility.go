// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

// atTheEnd is the example of what is right in a contract migration.
func atTheEnd(sql string) string { return "-- slipway:kind contract\n-- +goose Up\n" + sql }

var compatibilityRules = []Rule{
	{
		ID: "drop-column", Class: Compatible, Severity: Error, Title: "column dropped",
		Why: "The running version may read or write the column, and fails as soon as it is gone. A rollback to that version is " +
			"no longer possible.",
		SafeForm: "Drop the column in a contract migration, when no version that uses it runs or could be restored by a rollback.",
		Unsafe:   "ALTER TABLE users DROP COLUMN nickname;",
		Safe:     atTheEnd("ALTER TABLE users DROP COLUMN nickname;"),
	},
	{
		ID: "drop-table", Class: Compatible, Severity: Error, Title: "table dropped",
		Why:      "The running version may use the table, and the rows are lost permanently.",
		SafeForm: "Drop the table in a contract migration.",
		Unsafe:   "DROP TABLE coupons;",
		Safe:     atTheEnd("DROP TABLE coupons;"),
	},
	{
		ID: "drop-object", Class: Compatible, Severity: Error, Title: "view, function, type or another object dropped",
		Why: "The running version may need the object. The rule ignores an object that the same transaction creates again under " +
			"its name.",
		SafeForm: "Drop the object in a contract migration.",
		Unsafe:   "DROP VIEW active_users;",
		Safe:     "DROP VIEW active_users;\nCREATE VIEW active_users AS SELECT id, email FROM users;",
	},
	{
		ID: "drop-constraint", Class: Compatible, Severity: Warning, Title: "primary key, unique constraint or unique index dropped",
		Why: "Duplicates become possible, and `ON CONFLICT` of the running version fails. Without a primary key, logical " +
			"replication also fails. Dropping a primary key is an error, dropping a unique constraint or index a warning. `DROP INDEX` " +
			"of a constraint's index is an error, because PostgreSQL refuses it.",
		SafeForm: "Drop the constraint in a contract migration. Replace a primary key in one `ALTER TABLE … ADD … USING INDEX`.",
		Unsafe:   "ALTER TABLE users DROP CONSTRAINT users_email_key;",
		Safe:     atTheEnd("ALTER TABLE users DROP CONSTRAINT users_email_key;"),
	},
	{
		ID: "drop-default", Class: Compatible, Severity: Warning, Title: "default dropped",
		Why:      "The running version may rely on the default. The finding is an error if the column is known to be NOT NULL.",
		SafeForm: "Drop the default in a contract migration.",
		Unsafe:   "ALTER TABLE orders ALTER COLUMN state DROP DEFAULT;",
		Safe:     atTheEnd("ALTER TABLE orders ALTER COLUMN state DROP DEFAULT;"),
	},
	{
		ID: "drop-not-null", Class: Compatible, Severity: Warning, Title: "NOT NULL dropped",
		Why:      "New versions may write nulls, which the running version has never seen.",
		SafeForm: "Make sure that the running version can read nulls, and acknowledge the finding.",
		Unsafe:   "ALTER TABLE users ALTER COLUMN phone DROP NOT NULL;",
	},
	{
		ID: "rename", Class: Compatible, Severity: Error, Title: "table, column or another object renamed",
		Why: "The running version uses the old name, and fails as soon as it is gone.",
		SafeForm: "Add the new name next to the old one and keep both in sync with a trigger or a view. Drop the old one in a " +
			"contract migration. Indexes, constraints and triggers can be renamed.",
		Unsafe: "ALTER TABLE users RENAME COLUMN name TO full_name;",
		Safe:   "ALTER TABLE users ADD COLUMN full_name text;",
	},
	{
		ID: "move-schema", Class: Compatible, Severity: Error, Title: "object moved to another schema",
		Why:      "The running version does not find the object.",
		SafeForm: "Create the new object next to the old one, or create a view with the old name in the same transaction.",
		Unsafe:   "ALTER TABLE users SET SCHEMA app;",
	},
	{
		ID: "column-required", Class: Compatible, Severity: Error, Title: "new NOT NULL column without a default",
		Why: "The statement fails if the table has rows. Otherwise the INSERTs of the running version fail, because it does not " +
			"know the column.",
		SafeForm: "Add a constant DEFAULT, which needs no rewrite, and keep it until no old version writes.",
		Unsafe:   "ALTER TABLE orders ADD COLUMN state text NOT NULL;",
		Safe:     "ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT 'new';",
	},
	{
		ID: "access-change", Class: Compatible, Severity: Error, Title: "owner, privilege or setting of a role or database changed",
		Why:      "The running version may lose access, or its new sessions may behave differently.",
		SafeForm: "Grant new privileges first. Revoke privileges outside the application's migrations, and acknowledge the finding.",
		Unsafe:   "REVOKE INSERT ON orders FROM app;",
		Safe:     "GRANT INSERT ON orders TO app;",
	},
	{
		ID: "row-security", Class: Compatible, Severity: Error, Title: "row level security on an existing table",
		Why: "Without a policy, all rows are hidden at once from everybody except the owner. With a policy, the running version " +
			"sees only the rows that the policy allows (a warning).",
		SafeForm: "First use `CREATE POLICY` for every role that uses the table. Enable row level security in a later release.",
		Unsafe:   "ALTER TABLE invoices ENABLE ROW LEVEL SECURITY;",
		Safe:     "CREATE POLICY own_rows ON invoices USING (client = current_user);",
	},
	{
		ID: "replica-identity", Class: Compatible, Severity: Warning, Title: "replica identity changed",
		Why:      "Logical replication sends different rows. With NOTHING (an error), updates and deletes of a published table fail.",
		SafeForm: "Use DEFAULT, or USING INDEX with a unique index on NOT NULL columns. Check the subscribers first.",
		Unsafe:   "ALTER TABLE orders REPLICA IDENTITY FULL;",
	},
	{
		ID: "trigger-disabled", Class: Compatible, Severity: Error, Title: "triggers disabled",
		Why:      "The data that the triggers keep in sync diverges, for all sessions. ALL also disables foreign keys.",
		SafeForm: "Use `session_replication_role` in the session that loads data, or a trigger that skips these rows.",
		Unsafe:   "ALTER TABLE orders DISABLE TRIGGER ALL;",
		Safe:     "SET session_replication_role = 'replica';",
	},
	{
		ID: "sequence-change", Class: Compatible, Severity: Error, Title: "sequence or identity moved",
		Why:      "The running version gets numbers that were already used, or none.",
		SafeForm: "Make sure that the numbers are free, and acknowledge the finding.",
		Unsafe:   "ALTER SEQUENCE orders_id_seq RESTART WITH 1;",
	},
	{
		ID: "json-column", Class: Compatible, Severity: Warning, Title: "column of type json",
		Why:      "The type json has no equality operator, so `SELECT DISTINCT` and `UNION` on the table fail.",
		SafeForm: "Use jsonb.",
		Unsafe:   "ALTER TABLE orders ADD COLUMN extra json;",
		Safe:     "ALTER TABLE orders ADD COLUMN extra jsonb;",
	},
	{
		ID: "inheritance-change", Class: Compatible, Severity: Warning, Title: "inheritance changed",
		Why:      "Queries on the parent return different rows at once.",
		SafeForm: "Make sure that the running version accepts this, and acknowledge the finding.",
		Unsafe:   "ALTER TABLE orders_old NO INHERIT orders;",
	},
	{
		ID: "extension-update", Class: Compatible, Severity: Warning, Title: "extension updated",
		Why:      "Functions, types and operators that the running version uses may change.",
		SafeForm: "Read the extension's release notes. Update the extension in its own file, at a time with little traffic.",
		Unsafe:   "ALTER EXTENSION postgis UPDATE;",
	},
}
