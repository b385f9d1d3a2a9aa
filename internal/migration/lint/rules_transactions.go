// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

var dataRules = []Rule{
	{
		ID: "truncate", Class: Data, Severity: Error, Title: "table emptied",
		Why:      "All rows are gone, and the running version meets an empty table.",
		SafeForm: "Delete in batches what is no longer needed, or drop the table in a contract migration.",
		Unsafe:   "TRUNCATE sessions;",
	},
	{
		ID: "drop-database", Class: Data, Severity: Error, Title: "database dropped",
		Why:      "All that is in it is gone.",
		SafeForm: "Take it out of the migrations: a database is removed by hand.",
		Unsafe:   "-- +goose NO TRANSACTION\n-- +goose Up\nDROP DATABASE shop;",
	},
	{
		ID: "write-whole-table", Class: Data, Severity: Error, Title: "UPDATE, DELETE, INSERT or MERGE over a whole table in one statement",
		Why:      "All rows stay locked until the end of the transaction, replicas lag, and the table grows. A loop without COMMIT is one transaction too (a warning).",
		SafeForm: "Batches of some thousand rows, each in a transaction of its own: a job of the application, or a block with COMMIT in its loop in a file without a transaction.",
		Unsafe:   "UPDATE users SET country = 'DE' WHERE country IS NULL;",
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
		ID: "backfill-under-lock", Class: Data, Severity: Error, Title: "backfill in the transaction of a change that locks a table",
		Why:      "The lock of the change is held for as long as the backfill takes: nobody can use the table.",
		SafeForm: "Files of their own for the change and for the backfill, which works in batches.",
		Unsafe:   "ALTER TABLE users ADD COLUMN country text;\nUPDATE users SET country = 'DE';",
		Safe:     "ALTER TABLE users ADD COLUMN country text;",
	},
}

