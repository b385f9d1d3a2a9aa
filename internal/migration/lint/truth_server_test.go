// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
	"github.com/slipway-dev/terraform-provider-slipway/test/postgres"
)

// TestServers_AgreeWithTheTruth runs the statements of each case on each version of PostgreSQL. It compares the rules of the case
// with the locks that the statements take, and with the tables that they read or rewrite while such locks are held.
func TestServers_AgreeWithTheTruth(t *testing.T) {
	cases := readTruth(t)
	for _, rule := range Rules() {
		cases = append(cases, exampleCases(rule)...)
	}
	postgres.OnEachVersion(t, func(t *testing.T, version int, server *postgres.Server) {
		if _, err := server.Psql(t.Context(), "postgres", "CREATE EXTENSION citext; CREATE EXTENSION btree_gist"); err != nil {
			t.Fatal(err)
		}
		t.Run("volatility of functions", func(t *testing.T) { compareVolatility(t, server) })
		statements := 0
		conn, holder := connect(t, server), connect(t, server)
		for i, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				w := &witness{
					T: t, conn: conn, holder: holder, locks: map[string]int{}, heavy: map[string]string{}, rewritten: map[string]bool{},
					blockedBy: map[string]int{},
				}
				w.prepare(c, fmt.Sprintf("c%d", i))
				for _, file := range c.pending {
					w.file(file)
				}
				statements += w.statements
				w.compare(c, version)
			})
		}
		t.Logf("FIGURE statements run on PostgreSQL %d: %d", version, statements)
	})
}

// lockLevel orders the table locks of PostgreSQL. Those from SHARE on block writes.
var lockLevel = map[string]int{
	"AccessShareLock": 1, "RowShareLock": 2, "RowExclusiveLock": 3, "ShareUpdateExclusiveLock": 4, "ShareLock": 5,
	"ShareRowExclusiveLock": 6, "ExclusiveLock": 7, "AccessExclusiveLock": 8,
}

const blocksWrites = 5

// many is the number of rows from which a statement counts as one that reads the table.
const many = 200

// witness observes what one case does to the tables that existed before.
type witness struct {
	*testing.T
	conn, holder *pgx.Conn
	tables       map[uint32]string // that existed before the pending files, by OID

	statements int
	refused    []string
	// strongest lock on each table, in any transaction.
	locks map[string]int
	// together is the largest number of tables that one transaction locked against writes.
	together int
	// heavy are the tables that a statement read or rewrote as a whole while its transaction blocked the writes of one.
	heavy     map[string]string
	rewritten map[string]bool
	blockedBy map[string]int // the lock under which it was read or rewritten
}

// connect returns a connection that ends with the test.
func connect(t *testing.T, server *postgres.Server) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["max_parallel_maintenance_workers"] = "0" // a worker's reads are not counted in the transaction
	config.RuntimeParams["timezone"] = "Europe/Berlin"
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func (w *witness) exec(sql string) {
	w.Helper()
	if _, err := w.conn.Exec(w.Context(), sql); err != nil {
		w.Fatalf("%s: %v", sql, err)
	}
}

// prepare makes the objects of the case and its applied files in a schema of their own.
func (w *witness) prepare(c *truth, schema string) {
	w.Helper()
	w.exec("ROLLBACK; CREATE SCHEMA " + schema + "; SET search_path = " + schema + ", public")
	if _, err := w.holder.Exec(w.Context(), "ROLLBACK; SET search_path = "+schema+", public"); err != nil {
		w.Fatal(err)
	}
	if c.base != "" {
		w.exec(c.base)
	}
	for _, file := range c.history {
		for _, statement := range file.Statements {
			w.exec(statement.SQL)
		}
	}
	if c.rows != "" {
		w.exec(c.rows)
	}
	w.fill()
	w.tables = map[uint32]string{}
	w.live("true")
}

// live adds tables to those that the application uses.
func (w *witness) live(which string) {
	w.Helper()
	rows, err := w.conn.Query(w.Context(), `SELECT oid, relname FROM pg_class
		WHERE relkind IN ('r', 'p', 'm') AND relnamespace = current_schema()::regnamespace AND `+which)
	if err != nil {
		w.Fatal(err)
	}
	var oid uint32
	var name string
	if _, err := pgx.ForEachRow(rows, []any{&oid, &name}, func() error { w.tables[oid] = name; return nil }); err != nil {
		w.Fatal(err)
	}
}

