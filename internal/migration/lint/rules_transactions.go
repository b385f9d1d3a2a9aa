// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

var dataRules = []Rule{
	{
		ID: "truncate", Class: Data, Severity: Error, Title: "table emptied",
		Why:      "All rows are lost, and the running version finds an empty table.",
		SafeForm: "Delete rows that are no longer needed in batches, or drop the table in a contract migration.",
		Unsafe:   "TRUNCATE sessions;",
	},
	{
		ID: "drop-database", Class: Data, Severity: Error, Title: "database dropped",
		Why:      "Everything in the database is lost.",
		SafeForm: "Remove the statement from the migrations, and drop the database by hand.",
		Unsafe:   "-- +goose NO TRANSACTION\n-- +goose Up\nDROP DATABASE shop;",
	},
	{
		ID: "write-whole-table", Class: Data, Severity: Error,
		Title: "UPDATE, DELETE, INSERT or MERGE over a whole table in one statement",
		Why: "All rows stay locked until the end of the transaction, replicas lag, and the table grows. A loop without COMMIT is " +
			"also one transaction (a warning).",
		SafeForm: "Write batches of some thousand rows, each in its own transaction: in a job of the application, or in a block with " +
			"COMMIT in its loop, in a file without a transaction.",
		Unsafe: "UPDATE users SET country = 'DE' WHERE country IS NULL;",
		Safe: `-- +goose NO TRANSACTION
-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    LOOP
        UPDATE users SET country = 'DE' WHERE id IN (SELECT id FROM users WHERE country IS NULL LIMIT 1000);
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;
-- +goose StatementEnd`,
	},
	{
		ID: "backfill-under-lock", Class: Data, Severity: Error, Title: "long statement in the transaction of a change that locks a table",
		Why: "The transaction holds the lock of the change while the statement writes or reads all rows of a table, and nobody can " +
			"use the locked table, or write to it. This applies to UPDATE, INSERT, SELECT, COPY, CREATE TABLE AS and materialized " +
			"views. A foreign key, also of a new table, locks the table that it refers to against writes, and so does a trigger.",
		SafeForm: "Put the change and the statement into separate files, and run a backfill in batches.",
		Unsafe:   "ALTER TABLE users ADD COLUMN country text;\nUPDATE users SET country = 'DE';",
		Safe:     "ALTER TABLE users ADD COLUMN country text;",
	},
}

