// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import "strings"

func reindexConcurrently(n node) bool {
	for _, param := range n.each("params") {
		if param.node.text("defname") == "concurrently" {
			_, arg := param.node.any("arg")
			return arg == nil || arg.text("sval") != "false" && arg.text("sval") != "off"
		}
	}
	return false
}

func (l *linter) reindex(n node) {
	name := relationName(n.child("relation"))
	if reindexConcurrently(n) || n.text("kind") == "REINDEX_OBJECT_TABLE" && l.schema.free(name) {
		return
	}
	if i := l.schema.indexes[lastName(name)]; i != nil && l.schema.free(i.table) {
		return
	}
	l.report(0, "reindex-blocks", name, "REINDEX holds a lock against writes on the table, and an ACCESS EXCLUSIVE lock on the "+
		"index, until it is rebuilt.",
		"REINDEX … CONCURRENTLY, in a file of its own with '-- +goose NO TRANSACTION'.")
}

func (l *linter) rewriteCommand(kind string, n node) {
	what := "CLUSTER"
	var names []string
	if kind == "VacuumStmt" {
		full := false
		for _, option := range n.each("options") {
			_, arg := option.node.any("arg")
			full = full || option.node.text("defname") == "full" && arg.text("sval") != "false" && arg.text("sval") != "off"
		}
		if !full {
			return
		}
		what = "VACUUM FULL"
		for _, relation := range n.each("rels") {
			names = append(names, relationName(relation.node.child("relation")))
		}
	} else if relation := n.child("relation"); relation != nil {
		names = append(names, relationName(relation))
	}
	for _, name := range names {
		if !l.schema.free(name) {
			l.report(0, "table-rewrite", name, what+" rewrites the table under an ACCESS EXCLUSIVE lock: nothing reads or writes it until then.",
				"Use pg_repack, or plain VACUUM, or a maintenance window.")
		}
	}
	if len(names) == 0 {
		l.report(0, "table-rewrite", "", what+" rewrites all tables, one after the other, under ACCESS EXCLUSIVE locks.",
			"Use pg_repack, or plain VACUUM, or a maintenance window.")
	}
}

func (l *linter) refresh(n node) {
	name := relationName(n.child("relation"))
	if l.schema.free(name) || n.flag("skipData") {
		return
	}
	if n.flag("concurrent") {
		l.readUnderLock(name)
		return
	}
	l.report(0, "refresh-blocks-reads", name, "Nothing can read the materialized view until its query is done.",
		"REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view.")
}

// lockModes are those that stop writers, by PostgreSQL's numbers.
var lockModes = map[int]string{4: "SHARE UPDATE EXCLUSIVE", 5: "SHARE", 6: "SHARE ROW EXCLUSIVE", 7: "EXCLUSIVE", 8: "ACCESS EXCLUSIVE"}

func (l *linter) lockTable(n node) {
	mode := n.number("mode")
	if mode < 5 {
		return
	}
	for _, relation := range n.each("relations") {
		name := relationName(relation.node)
		if !l.schema.free(name) {
			l.report(0, "explicit-lock", name, "LOCK TABLE in "+lockModes[mode]+" mode stops the running version until the transaction ends.",
				"Remove it: statements take the locks that they need.")
		}
		l.lock(name, 0, mode == 8, nil)
	}
}

func (l *linter) truncate(n node) {
	cascade := n.text("behavior") == "DROP_CASCADE"
	for _, relation := range n.each("relations") {
		name := relationName(relation.node)
		if l.schema.unused(name) {
			continue
		}
		reason := "All rows are gone, and the running version meets an empty table."
		if cascade {
			reason += " CASCADE empties all tables that refer to it as well."
		}
		l.report(0, "truncate", name, reason, "Delete in batches what is no longer needed, or drop the table in a contract migration.")
		l.hold(name, true)
	}
}

// volatileFunctions of PostgreSQL and its usual extensions, with another value for each row.
var volatileFunctions = set("clock_timestamp random random_normal gen_random_uuid uuid_generate_v1 uuid_generate_v1mc " +
	"uuid_generate_v4 uuidv4 uuidv7 uuid_generate_v7 nextval setval currval lastval timeofday gen_random_bytes pg_sleep " +
	"txid_current pg_current_xact_id gen_salt nanoid ulid gen_ulid generate_ulid")

// steadyFunctions are the usual functions that are not volatile: PostgreSQL computes them once for all rows.
var steadyFunctions = set("now transaction_timestamp statement_timestamp current_setting current_user session_user " +
	"current_schema current_database version lower upper initcap concat concat_ws left right substr substring md5 length " +
	"char_length trim btrim ltrim rtrim replace split_part to_char to_date to_timestamp to_number date_trunc date_part extract age " +
	"make_date make_time make_timestamp make_timestamptz make_interval timezone abs round ceil ceiling floor trunc greatest least " +
	"coalesce nullif mod power sqrt jsonb_build_object json_build_object jsonb_build_array json_build_array to_jsonb to_json " +
	"jsonb_object json_object array_fill string_to_array array_append array_cat encode decode digest sha256 int4range int8range " +
	"numrange tsrange tstzrange daterange to_tsvector to_tsquery format repeat lpad rpad chr ascii point box row numeric int4 int8 " +
	"text varchar date timestamp timestamptz bool overlay position strpos")

func set(words string) map[string]bool {
	names := map[string]bool{}
	for _, name := range strings.Fields(words) {
		names[name] = true
	}
	return names
}

// volatile names the part of an expression whose value may differ from row to row; else it is "".
func (l *linter) volatile(kind string, n node) string {
	found := ""
	visit := func(kind string, below node) bool {
		if kind != "FuncCall" || found != "" {
			return found == ""
		}
		name := joined(below.names("funcname"))
		short := lastName(name)
		if f := l.schema.functions[name]; f != nil {
			if f.volatile {
				found = "The volatile function " + name + "()"
			}
			return found == ""
		}
		switch {
		case volatileFunctions[short]:
			found = short + "()"
		case !steadyFunctions[short]:
			found = "The function " + name + "(), of which the files do not show that it is STABLE or IMMUTABLE,"
		}
		return found == ""
	}
	if visit(kind, n) {
		walk(map[string]any(n), visit)
	}
	return found
}
