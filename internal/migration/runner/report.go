// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/slipway-dev/terraform-provider-slipway/internal/explain"
)

// ReportLimit is the size of a report in bytes. Kubernetes keeps the last 4,096 of a termination message, and cuts the head
// off anything longer.
const ReportLimit = 3 * 1024

const textLimit = 512

// Outcome is how a run ended.
type Outcome string

// The outcomes.
const (
	Done        Outcome = "done"
	Failed      Outcome = "failed"      // a statement or a check; a retry does not help
	Refused     Outcome = "refused"     // files, ledger or connection are not valid
	Busy        Outcome = "busy"        // another runner works on the database
	Unreachable Outcome = "unreachable" // no connection
	Interrupted Outcome = "interrupted" // by a signal or a lost connection; the next run resumes
)

// Report is the result of a run, in at most ReportLimit bytes. Details are in the log.
type Report struct {
	Command string   `json:"command"`
	Outcome Outcome  `json:"outcome"`
	Phase   Phase    `json:"phase,omitempty"` // that failed; PhaseValidate means that all files are applied
	From    int64    `json:"from"`
	To      int64    `json:"to"`
	Count   int      `json:"applied_count"`
	Applied []string `json:"applied,omitempty"` // left out if the report would be too long
	Resumed string   `json:"resumed,omitempty"`
	Left    int      `json:"left"`
	Retries int      `json:"retries,omitempty"`
	Seconds float64  `json:"seconds"`
	Failure *Failure `json:"failure,omitempty"`
	// InvalidIndexes that were left in the database.
	InvalidIndexes []string `json:"invalid_indexes,omitempty"`
}

// Failure is why a run failed.
type Failure struct {
	File      string `json:"file,omitempty"`
	Line      int    `json:"line,omitempty"`
	Statement int    `json:"statement,omitempty"` // from 1
	Of        int    `json:"of,omitempty"`
	SQL       string `json:"sql,omitempty"`
	Code      string `json:"code,omitempty"` // SQLSTATE
	Message   string `json:"message"`
	Advice    string `json:"advice,omitempty"`
	Kept      bool   `json:"kept,omitempty"` // the statements before it stay applied
}

// NewReport is the report of a run of a command.
func NewReport(command string, result *Result, err error) *Report {
	report := &Report{Command: command, Outcome: outcomeOf(err)}
	if result != nil {
		report.From, report.To, report.Applied, report.Count = result.From, result.To, result.Applied, len(result.Applied)
		report.Resumed, report.Left, report.Retries, report.Seconds = result.Resumed, result.Left, result.Retries, result.Took.Seconds()
	}
	if err == nil {
		return report
	}
	var phase *PhaseError
	if errors.As(err, &phase) {
		report.Phase = phase.Phase
	}
	report.Failure = &Failure{Message: cut(err.Error(), textLimit)}
	if explained, ok := explain.As(err); ok {
		_, _, report.Failure.Advice = explained.Explain()
	}
	var statement *StatementError
	var check *CheckError
	var file *FileError
	switch {
	case errors.As(err, &statement):
		report.Failure.File, report.Failure.Line = statement.File, statement.Line
		report.Failure.Statement, report.Failure.Of, report.Failure.Kept = statement.Index+1, statement.Of, statement.Kept
		report.Failure.SQL, report.Failure.Code, report.Failure.Message = cut(statement.Statement, textLimit), statement.Code,
			cut(statement.Message, textLimit)
	case errors.As(err, &check):
		report.Failure.File, report.Failure.Line, report.Failure.SQL = check.File, check.Line, cut(check.Statement, textLimit)
		report.Failure.Message = cut(check.Reason, textLimit)
	case errors.As(err, &file):
		report.Failure.File, report.Failure.Line, report.Failure.Message = file.File, file.Line, cut(file.Reason, textLimit)
	}
	return report
}

func outcomeOf(err error) Outcome {
	var (
		busy      *BusyError
		connect   *ConnectError
		statement *StatementError
		check     *CheckError
		refused   interface{ refused() }
	)
	switch {
	case err == nil:
		return Done
	case errors.Is(err, context.Canceled), errors.Is(err, errLockLost):
		return Interrupted
	case errors.As(err, &busy):
		return Busy
	case errors.As(err, &connect):
		return Unreachable
	case errors.As(err, &statement), errors.As(err, &check):
		if statement != nil && sessionLost(statement.Cause) {
			return Interrupted
		}
		return Failed
	case errors.As(err, &refused):
		return Refused
	}
	return Failed
}

// Retry reports whether the same run may succeed when it is repeated.
func (o Outcome) Retry() bool { return o == Busy || o == Unreachable || o == Interrupted }

// Encode is the report as JSON of at most ReportLimit bytes.
func (r *Report) Encode() ([]byte, error) {
	short := *r
	for {
		text, err := json.Marshal(short)
		if err != nil {
			return nil, fmt.Errorf("writing the report: %w", err)
		}
		switch {
		case len(text) <= ReportLimit:
			return text, nil
		case short.Applied != nil:
			short.Applied = nil
		case short.InvalidIndexes != nil:
			short.InvalidIndexes = nil
		case short.Failure != nil && len(short.Failure.SQL)+len(short.Failure.Message)+len(short.Failure.Advice) > 300:
			failure := *short.Failure
			failure.SQL, failure.Message, failure.Advice = cut(failure.SQL, 100), cut(failure.Message, 100), cut(failure.Advice, 100)
			failure.File = cut(failure.File, 100)
			short.Failure = &failure
		default:
			return nil, fmt.Errorf("the report has %d bytes, more than %d", len(text), ReportLimit)
		}
	}
}

// cut shortens a text to at most limit bytes, at a character boundary.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const ellipsis = "…"
	text = text[:limit-len(ellipsis)]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + ellipsis
}