// fill puts rows into each ordinary table that has none.
func (w *witness) fill() {
	w.Helper()
	w.exec(`DO $$
	DECLARE tab regclass; names text; has boolean; of_each text;
	BEGIN
		FOR tab IN SELECT oid FROM pg_class WHERE relkind = 'r' AND NOT relispartition AND relnamespace = current_schema()::regnamespace
		ORDER BY oid LOOP
			EXECUTE format('SELECT EXISTS (SELECT FROM %s)', tab) INTO has;
			CONTINUE WHEN has;
			SELECT string_agg(quote_ident(attname), ', '), string_agg('(' || CASE
				WHEN base IN ('int2', 'int4', 'int8', 'float4', 'float8') THEN 'n'
				WHEN base IN ('text', 'varchar', 'bpchar', 'citext', 'name') THEN 'lpad(n::text, 3, ''0'')'
				WHEN base IN ('timestamp', 'timestamptz', 'date') THEN quote_literal('2027-06-01') || '::timestamp + n * interval ''1 minute'''
				WHEN base IN ('time', 'timetz') THEN '''12:00''::time'
				WHEN base = 'interval' THEN 'n * interval ''1 minute'''
				WHEN base = 'numeric' THEN 'n % 90'
				WHEN base = 'bool' THEN 'true'
				WHEN base IN ('json', 'jsonb') THEN '''{}'''
				WHEN base = 'xml' THEN '''<a/>'''
				WHEN base = 'uuid' THEN 'md5(n::text)::uuid'
				WHEN base = 'bytea' THEN '''a'''
				WHEN base IN ('inet', 'cidr') THEN '''10.0.0.1'''
				WHEN base = 'bit' THEN 'n::bit(64)::bit(' || greatest(atttypmod, 1) || ')'
				ELSE 'NULL' END || ')::' || format_type(atttypid, atttypmod), ', ') INTO names, of_each
			FROM (SELECT a.*, coalesce(b.typname, t.typname) AS base FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
				LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
				WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a'
				ORDER BY attnum) a;
			EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM generate_series(1, 500) n', tab, names, of_each);
		END LOOP;
	END $$`)
}

// state is what a transaction has done so far.
type state struct {
	locks map[string]int
	reads map[string]int64
	files map[string]uint32
}

func (w *witness) state() state {
	w.Helper()
	s := state{locks: map[string]int{}, reads: map[string]int64{}, files: map[string]uint32{}}
	// Nothing but REFRESH writes to a materialized view: a lock that lets it be read blocks nothing.
	rows, err := w.conn.Query(w.Context(), `SELECT c.oid, relfilenode,
			CASE WHEN relkind = 'm' AND l.modes NOT LIKE '%AccessExclusiveLock%' THEN '' ELSE coalesce(l.modes, '') END,
			pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid)
		FROM pg_class c LEFT JOIN (SELECT relation, string_agg(mode, ' ') AS modes FROM pg_locks
			WHERE pid = pg_backend_pid() AND granted AND locktype = 'relation' GROUP BY 1) l ON l.relation = c.oid
		WHERE c.relkind IN ('r', 'p', 'm') AND c.relnamespace = current_schema()::regnamespace`)
	if err != nil {
		w.Fatal(err)
	}
	var oid, file uint32
	var modes string
	var reads int64
	if _, err := pgx.ForEachRow(rows, []any{&oid, &file, &modes, &reads}, func() error {
		name, existed := w.tables[oid]
		if !existed {
			return nil
		}
		s.files[name], s.reads[name] = file, reads
		for mode := range strings.FieldsSeq(modes) {
			s.locks[name] = max(s.locks[name], lockLevel[mode])
		}
		return nil
	}); err != nil {
		w.Fatal(err)
	}
	return s
}

// file runs a pending file as the runner does, until a statement is refused.
func (w *witness) file(file *sqlfile.File) {
	w.Helper()
	if len(w.refused) > 0 {
		return
	}
	open := false
	for _, statement := range file.Statements {
		w.statements++
		alone := parseStatement(statement)
		if file.Transaction == sqlfile.PerStatement && (refusesTransaction(alone) != "" || strings.Contains(statement.SQL, "COMMIT")) {
			w.outside(statement.SQL)
		} else {
			if !open {
				w.exec("BEGIN")
			}
			open = w.inside(statement.SQL)
			if open && file.Transaction == sqlfile.PerStatement {
				w.exec("COMMIT")
				open = false
			}
		}
		if len(w.refused) > 0 {
			break
		}
	}
	if open {
		w.exec("COMMIT")
	}
	for oid := range w.tables { // partitions are used with their parent
		w.live(fmt.Sprintf("oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %d)", oid))
	}
}

// inside runs a statement in the open transaction, and reports whether that is still open.
func (w *witness) inside(sql string) bool {
	w.Helper()
	before := w.state()
	if _, err := w.conn.Exec(w.Context(), sql); err != nil {
		w.refuse(sql, err)
		w.exec("ROLLBACK")
		return false
	}
	after := w.state()
	strongest, locked := 0, 0
	for name, level := range after.locks {
		w.locks[name] = max(w.locks[name], level)
		strongest = max(strongest, level)
		if level >= blocksWrites {
			locked++
		}
	}
	w.together = max(w.together, locked)
	for name, file := range after.files {
		if file != before.files[name] {
			w.rewritten[name] = true
		}
		if strongest >= blocksWrites && (file != before.files[name] || after.reads[name]-before.reads[name] >= many) {
			w.heavy[name] = sql
			w.blockedBy[name] = strongest
		}
	}
	return true
}

