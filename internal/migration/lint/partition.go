// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"maps"
	"slices"
)

// proves reports whether validated CHECKs show that all rows of a table are inside, or outside, a bound. If the bound or the key is
// not known, any CHECK counts.
func (t *table) proves(inside bool, b bound, key []string) bool {
	for _, c := range t.constraints {
		if c.kind != "CONSTR_CHECK" || !c.validated {
			continue
		}
		if b.unknown || len(key) != 1 || b.implies(inside, true, key[0], c.expression.kind, c.expression.node) {
			if inside && !b.unknown && len(key) == 1 {
				if column := t.columns[key[0]]; column != nil && column.known && !column.notNull && !t.provesNotNull(key[0], nil) {
					continue
				}
			}
			return true
		}
	}
	return false
}

func (t *table) defaultPartition() (name string, has bool) {
	for name, b := range t.partitions {
		if b.isDefault {
			return name, true
		}
	}
	return "", false
}

func (s *schema) detach(parent *table, name string) {
	delete(parent.partitions, name)
	s.table(name).parent = ""
}

func (s *schema) addPartition(parent, child *table, b bound) {
	parent.partitions[child.name] = b
	child.parent = parent.name
}

// createPartition analyzes CREATE TABLE … PARTITION OF.
func (l *linter) createPartition(parent, child *table, n node) {
	b := boundOf(n)
	l.strongLock(parent.name, 0)
	l.scansDefault(parent, b)
	l.schema.addPartition(parent, child, b)
}

// scansDefault reports that PostgreSQL reads the default partition for rows that belong into a new one.
func (l *linter) scansDefault(parent *table, b bound) {
	name, has := parent.defaultPartition()
	if !has || b.isDefault || l.schema.free(name) || l.schema.unused(parent.name) {
		return
	}
	l.hold(name, true)
	rest := l.schema.table(name)
	if rest.proves(false, b, parent.key) || l.validatedUnseen(rest) || l.dropsCheckLater(name) {
		return
	}
	l.report(0, "attach-scans", name, fmt.Sprintf("PostgreSQL reads all rows of the default partition %s under an ACCESS "+
		"EXCLUSIVE lock, to see "+
		"that none belongs into the new partition: nothing can use %s until then.", name, name),
		"Before it, in earlier transactions: ALTER TABLE "+name+" ADD CONSTRAINT … CHECK (no row is within the new partition's bounds) NOT "+
			"VALID, then VALIDATE CONSTRAINT.")
}

func (l *linter) attach(parent *table, def node) {
	child := l.schema.table(relationName(def.child("name")))
	b := boundOf(def.child("bound"))
	defer l.schema.addPartition(parent, child, b)
	if l.schema.unused(parent.name) {
		return
	}
	l.scansDefault(parent, b)
	if l.schema.unused(child.name) {
		child.attached = l.tx
		return
	}
	if l.schema.isSmall(child.name) {
		return
	}
	l.hold(child.name, true)
	if l.provesBound(parent, child, b) || l.validatedUnseen(child) || l.dropsCheckLater(child.name) {
		return
	}
	l.report(0, "attach-scans", parent.name, "PostgreSQL reads all rows of "+child.name+", which nothing can use meanwhile, to see "+
		"that they belong into the partition.",
		"Before it, in earlier transactions: ALTER TABLE "+child.name+" ADD CONSTRAINT … CHECK (the partition's bounds, and NOT NULL) "+
			"NOT VALID, then VALIDATE CONSTRAINT; after it, drop the constraint. A DEFAULT partition needs the opposite CHECK.")
}

// provesBound reports whether PostgreSQL need not read a table to make it a partition. The rows of a DEFAULT partition must be outside
// the bounds of all others.
func (l *linter) provesBound(parent, child *table, b bound) bool {
	if !b.isDefault {
		return child.proves(true, b, parent.key)
	}
	if !parent.defined {
		return child.proves(false, bound{unknown: true}, nil)
	}
	return !slices.ContainsFunc(slices.Collect(maps.Values(parent.partitions)), func(other bound) bool {
		return !child.proves(false, other, parent.key)
	})
}

// validatedUnseen reports whether an earlier statement of the file validated a constraint of a table that no file shows.
func (l *linter) validatedUnseen(t *table) bool {
	return altersUnseen(l.parsed[:l.position], t, "AT_ValidateConstraint")
}

// dropsCheckLater reports whether a later statement drops a constraint of the table that no file shows, as after an ATTACH that it
// made cheap.
func (l *linter) dropsCheckLater(name string) bool {
	return altersUnseen(l.parsed[min(l.position+1, len(l.parsed)):], l.schema.table(name), "AT_DropConstraint")
}

// altersUnseen reports whether one of the statements is an ALTER TABLE with such a command for a constraint that no file shows.
func altersUnseen(statements []parsedStatement, t *table, subtype string) bool {
	for _, s := range statements {
		if s.kind != "AlterTableStmt" || relationName(s.node.child("relation")) != t.name {
			continue
		}
		for _, command := range s.node.each("cmds") {
			if command.node.text("subtype") == subtype && t.constraints[command.node.text("name")] == nil {
				return true
			}
		}
	}
	return false
}

// movePartition gives a partition, or the parent of partitions, its new name.
func (s *schema) movePartition(from, to string) {
	for _, t := range s.tables {
		if b, is := t.partitions[from]; is {
			delete(t.partitions, from)
			t.partitions[to] = b
		}
		if t.parent == from {
			t.parent = to
		}
	}
}

// forgetPartition removes a dropped table from its parent.
func (s *schema) forgetPartition(name string) {
	for _, t := range s.tables {
		delete(t.partitions, name)
	}
}
