// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package sqlfile reads SQL migration files: goose's annotations as goose reads them, the statements with their positions,
// and the comments of the authors for the linter. Files of other tools are also read, so that they can be linted.
package sqlfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
)

// Format is the tool that a file is written for.
type Format string

// The formats. Only Goose can be run by slipway-migrate; the others can be linted.
const (
	Goose      Format = "goose"       // -- +goose Up
	Dbmate     Format = "dbmate"      // -- migrate:up
	SQLMigrate Format = "sql-migrate" // -- +migrate Up
	Atlas      Format = "atlas"       // -- atlas:txmode
	Liquibase  Format = "liquibase"   // --liquibase formatted sql
	Flyway     Format = "flyway"      // V1__name.sql
	Plain      Format = "plain"       // none of these
)

// Transaction is how the statements of a file run.
type Transaction string

// The ways to run a file.
const (
	WholeFile    Transaction = "file"    // the tool wraps the file in a transaction
	PerStatement Transaction = "none"    // the file disables the transaction
	Unknown      Transaction = "unknown" // the file does not set it, and its tool is unknown
)

// Statement is one statement of a file.
type Statement struct {
	SQL    string // without the semicolon
	Line   int    // of its first token, from 1
	Offset int    // of its first token in the file, in bytes
	// Wrapped means that the tool runs the statements of the group in a transaction. For a transaction around the whole file,
	// File.Transaction is set instead.
	Wrapped bool
	// Group is shared by the statements that are sent to the server in one query, which PostgreSQL runs in a
	// transaction of their own unless one is open.
	Group int
}

// Fragment is what goose sends to the server in one query: usually one statement.
type Fragment struct {
	SQL  string
	Line int // of its first line, from 1
}

// File is a migration file, read.
type File struct {
	Name     string // base name, or the path below the directory that was read
	Version  int64  // the number that the name starts with, or -1
	Checksum string // "sha256:" and the hash of the content, with line ends as on Unix
	Size     int

	Format      Format
	Transaction Transaction
	// Statements of the up section.
	Statements []Statement
	// Fragments of the up section, for Goose.
	Fragments []Fragment
	// Notes of the authors in comments.
	Notes []Note
	// Problem is why goose cannot run a file with goose's annotations.
	Problem *FormatError
	// Contract means that the file removes what only old versions use ("-- slipway:kind contract").
	Contract bool
}

// FormatError is a mistake in a file's annotations.
type FormatError struct {
	Line   int
	Reason string
}

func (e *FormatError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Parse reads the content of a file. It does not fail: File.Problem is why goose cannot run the file.
func Parse(name string, content []byte) *File {
	text := strings.TrimPrefix(strings.ReplaceAll(string(content), "\r\n", "\n"), "\uFEFF")
	sum := sha256.Sum256([]byte(text))
	file := &File{
		Name:     name,
		Version:  version(name),
		Checksum: "sha256:" + hex.EncodeToString(sum[:]),
		Size:     len(content),
		Format:   format(text),
	}
	if file.Format == Plain && flywayName.MatchString(path.Base(name)) {
		file.Format = Flyway
	}
	switch file.Format {
	case Goose:
		file.readGoose(text)
	case Dbmate:
		file.readSections(text, "migrate:up", "migrate:down", "transaction:false")
	case SQLMigrate:
		file.readSections(text, "+migrate up", "+migrate down", "notransaction")
	case Liquibase:
		file.readLiquibase(text)
	default:
		file.readPlain(text)
	}
	file.readNotes(text)
	return file
}

func format(text string) Format {
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "--") {
			continue
		}
		comment := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "-")))
		switch {
		case strings.HasPrefix(comment, "+goose"):
			return Goose
		case strings.HasPrefix(comment, "migrate:up"):
			return Dbmate
		case strings.HasPrefix(comment, "+migrate up"):
			return SQLMigrate
		case strings.HasPrefix(comment, "atlas:"):
			return Atlas
		case strings.HasPrefix(comment, "liquibase formatted"):
			return Liquibase
		}
	}
	return Plain
}

// add appends the statements of a text that starts at an offset of the file.
func (f *File) add(whole string, offset int, text string, together bool) {
	for i, place := range split(text) {
		group := len(f.Statements) + 1
		if together && i > 0 {
			group = f.Statements[len(f.Statements)-1].Group
		}
		f.Statements = append(f.Statements, Statement{
			SQL:    text[place.Start:place.End],
			Line:   lineAt(whole, offset+place.Start),
			Offset: offset + place.Start,
			Group:  group,
		})
	}
}

// readPlain takes the whole file, except for psql's commands.
func (f *File) readPlain(text string) {
	f.Transaction = Unknown
	if f.Format == Atlas {
		f.Transaction = WholeFile
		if strings.Contains(text, "atlas:txmode none") {
			f.Transaction = PerStatement
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		// sqlx and others read this first line; psql-like tools run each statement separately in any case.
		line = strings.ToLower(strings.TrimSpace(line))
		if strings.HasPrefix(line, "--") && (strings.Contains(line, "no-transaction") || strings.Contains(line, "disable-transaction")) {
			f.Transaction = PerStatement
		}
		break
	}
	f.add(text, 0, blankPsql(upOnly(text)), false)
}

// readGoose splits the up section as goose does: at lines that end in a semicolon, or at StatementEnd after StatementBegin.
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
				problem = "the statement before the down section has no semicolon at the end of its last line"
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
		flush() // so that it is analyzed, too
		f.Problem = &FormatError{Line: at, Reason: "the last statement has no semicolon at the end of its last line"}
	}
}