var transactionRules = []Rule{
	{
		ID: "concurrently-in-transaction", Class: Transactions, Severity: Error, Title: "statement that PostgreSQL refuses " +
			"in a transaction, or in this form",
		Why: "PostgreSQL refuses CONCURRENTLY, VACUUM, CREATE DATABASE and some other statements in a transaction. A tool that " +
			"wraps files in a transaction causes this. It also refuses `DROP INDEX CONCURRENTLY` of several indexes, or with CASCADE.",
		SafeForm: "Put the statement into its own file that disables the transaction, without BEGIN and COMMIT. Drop one index in a statement.",
		Unsafe:   "CREATE INDEX CONCURRENTLY orders_customer ON orders (customer_id);",
		Safe:     "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY orders_customer ON orders (customer_id);",
	},
	{
		ID: "concurrently-if-not-exists", Class: Transactions, Severity: Warning,
		Title: "CREATE INDEX CONCURRENTLY that a retry may skip or repeat",
		Why: "A failed build leaves an invalid index behind, and IF NOT EXISTS accepts it as the finished one. An index without " +
			"a name is built a second time.",
		SafeForm: "Use `DROP INDEX CONCURRENTLY IF EXISTS` before it, or neither: slipway-migrate removes the invalid index of its " +
			"own failed build.",
		Unsafe: "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer ON orders (customer_id);",
		Safe: "-- +goose NO TRANSACTION\n-- +goose Up\nDROP INDEX CONCURRENTLY IF EXISTS orders_customer;\n" +
			"CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer ON orders (customer_id);",
	},
	{
		ID: "validate-in-same-transaction", Class: Transactions, Severity: Error,
		Title: "constraint validated in a transaction that locks a table",
		Why: "The transaction holds the lock of ADD CONSTRAINT, or of another change, while VALIDATE reads all rows, so NOT VALID has no " +
			"benefit. The other commands of one ALTER TABLE take their lock before VALIDATE runs.",
		SafeForm: "Put VALIDATE CONSTRAINT into its own file, as the only command of its statement.",
		Unsafe: "ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0) NOT VALID;\n" +
			"ALTER TABLE orders VALIDATE CONSTRAINT total_positive;",
		Safe: "-- 00001_check.sql\n-- +goose Up\n" +
			"ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0) NOT VALID;\n-- 00002_validate.sql\n" +
			"-- +goose Up\nALTER TABLE orders VALIDATE CONSTRAINT total_positive;",
	},
	{
		ID: "enum-value-in-same-transaction", Class: Transactions, Severity: Error,
		Title:    "new enum value used in the transaction that adds it",
		Why:      "PostgreSQL refuses the value until the transaction that adds it has ended.",
		SafeForm: "Use the value in a later file.",
		Unsafe:   "ALTER TYPE state ADD VALUE 'refunded';\nUPDATE orders SET state = 'refunded' WHERE id = 5;",
		Safe: "-- 00001_value.sql\n-- +goose Up\nALTER TYPE state ADD VALUE 'refunded';\n-- 00002_use.sql\n-- +goose Up\n" +
			"UPDATE orders SET state = 'refunded' WHERE id = 5;",
	},
	{
		ID: "many-tables-locked", Class: Transactions, Severity: Warning, Title: "several tables locked in one transaction",
		Why: "While the transaction waits for the second lock, it blocks the first table. It deadlocks with a session that takes " +
			"the locks in the other order.",
		SafeForm: "Use one file per table, also for each foreign key of a new table, which locks the table that it refers to. Put several " +
			"changes of one table into one ALTER TABLE.",
		Unsafe: "ALTER TABLE users ADD COLUMN a int;\nALTER TABLE orders ADD COLUMN a int;",
		Safe: "-- 00001_users.sql\n-- +goose Up\nALTER TABLE users ADD COLUMN a int;\n-- 00002_orders.sql\n-- +goose Up\n" +
			"ALTER TABLE orders ADD COLUMN a int;",
	},
	{
		ID: "transaction-control", Class: Transactions, Severity: Error, Title: "BEGIN or COMMIT that does not fit the file",
		Why: "In a transaction, BEGIN has no effect and COMMIT ends the runner's transaction. A BEGIN without COMMIT loses the " +
			"work of the file.",
		SafeForm: "Remove both. The runner wraps the file in a transaction.",
		Unsafe:   "BEGIN;\nALTER TABLE users ADD COLUMN a int;\nCOMMIT;",
		Safe:     "ALTER TABLE users ADD COLUMN a int;",
	},
	{
		ID: "lock-timeout-off", Class: Transactions, Severity: Warning, Title: "statement that disables lock_timeout",
		Why:      "A statement that waits for its lock makes every later query on the table wait behind it.",
		SafeForm: "Leave lock_timeout to the runner, which sets it and retries.",
		Unsafe:   "SET lock_timeout = 0;",
		Safe:     "SET lock_timeout = '2s';",
	},
	{
		ID: NotAnalyzed, Class: Transactions, Severity: Error, Title: "statement that the linter cannot read",
		Why: "The statement has a syntax error, is built from text at run time (a warning), is written in a language other than " +
			"SQL and PL/pgSQL (a warning), or is nested a hundred levels deep. The linter cannot analyze it, and no finding " +
			"would look like approval.",
		SafeForm: "Fix the statement, write it out, or review it by hand and acknowledge the finding.",
		Unsafe:   "ALTER TABLE users ADD COLUM a int;",
		Safe:     "ALTER TABLE users ADD COLUMN a int;",
	},
	{
		ID: "file-format", Class: Transactions, Severity: Error, Title: "file that the runner cannot run",
		Why: "The name does not start with a number, `-- +goose Up` is missing, an annotation is in the wrong place, a statement has no " +
			"semicolon at the end of its last line, or the file is too large for a ConfigMap. The plan refuses the file, whether or not the " +
			"finding is acknowledged. `slipway-migrate lint --any-tool` accepts the files of other tools.",
		SafeForm: "Follow goose's format: `-- +goose Up`, and `-- +goose StatementBegin` and `-- +goose StatementEnd` around " +
			"statements that contain semicolons.",
		Unsafe: "ALTER TABLE users ADD COLUMN a int",
		Safe:   "ALTER TABLE users ADD COLUMN a int;",
	},
	{
		ID: "duplicate-version", Class: Transactions, Severity: Error, Title: "two files with one version",
		Why:      "goose refuses to run the files. This happens when two branches use the same number.",
		SafeForm: "Give each file its own number, higher than those of the applied files.",
		Unsafe: "-- 00001_users.sql\n-- +goose Up\nALTER TABLE users ADD COLUMN a int;\n-- 00001_orders.sql\n-- +goose Up\n" +
			"ALTER TABLE orders ADD COLUMN a int;",
	},
	{
		ID: "wrong-version", Class: Transactions, Severity: Error,
		Title:    "statement that the target version of PostgreSQL does not support",
		Why:      "The statement fails at run time. The rule applies only if the target version is known.",
		SafeForm: "Write the statement for the target version.",
	},
	{
		ID: "identifier-too-long", Class: Transactions, Severity: Warning, Title: "name longer than 63 bytes",
		Why:      "PostgreSQL truncates the name, so later statements may affect another object, or none.",
		SafeForm: "Use a shorter name.",
		Unsafe:   "ALTER TABLE users ADD COLUMN a_name_that_is_so_long_that_it_does_not_fit_into_what_postgresql_keeps int;",
	},
	{
		ID: "acknowledgement", Class: Transactions, Severity: Error, Title: "invalid acknowledgement",
		Why: "It has no reason, names a rule that does not exist, or has an `until` that is not a date.",
		SafeForm: "Write `-- slipway:allow RULE reason=\"why it is safe here\" until=2027-03-31` above the statement. `until` is " +
			"optional.",
		Unsafe: "-- slipway:allow drop-column\nALTER TABLE users ADD COLUMN a int;",
	},
	{
		ID: "acknowledgement-unused", Class: Transactions, Severity: Warning, Title: "acknowledgement without a finding",
		Why:      "The finding no longer exists, and the comment would hide the next one.",
		SafeForm: "Remove the comment.",
		Unsafe:   "-- slipway:allow drop-column reason=\"never read\"\nALTER TABLE users ADD COLUMN a int;",
	},
}
