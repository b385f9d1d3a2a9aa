// Copyright (c) The Slipway Authors
// SPDX-License-Identifier: MPL-2.0

// Package sqlfile reads SQL migration files: goose's annotations as goose reads them, the statements with their places,
// and what the authors say to the linter in comments. Files of other tools are read too, so that they can be linted.
package sqlfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
)

// Format is the tool for which a file is written.
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

// Transaction says how the statements of a file are run.
type Transaction string

// The ways to run a file.
const (
	WholeFile    Transaction = "file"    // the tool wraps the file in a transaction
	PerStatement Transaction = "none"    // the file asks for no transaction
	Unknown      Transaction = "unknown" // the file does not say, and its tool is not known
)

// Statement is one statement of a file.
type Statement struct {
	SQL    string // without the semicolon
	Line   int    // of its first token, from 1
	Offset int    // of its first token in the file, in bytes
	// Wrapped says that the tool runs the statements of the group in a transaction. Where it does so with the whole file,
	// File.Transaction says so instead.
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
	Version  int64  // the number that the name starts with; -1 where there is none
	Checksum string // "sha256:" and the hash of the content, with line ends as on Unix
	Size     int

	Format      Format
	Transaction Transaction
	// Statements of the way up.
	Statements []Statement
	// Fragments of the way up, for Goose.
	Fragments []Fragment
	// Notes that the authors left in comments.
	Notes []Note
	// Problem says why goose cannot run the file, where it has goose's annotations and cannot.
	Problem *FormatError
	// Contract says that the file removes what only old versions use ("-- slipway:kind contract").
	Contract bool
}

// FormatError is a mistake in a file's annotations.
type FormatError struct {
	Line   int
	Reason string
}

func (e *FormatError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Parse reads the content of a file. It does not fail: what goose could not run is in File.Problem.
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

// readPlain takes the whole file, but what only psql understands.
func (f *File) readPlain(text string) {
	f.Transaction = Unknown
	if f.Format == Atlas {
		f.Transaction = WholeFile
		if strings.Contains(text, "atlas:txmode none") {
			f.Transaction = PerStatement
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		// sqlx and others take this first line; psql-like tools run each statement by itself anyway.
		line = strings.ToLower(strings.TrimSpace(line))
		if strings.HasPrefix(line, "--") && (strings.Contains(line, "no-transaction") || strings.Contains(line, "disable-transaction")) {
			f.Transaction = PerStatement
		}
		break
	}
	f.add(text, 0, blankPsql(upOnly(text)), false)
}

// blankPsql puts blanks in the place of psql's commands and of the data of COPY … FROM stdin.
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
