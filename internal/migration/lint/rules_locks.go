// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

var lockRules = []Rule{
	{
		ID: "index-blocks-writes", Class: Locks, Severity: Error, Title: "CREATE INDEX without CONCURRENTLY",
		Why: "The SHARE lock blocks all writes to the table until the index is built, also with `ON ONLY` on a table without " +
			"partitions. A table that was filled and attached as a partition is in use from then on.",
		SafeForm: "Use `CREATE INDEX CONCURRENTLY` in its own file without a transaction. On a partitioned table, create the index " +
			"`ON ONLY` the parent, create one index CONCURRENTLY on each partition, then use `ALTER INDEX … ATTACH PARTITION`.",
		Unsafe: "CREATE INDEX orders_customer ON orders (customer_id);",
		Safe:   "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY orders_customer ON orders (customer_id);",
	},
	{
		ID: "index-drop-blocks", Class: Locks, Severity: Error, Title: "DROP INDEX without CONCURRENTLY",
		Why: "The statement waits for all queries on the table to take an ACCESS EXCLUSIVE lock, and every later query waits " +
			"behind it.",
		SafeForm: "Use `DROP INDEX CONCURRENTLY` in its own file without a transaction.",
		Unsafe:   "DROP INDEX orders_customer;",
		Safe:     "-- +goose NO TRANSACTION\n-- +goose Up\nDROP INDEX CONCURRENTLY IF EXISTS orders_customer;",
	},
	{
		ID: "reindex-blocks", Class: Locks, Severity: Error, Title: "REINDEX without CONCURRENTLY",
		Why:      "The rebuild blocks all writes to the table, and no query can use the index until the rebuild is complete.",
		SafeForm: "Use `REINDEX … CONCURRENTLY` in its own file without a transaction.",
		Unsafe:   "REINDEX TABLE orders;",
		Safe:     "-- +goose NO TRANSACTION\n-- +goose Up\nREINDEX TABLE CONCURRENTLY orders;",
	},
	{
		ID: "constraint-builds-index", Class: Locks, Severity: Error, Title: "UNIQUE or PRIMARY KEY that builds its index under a lock",
		Why: "PostgreSQL builds the index of the constraint under an ACCESS EXCLUSIVE lock, which blocks all reads and writes of " +
			"the table.",
		SafeForm: "Use `CREATE UNIQUE INDEX CONCURRENTLY`, then `ADD CONSTRAINT … USING INDEX`.",
		Unsafe:   "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);",
		Safe: "-- 00001_index.sql\n-- +goose NO TRANSACTION\n-- +goose Up\n" +
			"CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON users (email);\n-- 00002_constraint.sql\n-- +goose Up\n" +
			"ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_key;",
	},
	{
		ID: "primary-key-scans", Class: Locks, Severity: Error, Title: "PRIMARY KEY USING INDEX on a nullable column",
		Why: "A primary key makes its columns NOT NULL. If a column is still nullable, PostgreSQL reads all rows under an ACCESS " +
			"EXCLUSIVE lock.",
		SafeForm: "First make the columns NOT NULL through a validated CHECK. Then make the index the primary key.",
	},
	{
		ID: "exclusion-constraint", Class: Locks, Severity: Error, Title: "EXCLUDE constraint on an existing table",
		Why:      "PostgreSQL builds the index of the constraint under an ACCESS EXCLUSIVE lock, and offers no alternative form.",
		SafeForm: "Create a new table with the constraint and copy the rows in batches, or use a maintenance window.",
		Unsafe:   "ALTER TABLE bookings ADD CONSTRAINT no_overlap EXCLUDE USING gist (room WITH =, during WITH &&);",
	},
	{
		ID: "check-scans", Class: Locks, Severity: Error, Title: "CHECK constraint without NOT VALID",
		Why: "PostgreSQL reads all rows under an ACCESS EXCLUSIVE lock.",
		SafeForm: "Use `ADD CONSTRAINT … CHECK … NOT VALID`, and `VALIDATE CONSTRAINT` in a later transaction, which does not block " +
			"reads and writes.",
		Unsafe: "ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0);",
		Safe: "-- 00001_check.sql\n-- +goose Up\n" +
			"ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0) NOT VALID;\n-- 00002_validate.sql\n" +
			"-- +goose Up\nALTER TABLE orders VALIDATE CONSTRAINT total_positive;",
	},
	{
		ID: "foreign-key-scans", Class: Locks, Severity: Error, Title: "foreign key without NOT VALID",
		Why: "PostgreSQL checks all rows, and blocks writes to both tables during the check. A new column without a default has " +
			"no rows to check, but its statement blocks all use of the table while it waits for the lock on the other one (a warning). " +
			"The rows of a new table are checked, too, if the files fill it first.",
		SafeForm: "Use `ADD CONSTRAINT … FOREIGN KEY … NOT VALID`, and `VALIDATE CONSTRAINT` in a later transaction.",
		Unsafe:   "ALTER TABLE orders ADD CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id);",
		Safe: "-- 00001_key.sql\n-- +goose Up\n" +
			"ALTER TABLE orders ADD CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID;\n" +
			"-- 00002_validate.sql\n-- +goose Up\nALTER TABLE orders VALIDATE CONSTRAINT orders_customer;",
	},
	{
		ID: "not-null-scans", Class: Locks, Severity: Error, Title: "SET NOT NULL without a validated constraint",
		Why: "PostgreSQL reads all rows under an ACCESS EXCLUSIVE lock, unless a validated CHECK proves that there are no nulls. It " +
			"accepts `c IS NOT NULL` and `NOT (c IS NULL)`, also as parts of AND, but no comparison, no `coalesce` and no constraint " +
			"that is NOT ENFORCED.",
		SafeForm: "Add a CHECK that is NOT VALID, and use `VALIDATE CONSTRAINT` in a later transaction. `SET NOT NULL` then reads no " +
			"rows. Drop the constraint in a separate statement. From PostgreSQL 18, `ADD CONSTRAINT … NOT NULL … NOT VALID` and " +
			"`VALIDATE CONSTRAINT` have the same effect.",
		Unsafe: "ALTER TABLE users ALTER COLUMN email SET NOT NULL;",
		Safe: "-- 00001_check.sql\n-- +goose Up\n" +
			"ALTER TABLE users ADD CONSTRAINT email_present CHECK (email IS NOT NULL) NOT VALID;\n-- 00002_validate.sql\n" +
			"-- +goose Up\nALTER TABLE users VALIDATE CONSTRAINT email_present;\n-- 00003_not_null.sql\n-- +goose Up\n" +
			"ALTER TABLE users ALTER COLUMN email SET NOT NULL;\nALTER TABLE users DROP CONSTRAINT email_present;",
	},
	{
		ID: "default-rewrites", Class: Locks, Severity: Error, Title: "new column with a volatile default",
		Why: "PostgreSQL rewrites the table under an ACCESS EXCLUSIVE lock, because the default differs from row to row. A " +
			"constant default and `now()` need no rewrite.",
		SafeForm: "Add the column without a default, use `SET DEFAULT` for new rows, and backfill the old rows in batches.",
		Unsafe:   "ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();",
		Safe:     "ALTER TABLE users ADD COLUMN token uuid;\nALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();",
	},
	{
		ID: "serial-rewrites", Class: Locks, Severity: Error, Title: "new serial or identity column",
		Why:      "Every row gets a number, so PostgreSQL rewrites the table under an ACCESS EXCLUSIVE lock.",
		SafeForm: "Add a plain column and a sequence, use `SET DEFAULT nextval(…)` for new rows, and number the old rows in batches.",
		Unsafe:   "ALTER TABLE orders ADD COLUMN number bigserial;",
		Safe: "ALTER TABLE orders ADD COLUMN number bigint;\nCREATE SEQUENCE orders_number OWNED BY orders.number;\n" +
			"ALTER TABLE orders ALTER COLUMN number SET DEFAULT nextval('orders_number');",
	},
	{
		ID: "generated-rewrites", Class: Locks, Severity: Error, Title: "new stored generated column",
		Why: "PostgreSQL computes the column for every row and rewrites the table under an ACCESS EXCLUSIVE lock.",
		SafeForm: "Add a plain column that a trigger or the application updates, and backfill the old rows in batches. From " +
			"PostgreSQL 18, use a VIRTUAL column.",
		Unsafe: "ALTER TABLE orders ADD COLUMN cents bigint GENERATED ALWAYS AS (total * 100) STORED;",
		Safe:   "ALTER TABLE orders ADD COLUMN cents bigint GENERATED ALWAYS AS (total * 100) VIRTUAL;",
	},
	{
		ID: "type-change", Class: Locks, Severity: Error, Title: "column type changed with a rewrite, or narrowed",
		Why: "PostgreSQL rewrites the table and its indexes under an ACCESS EXCLUSIVE lock, or existing values no longer fit. " +
			"These changes need no rewrite: a longer varchar, between text, varchar and citext, a numeric with more digits and the " +
			"same scale, more precision of a time or an interval, xml to text, cidr to inet, and a domain without constraints instead " +
			"of its type. PostgreSQL still reads all rows if it has to check a CHECK of the column again, or to build an index again: " +
			"one with other operators, with an expression, or with a condition on the column. The linter knows the old type from the " +
			"earlier files. If they do not show it, a change to text or varchar is only a warning.",
		SafeForm: "Add a column of the new type, keep it in sync with a trigger or the application, and backfill it in batches. Then " +
			"switch the reads, and drop the old column in a contract migration.",
		Unsafe: "ALTER TABLE orders ALTER COLUMN id TYPE bigint;",
		Safe:   "ALTER TABLE orders ADD COLUMN id_big bigint;",
	},
	{
		ID: "table-rewrite", Class: Locks, Severity: Error,
		Title:    "VACUUM FULL, CLUSTER, SET LOGGED, SET TABLESPACE and other statements that rewrite the table",
		Why:      "The rewrite blocks all reads and writes of the table.",
		SafeForm: "Use plain `VACUUM`, pg_repack, a copy in batches, or a maintenance window.",
		Unsafe:   "CLUSTER orders USING orders_pkey;",
		Safe:     "-- +goose NO TRANSACTION\n-- +goose Up\nVACUUM (ANALYZE) orders;",
	},
	{
		ID: "refresh-blocks-reads", Class: Locks, Severity: Error, Title: "REFRESH MATERIALIZED VIEW without CONCURRENTLY",
		Why:      "The refresh blocks all reads of the view until its query is complete.",
		SafeForm: "Use `REFRESH MATERIALIZED VIEW CONCURRENTLY`, which needs a unique index on the view.",
		Unsafe:   "REFRESH MATERIALIZED VIEW sales;",
		Safe:     "REFRESH MATERIALIZED VIEW CONCURRENTLY sales;",
	},
	{
		ID: "attach-scans", Class: Locks, Severity: Error, Title: "new partition without a validated CHECK",
		Why: "`ATTACH PARTITION` reads all rows of the new partition and blocks its use during the scan. If the table has a DEFAULT " +
			"partition, `ATTACH PARTITION` and `CREATE TABLE … PARTITION OF` also read all rows of that one under an ACCESS EXCLUSIVE " +
			"lock.",
		SafeForm: "Add a CHECK with the partition's bounds as NOT VALID, and use `VALIDATE CONSTRAINT`, both in earlier transactions. " +
			"The CHECK of a DEFAULT partition excludes these bounds. You can drop the CHECK afterwards.",
		Unsafe: "ALTER TABLE logs ATTACH PARTITION logs_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');",
		Safe: "-- 00001_check.sql\n-- +goose Up\n" +
			"ALTER TABLE logs_2027 ADD CONSTRAINT in_2027 CHECK (at IS NOT NULL AND at >= '2027-01-01' AND at < '2028-01-01') NOT VALID;\n" +
			"-- 00002_validate.sql\n-- +goose Up\nALTER TABLE logs_2027 VALIDATE CONSTRAINT in_2027;\n-- 00003_attach.sql\n" +
			"-- +goose Up\nALTER TABLE logs ATTACH PARTITION logs_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');",
	},
	{
		ID: "detach-blocks", Class: Locks, Severity: Error, Title: "DETACH PARTITION without CONCURRENTLY",
		Why: "The statement blocks all use of the parent and the partition, and waits for everything that runs on them.",
		SafeForm: "Use `DETACH PARTITION … CONCURRENTLY` in its own file without a transaction. PostgreSQL refuses it if there is a " +
			"DEFAULT partition.",
		Unsafe: "ALTER TABLE logs DETACH PARTITION logs_2020;",
		Safe:   "-- +goose NO TRANSACTION\n-- +goose Up\nALTER TABLE logs DETACH PARTITION logs_2020 CONCURRENTLY;",
	},
	{
		ID: "explicit-lock", Class: Locks, Severity: Error, Title: "LOCK TABLE",
		Why:      "A lock in mode SHARE or stronger blocks the application's writes, or all its queries, until the transaction ends.",
		SafeForm: "Remove LOCK. Statements take the locks that they need.",
		Unsafe:   "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE;",
	},
	{
		ID: "domain-scans", Class: Locks, Severity: Error, Title: "constraint on a domain, checked in all tables at once",
		Why:      "PostgreSQL reads every table with a column of the domain under a lock, one after the other, in one transaction.",
		SafeForm: "Use `ALTER DOMAIN … ADD CONSTRAINT … CHECK … NOT VALID`, and `VALIDATE CONSTRAINT` in a later transaction.",
		Unsafe:   "ALTER DOMAIN email ADD CONSTRAINT has_at CHECK (VALUE LIKE '%@%');",
		Safe:     "ALTER DOMAIN email ADD CONSTRAINT has_at CHECK (VALUE LIKE '%@%') NOT VALID;",
	},
	{
		ID: "concurrently-on-partitioned", Class: Locks, Severity: Error, Title: "CONCURRENTLY on a partitioned table",
		Why: "PostgreSQL refuses the statement, and the file fails.",
		SafeForm: "Create the index `ON ONLY` the parent, create one index CONCURRENTLY on each partition, then use `ALTER INDEX … " +
			"ATTACH PARTITION`.",
		Unsafe: "-- 00001_create.sql\n-- +goose Up\nCREATE TABLE logs (at timestamptz) PARTITION BY RANGE (at);\n" +
			"-- 00002_index.sql\n-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY logs_at ON logs (at);",
	},
	{
		ID: "rule-on-table", Class: Locks, Severity: Warning, Title: "CREATE RULE on an existing table",
		Why:      "A rule rewrites the statements of the running version in ways that are hard to predict.",
		SafeForm: "Use a trigger.",
		Unsafe:   "CREATE RULE keep AS ON DELETE TO orders DO INSTEAD NOTHING;",
	},
}
