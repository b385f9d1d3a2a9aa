// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package lint

import (
	"fmt"
	"slices"
	"time"
)

// acknowledge sets the acknowledgement of a finding, or adds to it that the acknowledgement has expired.
func (l *linter) acknowledge(finding *Finding) {
	if finding.Rule == "acknowledgement" || finding.Rule == "acknowledgement-unused" {
		return
	}
	for i, note := range l.current.Notes {
		if note.Problem != "" || !slices.Contains(note.Rules, finding.Rule) || !l.noteCovers(i, finding.Line) {
			continue
		}
		l.used[ackKey{file: l.current.Name, note: i, rule: finding.Rule}] = true
		if l.expired(note.Until) {
			finding.Reason += fmt.Sprintf(" The acknowledgement in line %d expired on %s.", note.Line, note.Until.Format(time.DateOnly))
			continue
		}
		finding.Acknowledged = note.Reason
		return
	}
	for i, ack := range l.options.Acknowledgements {
		if ack.Rule != finding.Rule || ack.File != "" && ack.File != finding.File || ack.Object != "" && ack.Object != finding.Object {
			continue
		}
		l.used[ackKey{note: i, rule: ack.Rule}] = true
		if l.expired(ack.Until) {
			finding.Reason += fmt.Sprintf(" The acknowledgement of it expired on %s.", ack.Until.Format(time.DateOnly))
			continue
		}
		finding.Acknowledged = ack.Reason
		return
	}
}

// noteCovers reports whether a note is above the statement at a line.
func (l *linter) noteCovers(i, line int) bool {
	note := l.current.Notes[i]
	if note.WholeFile {
		return true
	}
	if note.Statement < 0 {
		return false
	}
	first := l.current.Statements[note.Statement].Line
	if line < first {
		return false
	}
	if next := note.Statement + 1; next < len(l.current.Statements) {
		return line < l.current.Statements[next].Line || line == first
	}
	return true
}

// expired reports whether the last day, in UTC, is over.
func (l *linter) expired(until time.Time) bool {
	return !until.IsZero() && !l.options.Now.UTC().Before(until.AddDate(0, 0, 1))
}

func (l *linter) unusedNotes() {
	if !l.analyzing {
		return
	}
	for i, note := range l.current.Notes {
		if note.Problem != "" {
			continue
		}
		for _, rule := range note.Rules {
			if _, known := rulesByID[rule]; known && !l.used[ackKey{file: l.current.Name, note: i, rule: rule}] {
				l.reportAt(note.Line, "acknowledgement-unused", rule, fmt.Sprintf("The comment acknowledges %s, and there is no such finding here.",
					rule),
					"Remove the comment.")
			}
		}
	}
}

func (l *linter) unusedOptions() {
	for i, ack := range l.options.Acknowledgements {
		if l.used[ackKey{note: i, rule: ack.Rule}] {
			continue
		}
		l.findings = append(l.findings, Finding{
			File: ack.File, Rule: "acknowledgement-unused", Class: Transactions, Severity: Warning, Object: ack.Rule,
			Reason:   fmt.Sprintf("An acknowledgement of %s in the configuration matches no finding.", ack.Rule),
			SafeForm: "Remove the acknowledgement.",
		})
	}
}