func (w *witness) refuse(sql string, err error) {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		w.Fatalf("%s: %v", sql, err)
	}
	w.refused = append(w.refused, sql+": "+refused.Message)
}

// outside runs a statement that refuses a transaction while another session holds a lock that every change of a table waits for,
// to see which lock the statement asks for.
func (w *witness) outside(sql string) {
	w.Helper()
	if _, err := w.holder.Exec(w.Context(), "BEGIN"); err != nil {
		w.Fatal(err)
	}
	for _, name := range w.tables {
		if _, err := w.holder.Exec(w.Context(), "SAVEPOINT s; LOCK TABLE "+name+" IN SHARE UPDATE EXCLUSIVE MODE"); err != nil {
			if _, err := w.holder.Exec(w.Context(), "ROLLBACK TO s"); err != nil { // a materialized view
				w.Fatal(err)
			}
		}
	}
	done := make(chan error, 1)
	pid := w.conn.PgConn().PID()
	go func() { _, err := w.conn.Exec(w.Context(), sql); done <- err }()
	waits := ""
	for finished := false; waits == "" && !finished; {
		select {
		case err := <-done:
			finished = true
			done <- err
		case <-time.After(5 * time.Millisecond):
		}
		if err := w.holder.QueryRow(w.Context(), `SELECT coalesce(max(relation::regclass || ' ' || mode), '') FROM pg_locks
			WHERE pid = $1 AND NOT granted AND locktype = 'relation'`, pid).Scan(&waits); err != nil {
			w.Fatal(err)
		}
	}
	if _, err := w.holder.Exec(w.Context(), "ROLLBACK"); err != nil {
		w.Fatal(err)
	}
	if err := <-done; err != nil {
		w.refuse(sql, err)
		return
	}
	if name, mode, found := strings.Cut(waits, " "); found {
		w.locks[name] = max(w.locks[name], lockLevel[mode])
	}
}

func (w *witness) blocks() bool {
	for _, level := range w.locks {
		if level >= blocksWrites {
			return true
		}
	}
	return false
}

// evidence is what a server must show if a rule is right: refused, heavy (a table is read or rewritten under a lock that blocks
// writes), rewritten (the same, and the table has new storage), blocks (a lock that blocks writes), several (of more than one
// table). Rules that are not listed are about the application, and no server can show them.
var evidence = map[string]string{
	"index-blocks-writes": "heavy", "constraint-builds-index": "heavy", "primary-key-scans": "heavy", "exclusion-constraint": "heavy",
	"check-scans": "heavy", "foreign-key-scans": "heavy", "not-null-scans": "heavy", "default-rewrites": "rewritten",
	"serial-rewrites": "rewritten", "generated-rewrites": "rewritten", "type-change": "heavy", "attach-scans": "heavy",
	"domain-scans":                 "heavy",
	"validate-in-same-transaction": "heavy", "backfill-under-lock": "heavy", "reindex-blocks": "heavy", "table-rewrite": "rewritten",
	"index-drop-blocks": "blocks", "detach-blocks": "blocks", "explicit-lock": "blocks", "refresh-blocks-reads": "heavy",
	"rule-on-table": "blocks", "many-tables-locked": "several",
	"concurrently-in-transaction": "refused", "concurrently-on-partitioned": "refused", "wrong-version": "refused",
	"enum-value-in-same-transaction": "refused", "index-drop-concurrently": "refused", NotAnalyzed: "refused",
}

func (w *witness) compare(c *truth, version int) {
	w.Helper()
	rules := c.errorsOn(version)
	for _, rule := range c.warningsOn(version) {
		if what := evidence[rule]; what == "several" || what == "blocks" {
			rules = append(slices.Clone(rules), rule)
		}
	}
	mayRefuse := c.refused[version] || c.refused[0]
	heavy := false
	for _, rule := range rules {
		shown := true
		switch evidence[rule] {
		case "refused":
			shown, mayRefuse = len(w.refused) > 0, true
		case "heavy":
			shown, heavy = len(w.heavy) > 0, true
		case "rewritten":
			shown, heavy = len(w.heavy) > 0 && len(w.rewritten) > 0, true
		case "blocks":
			shown = w.blocks()
		case "several":
			shown = w.together > 1
		}
		if !shown && (len(w.refused) == 0 || evidence[rule] == "refused") {
			w.Errorf("%s is expected, and the server does not show it: locks %v, read or rewritten under a lock %v, rewritten %v, refused %v",
				rule, w.locks, w.heavy, w.rewritten, w.refused)
		}
	}
	if len(w.heavy) > 0 && !heavy {
		w.Errorf("no rule is expected, and the server reads or rewrites under a lock %v: %v", w.blockedBy, w.heavy)
	}
	if (len(w.refused) > 0) != mayRefuse {
		w.Errorf("refused: %v, expected %v", w.refused, mayRefuse)
	}
}