var transactionRules = []Rule{
	{
		ID: "concurrently-in-transaction", Class: Transactions, Severity: Error, Title: "statement that cannot run in a transaction, in one",
		Why:      "PostgreSQL refuses CONCURRENTLY, VACUUM, CREATE DATABASE and some others within a transaction, and a tool that wraps files in one makes it.",
		SafeForm: "A file of its own that asks for no transaction, without BEGIN and COMMIT.",
		Unsafe:   "CREATE INDEX CONCURRENTLY orders_customer ON orders (customer_id);",
		Safe:     "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY orders_customer ON orders (customer_id);",
	},
	{
		ID: "concurrently-if-not-exists", Class: Transactions, Severity: Warning, Title: "CREATE INDEX CONCURRENTLY that a retry may take for done",
		Why:      "A build that failed leaves an invalid index behind, and IF NOT EXISTS takes it for the finished one; an index without a name is built a second time beside it.",
		SafeForm: "`DROP INDEX CONCURRENTLY IF EXISTS` before it, or neither: slipway-migrate removes the leftover of its own failed build.",
		Unsafe:   "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer ON orders (customer_id);",
		Safe:     "-- +goose NO TRANSACTION\n-- +goose Up\nDROP INDEX CONCURRENTLY IF EXISTS orders_customer;\nCREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer ON orders (customer_id);",
	},
	{
		ID: "validate-in-same-transaction", Class: Transactions, Severity: Error, Title: "constraint added and validated in one transaction",
		Why:      "The lock of ADD CONSTRAINT is held while VALIDATE reads all rows: NOT VALID has gained nothing.",
		SafeForm: "VALIDATE CONSTRAINT in a file of its own.",
		Unsafe:   "ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0) NOT VALID;\nALTER TABLE orders VALIDATE CONSTRAINT total_positive;",
		Safe:     "-- 00001_check.sql\n-- +goose Up\nALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0) NOT VALID;\n-- 00002_validate.sql\n-- +goose Up\nALTER TABLE orders VALIDATE CONSTRAINT total_positive;",
	},
	{
		ID: "enum-value-in-same-transaction", Class: Transactions, Severity: Error, Title: "new enum value used in the transaction that adds it",
		Why:      "PostgreSQL refuses the value before the transaction that added it is over.",
		SafeForm: "Use the value in a later file.",
		Unsafe:   "ALTER TYPE state ADD VALUE 'refunded';\nUPDATE orders SET state = 'refunded' WHERE id = 5;",
		Safe:     "-- 00001_value.sql\n-- +goose Up\nALTER TYPE state ADD VALUE 'refunded';\n-- 00002_use.sql\n-- +goose Up\nUPDATE orders SET state = 'refunded' WHERE id = 5;",
	},
	{
		ID: "many-tables-locked", Class: Transactions, Severity: Warning, Title: "several tables locked in one transaction",
		Why:      "While it waits for the second lock, the first table is blocked; with a session that takes them in the other order, it deadlocks.",
		SafeForm: "A file for each table. Several changes of one table belong into one ALTER TABLE.",
		Unsafe:   "ALTER TABLE users ADD COLUMN a int;\nALTER TABLE orders ADD COLUMN a int;",
		Safe:     "-- 00001_users.sql\n-- +goose Up\nALTER TABLE users ADD COLUMN a int;\n-- 00002_orders.sql\n-- +goose Up\nALTER TABLE orders ADD COLUMN a int;",
	},
	{
		ID: "transaction-control", Class: Transactions, Severity: Error, Title: "BEGIN or COMMIT that does not fit the file",
		Why:      "Within a transaction, BEGIN does nothing and COMMIT ends the runner's; a BEGIN without COMMIT loses the work of the file.",
		SafeForm: "Leave both out: the runner wraps the file in a transaction.",
		Unsafe:   "BEGIN;\nALTER TABLE users ADD COLUMN a int;\nCOMMIT;",
		Safe:     "ALTER TABLE users ADD COLUMN a int;",
	},
	{
		ID: "lock-timeout-off", Class: Transactions, Severity: Warning, Title: "lock_timeout switched off",
		Why:      "A statement that waits for its lock makes every later query of the table wait behind it.",
		SafeForm: "Leave it to the runner, which sets a lock_timeout and tries again.",
		Unsafe:   "SET lock_timeout = 0;",
		Safe:     "SET lock_timeout = '2s';",
	},
	{
		ID: NotAnalyzed, Class: Transactions, Severity: Error, Title: "statement that the linter cannot read",
		Why:      "It has a mistake, is built from text when it runs (a warning), is written in another language than SQL and PL/pgSQL (a warning), or is nested a hundred levels deep. Nothing can be said about it, and silence would look like consent.",
		SafeForm: "Correct it, write the statement out, or review it by hand and acknowledge the finding.",
		Unsafe:   "ALTER TABLE users ADD COLUM a int;",
		Safe:     "ALTER TABLE users ADD COLUMN a int;",
	},
	{
		ID: "file-format", Class: Transactions, Severity: Error, Title: "file that goose cannot run",
		Why:      "An annotation is missing or in the wrong place, or a statement has no semicolon at the end of its last line.",
		SafeForm: "Follow goose's format: `-- +goose Up`, and `-- +goose StatementBegin` and `-- +goose StatementEnd` around statements that hold semicolons.",
		Unsafe:   "ALTER TABLE users ADD COLUMN a int",
		Safe:     "ALTER TABLE users ADD COLUMN a int;",
	},
	{
		ID: "duplicate-version", Class: Transactions, Severity: Error, Title: "two files with one version",
		Why:      "goose refuses to run them, as happens when two branches take the same number.",
		SafeForm: "A number of its own for each file, higher than those that were applied.",
		Unsafe:   "-- 00001_users.sql\n-- +goose Up\nALTER TABLE users ADD COLUMN a int;\n-- 00001_orders.sql\n-- +goose Up\nALTER TABLE orders ADD COLUMN a int;",
	},
	{
		ID: "wrong-version", Class: Transactions, Severity: Error, Title: "statement that the target version of PostgreSQL does not know",
		Why:      "It fails when it is run. The rule speaks only where the target version is told.",
		SafeForm: "Write it for the target version.",
	},
	{
		ID: "identifier-too-long", Class: Transactions, Severity: Warning, Title: "name longer than 63 bytes",
		Why:      "PostgreSQL cuts it, so that later statements may hit another object, or none.",
		SafeForm: "A shorter name.",
		Unsafe:   "ALTER TABLE users ADD COLUMN a_name_that_is_so_long_that_it_does_not_fit_into_what_postgresql_keeps int;",
	},
	{
		ID: "acknowledgement", Class: Transactions, Severity: Error, Title: "acknowledgement that does not count",
		Why:      "It has no reason, names a rule that does not exist, or an `until` that is no day.",
		SafeForm: "`-- slipway:allow RULE reason=\"why it is safe here\" until=2027-03-31` above the statement; `until` may be left out.",
		Unsafe:   "-- slipway:allow drop-column\nALTER TABLE users ADD COLUMN a int;",
	},
	{
		ID: "acknowledgement-unused", Class: Transactions, Severity: Warning, Title: "acknowledgement of nothing",
		Why:      "It outlived its finding, and would hide the next one.",
		SafeForm: "Remove the comment.",
		Unsafe:   "-- slipway:allow drop-column reason=\"never read\"\nALTER TABLE users ADD COLUMN a int;",
	},
}
