// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

package sqlfile

import (
	"fmt"
	"strings"
)

// section is where goose stands in a file.
type section int

const (
	beforeUp section = iota
	inUp
	inUpBlock // between StatementBegin and StatementEnd
	inDown
	inDownBlock
)

// readGoose splits the way up as goose does: at lines that end in a semicolon, or at StatementEnd after StatementBegin.
// Comments and blank lines before a statement are not part of it.
func (f *File) readGoose(text string) {
	f.Transaction = WholeFile
	var (
		state    section
		fragment strings.Builder
		start    int // of the fragment
		offset   int
		line     int
	)
	flush := func() {
		sql := fragment.String()
		fragment.Reset()
		if strings.TrimSpace(sql) == "" {
			return
		}
		f.Fragments = append(f.Fragments, Fragment{SQL: strings.TrimSpace(sql), Line: lineAt(text, start)})
		f.add(text, start, sql, true)
	}
	for raw := range strings.SplitAfterSeq(text, "\n") {
		line++
		here := offset
		offset += len(raw)
		body := strings.TrimSuffix(raw, "\n")
		trimmed := strings.TrimSpace(body)
		if state == beforeUp && trimmed == "" {
			continue
		}
		isAnnotation := strings.HasPrefix(trimmed, "--") && strings.Contains(body, "+goose")
		if isAnnotation {
			end, problem := f.annotation(body, &state)
			if problem == "" && state == inDown && strings.TrimSpace(fragment.String()) != "" {
				problem = "the statement before the way down has no semicolon at the end of its last line"
			}
			if problem != "" {
				f.Problem = &FormatError{Line: line, Reason: problem}
				return
			}
			if end {
				flush()
			} else if fragment.Len() > 0 {
				fragment.WriteString(strings.Repeat(" ", len(body)) + "\n")
			}
			continue
		}
		if fragment.Len() == 0 && (strings.HasPrefix(trimmed, "--") || trimmed == "") {
			continue
		}
		switch state {
		case beforeUp:
			f.Problem = &FormatError{Line: line, Reason: "SQL before '-- +goose Up'"}
			return
		case inDown, inDownBlock:
			continue
		}
		if fragment.Len() == 0 {
			start = here
		}
		fragment.WriteString(body + "\n")
		if state == inUp && endsWithSemicolon(body) {
			flush()
		}
	}
	switch {
	case state == beforeUp:
		f.Problem = &FormatError{Line: line, Reason: "'-- +goose Up' is missing"}
	case state == inUpBlock || state == inDownBlock:
		f.Problem = &FormatError{Line: line, Reason: "'-- +goose StatementEnd' is missing"}
	case strings.TrimSpace(fragment.String()) != "":
		at := lineAt(text, start)
		flush() // so that it is judged too
		f.Problem = &FormatError{Line: at, Reason: "the last statement has no semicolon at the end of its last line"}
	}
}

// annotation follows an annotation. It returns whether a statement ends here.
func (f *File) annotation(body string, state *section) (end bool, problem string) {
	if strings.HasPrefix(body, " ") || strings.HasPrefix(body, "\t") {
		return false, "goose's annotations must start at the beginning of the line"
	}
	command := strings.TrimSpace(strings.Replace(strings.ReplaceAll(body, "--", ""), "+goose", "", 1))
	switch strings.ToLower(command) {
	case "up":
		if *state != beforeUp {
			return false, "'-- +goose Up' stands here a second time"
		}
		*state = inUp
	case "down":
		if *state != inUp {
			return false, "'-- +goose Down' is not after '-- +goose Up', or within a statement"
		}
		*state = inDown
	case "statementbegin":
		switch *state {
		case inUp:
			*state = inUpBlock
		case inDown:
			*state = inDownBlock
		default:
			return false, "'-- +goose StatementBegin' is not after '-- +goose Up' or '-- +goose Down', or within another one"
		}
	case "statementend":
		switch *state {
		case inUpBlock:
			*state = inUp
			return true, ""
		case inDownBlock:
			*state = inDown
		default:
			return false, "'-- +goose StatementEnd' without '-- +goose StatementBegin'"
		}
	case "no transaction":
		f.Transaction = PerStatement
	case "envsub on":
		return false, "'-- +goose ENVSUB ON' makes the file depend on the environment in which it is run: write the values, or set them in the application"
	case "envsub off":
	default:
		return false, fmt.Sprintf("goose has no annotation %q", command)
	}
	return false, ""
}

// endsWithSemicolon tells whether the last word of a line, before a word that starts a comment, ends in a semicolon.
func endsWithSemicolon(line string) bool {
	last := ""
	for word := range strings.FieldsSeq(line) {
		if strings.HasPrefix(word, "--") {
			break
		}
		last = word
	}
	return strings.HasSuffix(last, ";")
}
