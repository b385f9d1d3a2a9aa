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
}

type table struct {
	name        string
	new         bool // created by the pending files: not in use yet
	temporary   bool
	view        bool // view or materialized view
	partitioned bool
	hasDefault  bool // a DEFAULT partition
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
	// notNull is the column of a CHECK (c IS NOT NULL).
	notNull string
	tx      *transaction // that added it; nil for those of the history
	at      int          // the statement that added it, in its file
	new     bool
}

type index struct {
	table   string
	new     bool
	columns []string
	unique  bool
}

type userType struct {
	kind        string // "enum", "domain", "composite", "range"
	new         bool
	constrained bool // a domain with constraints
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
		t.new = false
		for _, c := range t.columns {
			c.new, c.required = false, false
		}
		for _, c := range t.constraints {
			c.new, c.tx = false, nil
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
	return &transaction{id: id, lockedAt: map[string]int{}, enumAdded: map[string]bool{}}
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
	t := &table{name: name, columns: map[string]*column{}, constraints: map[string]*constraint{}}
	s.tables[name] = t
	return t
}

// free reports whether a table can be changed without restrictions: it is new, temporary, or declared small.
func (s *schema) free(name string) bool {
	t := s.table(name)
	return t.new || t.temporary || s.isSmall(name)
}

// unused reports whether a table is not in use yet.
func (s *schema) unused(name string) bool {
	t := s.table(name)
	return t.new || t.temporary
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

// provesNotNull reports whether a validated CHECK proves that a column has no nulls.
func (t *table) provesNotNull(column string) bool {
	for _, c := range t.constraints {
		if c.notNull == column && c.validated {
			return true
		}
	}
	return false
}

// lock records a strong lock on an existing table until the end of the transaction.
func (tx *transaction) lock(name string, line int) {
	if _, locked := tx.lockedAt[name]; !locked {
		tx.lockedAt[name] = line
		tx.locked = append(tx.locked, name)
	}
}
