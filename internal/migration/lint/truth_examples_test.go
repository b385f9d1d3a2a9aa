// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

const (
	exampleTables = `CREATE TABLE customers (id int PRIMARY KEY);
		CREATE TABLE orders (id int PRIMARY KEY, customer_id int, total int, state text, at timestamp);
		CREATE TABLE users (id int PRIMARY KEY, email text);`
	exampleIndex = exampleTables + `CREATE INDEX orders_customer ON orders (customer_id);`
	exampleLogs  = `CREATE TABLE logs (at timestamptz NOT NULL) PARTITION BY RANGE (at);
		CREATE TABLE logs_2020 PARTITION OF logs FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
		CREATE TABLE logs_2027 (at timestamptz NOT NULL);`
)

// exampleBase are the objects that the examples of the rules need, where those differ from exampleTables.
var exampleBase = map[string]string{
	"index-drop-blocks":    exampleIndex,
	"exclusion-constraint": "CREATE TABLE bookings (room int, during tsrange);",
	"attach-scans":         exampleLogs,
	"detach-blocks":        exampleLogs,
	"domain-scans": "CREATE DOMAIN email AS text; CREATE TABLE users (id int PRIMARY KEY, mail email);" +
		" INSERT INTO users SELECT n, n || '@example.org' FROM generate_series(1, 500) n;",
	"concurrently-on-partitioned": "SELECT 1;",
	"refresh-blocks-reads": exampleTables + "CREATE MATERIALIZED VIEW sales AS SELECT id, total FROM orders;" +
		"CREATE UNIQUE INDEX sales_id ON sales (id);",
	"enum-value-in-same-transaction": "CREATE TYPE state AS ENUM ('new'); CREATE TABLE orders (id int PRIMARY KEY, state state);",
}

// exampleSince is the version from which on PostgreSQL accepts the safe example of a rule.
var exampleSince = map[string]int{"generated-rewrites": 18}

// exampleCases are the unsafe and the safe example of a rule that a server can show.
func exampleCases(rule Rule) []*truth {
	if evidence[rule.ID] == "" {
		return nil
	}
	base, own := exampleBase[rule.ID]
	if !own {
		base = exampleTables
	}
	var cases []*truth
	if rule.Unsafe != "" {
		unsafe := &truth{
			name: "example/" + rule.ID + "/unsafe", errors: map[int][]string{0: {rule.ID}}, warnings: map[int][]string{}, refused: map[int]bool{},
			base: base, pending: exampleFiles(rule.Unsafe),
		}
		cases = append(cases, unsafe)
	}
	if rule.Safe != "" {
		safe := &truth{
			name: "example/" + rule.ID + "/safe", errors: map[int][]string{}, warnings: map[int][]string{}, refused: map[int]bool{}, base: base,
			pending: exampleFiles(rule.Safe),
		}
		for version := 14; version < exampleSince[rule.ID]; version++ {
			safe.refused[version] = true
		}
		cases = append(cases, safe)
	}
	return cases
}
