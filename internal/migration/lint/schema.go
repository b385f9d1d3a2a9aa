// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"slices"
	"strings"
)

// schema is what is known about the database from the files so far. Of objects that no file created, only their existence is known.
type schema struct {
	tables    map[string]*table
	indexes   map[string]*index
	types     map[string]*userType
	functions map[string]*function
	// created are other objects by kind and name, such as "OBJECT_VIEW orders_v", that the pending files create.
	created map[string]bool
	// dropped are the objects that the current transaction dropped, by kind and name.
	dropped map[string]bool
	small   map[string]bool
	tx      *transaction // the current one
}

type table struct {
	name        string
	new         bool // created by the pending files: not in use yet
	temporary   bool
	view        bool // view or materialized view
	defined     bool // a file shows its columns
	filled      bool // created by the pending files, which put rows into it that nobody counted
	partitioned bool
	key         []string // columns of the partition key; nil if unknown, or an expression
	// partitions are the bounds of the known partitions, by name.
	partitions  map[string]bound
	parent      string       // of a partition
	attached    *transaction // that made a new table a partition of one that is in use
	columns     map[string]*column
	constraints map[string]*constraint
}

type column struct {
	typ        columnType
	known      bool // the type is known
	new        bool
	notNull    bool
	required   bool // NOT NULL, added by the pending files
	hasDefault bool
	becameKey  bool // NOT NULL only through a primary key of the pending files
}

type constraint struct {
	kind      string // CONSTR_CHECK and so on
	columns   []string
	validated bool
	// expression of a CHECK, the columns that it uses, and those that it proves to be not null.
	expression    wrapped
	uses, notNull columnSet
	notEnforced   bool
	new           bool
}

type index struct {
	table    string
	new      bool
	columns  []string
	unique   bool      // over all rows
	enforces bool      // uniqueness, also of a part of the rows
	uses     columnSet // columns in its expressions and its condition
}

type userType struct {
	kind string // "enum", "domain", "composite", "range"
	new  bool
	// base type and constraints of a domain.
	base        columnType
	constraints map[string]bool
}

type function struct {
	volatile bool
	new      bool
	// definition is the statement that creates it, in PL/pgSQL, and line its first line; empty for others.
	definition string
	line       int
	statements string // of a function in SQL
}

// bookkeeping are the tables in which migration tools record their state.
var bookkeeping = []string{
	"alembic_version", "django_migrations", "schema_migrations", "ar_internal_metadata", "flyway_schema_history", "databasechangelog",
	"databasechangeloglock", "goose_db_version", "gorp_migrations", "_prisma_migrations", "__drizzle_migrations", "knex_migrations",
	"knex_migrations_lock", "migrations", "atlas_schema_revisions", "_sqlx_migrations", "doctrine_migration_versions", "SequelizeMeta",
}

func newSchema(small []string) *schema {
	small = append(slices.Clone(bookkeeping), small...)
	s := &schema{
		tables: map[string]*table{}, indexes: map[string]*index{}, types: map[string]*userType{},
		functions: map[string]*function{}, created: map[string]bool{}, dropped: map[string]bool{}, small: map[string]bool{},
	}
	for _, name := range small {
		s.small[strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(name, `"`, "")), "public.")] = true
	}
	return s
}

// age makes all known objects part of the history.
func (s *schema) age() {
	for _, t := range s.tables {
		t.new, t.filled, t.attached = false, false, nil
		for _, c := range t.columns {
			c.new, c.required = false, false
		}
		for _, c := range t.constraints {
			c.new = false
		}
	}
	for _, i := range s.indexes {
		i.new = false
	}
	for _, t := range s.types {
		t.new = false
	}
	for _, f := range s.functions {
		f.new = false
	}
	s.created = map[string]bool{}
}

func (s *schema) begin(id int) *transaction {
	s.dropped = map[string]bool{}
	s.tx = &transaction{id: id, locks: map[string]tableLock{}, enumAdded: map[string]bool{}}
	return s.tx
}

// table returns the entry of a table, or a new entry for an existing table about which nothing is known.
func (s *schema) table(name string) *table {
	if t, known := s.tables[name]; known {
		return t
	}
	// A name without a schema may mean a table in a schema of the search path, and vice versa.
	if !strings.Contains(name, ".") {
		for full, t := range s.tables {
			if t.new && lastName(full) == name {
				return t
			}
		}
	}
	t := newTable(name)
	s.tables[name] = t
	return t
}

func newTable(name string) *table {
	return &table{name: name, columns: map[string]*column{}, constraints: map[string]*constraint{}, partitions: map[string]bound{}}
}

// free reports whether a table can be changed without restrictions: it is new, temporary, or declared small.
func (s *schema) free(name string) bool {
	return s.unused(name) || s.isSmall(name)
}

// unused reports whether a table is not in use yet. A new table with rows is in use after the transaction that made it a partition
// of a table in use.
func (s *schema) unused(name string) bool {
	t := s.table(name)
	live := t.filled && t.attached != nil && t.attached != s.tx
	return t.temporary || t.new && !live
}

func (s *schema) isSmall(name string) bool {
	return s.small[name] || s.small[lastName(name)] && !strings.Contains(name, ".")
}

func (t *table) column(name string) *column {
	c, known := t.columns[name]
	if !known {
		c = &column{}
		t.columns[name] = c
	}
	return c
}
