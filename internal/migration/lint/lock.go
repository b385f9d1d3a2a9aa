// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"slices"
)

// tableLock is a lock on an existing table that blocks at least its writes until the transaction ends.
type tableLock struct {
	line  int
	reads bool // it blocks reads, too
}

// blocks says what a lock keeps from a table.
func (t tableLock) blocks() string {
	if t.reads {
		return "nothing can use"
	}
	return "nothing can write to"
}

// strongLock records that a statement takes an ACCESS EXCLUSIVE lock on an existing table until the end of its transaction.
func (l *linter) strongLock(name string, offset int) { l.lock(name, offset, true, nil) }

// writeLock records that a statement blocks the writes of an existing table, but not its reads.
func (l *linter) writeLock(name string, offset int) { l.lock(name, offset, false, nil) }

// lock records a lock and reports a second table in a transaction, except for a table that the same statement must lock together with
// those in with, as a foreign key does.
func (l *linter) lock(name string, offset int, reads bool, with []string) {
	if name == "" || l.schema.unused(name) || name == placeholder || l.tx == nil {
		return
	}
	others := slices.DeleteFunc(slices.Clone(l.tx.locked), func(other string) bool { return slices.Contains(with, other) })
	_, locked := l.tx.locks[name]
	l.hold(name, reads)
	if locked || len(others) == 0 || l.tx.several {
		return
	}
	if other := l.tx.locks[others[0]]; l.tx.wrapped || other.line == l.tx.locks[name].line {
		l.tx.several = true
		l.report(offset, "many-tables-locked", name, fmt.Sprintf("The transaction locks %s while it still holds the lock on %s (line "+
			"%d): while it waits for one, the other is blocked, and with a session that takes them in the other order it deadlocks.",
			name, others[0], other.line), "Change one table in a transaction: a file for each, also for each foreign key of a new table.")
	}
}

// hold records a lock without a report.
func (l *linter) hold(name string, reads bool) {
	if l.tx == nil {
		return
	}
	known, locked := l.tx.locks[name]
	if !locked {
		known.line = l.fixedLine
		if known.line == 0 {
			known.line = l.parsed[l.position].Line
		}
		l.tx.locked = append(l.tx.locked, name)
	}
	known.reads = known.reads || reads
	l.tx.locks[name] = known
}

// whileLocked is the first lock that the transaction holds; ok is false if it holds none.
func (l *linter) whileLocked() (name string, held tableLock, ok bool) {
	if l.tx == nil || len(l.tx.locked) == 0 {
		return "", tableLock{}, false
	}
	return l.tx.locked[0], l.tx.locks[l.tx.locked[0]], true
}

// lockTarget records that a foreign key blocks the writes of the table that it refers to. A foreign key of an existing table has
// to lock both.
func (l *linter) lockTarget(t *table, def node) {
	var with []string
	if !l.schema.unused(t.name) {
		with = []string{t.name}
	}
	target := l.schema.table(relationName(def.child("pktable"))).name
	l.lock(target, def.location(), false, with)
}