// annotation processes an annotation. It returns whether a statement ends here.
func (f *File) annotation(body string, state *section) (end bool, problem string) {
	if strings.HasPrefix(body, " ") || strings.HasPrefix(body, "\t") {
		return false, "goose's annotations must start at the beginning of the line"
	}
	command := strings.TrimSpace(strings.Replace(strings.ReplaceAll(body, "--", ""), "+goose", "", 1))
	switch strings.ToLower(command) {
	case "up":
		if *state != beforeUp {
			return false, "'-- +goose Up' is repeated here"
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
		return false, "'-- +goose ENVSUB ON' makes the file depend on the environment in which it is run: write the values, or set " +
			"them in the application"
	case "envsub off":
	default:
		return false, fmt.Sprintf("goose has no annotation %q", command)
	}
	return false, ""
}

func (f *File) readNotes(text string) {
	if !strings.Contains(text, directive) {
		return
	}
	for _, token := range Tokens(text) {
		if token.Kind != Comment {
			continue
		}
		body := strings.TrimSpace(strings.TrimLeft(text[token.Start:token.End], "-/*"))
		body = strings.TrimSpace(strings.TrimSuffix(body, "*/"))
		if !strings.HasPrefix(body, directive) {
			continue
		}
		command, rest, _ := strings.Cut(strings.TrimPrefix(body, directive), " ")
		line := lineAt(text, token.Start)
		switch command {
		case "kind":
			kind := strings.TrimSpace(rest)
			f.Contract = kind == "contract"
			if kind != "contract" && kind != "expand" {
				f.Notes = append(f.Notes, Note{Line: line, Statement: -1, Problem: `the kind of a file is "expand" or "contract"`})
			}
		case "allow", "allow-file":
			note := parseNote(rest)
			note.Line, note.WholeFile = line, command == "allow-file"
			note.Statement = -1
			for i, statement := range f.Statements {
				if statement.Offset >= token.End || token.Start < statement.Offset+len(statement.SQL) {
					note.Statement = i
					break
				}
			}
			f.Notes = append(f.Notes, note)
		default:
			f.Notes = append(f.Notes, Note{
				Line:      line,
				Statement: -1,
				Problem:   `"slipway:` + command + `" is not known; there are "slipway:allow", "slipway:allow-file" and "slipway:kind"`,
			})
		}
	}
}

// readSections returns the text between the line of the up section and that of the down section.
func (f *File) readSections(text, up, down, noTransaction string) {
	f.Transaction = WholeFile
	start, end, offset := -1, len(text), 0
	for line := range strings.SplitAfterSeq(text, "\n") {
		comment := strings.ToLower(strings.TrimSpace(line))
		if strings.HasPrefix(comment, "--") {
			comment = strings.TrimSpace(strings.TrimLeft(comment, "-"))
			switch {
			case strings.HasPrefix(comment, up):
				start = offset + len(line)
				if strings.Contains(comment, noTransaction) {
					f.Transaction = PerStatement
				}
			case strings.HasPrefix(comment, down) && start >= 0 && end == len(text):
				end = offset
			}
		}
		offset += len(line)
	}
	f.add(text, start, text[start:max(start, end)], false)
}

// readLiquibase reads Liquibase's formatted SQL: each change set is a transaction unless it disables it.
func (f *File) readLiquibase(text string) {
	f.Transaction = PerStatement
	wrapped, delimiter, start, offset := true, "", 0, 0
	flush := func(end int) {
		part := text[start:end]
		if delimiter != "" && delimiter != ";" {
			part = blankLines(part, delimiter)
		}
		first := len(f.Statements)
		f.add(text, start, part, false)
		for i := first; i < len(f.Statements); i++ {
			f.Statements[i].Wrapped = wrapped
			if wrapped {
				f.Statements[i].Group = f.Statements[first].Group
			}
		}
	}
	for line := range strings.SplitAfterSeq(text, "\n") {
		if match := liquibaseChange.FindStringSubmatch(strings.TrimSpace(line)); match != nil {
			flush(offset)
			start = offset + len(line)
			options := strings.ToLower(match[1])
			wrapped = !strings.Contains(options, "runintransaction:false")
			delimiter = ""
			if _, after, found := strings.Cut(options, "enddelimiter:"); found {
				delimiter, _, _ = strings.Cut(strings.TrimSpace(after), " ")
			}
		}
		offset += len(line)
	}
	flush(len(text))
}

// blankPsql replaces psql's commands and the data of COPY … FROM stdin by blanks.
func blankPsql(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var out strings.Builder
	data := false
	for line := range strings.SplitAfterSeq(text, "\n") {
		body := strings.TrimRight(line, "\n")
		lower := strings.ToLower(body)
		switch {
		case data:
			data = strings.TrimSpace(body) != `\.`
			line = strings.Repeat(" ", len(body)) + line[len(body):]
		case strings.HasPrefix(body, `\`):
			line = strings.Repeat(" ", len(body)) + line[len(body):]
		case strings.HasPrefix(lower, "copy ") && strings.Contains(lower, "from stdin") && strings.HasSuffix(strings.TrimSpace(lower), ";"):
			data = true
		}
		out.WriteString(line)
	}
	return out.String()
}

func lineAt(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }
