// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package lint finds what is unsafe in SQL migrations for PostgreSQL before they run: locks that stop the application,
// changes that break the version that still runs, lost data, and mistakes with transactions. It needs no database. It
// analyzes the pending files together with the files that were applied before: objects that the pending files create are not in
// use yet.
package lint

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-dev/terraform-provider-slipway/internal/migration/sqlfile"
)

// Versions of PostgreSQL that can be the target.
const (
	OldestPostgres = 14
	NewestPostgres = 18
)

// Options are what is known in addition to the files.
type Options struct {
	// Postgres is the major version of the server. 0: not known; then forms of all versions are accepted.
	Postgres int
	// SmallTables are tables that are read in milliseconds: locks for that time do no harm, nor do changes of all rows.
	SmallTables []string
	// Contract says that all files remove what only old versions use, and that no old version runs. A file can also declare it.
	Contract bool
	// Runnable reports all files that the plan and the runner refuse, also those of the history. No acknowledgement applies to that.
	Runnable bool
	// Acknowledgements in addition to those in the files.
	Acknowledgements []Acknowledgement
	// Now decides which acknowledgements have expired. The zero time means the current time.
	Now time.Time
}

// Acknowledgement accepts findings.
type Acknowledgement struct {
	File   string    // name of the file; empty: all
	Rule   string    // ID of the rule
	Object string    // as Finding.Object; empty: all
	Reason string    // required
	Until  time.Time // the last day, in UTC; zero: without end
}

// Finding is one unsafe statement or mistake.
type Finding struct {
	File         string   `json:"file"`
	Line         int      `json:"line"`
	Rule         string   `json:"rule"`
	Class        Class    `json:"class"`
	Severity     Severity `json:"severity"`
	Object       string   `json:"object,omitempty"` // the table or other object of the finding
	Reason       string   `json:"reason"`           // what happens and why
	SafeForm     string   `json:"safe_form"`        // what to write instead
	Acknowledged string   `json:"acknowledged,omitempty"`
}

// Page is the page about the rule of the finding.
func (f Finding) Page() string { return rulesByID[f.Rule].Page() }

// Report is the result of the linter for a set of files.
type Report struct {
	Files      int       `json:"files"`      // that were analyzed
	Statements int       `json:"statements"` // in them
	Findings   []Finding `json:"findings"`   // by file and line, including acknowledged ones
}

// Errors are the findings that stop a plan.
func (r *Report) Errors() []Finding { return r.open(Error) }

// Warnings are the findings that do not stop a plan.
func (r *Report) Warnings() []Finding { return r.open(Warning) }

func (r *Report) open(severity Severity) []Finding {
	var findings []Finding
	for _, finding := range r.Findings {
		if finding.Severity == severity && finding.Acknowledged == "" {
			findings = append(findings, finding)
		}
	}
	return findings
}

// releaseMemory frees, once, the memory of compiling the parser: some 200 MiB, which Go would keep for a while.
var releaseMemory = sync.OnceFunc(debug.FreeOSMemory)

// OptionsError is an invalid option.
type OptionsError struct{ Reason string }

func (e *OptionsError) Error() string { return "lint options: " + e.Reason }

// Lint analyzes the pending files. The history is the known files that were applied before them; they are read, not analyzed. Both
// must be in the order in which they run. If nothing is pending, nothing is started or read. The error is an *OptionsError, or that
// of the context.
func Lint(ctx context.Context, history, pending []*sqlfile.File, options Options) (*Report, error) {
	if options.Postgres != 0 && (options.Postgres < OldestPostgres || options.Postgres > NewestPostgres) {
		return nil, &OptionsError{fmt.Sprintf("PostgreSQL %d is not supported: %d to %d are", options.Postgres, OldestPostgres, NewestPostgres)}
	}
	for _, ack := range options.Acknowledgements {
		if _, known := rulesByID[ack.Rule]; !known {
			return nil, &OptionsError{fmt.Sprintf("there is no rule %q to acknowledge", ack.Rule)}
		}
		if strings.TrimSpace(ack.Reason) == "" {
			return nil, &OptionsError{fmt.Sprintf("the acknowledgement of %s has no reason", ack.Rule)}
		}
	}
	report := &Report{Files: len(pending), Findings: []Finding{}}
	order := map[string]int{}
	for i, file := range slices.Concat(history, pending) {
		order[file.Name] = i
	}
	var refused map[string]bool
	if options.Runnable {
		report.Findings, refused = refusals(history, pending)
	}
	if len(pending) == 0 {
		return report, nil
	}
	if options.Now.IsZero() {
		options.Now = time.Now()
	}
	l := &linter{options: options, schema: newSchema(options.SmallTables), used: map[ackKey]bool{}, refused: refused}
	for _, file := range history {
		if err := l.file(ctx, file); err != nil {
			return nil, err
		}
	}
	l.schema.age()
	l.analyzing = true
	for i, file := range pending {
		if !refused[file.Name] && file.Version >= 0 && i > 0 && pending[i-1].Version == file.Version && file.Format == sqlfile.Goose {
			l.current = file
			l.reportAt(1, "duplicate-version", "", fmt.Sprintf("%s has the version %d too, and goose refuses to run two files of one version.",
				pending[i-1].Name, file.Version),
				duplicateAdvice)
		}
		if err := l.file(ctx, file); err != nil {
			return nil, err
		}
		report.Statements += len(file.Statements)
	}
	l.unusedOptions()
	releaseMemory()
	report.Findings = append(report.Findings, l.findings...)
	slices.SortStableFunc(report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line))
	})
	return report, nil
}

// refusals are the findings about files that the plan and the runner refuse, and the names of these files.
func refusals(history, pending []*sqlfile.File) ([]Finding, map[string]bool) {
	findings, refused := []Finding{}, map[string]bool{}
	add := func(rule string, line int, file, reason, safeForm string) {
		known := rulesByID[rule]
		findings = append(findings, Finding{
			File: file, Line: line, Rule: rule, Class: known.Class, Severity: known.Severity,
			Reason: "The plan and the runner refuse the file: " + reason + ".", SafeForm: safeForm,
		})
	}
	for _, refusal := range sqlfile.Refusals(slices.Concat(history, pending)) {
		refused[refusal.File] = true
		rule, safeForm := "file-format", fileFormatAdvice
		if refusal.Duplicate {
			rule, safeForm = "duplicate-version", duplicateAdvice
		}
		add(rule, max(refusal.Line, 1), refusal.File, refusal.Reason, safeForm)
	}
	if reason := sqlfile.RefusedTogether(pending); reason != "" {
		add("file-format", 1, pending[len(pending)-1].Name, reason, "Apply the files in several steps, and load large data by other means.")
	}
	return findings, refused
}

const (
	fileFormatAdvice = "Follow goose's format: a number above 0 at the start of the name, '-- +goose Up', statements " +
		"that end in a semicolon at " +
		"the end of a line, and '-- +goose StatementBegin' and '-- +goose StatementEnd' around those that hold semicolons."
	duplicateAdvice = "Give the file a number of its own, higher than all others."
)
